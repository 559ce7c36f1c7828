//! A network of real nodes that are killed, paused and cut off under load, and what must hold
//! afterwards.
//!
//! `faults` (what goes wrong, and for how long; the seed decides) → `fleet` (does it to processes)
//! beside `courier` (brings every payment to some node, however often it takes) and `witness` (what
//! nodes say is final, also those that are killed right after) → `settle` (every payment reaches its
//! end) → the checks of [`load`](crate::load) → `report`. [`run`](run()) puts it together.

mod courier;
mod faults;
mod fleet;
mod logs;
mod report;
mod run;
mod settle;
mod witness;

pub use faults::{Episode, Fault, Faults, Kind};
pub use report::Report;
pub use run::{Options, run};
