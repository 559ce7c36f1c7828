//! Storage: what is durable, on disks that fail.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod directory;
mod history;
mod journal;
mod model;
mod power_loss;
mod rebuild;
mod support;
