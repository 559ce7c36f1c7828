//! Docs.

mod graph;
mod network;
mod promise;
mod quotient;

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
    /// A message in words.
    fn tell(message: &Self::Message) -> String;
    /// Whether hearing a message may come to mean more while local states are computed.
    fn is_open(&self, message: &Self::Message) -> bool;
    /// What others can hear of it.
    fn can_be_heard(&self, message: &Self::Message) -> bool;
    /// That of it which promises read.
    fn essence(&self, face: &Self::Face) -> Self::Face;
    /// How often it died.
    fn crashes(&self, face: &Self::Face) -> u8;
    /// The bound on crashes, in all.
    fn crashes_max(&self) -> u8;
    /// All that can happen next to a node when the others have said `heard`; of what needs something said, only that for
    /// which `is_new` says so.
    fn edges(
        &self,
        local: &Self::Local,
        heard: &BTreeSet<Self::Message>,
        is_new: &dyn Fn(&[Self::Message]) -> bool,
    ) -> Vec<Edge<Self>>;
    /// What must always hold, and what must be possible.
    fn promises() -> &'static [Promise<Self>];
}
