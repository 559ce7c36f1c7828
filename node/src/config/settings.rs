//! The configuration as it is written: one struct for each section of the file.
//!
//! A key that no source sets has the value of `Default`. The values here are not judged yet; [`NodeConfig`](super::NodeConfig) is.

use serde::{Deserialize, Serialize};
use timecoin_protocol::engine::Tuning;

/// All sections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// `[node]`
    pub node: NodeSection,
    /// `[network]`
    pub network: NetworkSection,
    /// `[validator]`
    pub validator: ValidatorSection,
    /// `[rpc]`
    pub rpc: RpcSection,
    /// `[metrics]`
    pub metrics: MetricsSection,
    /// `[consensus]`
    pub consensus: ConsensusSection,
    /// `[mempool]`
    pub mempool: MempoolSection,
    /// `[log]`
    pub log: LogSection,
}

/// Files of the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeSection {
    /// Directory of the database.
    pub data_dir: String,
    /// The genesis file, TOML or JSON.
    pub genesis: String,
    /// File of the key behind the peer id.
    pub key_file: String,
}

impl Default for NodeSection {
    fn default() -> Self {
        Self { data_dir: "data".into(), genesis: "genesis.toml".into(), key_file: "node.key".into() }
    }
}

/// Peers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkSection {
    /// Multiaddrs to listen on.
    pub listen: Vec<String>,
    /// Multiaddrs of peers to join through.
    pub bootstrap: Vec<String>,
    /// Multiaddrs to announce in place of those listened on.
    pub external: Vec<String>,
}

impl Default for NetworkSection {
    fn default() -> Self {
        Self {
            listen: vec!["/ip4/0.0.0.0/tcp/24100".into(), "/ip4/0.0.0.0/udp/24100/quic-v1".into()],
            bootstrap: Vec::new(),
            external: Vec::new(),
        }
    }
}

/// The validator key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ValidatorSection {
    /// File of the key that votes; empty for a node that only follows.
    pub key_file: String,
    /// File of its vote history; empty for that beside the key.
    pub history_file: String,
}

/// JSON-RPC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RpcSection {
    /// Whether it is served.
    pub enabled: bool,
    /// Address and port.
    pub listen: String,
    /// Cookie file, in the data directory; empty for no authentication.
    pub cookie_file: String,
    /// Whether methods that change the node are allowed.
    pub unsafe_methods: bool,
    /// Further host names that clients may call it by.
    pub allowed_hosts: Vec<String>,
}

impl Default for RpcSection {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: "127.0.0.1:24101".into(),
            cookie_file: "rpc.cookie".into(),
            unsafe_methods: false,
            allowed_hosts: Vec::new(),
        }
    }
}

/// Metrics and health.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsSection {
    /// Whether they are served.
    pub enabled: bool,
    /// Address and port.
    pub listen: String,
}

impl Default for MetricsSection {
    fn default() -> Self {
        Self { enabled: true, listen: "127.0.0.1:24102".into() }
    }
}

/// This node's own choices in sampling and voting; none affects safety.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsensusSection {
    /// Longest that votes wait for company, in milliseconds.
    pub vote_interval_ms: u64,
    /// Longest that a query may take, in milliseconds.
    pub query_timeout_ms: u64,
    /// Slots of a sample.
    pub sample_size: u32,
    /// Votes of a sample that move the preference.
    pub alpha: u32,
    /// Successful polls in a row that a contested payment needs (beta).
    pub finality_confidence: u32,
    /// Successful polls in a row that an unopposed payment needs.
    pub unopposed_confidence: u32,
    /// Polls after which sampling leaves a payment to blocks.
    pub max_rounds: u32,
    /// First timeout of the propose step, in milliseconds.
    pub propose_timeout_ms: u64,
    /// First timeout of the prevote and precommit steps, in milliseconds.
    pub vote_timeout_ms: u64,
}

impl Default for ConsensusSection {
    fn default() -> Self {
        let tuning = Tuning::default();
        Self {
            vote_interval_ms: tuning.vote_interval_ms,
            query_timeout_ms: tuning.query_timeout_ms,
            sample_size: tuning.sample_size,
            alpha: tuning.alpha_preference,
            finality_confidence: tuning.beta,
            unopposed_confidence: tuning.beta_virtuous,
            max_rounds: tuning.rounds_max,
            propose_timeout_ms: tuning.propose_timeout_ms,
            vote_timeout_ms: tuning.vote_timeout_ms,
        }
    }
}

/// The pool of payments that are not in a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MempoolSection {
    /// Most payments.
    pub transactions_max: u64,
    /// Most bytes of them.
    pub bytes_max: u64,
}

impl Default for MempoolSection {
    fn default() -> Self {
        let tuning = Tuning::default();
        Self {
            transactions_max: tuning.pool_transactions_max.try_into().unwrap_or(u64::MAX),
            bytes_max: tuning.pool_bytes_max.try_into().unwrap_or(u64::MAX),
        }
    }
}

/// The log, on standard error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSection {
    /// A level, or directives of tracing's `EnvFilter`.
    pub level: String,
    /// `text` or `json`.
    pub format: String,
}

impl Default for LogSection {
    fn default() -> Self {
        Self { level: "info".into(), format: "text".into() }
    }
}
