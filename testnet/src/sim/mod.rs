//! Deterministic simulation: real engines, virtual time, a network that delays, loses and cuts,
//! nodes that crash between any two writes, validators that lie. One seed is one run.
//!
//! Parts: [`Scenario`] (what a run is made of), `world` (the event queue and the network), `node`
//! (an engine with its journal), `byzantine` (what a lying validator sends), `workload` (payments and
//! double spends), `checks` (what must hold after every step, and at the end); [`regions`] are delays
//! measured between places in the world.

mod byzantine;
mod checks;
mod ledger;
mod node;
pub mod regions;
pub mod scale;
mod workload;
#[expect(clippy::indexing_slicing, reason = "a simulation indexes only what it made itself")]
mod world;

pub use checks::{Report, Violation};

/// What a run is made of. The seed decides everything that is left open.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Source of all chance.
    pub seed: u64,
    /// Number of validators, of equal weight.
    pub validators: usize,
    /// How many of them lie (the last ones).
    pub byzantine: usize,
    /// Delay of a message, in milliseconds: least and most.
    pub latency_ms: (u64, u64),
    /// Share of messages that are lost.
    pub loss: f64,
    /// Share of messages that arrive twice.
    pub duplication: f64,
    /// How often the network is cut in two for a while; every other time only one side is deaf.
    pub partitions: u32,
    /// How far the clocks of nodes may be ahead of the slowest one, in milliseconds.
    pub skew_ms: u64,
    /// Blocks after which a node compacts its journal.
    pub compact_blocks: u64,
    /// How often an honest node is killed and started again.
    pub crashes: u32,
    /// Least number of blocks of an epoch.
    pub epoch_blocks: u64,
    /// Number of payments.
    pub payments: usize,
    /// Number of double spends: two payments of one coin, sent to different nodes at once.
    pub double_spends: usize,
    /// Length of the time with faults and new payments, in milliseconds. After it the network heals.
    pub faulty_ms: u64,
    /// Time to settle everything after that, in milliseconds.
    pub settle_ms: u64,
}

impl Scenario {
    /// A scenario whose parameters are drawn from its seed: four to seven validators, sometimes
    /// one that lies, faults of every kind.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        let pick = |salt: u64, range: u64| world::mix(seed, salt) % range;
        let validators = 4 + usize::try_from(pick(1, 4)).unwrap_or_default();
        Self {
            seed,
            validators,
            byzantine: usize::try_from(pick(2, 2)).unwrap_or_default(),
            latency_ms: (1, 2 + pick(3, 120)),
            loss: one_of([0.0, 0.01, 0.05, 0.15], pick(4, 4)),
            duplication: one_of([0.0, 0.02, 0.2], pick(7, 3)),
            skew_ms: one_of([0, 50, 1_500], pick(8, 3)),
            compact_blocks: 1 + pick(9, 4),
            partitions: u32::try_from(pick(5, 3)).unwrap_or_default(),
            crashes: u32::try_from(pick(6, 4)).unwrap_or_default(),
            epoch_blocks: 2 + pick(10, 5),
            payments: 40,
            double_spends: 6,
            faulty_ms: 8_000,
            settle_ms: 60_000,
        }
    }
}

/// The choice at `index`; the last one beyond them.
fn one_of<T: Copy + Default, const N: usize>(choices: [T; N], index: u64) -> T {
    let at = usize::try_from(index).unwrap_or(usize::MAX);
    choices.get(at).or(choices.last()).copied().unwrap_or_default()
}

/// Runs a scenario to its end.
///
/// # Errors
/// The first [`Violation`] of something that must hold.
pub fn run(scenario: &Scenario) -> Result<Report, Violation> {
    world::World::new(scenario.clone())?.run()
}
