//! Deterministic simulation: the real driver on the real store, in virtual time. One seed is one run.
//!
//! The network delays, loses, overtakes, doubles and cuts; disks lose power between any two writes,
//! tear what was not synced, fill up and become slow; processes are killed; validators lie. Each
//! node is `Consensus` of `timecoin_node::driver` over `Store::open_on`, whose files are on a
//! simulated disk; turns take what waits, as the driver's thread does, and what they give out
//! leaves when the disk is done.
//!
//! Parts: [`Scenario`] (what a run is made of), `world` (the event queue: turns, messages, faults),
//! `node` (a process and its disk), `disk`, `network`, `byzantine` (what a lying validator does),
//! `workload` (payments and double spends), `checks` (what must hold after every step, and at the
//! end), [`Report`], `trace`, [`seeds`] (many runs on all cores); [`regions`] are delays measured
//! between places in the world; [`scale`] is a simulation of its own, of hundreds of validators.

mod byzantine;
mod chance;
mod checks;
#[expect(clippy::indexing_slicing, reason = "its positions are checked or its own")]
mod disk;
mod network;
mod node;
pub mod regions;
mod report;
pub mod scale;
mod scenario;
pub mod seeds;
mod trace;
mod workload;
#[expect(clippy::indexing_slicing, reason = "a simulation indexes only what it made itself")]
mod world;

pub use report::{Fault, Invariant, Report, Violation};
pub use scenario::{DiskFaults, NetworkFaults, Scenario};
pub use trace::Print;

/// Runs a scenario to its end.
///
/// # Errors
/// The first [`Violation`] of something that must hold.
pub fn run(scenario: &Scenario) -> Result<Report, Violation> {
    world::World::new(scenario.clone(), None)?.run()
}

/// Likewise, and prints what happens.
///
/// # Errors
/// As [`run`].
pub fn run_traced(scenario: &Scenario, print: Print) -> Result<Report, Violation> {
    world::World::new(scenario.clone(), Some(print))?.run()
}
