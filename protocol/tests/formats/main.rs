//! Bytes: encodings, hashes, signatures.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod decoders;
mod evidence;
mod golden_vectors;
mod largest_messages;
mod samples;
mod signed_bytes;
mod zip215;
