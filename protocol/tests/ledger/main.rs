//! What makes a transaction valid, and what a block does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod blocks;
mod bonds;
mod epochs;
mod evidence;
mod genesis;
mod headers;
mod properties;
mod rewards;
mod support;
mod transactions;
mod vectors;
