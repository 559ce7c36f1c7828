//! `testnet up`: a network of real nodes until Ctrl-C.

use super::print;
use super::stop::StopSignals;
use crate::cluster::{Cluster, ClusterOptions, NODES_MAX, node_program};
use crate::endpoints::Endpoints;
use crate::failure::Failure;
use clap::Args;
use comfy_table::{Table, presets::UTF8_BORDERS_ONLY};
use std::path::{Path, PathBuf};
use timecoin_node::exit::Exit;

/// Arguments of `up`.
#[derive(Clone, Debug, Args)]
pub struct UpArgs {
    #[command(flatten)]
    nodes: ClusterArgs,
    /// Directory of the network; one that is there already goes on. A temporary one, removed at the
    /// end, if not given.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Where the endpoints are written as JSON; in the directory if not given.
    #[arg(long, value_name = "FILE")]
    endpoints: Option<PathBuf>,
}

/// What `up` and `load` both say about a cluster.
#[derive(Clone, Debug, Args)]
pub struct ClusterArgs {
    /// Number of nodes, all of them validators.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=i64::from(NODES_MAX)))]
    nodes: u8,
    /// First port: node K uses base + 10 (K - 1) for peers, then one each for RPC and metrics. The
    /// system chooses if not given.
    #[arg(long, value_name = "PORT")]
    base_port: Option<u16>,
    /// The node's program; the one beside this program if not given.
    #[arg(long, value_name = "PATH")]
    timed: Option<PathBuf>,
    /// Least time between blocks of a new network, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(100..=600_000))]
    block_time: u64,
    /// Blocks of an epoch of a new network.
    #[arg(long, value_name = "BLOCKS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(2..=1_000_000))]
    epoch_blocks: u64,
    /// Log level of the nodes; each one logs to node.log in its directory.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: String,
}

impl ClusterArgs {
    /// Options of a cluster in this directory.
    pub fn options(&self, directory: &Path) -> Result<ClusterOptions, Failure> {
        Ok(ClusterOptions {
            nodes: self.nodes.into(),
            directory: directory.to_owned(),
            base_port: self.base_port,
            program: node_program(self.timed.as_deref())?,
            block_time_ms: self.block_time,
            epoch_blocks: self.epoch_blocks,
            log_level: self.log_level.clone(),
            unsafe_methods: false,
        })
    }
}

/// A directory that is removed when this is dropped, unless the user named it.
#[derive(Debug)]
pub enum Home {
    /// The user's.
    Kept(PathBuf),
    /// Ours.
    Temporary(tempfile::TempDir),
}

impl Home {
    /// The directory that was named, or a temporary one.
    pub fn new(named: Option<&Path>) -> Result<Self, Failure> {
        match named {
            Some(path) => {
                std::fs::create_dir_all(path).map_err(Failure::io("create", path))?;
                Ok(Self::Kept(path.to_owned()))
            }
            None => tempfile::Builder::new()
                .prefix("timecoin-testnet-")
                .tempdir()
                .map(Self::Temporary)
                .map_err(Failure::io("create a directory in", std::env::temp_dir())),
        }
    }

    /// Keeps the directory for whoever wants to know what went wrong in it.
    pub fn keep(self) {
        if let Self::Temporary(directory) = self {
            eprintln!("kept for a look: {}", directory.keep().display());
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(directory) => directory.path(),
        }
    }
}

impl UpArgs {
    /// Runs it.
    pub async fn run(self) -> Result<Exit, Failure> {
        let mut stop = StopSignals::listen()?;
        let home = Home::new(self.dir.as_deref())?;
        let options = self.nodes.options(home.path())?;
        let mut cluster = tokio::select! {
            started = Cluster::start(&options) => started?,
            () = stop.requested() => return Ok(Exit::Ok),
        };
        let file = self.endpoints.unwrap_or_else(|| home.path().join("endpoints.json"));
        let outcome = match announce(cluster.endpoints(), &file) {
            Err(failure) => Err(failure),
            Ok(()) => tokio::select! {
                failure = cluster.ended() => Err(failure),
                () = stop.requested() => Ok(()),
            },
        };
        let clean = cluster.stop().await;
        outcome.map(|()| if clean { Exit::Ok } else { Exit::Runtime })
    }
}

/// Says where everything is, to programs and to people.
fn announce(endpoints: &Endpoints, file: &Path) -> Result<(), Failure> {
    endpoints.write(file)?;
    print(&format!("{}\nendpoints: {}\nCtrl-C stops all nodes", table(endpoints), file.display()))
}

fn table(endpoints: &Endpoints) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY).set_header(["node", "RPC", "metrics", "pid", "directory"]);
    for node in &endpoints.nodes {
        let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        table.add_row([
            node.number.to_string(),
            shown(&node.rpc),
            shown(&node.metrics),
            node.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
            node.directory.as_ref().map_or_else(|| "-".to_owned(), |path| path.display().to_string()),
        ]);
    }
    table
}
