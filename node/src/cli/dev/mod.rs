//! `timed dev`: a whole network in one process, with money to play with.
//!
//! Every validator has a swarm, a database and keys of its own, and talks to the others over
//! loopback TCP and QUIC, exactly as separate processes would.

mod banner;
mod demo;
mod endpoints;
mod network;
mod status;

use super::client::Client;
use super::devnet::{Devnet, EPOCH_BLOCKS, dev_phrase};
use super::failure::{Failure, Misuse};
use super::output::Output;
use super::timed::{start_logging, stop_signal};
use crate::config::LogConfig;
use crate::exit::Exit;
use crate::wallet::Phrase;
use clap::Args;
use endpoints::Endpoints;
use network::RunningNetwork;
use std::path::{Path, PathBuf};
use std::time::Duration;
use timecoin_protocol::bounds::EPOCH_BLOCKS_MIN;

/// Longest that the nodes may take to stop.
const STOP_GRACE: Duration = Duration::from_millis(1_800);
/// Least time between blocks unless told otherwise, in milliseconds.
const BLOCK_TIME_MS: u64 = 1_000;
/// Validators unless told otherwise.
const VALIDATORS: u8 = 4;

/// Arguments of `dev`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  \
    timed dev                                   everything in a temporary directory\n  \
    timed dev --data-dir devnet --rpc-port 8545 keeps its chain; the same command continues it\n  \
    timed dev --validators 7 --block-time 200")]
pub struct DevArgs {
    /// Number of validators [default: 4].
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=32))]
    validators: Option<u8>,
    /// Least time between blocks, in milliseconds [default: 1000].
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(50..=600_000))]
    block_time: Option<u64>,
    /// Blocks of an epoch: validators that bond vote from the epoch after the next on [default: 60].
    #[arg(long, value_name = "BLOCKS", value_parser = clap::value_parser!(u64).range(EPOCH_BLOCKS_MIN..=1_000_000))]
    epoch_blocks: Option<u64>,
    /// Keep keys and chain here, and continue if there is a chain; else all is gone at the end.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Recovery phrase of the funded addresses, in place of the well-known one.
    #[arg(long, value_name = "WORDS")]
    mnemonic: Option<String>,
    /// Port of node 1's JSON-RPC; 0 lets the system choose.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    rpc_port: u16,
    /// Port of node 1's metrics and health; 0 lets the system choose.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    metrics_port: u16,
    /// Where all of this is written as JSON; in the data directory unless given.
    #[arg(long, value_name = "FILE")]
    endpoints: Option<PathBuf>,
    /// error, warn, info, debug, trace, or a filter; on standard error.
    #[arg(long, value_name = "LEVEL", default_value = "error")]
    log_level: String,
}

/// Where the network lives; a temporary directory is removed when this is dropped.
enum Home {
    Kept(PathBuf),
    Temporary(tempfile::TempDir),
}

impl Home {
    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(directory) => directory.path(),
        }
    }
}

impl DevArgs {
    /// Runs it.
    pub async fn run(&self, output: Output) -> Result<Exit, Failure> {
        start_logging(&LogConfig::new(&self.log_level, output.json).map_err(Misuse::LogLevel)?)?;
        super::open_files::allow_many();
        let mut signals = stop_signal()?;
        let home = self.home()?;
        let devnet = self.devnet(home.path())?;
        let network = tokio::select! {
            network = Box::pin(RunningNetwork::start(home.path(), &devnet, self.rpc_port, self.metrics_port)) => network?,
            () = signals.received() => return Ok(Exit::Ok),
        };
        let outcome = tokio::select! {
            outcome = self.serve(&home, &devnet, &network, output) => outcome,
            () = signals.received() => Ok(()),
        };
        status::end_line(output);
        tokio::select! {
            clean = network.stop(STOP_GRACE) => match outcome {
                Err(failure) => Err(failure),
                Ok(()) if clean => Ok(Exit::Ok),
                Ok(()) => Err(Failure::Unclean { seconds: STOP_GRACE.as_secs() }),
            },
            () = signals.received() => Ok(Exit::Runtime),
        }
    }

    /// Everything from the first peer to the end; ends by itself only if something fails or somebody
    /// stops a node over RPC.
    async fn serve(
        &self,
        home: &Home,
        devnet: &Devnet,
        network: &RunningNetwork,
        output: Output,
    ) -> Result<(), Failure> {
        network.ready().await?;
        let endpoints = Endpoints::new(home.path(), devnet, network);
        let file = self.endpoints.clone().unwrap_or_else(|| home.path().join("endpoints.json"));
        endpoints.write(&file)?;
        banner::print(&endpoints, devnet, &file, output)?;
        let watch = status::Watch::new(network).ok_or(Misuse::Other("a network needs a node"))?;
        let payment = demo::pay(&Client::waiting(&endpoints.rpc()?, None, demo::WAIT)?, devnet).await?;
        payment.print(output);
        tokio::select! {
            outcome = network.ended() => outcome,
            never = watch.show(output) => match never {},
        }
    }

    fn home(&self) -> Result<Home, Failure> {
        let failed = |path: PathBuf| move |source| Failure::Io { action: "create", path, source };
        match &self.data_dir {
            Some(path) => {
                std::fs::create_dir_all(path).map_err(failed(path.clone()))?;
                Ok(Home::Kept(path.clone()))
            }
            None => tempfile::Builder::new()
                .prefix("timecoin-dev-")
                .tempdir()
                .map(Home::Temporary)
                .map_err(failed(std::env::temp_dir())),
        }
    }

    fn devnet(&self, home: &Path) -> Result<Devnet, Failure> {
        let phrase = self.mnemonic.as_deref().map(Phrase::parse).transpose()?;
        if let Some(devnet) = Devnet::read(home)? {
            self.check_unchanged(home, &devnet, phrase.as_ref())?;
            return Ok(devnet);
        }
        refuse_foreign(home)?;
        let phrase = phrase.map_or_else(dev_phrase, Ok)?;
        let validators = self.validators.unwrap_or(VALIDATORS);
        let block_time = self.block_time.unwrap_or(BLOCK_TIME_MS);
        let epoch_blocks = self.epoch_blocks.unwrap_or(EPOCH_BLOCKS);
        let devnet = Devnet::found("dev", phrase, validators.into(), block_time, epoch_blocks);
        devnet.create(home)?;
        Ok(devnet)
    }

    /// What the genesis fixes cannot be changed by a flag later.
    fn check_unchanged(&self, home: &Path, devnet: &Devnet, phrase: Option<&Phrase>) -> Result<(), Misuse> {
        let validators = u64::try_from(devnet.nodes.len()).unwrap_or(u64::MAX);
        let fixed = [
            ("--validators", self.validators.map(u64::from), validators),
            ("--block-time", self.block_time, devnet.genesis.params.block_interval_ms),
            ("--epoch-blocks", self.epoch_blocks, devnet.genesis.params.epoch_blocks),
        ];
        for (flag, wanted, found) in fixed {
            if let Some(wanted) = wanted.filter(|wanted| *wanted != found) {
                return Err(Misuse::Fixed { flag, wanted, found, directory: home.to_owned() });
            }
        }
        match phrase {
            Some(phrase) if phrase.words() != devnet.phrase.words() => Err(Misuse::OtherPhrase(home.to_owned())),
            _ => Ok(()),
        }
    }
}

/// A directory with somebody's files in it is not filled with keys and databases.
fn refuse_foreign(home: &Path) -> Result<(), Failure> {
    let failed = |source| Failure::Io { action: "read", path: home.to_owned(), source };
    let visible = |name: std::ffi::OsString| !name.to_string_lossy().starts_with('.');
    for entry in std::fs::read_dir(home).map_err(failed)? {
        if visible(entry.map_err(failed)?.file_name()) {
            return Err(Misuse::Foreign(home.to_owned()).into());
        }
    }
    Ok(())
}
