//! All local states of one node, and what leads from one to the next.

use super::Parts;
use crate::clock::Limit;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

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

/// What others, and promises, see of a local state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Look<F> {
    /// What promises read.
    pub face: F,
    /// How often it died.
    pub crashes: u8,
    /// What it has said that can be heard, in no order.
    pub said: BTreeSet<MessageId>,
}

/// A node: its local states, by number; the first is where it begins.
pub struct Graph<H: Parts> {
    ids: HashMap<u128, u32>,
    /// How each one looks, by number.
    pub looks: Vec<u32>,
    /// What leads from each one to others.
    pub steps: Vec<Vec<Step>>,
    /// The states themselves, unless they were forgotten.
    locals: Vec<Option<H::Local>>,
    /// How many messages there were when all that can happen next to it was computed.
    expanded: Vec<Option<usize>>,
}

/// Values by number.
pub struct Numbers<T> {
    ids: HashMap<T, u32>,
    /// The values.
    pub all: Vec<T>,
}

impl<T: Clone + Eq + Hash> Numbers<T> {
    fn new() -> Self {
        Self { ids: HashMap::new(), all: Vec::new() }
    }

    fn id(&mut self, value: T) -> u32 {
        if let Some(id) = self.ids.get(&value) {
            return *id;
        }
        let id = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        self.all.push(value.clone());
        self.ids.insert(value, id);
        id
    }
}

/// All nodes, and all that they can say.
pub struct Graphs<H: Parts> {
    /// Each node.
    pub nodes: Vec<Graph<H>>,
    /// Names of steps.
    pub names: Numbers<String>,
    /// How local states look.
    pub looks: Numbers<Look<H::Face>>,
    messages: Vec<(H::Message, usize)>,
    known: HashMap<H::Message, MessageId>,
    /// Whether a state is forgotten once all that can happen next to it is known.
    forgets: bool,
}

impl<H: Parts> Graphs<H> {
    /// Computes all; none if the time was too short. Where most of what can be said is known before, states are
    /// forgotten once they were expanded, which takes little memory, and all begins anew if something else was said.
    pub fn new(host: &H, limit: &Limit) -> Option<Self> {
        let Some(calmer) = host.calmer() else {
            let mut graphs = Self::empty(Vec::new(), false);
            graphs.start(host);
            return graphs.close(host, limit).then_some(graphs);
        };
        let mut messages = Self::new(&calmer, limit)?.messages;
        loop {
            let before = (messages.len(), host.open_count());
            let mut graphs = Self::empty(messages, true);
            graphs.start(host);
            for node in 0..graphs.nodes.len() {
                graphs.grow(host, node, limit)?;
            }
            if (graphs.messages.len(), host.open_count()) == before {
                return Some(graphs);
            }
            messages = graphs.messages;
        }
    }

    fn empty(messages: Vec<(H::Message, usize)>, forgets: bool) -> Self {
        let ids = messages.iter().zip(0..);
        let known = ids.map(|((message, _), id)| (message.clone(), id)).collect();
        Self { nodes: Vec::new(), names: Numbers::new(), looks: Numbers::new(), messages, known, forgets }
    }

    fn start(&mut self, host: &H) {
        for (node, first) in host.first().into_iter().enumerate() {
            self.nodes.push(Graph {
                ids: HashMap::new(),
                looks: Vec::new(),
                steps: Vec::new(),
                locals: Vec::new(),
                expanded: Vec::new(),
            });
            self.id(host, node, first);
        }
    }

    /// Goes on until nothing new is said or reached; says whether the time was enough.
    fn close(&mut self, host: &H, limit: &Limit) -> bool {
        loop {
            let before = self.size(host);
            for node in 0..self.nodes.len() {
                if self.grow(host, node, limit).is_none() {
                    return false;
                }
            }
            if self.size(host) != before {
                continue;
            }
            for node in 0..self.nodes.len() {
                if self.look_again(host, node, limit).is_none() {
                    return false;
                }
            }
            if self.size(host) == before {
                return true;
            }
        }
    }

    fn size(&self, host: &H) -> (usize, usize, usize) {
        let locals = self.nodes.iter().map(|node| node.looks.len()).sum();
        (self.messages.len(), host.open_count(), locals)
    }

    fn number(&mut self, node: usize, message: &H::Message) -> MessageId {
        if let Some(id) = self.known.get(message) {
            return *id;
        }
        let id = MessageId::try_from(self.messages.len()).unwrap_or(MessageId::MAX);
        self.known.insert(message.clone(), id);
        self.messages.push((message.clone(), node));
        id
    }

    fn id(&mut self, host: &H, node: usize, local: H::Local) -> u32 {
        let key = host.key(&local);
        if let Some(id) = self.nodes[node].ids.get(&key) {
            return *id;
        }
        let face = host.face(&local);
        let said = host.said(&local).iter().filter(|message| host.can_be_heard(message));
        let said = said.map(|message| self.number(node, message)).collect();
        let look = self.looks.id(Look { face: host.essence(face), crashes: host.crashes(face), said });
        let graph = &mut self.nodes[node];
        let id = u32::try_from(graph.looks.len()).unwrap_or(u32::MAX);
        graph.ids.insert(key, id);
        graph.looks.push(look);
        graph.steps.push(Vec::new());
        graph.locals.push(Some(local));
        graph.expanded.push(None);
        id
    }

    fn heard_by(&self, node: usize) -> BTreeSet<H::Message> {
        self.messages.iter().filter(|(_, by)| *by != node).map(|(message, _)| message.clone()).collect()
    }

    /// Computes what can happen to each local state of a node with all that others can say so far.
    fn grow(&mut self, host: &H, node: usize, limit: &Limit) -> Option<()> {
        let all = self.messages.len();
        let heard = self.heard_by(node);
        let mut at = 0;
        while at < self.nodes[node].looks.len() {
            let before = self.nodes[node].expanded[at].replace(all);
            if before != Some(all) {
                let known = &self.known;
                let is_new = |needs: &[H::Message]| {
                    before.is_none_or(|before| needs.iter().any(|message| usize::from(known[message]) >= before))
                };
                let edges = self.expand(host, (node, at), &heard, &is_new, limit)?;
                self.add(host, (node, at), edges);
            }
            at += 1;
        }
        Some(())
    }

    /// Computes once more what can happen by messages that may have come to mean more.
    fn look_again(&mut self, host: &H, node: usize, limit: &Limit) -> Option<()> {
        let heard = self.heard_by(node);
        let is_new = |needs: &[H::Message]| needs.iter().any(|message| host.is_open(message));
        for at in 0..self.nodes[node].looks.len() {
            let edges = self.expand(host, (node, at), &heard, &is_new, limit)?;
            self.add(host, (node, at), edges);
        }
        Some(())
    }

    fn expand(
        &self,
        host: &H,
        (node, at): (usize, usize),
        heard: &BTreeSet<H::Message>,
        is_new: &dyn Fn(&[H::Message]) -> bool,
        limit: &Limit,
    ) -> Option<Vec<Edge<H>>> {
        if limit.is_over() {
            return None;
        }
        let local = self.nodes[node].locals[at].as_ref();
        Some(local.map(|local| host.edges(local, heard, is_new)).unwrap_or_default())
    }

    fn add(&mut self, host: &H, (node, at): (usize, usize), edges: Vec<Edge<H>>) {
        if self.forgets {
            self.nodes[node].locals[at] = None;
        }
        for edge in edges {
            let mut needs: Vec<MessageId> = edge.needs.iter().map(|message| self.known[message]).collect();
            needs.sort_unstable();
            let name = self.names.id(edge.name);
            let to = self.id(host, node, edge.next);
            self.nodes[node].steps[at].push(Step { to, needs, name });
        }
    }
}
