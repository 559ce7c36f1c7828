//! All local states of one node, and what leads from one to the next.

use super::Parts;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Something that can happen to a node.
pub struct Edge<H: Parts> {
    /// What it is called.
    pub name: String,
    /// What others must have said for it.
    pub needs: Vec<H::Message>,
    /// The node after it.
    pub next: H::Local,
}

/// Number of a message.
pub type MessageId = u16;

/// A step of one node.
#[derive(Clone, Debug)]
pub struct Step {
    /// Where it leads.
    pub to: u32,
    /// What must have been said, sorted.
    pub needs: Vec<MessageId>,
    /// Number of its name.
    pub name: u32,
}

/// A node: its local states, by number; the first is where it begins.
pub struct Graph<H: Parts> {
    /// The states.
    pub locals: Vec<Arc<H::Local>>,
    ids: HashMap<Arc<H::Local>, u32>,
    /// What leads from each one to others.
    pub steps: Vec<Vec<Step>>,
    /// How many messages there were when all that can happen next to it was computed.
    expanded: Vec<usize>,
}

/// Names, by number.
pub struct Names {
    ids: HashMap<String, u32>,
    /// The names.
    pub all: Vec<String>,
}

impl Names {
    fn id(&mut self, name: String) -> u32 {
        let next = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        *self.ids.entry(name).or_insert_with_key(|name| {
            self.all.push(name.clone());
            next
        })
    }
}

/// All nodes, and all that they can say.
pub struct Graphs<H: Parts> {
    /// Each node.
    pub nodes: Vec<Graph<H>>,
    /// All that any of them can say, and which.
    pub messages: Vec<(H::Message, usize)>,
    /// Names of steps.
    pub names: Names,
    known: HashMap<H::Message, MessageId>,
}

impl<H: Parts> Graph<H> {
    fn new(first: H::Local) -> Self {
        let mut graph = Self { locals: Vec::new(), ids: HashMap::new(), steps: Vec::new(), expanded: Vec::new() };
        graph.id(first);
        graph
    }

    fn id(&mut self, local: H::Local) -> u32 {
        if let Some(id) = self.ids.get(&local) {
            return *id;
        }
        let id = u32::try_from(self.locals.len()).unwrap_or(u32::MAX);
        let local = Arc::new(local);
        self.ids.insert(Arc::clone(&local), id);
        self.locals.push(local);
        self.steps.push(Vec::new());
        self.expanded.push(usize::MAX);
        id
    }
}

impl<H: Parts> Graphs<H> {
    /// Computes all; none if it takes longer than `is_over` allows.
    pub fn new(host: &H, is_over: &dyn Fn() -> bool) -> Option<Self> {
        let mut graphs = Self {
            nodes: host.first().into_iter().map(Graph::new).collect(),
            messages: Vec::new(),
            names: Names { ids: HashMap::new(), all: Vec::new() },
            known: HashMap::new(),
        };
        for node in 0..graphs.nodes.len() {
            graphs.note_said(host, node, 0);
        }
        loop {
            let before: (usize, Vec<usize>) = graphs.size();
            for node in 0..graphs.nodes.len() {
                graphs.grow(host, node, is_over)?;
                eprintln!("{:?}", graphs.size());
                if std::env::var_os("DUMP").is_some() {
                    for (message, by) in &graphs.messages {
                        eprintln!("  {by} {}", H::tell(message));
                    }
                }
            }
            if graphs.size() == before {
                for node in 0..graphs.nodes.len() {
                    graphs.look_again(host, node, is_over)?;
                }
            }
            if graphs.size() == before {
                return Some(graphs);
            }
        }
    }

    /// The number of a message.
    pub fn number(&self, message: &H::Message) -> Option<MessageId> {
        self.known.get(message).copied()
    }

    fn size(&self) -> (usize, Vec<usize>) {
        (self.messages.len(), self.nodes.iter().map(|node| node.locals.len()).collect())
    }

    fn note_said(&mut self, host: &H, node: usize, local: u32) {
        let local = Arc::clone(&self.nodes[node].locals[local as usize]);
        for message in host.said(&local).iter().filter(|message| host.can_be_heard(message)) {
            if !self.known.contains_key(message) {
                let id = MessageId::try_from(self.messages.len()).unwrap_or(MessageId::MAX);
                self.known.insert(message.clone(), id);
                self.messages.push((message.clone(), node));
            }
        }
    }

    /// Computes what can happen to each local state of a node with all that others can say so far.
    fn grow(&mut self, host: &H, node: usize, is_over: &dyn Fn() -> bool) -> Option<()> {
        let all = self.messages.len();
        let others = self.messages.iter().filter(|(_, by)| *by != node);
        let heard: BTreeSet<H::Message> = others.map(|(message, _)| message.clone()).collect();
        let mut at = 0;
        while at < self.nodes[node].locals.len() {
            let before = std::mem::replace(&mut self.nodes[node].expanded[at], all);
            if before != all {
                if is_over() {
                    return None;
                }
                let local = Arc::clone(&self.nodes[node].locals[at]);
                let is_new = |needs: &[H::Message]| {
                    before == usize::MAX || needs.iter().any(|message| usize::from(self.known[message]) >= before)
                };
                let edges = host.edges(&local, &heard, &is_new);
                for edge in edges {
                    self.add(host, node, at, edge);
                }
            }
            at += 1;
        }
        Some(())
    }

    /// Computes once more what can happen by messages that may have come to mean more.
    fn look_again(&mut self, host: &H, node: usize, is_over: &dyn Fn() -> bool) -> Option<()> {
        let others = self.messages.iter().filter(|(_, by)| *by != node);
        let heard: BTreeSet<H::Message> = others.map(|(message, _)| message.clone()).collect();
        let is_new = |needs: &[H::Message]| needs.iter().any(|message| host.is_open(message));
        for at in 0..self.nodes[node].locals.len() {
            if is_over() {
                return None;
            }
            let local = Arc::clone(&self.nodes[node].locals[at]);
            for edge in host.edges(&local, &heard, &is_new) {
                self.add(host, node, at, edge);
            }
        }
        Some(())
    }

    fn add(&mut self, host: &H, node: usize, at: usize, edge: Edge<H>) {
        let mut needs: Vec<MessageId> = edge.needs.iter().map(|message| self.known[message]).collect();
        needs.sort_unstable();
        let name = self.names.id(edge.name);
        let before = self.nodes[node].locals.len();
        let to = self.nodes[node].id(edge.next);
        if to as usize == before {
            self.note_said(host, node, to);
        }
        self.nodes[node].steps[at].push(Step { to, needs, name });
    }
}
