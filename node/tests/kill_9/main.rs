//! Storage of a process that is killed. A program of its own: a child has, for a moment after its birth, all open files of the
//! program that started it, locks among them, and a test beside it that lets go of a lock and takes it again finds it held.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod crash;
#[path = "../process_support/mod.rs"]
mod process_support;
#[path = "../store/support/mod.rs"]
mod support;
