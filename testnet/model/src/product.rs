//! Networks of honest nodes as a [`stateright::Model`]: a state says where each node is.
//!
//! A node's local state is made once, by its [`Host`], and known by a number from then on; so are the
//! local states that it can go to next, given what the others have said. States of the network are
//! short lists of numbers, and each step of a state machine is computed once, however many states of
//! the network it is part of. This changes nothing about what is explored: equal local states have
//! equal futures, since machines are deterministic and get nothing but what the others said.

use crate::check::Network;
use crate::clock::Limit;
use stateright::{Model, Property};
use std::collections::{BTreeSet, HashMap};
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// What every honest node runs, and what can happen to it.
///
/// Messages are never taken back: what was said once can be heard at any later time, in any order, or
/// never. So loss, delay, reordering and repetition need no steps of their own.
pub trait Host: Sized + Send + Sync + 'static {
    /// All that one node is: its machines, its disk, what it has said.
    type Local: Clone + Eq + Hash + Debug + Send + Sync;
    /// Something a node says to all others.
    type Message: Clone + Ord + Hash + Debug + Send + Sync;

    /// The honest nodes at the beginning.
    fn first(&self) -> Vec<Self::Local>;
    /// All that has left a node.
    fn said<'a>(&self, local: &'a Self::Local) -> &'a BTreeSet<Self::Message>;
    /// Everything that can happen next to a node, with what it is called, when `heard` is all that the
    /// others have said.
    fn moves(&self, local: &Self::Local, heard: &BTreeSet<Self::Message>) -> Vec<(String, Self::Local)>;
    /// Whether the bounds of the whole network, such as the number of crashes, allow this state.
    fn is_within(&self, locals: &[Arc<Self::Local>]) -> bool;
    /// What must always hold, and what must be possible.
    fn properties() -> Vec<Property<Product<Self>>>;
}

/// Number of a local state, of a set of messages, or of a name.
type Id = u32;

/// Values, each with a number.
#[derive(Debug)]
struct Numbered<T> {
    ids: HashMap<Arc<T>, Id>,
    values: Vec<Arc<T>>,
}

impl<T: Eq + Hash> Numbered<T> {
    fn new() -> Self {
        Self { ids: HashMap::new(), values: Vec::new() }
    }

    fn id(&mut self, value: T) -> Id {
        if let Some(id) = self.ids.get(&value) {
            return *id;
        }
        let id = Id::try_from(self.values.len()).unwrap_or(Id::MAX);
        let value = Arc::new(value);
        self.ids.insert(Arc::clone(&value), id);
        self.values.push(value);
        id
    }

    fn at(&self, id: Id) -> &Arc<T> {
        &self.values[id as usize]
    }
}

/// Where a node can go, each with its name.
type Moves = Arc<[(Id, Id)]>;

/// Where each honest node is.
pub type State = Vec<Id>;

/// A step of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    node: u8,
    to: Id,
    name: Id,
}

#[derive(Debug)]
struct Tables<H: Host> {
    locals: Numbered<H::Local>,
    /// What each local state has said.
    said: Vec<Id>,
    messages: Numbered<BTreeSet<H::Message>>,
    names: Numbered<String>,
    /// By local state and what each other node has said: where it can go, and by what.
    moves: HashMap<(Id, Vec<Id>), Moves>,
}

/// The network.
#[derive(Debug)]
pub struct Product<H: Host> {
    host: H,
    tables: RwLock<Tables<H>>,
    limit: Limit,
}

impl<H: Host> Tables<H> {
    fn new() -> Self {
        Self {
            locals: Numbered::new(),
            said: Vec::new(),
            messages: Numbered::new(),
            names: Numbered::new(),
            moves: HashMap::new(),
        }
    }
}

impl<H: Host> Product<H> {
    /// A network of what `host` runs.
    pub fn new(host: H) -> Self {
        Self { host, tables: RwLock::new(Tables::new()), limit: Limit::after(None) }
    }

    /// Ends everything after this time.
    #[must_use]
    pub fn ending_after(mut self, time: Duration) -> Self {
        self.limit = Limit::after(Some(time));
        self
    }

    /// Forgets all local states, to make room: numbers of before mean nothing any more.
    pub fn forget(&self) {
        *self.tables.write().unwrap_or_else(PoisonError::into_inner) = Tables::new();
    }

    /// What the nodes run.
    pub const fn host(&self) -> &H {
        &self.host
    }

    /// The local states of all honest nodes.
    #[must_use]
    pub fn locals(&self, state: &State) -> Vec<Arc<H::Local>> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        state.iter().map(|id| Arc::clone(tables.locals.at(*id))).collect()
    }

    fn number(&self, locals: Vec<(String, H::Local)>) -> Vec<(Id, Id)> {
        let mut guard = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        let tables = &mut *guard;
        let mut numbered = Vec::with_capacity(locals.len());
        for (name, local) in locals {
            let said = tables.messages.id(self.host.said(&local).clone());
            let id = tables.locals.id(local);
            if id as usize == tables.said.len() {
                tables.said.push(said);
            }
            let name = tables.names.id(name);
            if numbered.iter().all(|(to, _)| *to != id) {
                numbered.push((id, name));
            }
        }
        numbered
    }

    /// What can happen to one node.
    #[must_use]
    pub fn steps(&self, state: &State, node: usize) -> Vec<Step> {
        if self.limit.is_over() {
            return Vec::new();
        }
        let steps = self.moves(state, node);
        let node = u8::try_from(node).unwrap_or(u8::MAX);
        steps.iter().map(|(to, name)| Step { node, to: *to, name: *name }).collect()
    }

    fn moves(&self, state: &State, node: usize) -> Moves {
        let (key, local, heard) = {
            let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
            let others = state.iter().enumerate().filter(|(other, _)| *other != node);
            let key = (state[node], others.map(|(_, id)| tables.said[*id as usize]).collect::<Vec<_>>());
            if let Some(known) = tables.moves.get(&key) {
                return Arc::clone(known);
            }
            let heard = key.1.iter().flat_map(|id| tables.messages.at(*id).iter().cloned()).collect();
            (key, Arc::clone(tables.locals.at(state[node])), heard)
        };
        let moves = self.number(self.host.moves(&local, &heard));
        let moves: Moves = moves.into_iter().filter(|(to, _)| *to != state[node]).collect();
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(tables.moves.entry(key).or_insert(moves))
    }
}

impl<H: Host> Model for Product<H> {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let first = self.host.first().into_iter().map(|local| ("start".to_owned(), local));
        vec![first.map(|local| self.number(vec![local])[0].0).collect()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Step>) {
        for node in 0..state.len() {
            actions.extend(self.steps(state, node));
        }
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        let mut next = state.clone();
        next[usize::from(step.node)] = step.to;
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let in_time = Property::always(crate::check::IN_TIME, |network: &Self, _| !network.limit.is_over());
        H::properties().into_iter().chain([in_time]).collect()
    }

    fn within_boundary(&self, state: &State) -> bool {
        self.host.is_within(&self.locals(state))
    }
}

impl<H: Host> Network for Product<H> {
    fn local_count(&self) -> usize {
        self.tables.read().unwrap_or_else(PoisonError::into_inner).locals.values.len()
    }

    fn describe(&self, step: &Step) -> String {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        format!("node {}: {}", step.node, tables.names.at(step.name))
    }

    fn limit(&self) -> &Limit {
        &self.limit
    }
}
