//! What the engine is made with, and the numbers that it shows.

use crate::genesis::Genesis;
use crate::hash::BlockHash;
use crate::keys::SecretKey;
use alloc::sync::Arc;

/// Times and limits that are each node's own choice; none affects safety.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// Most transactions in the pool.
    pub pool_transactions_max: usize,
    /// Most bytes of encoded transactions in the pool.
    pub pool_bytes_max: usize,
    /// Most transactions that this node voted for and that are in no block yet, before it prepares
    /// no more (P-6).
    pub backlog_max: usize,
    /// Longest that votes wait for company, in milliseconds.
    pub vote_interval_ms: u64,
    /// Longest that a query may take, in milliseconds.
    pub query_timeout_ms: u64,
    /// Slots of a sample.
    pub sample_size: u32,
    /// Votes of a sample that move the preference.
    pub alpha_preference: u32,
    /// Successful polls in a row that a contested transaction needs.
    pub beta: u32,
    /// Successful polls in a row that an unopposed transaction needs.
    pub beta_virtuous: u32,
    /// Polls after which sampling leaves a transaction to blocks.
    pub rounds_max: u32,
    /// First timeout of the propose step, in milliseconds.
    pub propose_timeout_ms: u64,
    /// First timeout of the prevote and precommit steps, in milliseconds.
    pub vote_timeout_ms: u64,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            pool_transactions_max: 10_000,
            pool_bytes_max: 300_000_000,
            backlog_max: 4 * crate::bounds::BLOCK_TRANSACTIONS_MAX,
            vote_interval_ms: 20,
            query_timeout_ms: 2_000,
            sample_size: 20,
            alpha_preference: 15,
            beta: 15,
            beta_virtuous: 2,
            rounds_max: 100,
            propose_timeout_ms: 1_000,
            vote_timeout_ms: 500,
        }
    }
}

/// What the engine is made with.
#[derive(Clone, Debug)]
pub struct Config {
    /// The network.
    pub genesis: Arc<Genesis>,
    /// The validator key; none for a node that only follows.
    pub key: Option<SecretKey>,
    /// Own choices.
    pub tuning: Tuning,
    /// What is known of the vote history of the key (D-14).
    pub past: super::Past,
    /// Seed of all randomness: from the operating system in a node, from the run's seed in a
    /// simulation.
    pub seed: [u8; 32],
}

/// Numbers for gauges and status lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Transactions in the pool.
    pub pool_transactions: usize,
    /// Their bytes.
    pub pool_bytes: usize,
    /// Of these, final but not yet in a block.
    pub pool_final: usize,
    /// Of these, with a conflict.
    pub pool_contested: usize,
    /// Waiting for unknown inputs.
    pub orphans: usize,
    /// Polls on the way.
    pub polls: usize,
    /// Last committed height.
    pub height: u64,
    /// Hash of that block as shown in status lines.
    pub tip: Option<BlockHash>,
    /// Round of the height in progress.
    pub round: u32,
    /// Epoch.
    pub epoch: u64,
    /// Whether this node signs, and if not, why.
    pub voice: super::Voice,
}
