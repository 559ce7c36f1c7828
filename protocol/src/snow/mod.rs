//! Avalanche (Snow) sampling (`SPEC.md` S-*): repeated random queries, weighted by stake, that
//! decide which of several conflicting transactions a validator votes for. Sampling never makes
//! anything final.
//!
//! The family is built in layers: [`sample()`] draws whom to ask (S-2), [`Confidence`] counts
//! successes in a row (S-3), [`Snowflake`] adds a preference that polls move (S-4), [`Snowball`]
//! remembers how often each choice won (S-5), and [`terminations`] says how many successes are
//! enough (S-6). Source: Team Rocket et al., "Scalable and Probabilistic Leaderless BFT Consensus
//! through Metastability" (2019), with the split of alpha and the several termination conditions
//! of later implementations.

mod confidence;
mod probability;
mod sample;
mod snowball;
mod snowflake;

pub use confidence::{Confidence, Termination, Thresholds};
pub use probability::{ADVERSARIAL_SHARE, beta_for_error, run_probability, success_probability, terminations};
pub use sample::sample;
pub use snowball::Snowball;
pub use snowflake::Snowflake;
