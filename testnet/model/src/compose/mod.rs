//! Networks of nodes that are computed one by one and then put together.
//!
//! Messages are never taken back, so what happens to one node depends on the others only by what they have said. So each
//! node is computed alone: its local states, and its steps from one to the next, each labelled with the messages that
//! it needs ([`graph`]). Others are taken to have said whatever any of them can say; what this adds and cannot happen
//! drops out later, since a step is made only where its messages were said. What can be said is computed along: more
//! messages make more states, and these say more, until nothing is new.
//!
//! Then local states that nobody can tell apart are made one class ([`quotient`]): the coarsest partition in which all of
//! a class said the same, look the same to every promise, and have the same steps, by the same messages, to the same
//! classes (a bisimulation). Two networks whose nodes are in the same classes therefore have the same futures, so nothing is
//! lost by visiting each combination of classes once ([`network`]). A step that stays in its class, and one that needs
//! more than another one to the same class, is left out: neither leads anywhere else.
//!
//! The checker still visits every combination that can be reached, in every order of steps; the machines still make every
//! local step. What is spared is to tell apart what differs only in order or in numbers that nothing depends on.

pub mod graph;
pub mod network;
mod promise;
pub mod quotient;

pub use graph::Edge;
pub use network::Composed;
pub use promise::{Promise, always, properties, sometimes};

use crate::product::Host;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::hash::Hash;

/// A host whose nodes can be computed one by one.
pub trait Parts: Host {
    /// All of a node that promises are about.
    type Face: Clone + Eq + Hash + Debug + Send + Sync;

    /// What can be seen of a node.
    fn face<'a>(&self, local: &'a Self::Local) -> &'a Self::Face;
    /// Tells local states apart.
    fn key(&self, local: &Self::Local) -> u128;
    /// After how many walks in vain most of what can be said is taken to be known, and all is computed.
    fn walks(&self) -> usize;
    /// How much is known that messages stand for: they come to mean more while local states are computed.
    fn open_count(&self) -> usize;
    /// What others can hear of it.
    fn can_be_heard(&self, message: &Self::Message) -> bool;
    /// That of it which promises read.
    fn essence(&self, face: &Self::Face) -> Self::Face;
    /// How often it died.
    fn crashes(&self, face: &Self::Face) -> u8;
    /// The bound on crashes, in all.
    fn crashes_max(&self) -> u8;
    /// All that can happen next to a node when the others have said `heard`.
    fn edges(&self, local: &Self::Local, heard: &BTreeSet<Self::Message>) -> Vec<Edge<Self>>;
    /// What must always hold, and what must be possible.
    fn promises() -> &'static [Promise<Self>];
}
