//! Hundreds of validators: how fast payments become final, and what that costs in messages.
//!
//! Every honest validator is a real engine with a real key; time and network are simulated, the disk
//! is left out. Signatures are made but not checked again by each receiver: the simulation delivers
//! only what was signed. Payments and proposals take the shortest ways through a mesh as gossipsub keeps it
//! (`mesh`), with the delays of [`super::regions`]; votes go from node to node in bundles (`relay`: their
//! ways; `bundle`: when one leaves; `votes`: who has seen which). Every copy counts. Other parts: `validator`
//! (an engine with its inbox), `ledger` (what all nodes share of the UTXO set), `payments`, `liar`, `traffic`
//! (what is counted), `network` (what leaves an engine), `world` (the clock), `report` and `plot`.

mod bundle;
mod ledger;
mod liar;
mod mesh;
#[expect(clippy::indexing_slicing, reason = "a simulation indexes only what it made itself")]
mod network;
mod payments;
mod plot;
#[expect(clippy::indexing_slicing, reason = "a simulation indexes only what it made itself")]
mod relay;
mod report;
mod traffic;
mod validator;
#[expect(clippy::indexing_slicing, reason = "a simulation indexes only what it made itself")]
mod votes;
#[expect(clippy::indexing_slicing, reason = "a simulation indexes only what it made itself")]
mod world;

pub use plot::svg;
pub use report::{Outcome, Percentiles, Stages, table};
pub use traffic::{Kind, Sum, Traffic};

use super::regions::MatrixError;
use timecoin_protocol::bounds::VALIDATORS_MAX;
use timecoin_protocol::hash::Txid;
use timecoin_protocol::ledger::{GenesisError, Unavailable};
use timecoin_protocol::validator::Height;

/// Numbers of validators of a series: about half a power of ten apart.
pub const SERIES: [usize; 6] = [4, 10, 32, 100, 316, 1_000];

/// What a run is made of.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Shape {
    /// Number of validators, of equal weight.
    pub validators: usize,
    /// Number of regions that they are in, in turn.
    pub regions: usize,
    /// Share of validators that are silent (one half of them) or lie (the other half).
    pub byzantine: f64,
    /// Payments per second.
    pub rate: u32,
    /// How long payments are made, in seconds.
    pub seconds: u32,
    /// Source of all chance.
    pub seed: u64,
}

impl Shape {
    /// Number of payments.
    #[must_use]
    pub const fn payments(&self) -> usize {
        self.rate as usize * self.seconds as usize
    }

    /// Number of Byzantine validators: the share, rounded down.
    #[must_use]
    pub fn byzantine_count(&self) -> usize {
        // The share is between 0 and 1/3, the product below 1,024.
        (self.byzantine * self.validators as f64 + 1e-9) as usize
    }
}

/// Why a run has no result.
#[derive(Debug, thiserror::Error)]
pub enum ScaleError {
    /// More validators than an epoch has, or none.
    #[error("--validators is a number from 1 to {VALIDATORS_MAX}")]
    Validators,
    /// A third or more is Byzantine: nothing is promised then.
    #[error("--byzantine is a share from 0 to just below 1/3")]
    Byzantine,
    /// Nothing to measure.
    #[error("--rate and --seconds are at least 1")]
    Payments,
    /// The table of regions is damaged.
    #[error(transparent)]
    Regions(#[from] MatrixError),
    /// The genesis breaks a rule.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// A ledger failed.
    #[error(transparent)]
    Ledger(#[from] Unavailable),
    /// Safety is broken: two payments of one coin are final.
    #[error("{0} and {1} spend the same coin and are both final")]
    Conflict(Txid, Txid),
    /// Safety is broken: two blocks at one height.
    #[error("two different blocks are decided at height {0}")]
    Fork(Height),
    /// Liveness is broken.
    #[error("{missing} of {wanted} payments are not final at all honest validators {seconds} s after the last one")]
    NotFinal {
        /// Pairs of payment and validator that lack.
        missing: usize,
        /// All pairs.
        wanted: usize,
        /// How long was waited.
        seconds: u64,
    },
}

/// Runs one simulation.
///
/// # Errors
/// [`ScaleError`]: the shape makes no sense, or something that must hold does not.
pub fn run(shape: &Shape) -> Result<Outcome, ScaleError> {
    if !(1..=VALIDATORS_MAX).contains(&shape.validators) {
        return Err(ScaleError::Validators);
    }
    if !(0.0..1.0 / 3.0).contains(&shape.byzantine) || shape.byzantine_count() * 3 >= shape.validators {
        return Err(ScaleError::Byzantine);
    }
    if shape.payments() == 0 {
        return Err(ScaleError::Payments);
    }
    world::World::new(shape.clone())?.run()
}
