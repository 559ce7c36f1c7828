//! The flags that override configuration keys.

use crate::cli::failure::{Failure, Misuse};
use crate::config::{Effective, Override, Sources, load, process_environment};
use clap::Args;
use std::path::PathBuf;

/// A configuration file and flags for single keys. Flags win over the environment
/// (`TIMED_SECTION__KEY`), which wins over the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct NodeFlags {
    /// Configuration file (see `timed config default`).
    #[arg(long, value_name = "FILE", help_heading = "Configuration")]
    config: Option<PathBuf>,
    /// Any configuration key; may be repeated.
    #[arg(long, value_name = "SECTION.KEY=VALUE", help_heading = "Configuration")]
    set: Vec<String>,
    /// Directory of the database [node.data_dir].
    #[arg(long, value_name = "DIR", help_heading = "Node")]
    data_dir: Option<String>,
    /// Genesis file of the network [node.genesis].
    #[arg(long, value_name = "FILE", help_heading = "Node")]
    genesis: Option<String>,
    /// File of the validator key; none: the node only follows [validator.key_file].
    #[arg(long, value_name = "FILE", help_heading = "Node")]
    validator_key: Option<String>,
    /// File of the validator's vote history; none: beside the key [validator.history_file].
    #[arg(long, value_name = "FILE", help_heading = "Node")]
    history_file: Option<String>,
    /// Multiaddr to listen on; may be repeated [network.listen].
    #[arg(long, value_name = "MULTIADDR", help_heading = "Network")]
    listen: Vec<String>,
    /// Peer to join through, ending in /p2p/PEER_ID; may be repeated [network.bootstrap].
    #[arg(long, value_name = "MULTIADDR", help_heading = "Network")]
    bootstrap: Vec<String>,
    /// Multiaddr to announce; may be repeated [network.external].
    #[arg(long, value_name = "MULTIADDR", help_heading = "Network")]
    external: Vec<String>,
    /// Address of JSON-RPC [rpc.listen].
    #[arg(long, value_name = "IP:PORT", help_heading = "Services")]
    rpc_listen: Option<String>,
    /// No JSON-RPC [rpc.enabled].
    #[arg(long, help_heading = "Services", conflicts_with = "rpc_listen")]
    no_rpc: bool,
    /// Address of metrics and health [metrics.listen].
    #[arg(long, value_name = "IP:PORT", help_heading = "Services")]
    metrics_listen: Option<String>,
    /// No metrics [metrics.enabled].
    #[arg(long, help_heading = "Services", conflicts_with = "metrics_listen")]
    no_metrics: bool,
    /// error, warn, info, debug, trace, or a filter [log.level].
    #[arg(long, value_name = "LEVEL", help_heading = "Output")]
    log_level: Option<String>,
    /// text or json [log.format].
    #[arg(long, value_name = "FORMAT", help_heading = "Output")]
    log_format: Option<String>,
}

impl NodeFlags {
    /// No flags but that of the configuration file.
    pub fn of_file(config: Option<PathBuf>) -> Self {
        Self { config, ..Self::default() }
    }

    /// Reads the configuration file and the environment, and puts the flags on top.
    pub fn load(&self) -> Result<Effective, Failure> {
        let sources =
            Sources { file: self.config.clone(), environment: process_environment(), flags: self.overrides()? };
        Ok(load(&sources)?)
    }

    fn overrides(&self) -> Result<Vec<Override>, Failure> {
        let list = |texts: &[String]| (!texts.is_empty()).then(|| texts.join(","));
        let off = |flag: bool| flag.then(|| "false".to_owned());
        let named = [
            ("node.data_dir", "--data-dir", self.data_dir.clone()),
            ("node.genesis", "--genesis", self.genesis.clone()),
            ("validator.key_file", "--validator-key", self.validator_key.clone()),
            ("validator.history_file", "--history-file", self.history_file.clone()),
            ("network.listen", "--listen", list(&self.listen)),
            ("network.bootstrap", "--bootstrap", list(&self.bootstrap)),
            ("network.external", "--external", list(&self.external)),
            ("rpc.listen", "--rpc-listen", self.rpc_listen.clone()),
            ("rpc.enabled", "--no-rpc", off(self.no_rpc)),
            ("metrics.listen", "--metrics-listen", self.metrics_listen.clone()),
            ("metrics.enabled", "--no-metrics", off(self.no_metrics)),
            ("log.level", "--log-level", self.log_level.clone()),
            ("log.format", "--log-format", self.log_format.clone()),
        ];
        let mut overrides: Vec<Override> = self.set.iter().map(|text| setting(text)).collect::<Result<_, _>>()?;
        overrides.extend(named.into_iter().filter_map(|(key, flag, text)| {
            Some(Override { key: key.to_owned(), text: text?, flag: flag.to_owned() })
        }));
        Ok(overrides)
    }
}

fn setting(text: &str) -> Result<Override, Misuse> {
    let (key, value) = text.split_once('=').ok_or_else(|| Misuse::Setting(text.to_owned()))?;
    Ok(Override { key: key.trim().to_owned(), text: value.to_owned(), flag: format!("--set {key}") })
}
