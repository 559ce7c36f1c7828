//! The TimeCoin node: the shell around `timecoin-protocol`.
//!
//! A libp2p `NetworkBehaviour` is the front door; consensus and storage sit behind it. Everything
//! flows one way: [`network`] events → [`verify`] (decoding and signatures, in parallel) →
//! [`driver`] (the one owner of consensus state, steps the engine) → [`store`] (one group commit
//! for each turn) → effects back to [`network`] and news to [`view`], which [`rpc`] and
//! [`metrics`] read. Readers never wait for consensus, and the swarm task never waits on anybody.
//!
//! This crate holds no consensus rule: those are in `timecoin-protocol`. It blocks an async thread
//! with neither disk nor cryptography.
//!
//! Modules, each depending only on those above it: [`bounds`], [`exit`], [`failure`], [`voice`], [`config`], [`wallet`],
//! [`store`], [`network`], [`view`], [`verify`], [`driver`], [`metrics`], [`rpc`], [`node`], [`cli`].
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod bounds;
pub mod cli;
pub mod config;
pub mod driver;
pub mod exit;
pub mod failure;
pub mod metrics;
pub mod network;
pub mod node;
pub mod rpc;
pub mod store;
pub mod verify;
pub mod view;
pub mod voice;
pub mod wallet;
