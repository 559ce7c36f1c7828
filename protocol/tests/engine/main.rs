//! The engine: what goes in, what comes out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod blocks;
mod epochs;
mod evidence;
mod history;
mod payments;
mod polls;
mod restart;
mod support;
mod votes;
