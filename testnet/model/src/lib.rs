//! Exhaustive checks of TimeCoin's state machines: every order of events within stated bounds.
//!
//! The machines are those of `timecoin-protocol`, not copies of them. Around them are small hosts
//! that say what can happen: which messages arrive, when timeouts run out, who dies. [`product`] makes
//! a network of hosts a [`stateright`] model, [`check`] runs it. `MODEL.md` says what is
//! real, what is host, and what came of it.
#![allow(clippy::indexing_slicing, reason = "numbers of states are made here and never come from outside")]

pub mod agreement;
mod chance;
pub mod check;
pub mod clock;
pub mod compose;
pub mod paying;
pub mod print;
pub mod product;
pub mod walk;
