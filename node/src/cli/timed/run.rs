//! `timed run`: one node until it is told to stop.

use super::flags::NodeFlags;
use crate::cli::devnet::{keypair, random_key};
use crate::cli::failure::Failure;
use crate::cli::output::{GOOD, Output, styled};
use crate::config::{NodeConfig, RpcConfig, parse, read_genesis};
use crate::exit::Exit;
use crate::node::{Node, NodeOptions};
use crate::rpc::RpcOptions;
use crate::wallet::{PrivateFileError, create_key, read_key};
use clap::Args;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use timecoin_protocol::keys::SecretKey;
use tokio::sync::Notify;

/// Longest that a node may take to stop.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// Arguments of `run`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct RunArgs {
    #[command(flatten)]
    node: NodeFlags,
    /// Stop when standard input is closed: the node ends with the program that started it, even if
    /// that one is killed.
    #[arg(long)]
    stop_with_stdin: bool,
}

/// Runs a node.
pub async fn run(args: &RunArgs, output: Output) -> Result<Exit, Failure> {
    let config = parse(&args.node.load()?)?;
    super::logging::start(&config.log)?;
    crate::cli::open_files::allow_many();
    // Installed before the start, so that a signal during the start is not lost.
    let mut signals = StopSignal::install()?;
    if args.stop_with_stdin {
        signals.watch_stdin().map_err(Failure::Runtime)?;
    }
    let options = options(config)?;
    let node = tokio::select! {
        node = Box::pin(Node::start(options)) => node?,
        () = signals.received() => return Ok(Exit::Ok),
    };
    announce(&node, output);
    let failure = tokio::select! {
        () = signals.received() => None,
        () = node.stop_requested() => None,
        reason = node.failed() => Some(Failure::Stopped(reason)),
    };
    tracing::info!("stopping");
    tokio::select! {
        clean = node.stop(STOP_GRACE) => match failure {
            Some(failure) => Err(failure),
            None if clean => Ok(Exit::Ok),
            None => Err(Failure::Unclean { seconds: STOP_GRACE.as_secs() }),
        },
        // Whoever asks twice does not want to wait; what was committed is safe.
        () = signals.received() => Ok(Exit::Runtime),
    }
}

fn options(config: NodeConfig) -> Result<NodeOptions, Failure> {
    let genesis = Arc::new(read_genesis(&config.genesis)?);
    let validator_key = config.validator_key_file.as_deref().map(read_key).transpose()?;
    let node_key = keypair(&node_key(&config.node_key_file)?)?;
    Ok(NodeOptions {
        genesis,
        data_dir: config.data_dir,
        validator_key,
        history_file: config.history_file.unwrap_or_default(),
        node_key,
        listen: config.listen,
        bootstrap: config.bootstrap,
        external: config.external,
        rpc: config.rpc.map(rpc_options),
        metrics: config.metrics,
        tuning: config.tuning,
    })
}

fn rpc_options(config: RpcConfig) -> RpcOptions {
    let RpcConfig { listen, cookie, unsafe_methods, allowed_hosts } = config;
    RpcOptions { listen, cookie, unsafe_methods, allowed_hosts }
}

/// The key behind the peer id; it holds no money and no vote, so the first start may make one.
fn node_key(file: &Path) -> Result<SecretKey, Failure> {
    match read_key(file) {
        Err(PrivateFileError::Missing(_)) => {
            let key = random_key();
            create_key(file, &key)?;
            Ok(key)
        }
        result => Ok(result?),
    }
}

fn announce(node: &Node, output: Output) {
    let peers: Vec<String> = node.addresses.iter().map(ToString::to_string).collect();
    let rpc = node.rpc.map(|address| format!("http://{address}"));
    let metrics = node.metrics.map(|address| format!("http://{address}/metrics"));
    let value = json!({
        "event": "ready",
        "network": node.view.genesis.name,
        "genesis_hash": node.view.genesis_hash,
        "peer_id": node.view.peer_id.to_string(),
        "validator": node.view.validator,
        "peers": peers,
        "rpc": rpc,
        "metrics": metrics,
    });
    output.result(&value, || {
        let mut lines = vec![format!("network {} ({})", node.view.genesis.name, node.view.genesis_hash)];
        lines.extend(peers.iter().map(|address| format!("peers   {address}")));
        lines.extend(rpc.iter().map(|url| format!("rpc     {url}")));
        lines.extend(metrics.iter().map(|url| format!("metrics {url}")));
        lines.push(styled(GOOD, "timed is ready"));
        lines.join("\n")
    });
}

/// Ctrl-C, SIGTERM where there is such a thing, and the end of standard input if it is watched.
#[derive(Debug)]
pub struct StopSignal {
    stdin_closed: Arc<Notify>,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

/// Listens for signals that ask to stop, from now on.
pub fn stop_signal() -> Result<StopSignal, Failure> {
    StopSignal::install()
}

impl StopSignal {
    #[cfg(unix)]
    fn install() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| signal(kind).map_err(Failure::Runtime);
        let (terminate, interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
        Ok(Self { stdin_closed: Arc::default(), terminate, interrupt })
    }

    #[cfg(not(unix))]
    fn install() -> Result<Self, Failure> {
        Ok(Self { stdin_closed: Arc::default() })
    }

    /// From now on the end of standard input counts as a signal.
    ///
    /// A thread of its own reads: the runtime's would hold up the end of the process until somebody
    /// writes.
    fn watch_stdin(&self) -> std::io::Result<()> {
        let closed = self.stdin_closed.clone();
        let watch = move || {
            // Whatever is written there means nothing; an error is as good as the end.
            let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
            closed.notify_one();
        };
        std::thread::Builder::new().name("stdin".into()).spawn(watch).map(drop)
    }

    /// Resolves at the next signal.
    #[cfg(unix)]
    pub async fn received(&mut self) {
        tokio::select! {
            () = self.stdin_closed.notified() => {}
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Resolves at the next Ctrl-C.
    #[cfg(not(unix))]
    pub async fn received(&mut self) {
        tokio::select! {
            () = self.stdin_closed.notified() => {}
            Ok(()) = tokio::signal::ctrl_c() => {}
        }
    }
}
