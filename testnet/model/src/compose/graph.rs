//! All local states of one node, and what leads from one to the next.

use super::Parts;
use crate::chance::Chance;
use crate::clock::Limit;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

/// Of walks that find what can be said; what they find makes the rest faster, and nothing else.
const SEED: u64 = 1;
/// No walk is longer.
const STEPS_MAX: usize = 1_000;

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

/// Number of a set of messages.
pub type NeedsId = u32;

/// A step of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where it leads.
    pub to: u32,
    /// What must have been said.
    pub needs: NeedsId,
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
#[derive(Default)]
pub struct Graph {
    ids: HashMap<u128, u32>,
    /// How each one looks, by number.
    pub looks: Vec<u32>,
    /// What leads from each one to others.
    pub steps: Vec<Vec<Step>>,
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
    pub nodes: Vec<Graph>,
    /// Names of steps.
    pub names: Numbers<String>,
    /// How local states look.
    pub looks: Numbers<Look<H::Face>>,
    /// What steps need, each set of messages sorted.
    pub needs: Numbers<Vec<MessageId>>,
    messages: Vec<(H::Message, usize)>,
    known: HashMap<H::Message, MessageId>,
}

impl<H: Parts> Graphs<H> {
    /// Computes all; none if the time was too short. A local state is forgotten once all that can happen next to it is
    /// known, since it takes far more memory than its number. So if more was said than was known when this began,
    /// all begins anew, until nothing is new. Walks go first, where that would take long: they find most of it.
    pub fn new(host: &H, limit: &Limit) -> Option<Self> {
        let mut messages = Self::said_on_walks(host, limit)?;
        loop {
            let before = (messages.len(), host.open_count());
            let mut graphs = Self::knowing(messages);
            for (node, first) in host.first().into_iter().enumerate() {
                graphs.grow(host, node, first, limit)?;
            }
            if (graphs.messages.len(), host.open_count()) == before {
                return Some(graphs);
            }
            messages = graphs.messages;
        }
    }

    /// What nodes say that go at random, each with all that the others said so far.
    fn said_on_walks(host: &H, limit: &Limit) -> Option<Vec<(H::Message, usize)>> {
        let mut graphs = Self::knowing(Vec::new());
        let mut chance = Chance::new(SEED);
        let mut in_vain = 0;
        while in_vain < host.walks() {
            let before = (graphs.messages.len(), host.open_count());
            for (node, first) in host.first().into_iter().enumerate() {
                graphs.walk(host, node, first, &mut chance, limit)?;
            }
            let is_new = (graphs.messages.len(), host.open_count()) != before;
            in_vain = if is_new { 0 } else { in_vain + 1 };
        }
        Some(graphs.messages)
    }

    fn walk(&mut self, host: &H, node: usize, mut local: H::Local, chance: &mut Chance, limit: &Limit) -> Option<()> {
        for _ in 0..STEPS_MAX {
            for message in host.said(&local).iter().filter(|message| host.can_be_heard(message)) {
                self.number(node, message);
            }
            if limit.is_over() {
                return None;
            }
            let mut edges = host.edges(&local, &self.heard_by(node));
            if edges.is_empty() {
                break;
            }
            local = edges.swap_remove(chance.below(edges.len())).next;
        }
        Some(())
    }

    fn knowing(messages: Vec<(H::Message, usize)>) -> Self {
        let ids = messages.iter().zip(0..);
        let known = ids.map(|((message, _), id)| (message.clone(), id)).collect();
        let (names, looks, needs) = (Numbers::new(), Numbers::new(), Numbers::new());
        Self { nodes: Vec::new(), names, looks, needs, messages, known }
    }

    fn heard_by(&self, node: usize) -> BTreeSet<H::Message> {
        self.messages.iter().filter(|(_, by)| *by != node).map(|(message, _)| message.clone()).collect()
    }

    /// Computes all local states of the next node, from its first one, with all that others can say so far. It goes
    /// deep first: then few wait for their turn.
    fn grow(&mut self, host: &H, node: usize, first: H::Local, limit: &Limit) -> Option<()> {
        let heard = self.heard_by(node);
        let mut graph = Graph::default();
        let mut waiting = Vec::new();
        self.id(host, node, &mut graph, &mut waiting, first);
        while let Some((at, local)) = waiting.pop() {
            if limit.is_over() {
                return None;
            }
            let edges = host.edges(&local, &heard);
            let steps = edges.into_iter().map(|edge| {
                let mut needs: Vec<MessageId> = edge.needs.iter().map(|message| self.known[message]).collect();
                needs.sort_unstable();
                let (needs, name) = (self.needs.id(needs), self.names.id(edge.name));
                Step { to: self.id(host, node, &mut graph, &mut waiting, edge.next), needs, name }
            });
            let steps = steps.collect();
            graph.steps[at as usize] = steps;
        }
        self.nodes.push(graph);
        Some(())
    }

    /// The number of a local state; a new one waits to be looked at.
    fn id(
        &mut self,
        host: &H,
        node: usize,
        graph: &mut Graph,
        waiting: &mut Vec<(u32, H::Local)>,
        local: H::Local,
    ) -> u32 {
        let key = host.key(&local);
        if let Some(id) = graph.ids.get(&key) {
            return *id;
        }
        let face = host.face(&local);
        let said = host.said(&local).iter().filter(|message| host.can_be_heard(message));
        let said = said.map(|message| self.number(node, message)).collect();
        let look = self.looks.id(Look { face: host.essence(face), crashes: host.crashes(face), said });
        let id = u32::try_from(graph.looks.len()).unwrap_or(u32::MAX);
        graph.ids.insert(key, id);
        graph.looks.push(look);
        graph.steps.push(Vec::new());
        waiting.push((id, local));
        id
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
}
