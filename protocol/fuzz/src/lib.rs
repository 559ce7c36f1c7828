//! What coverage-guided fuzzing runs: bytes in, a panic if something does not hold.
//!
//! A target is a plain function of bytes, so three things can drive it: libFuzzer (`protocol/fuzz/run`, with
//! the feature `libfuzzer`), the corpus in `protocol/fuzz/corpus` that `cargo test` replays, and a debugger.
//! [`decode`] and [`text`] read what strangers send and people type; [`ledger_apply`] puts blocks on
//! a small chain; [`engine_step`] plays everybody around one engine. Only the protocol is needed: no
//! socket, file or clock.
//!
//! Modules, each depending only on those above it: [`script`], [`network`], [`payments`], [`decode`],
//! [`text`], [`ledger_apply`], [`engine_step`].
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a target says by a panic that something does not hold"
)]

pub mod decode;
pub mod engine_step;
pub mod ledger_apply;
pub mod network;
pub mod payments;
pub mod script;
pub mod text;

/// A target: its name, which is that of its folder in `protocol/fuzz/corpus`, and what it does with bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 4] = [
    ("decode", decode::run),
    ("text", text::run),
    ("ledger_apply", ledger_apply::run),
    ("engine_step", engine_step::run),
];
