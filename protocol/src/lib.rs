//! TimeCoin's protocol as pure state machines.
//!
//! This crate is the whole of what nodes must agree on: types and their one canonical encoding,
//! hashing, signatures, ledger rules, Avalanche (Snow) sampling, the two vote phases that make a
//! payment final, BFT blocks, and the [`engine`] that ties them together. It never opens a
//! socket or a file, starts no thread, reads no clock and owns no source of randomness: time,
//! chance and bytes are arguments, so the same inputs give the same outputs. It is `no_std`.
//!
//! Data flows one way: bytes → [`codec`] → [`keys::Verified`] → [`engine`] step → records to make
//! durable → messages. The normative text is `protocol/SPEC.md`; rules are cited by number.
//!
//! Modules, each depending only on those above it: [`bounds`], [`mutation`], [`codec`], [`bitmap`], [`hash`], [`keys`],
//! [`amount`], [`address`], [`transaction`], [`validator`], [`finality`], [`block`], [`genesis`],
//! [`wire`], [`ledger`], [`snow`], [`bft`], [`engine`].
#![no_std]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

extern crate alloc;

pub mod address;
pub mod amount;
pub mod bft;
pub mod bitmap;
pub mod block;
pub mod bounds;
pub mod codec;
pub mod engine;
pub mod finality;
pub mod genesis;
pub mod hash;
pub mod keys;
pub mod ledger;
pub mod mutation;
pub mod snow;
pub mod transaction;
pub mod validator;
pub mod wire;
