//! Clusters, load and simulation for TimeCoin.
//!
//! [`sim`] runs the consensus engine of several nodes in virtual time: one seed is one run. It
//! opens no socket and no file. [`cluster`] starts real nodes, each a process of its own, on
//! loopback. [`load`] sends them signed payments over RPC ([`rpc`]), measures how long they take to
//! become final, and checks afterwards that every node says the same and no money was made or
//! lost. [`chaos`] kills, pauses and cuts
//! off such nodes meanwhile. [`cli`] is the command line over all of it; [`failure`] says how a command ends.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod chaos;
pub mod cli;
pub mod cluster;
pub mod endpoints;
pub mod failure;
pub mod load;
pub mod rpc;
pub mod sim;
