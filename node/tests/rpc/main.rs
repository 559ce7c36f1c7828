//! What clients are answered.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod finality;
mod http;
mod methods;
mod metrics;
mod node;
mod support;
