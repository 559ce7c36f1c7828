//! The network of classes as a [`stateright::Model`].

use super::graph::{Graphs, MessageId};
use super::promise::by_number;
use super::quotient::{Classes, classes};
use super::{Parts, Promise};
use crate::check::{IN_TIME, Network};
use crate::clock::Limit;
use stateright::{Model, Property};
use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

/// Honest nodes.
pub const NODES: usize = 3;
/// Words of a set of messages.
const WORDS: usize = 4;

/// A set of messages.
type Messages = [u64; WORDS];

/// Where each node is, and which promises hold there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct At {
    classes: [u32; NODES],
    verdict: u32,
}

/// A step of a node: which of those of its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    node: u8,
    step: u16,
    from: u32,
}

#[derive(Debug)]
struct Class {
    said: Messages,
    crashes: u8,
    /// What promises are about.
    face: u32,
    /// What each step needs, where it leads, its name.
    steps: Vec<(Messages, u32, u32)>,
}

/// Nodes whose local states are all known.
pub struct Composed<H: Parts> {
    host: H,
    nodes: Vec<Vec<Class>>,
    first: [u32; NODES],
    names: Vec<String>,
    faces: Vec<H::Face>,
    verdicts: RwLock<HashMap<[u32; NODES], u32>>,
    limit: Limit,
    local_states: usize,
}

impl<H: Parts> Composed<H> {
    /// Computes all local states of `host`, and their classes; none if the time was too short.
    pub fn new(host: H, limit: Limit) -> Option<Self> {
        let graphs = Graphs::new(&host, &limit)?;
        let quotients: Vec<Classes> = graphs.nodes.iter().map(|node| classes(node, &graphs.needs.all)).collect();
        let bits = Bits::new(&quotients, &graphs.needs.all)?;
        let mut composed = Self {
            host,
            nodes: Vec::new(),
            first: [0; NODES],
            names: graphs.names.all,
            faces: Vec::new(),
            verdicts: RwLock::new(HashMap::new()),
            limit,
            local_states: graphs.nodes.iter().map(|node| node.looks.len()).sum(),
        };
        let mut faces = HashMap::new();
        for ((graph, quotient), first) in graphs.nodes.iter().zip(&quotients).zip(&mut composed.first) {
            *first = quotient.first;
            let members = quotient.members.iter().zip(&quotient.steps);
            let classes = members.map(|(member, steps)| {
                let look = &graphs.looks.all[graph.looks[*member as usize] as usize];
                let next = u32::try_from(faces.len()).unwrap_or(u32::MAX);
                Class {
                    said: bits.set(look.said.iter().copied()),
                    crashes: look.crashes,
                    face: *faces.entry(look.face.clone()).or_insert(next),
                    steps: steps
                        .iter()
                        .map(|(step, name)| {
                            (bits.set(graphs.needs.all[step.needs as usize].iter().copied()), step.to, *name)
                        })
                        .collect(),
                }
            });
            composed.nodes.push(classes.collect());
        }
        let mut faces: Vec<(H::Face, u32)> = faces.into_iter().collect();
        faces.sort_by_key(|(_, number)| *number);
        composed.faces = faces.into_iter().map(|(face, _)| face).collect();
        Some(composed)
    }

    fn class(&self, node: usize, class: u32) -> &Class {
        &self.nodes[node][class as usize]
    }

    fn at(&self, classes: [u32; NODES]) -> At {
        let mut faces = [0; NODES];
        for (node, face) in faces.iter_mut().enumerate() {
            *face = self.class(node, classes[node]).face;
        }
        let known = self.verdicts.read().unwrap_or_else(PoisonError::into_inner).get(&faces).copied();
        let verdict = known.unwrap_or_else(|| {
            let shown: Vec<&H::Face> = faces.iter().map(|face| &self.faces[*face as usize]).collect();
            let holds = |promise: &Promise<H>| (promise.holds)(&self.host, &shown);
            let bits = H::promises().iter().enumerate().map(|(at, promise)| u32::from(holds(promise)) << at);
            let verdict = bits.fold(0, |all, bit| all | bit);
            self.verdicts.write().unwrap_or_else(PoisonError::into_inner).insert(faces, verdict);
            verdict
        });
        At { classes, verdict }
    }
}

/// Numbers of the messages that any step needs.
struct Bits {
    of: HashMap<MessageId, usize>,
}

impl Bits {
    fn new(quotients: &[Classes], needs: &[Vec<MessageId>]) -> Option<Self> {
        let mut of = HashMap::new();
        let steps = quotients.iter().flat_map(|quotient| quotient.steps.iter().flatten());
        for message in steps.flat_map(|(step, _)| &needs[step.needs as usize]) {
            let next = of.len();
            of.entry(*message).or_insert(next);
        }
        (of.len() <= 64 * WORDS).then_some(Self { of })
    }

    fn set(&self, messages: impl Iterator<Item = MessageId>) -> Messages {
        let mut set = [0; WORDS];
        for bit in messages.filter_map(|message| self.of.get(&message)) {
            set[bit / 64] |= 1 << (bit % 64);
        }
        set
    }
}

fn is_part(part: &Messages, of: &Messages) -> bool {
    part.iter().zip(of).all(|(part, of)| part & !of == 0)
}

fn holds<H: Parts, const N: usize>(_: &Composed<H>, at: &At) -> bool {
    at.verdict >> N & 1 == 1
}

impl<H: Parts> Model for Composed<H> {
    type State = At;
    type Action = Move;

    fn init_states(&self) -> Vec<At> {
        vec![self.at(self.first)]
    }

    fn actions(&self, at: &At, actions: &mut Vec<Move>) {
        if self.limit.is_over() {
            return;
        }
        let crashes: u8 = (0..NODES).map(|node| self.class(node, at.classes[node]).crashes).sum();
        for node in 0..NODES {
            let mut heard = [0; WORDS];
            for other in (0..NODES).filter(|other| *other != node) {
                let said = &self.class(other, at.classes[other]).said;
                heard.iter_mut().zip(said).for_each(|(all, said)| *all |= said);
            }
            let from = at.classes[node];
            let own = self.class(node, from);
            for (step, (needs, to, _)) in own.steps.iter().enumerate() {
                let more = self.class(node, *to).crashes - own.crashes;
                if is_part(needs, &heard) && crashes + more <= self.host.crashes_max() {
                    actions.push(Move { node: node as u8, step: step as u16, from });
                }
            }
        }
    }

    fn next_state(&self, at: &At, step: Move) -> Option<At> {
        let mut classes = at.classes;
        let node = usize::from(step.node);
        classes[node] = self.class(node, classes[node]).steps[usize::from(step.step)].1;
        Some(self.at(classes))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let numbered: [fn(&Self, &At) -> bool; 32] = by_number!(holds);
        let named = |(promise, condition): (&Promise<H>, _)| Property {
            expectation: promise.expectation.clone(),
            name: promise.name,
            condition,
        };
        let in_time = Property::always(IN_TIME, |network: &Self, _| !network.limit.is_over());
        H::promises().iter().zip(numbered).map(named).chain([in_time]).collect()
    }
}

impl<H: Parts> Network for Composed<H> {
    fn describe(&self, step: &Move) -> String {
        let node = usize::from(step.node);
        let (_, _, name) = self.class(node, step.from).steps[usize::from(step.step)];
        format!("node {node}: {}", self.names[name as usize])
    }

    fn local_count(&self) -> usize {
        self.local_states
    }

    fn class_count(&self) -> usize {
        self.nodes.iter().map(Vec::len).sum()
    }

    fn limit(&self) -> &Limit {
        &self.limit
    }
}
