//! Parts of a node put together, and networks of whole nodes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod cluster;
mod directory;
#[allow(dead_code, reason = "power is not lost here")]
#[path = "../store/support/disk.rs"]
mod disk;
mod driver;
mod epochs;
mod history;
mod intake;
mod payments;
mod restart;
mod support;
mod verify;
