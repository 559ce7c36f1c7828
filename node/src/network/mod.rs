//! The libp2p swarm: one task that owns it, commands in, events out.
//!
//! [`start`] listens and spawns the task. The task never waits: commands come from a bounded
//! queue, events go into a bounded queue or are dropped as `bounds` says, and whatever takes time
//! (decoding, signatures, storage) is done by those who take the events.
//!
//! A connection is a peer of this network once identify has shown the same protocol version and
//! genesis ([`Event::PeerReady`]); other connections are closed. Addresses of one peer are dialled
//! all at once and the fastest answer wins: on one machine that is TCP (1-2 ms) rather than QUIC
//! (80-110 ms), so listen on both and list both.

mod addresses;
mod api;
mod behaviour;
mod bundle;
mod codec;
mod config;
mod counters;
mod discovery;
mod events;
mod gossip;
mod names;
mod peers;
mod penalties;
mod queue;
mod quota;
mod requests;
mod task;
mod transport;
mod upkeep;
mod verdicts;

pub use api::*;
pub use config::{NetworkConfig, NetworkError};
pub use counters::Counters;
pub use names::network_name;
pub(crate) use quota::Bucket;
pub use task::{Network, start};
