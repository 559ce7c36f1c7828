//! The swarm: nodes on loopback that hear one another, or do not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod cluster;
mod gossip;
mod peers;
mod requests;
mod strangers;
