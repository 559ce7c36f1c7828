//! The programs, as people run them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod dev;
mod history;
mod run;
mod support;
mod timed;
mod wallet;
