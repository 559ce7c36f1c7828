//! Configuration: TOML file < environment (`TIMED_SECTION__KEY`) < flags.
//!
//! Sources are read into layers of known keys, put together into [`Settings`] with the
//! origin of each value, and judged into a [`NodeConfig`]. Unknown keys are errors, never ignored.
//! No key holds a secret: keys and cookies are named by their files.

mod error;
mod genesis;
mod keys;
mod layers;
mod load;
mod parse;
mod settings;

pub use error::{ConfigError, Fault, Origin, Problem};
pub use genesis::{genesis_text, read_genesis};
pub use keys::{ENVIRONMENT_PREFIX, KEYS, Key, Kind, nearest_of};
pub use layers::{Override, Value};
pub use load::{Effective, Sources, load, process_environment};
pub use parse::{LogConfig, NodeConfig, RpcConfig, history_beside, parse};
pub use settings::{
    ConsensusSection, LogSection, MempoolSection, MetricsSection, NetworkSection, NodeSection, RpcSection, Settings,
    ValidatorSection,
};

/// The commented file with every key at its default: `config/default.toml`.
pub const DEFAULT_FILE: &str = include_str!("../../../config/default.toml");
