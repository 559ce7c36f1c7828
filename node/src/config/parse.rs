//! From settings to what a node is started with: every address parsed, every path resolved, every
//! relation between values checked. All problems are reported at once.

use super::error::{ConfigError, Fault, Origin, Problem};
use super::load::Effective;
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use timecoin_protocol::engine::Tuning;

/// A configuration that was judged in every respect that needs no file and no network.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Directory of the database.
    pub data_dir: PathBuf,
    /// The genesis file.
    pub genesis: PathBuf,
    /// File of the key behind the peer id.
    pub node_key_file: PathBuf,
    /// File of the validator key; none for a node that only follows.
    pub validator_key_file: Option<PathBuf>,
    /// File of its vote history, if there is a validator key.
    pub history_file: Option<PathBuf>,
    /// Addresses to listen on.
    pub listen: Vec<Multiaddr>,
    /// Peers to join through.
    pub bootstrap: Vec<Multiaddr>,
    /// Addresses to announce.
    pub external: Vec<Multiaddr>,
    /// JSON-RPC, unless it is off.
    pub rpc: Option<RpcConfig>,
    /// Where metrics are served, unless they are off.
    pub metrics: Option<SocketAddr>,
    /// Own choices of the engine.
    pub tuning: Tuning,
    /// The log.
    pub log: LogConfig,
}

/// The vote history of a key where nothing else is said: beside it, under its name with `.history` added.
#[must_use]
pub fn history_beside(key_file: &Path) -> PathBuf {
    let mut name = key_file.as_os_str().to_owned();
    name.push(".history");
    PathBuf::from(name)
}

/// How JSON-RPC is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcConfig {
    /// Address.
    pub listen: SocketAddr,
    /// Cookie file; none serves without authentication.
    pub cookie: Option<PathBuf>,
    /// Whether methods that change the node are allowed.
    pub unsafe_methods: bool,
    /// Further host names.
    pub allowed_hosts: Vec<String>,
}

/// What the log says and in which form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Directives of tracing's `EnvFilter`.
    pub filter: String,
    /// One JSON object for each line, instead of text.
    pub json: bool,
}

impl LogConfig {
    /// A log of what `filter` lets pass.
    ///
    /// # Errors
    /// [`Fault::LogLevel`]: not a level or filter.
    pub fn new(filter: &str, json: bool) -> Result<Self, Fault> {
        if is_filter(filter) {
            Ok(Self { filter: filter.to_owned(), json })
        } else {
            Err(Fault::LogLevel(filter.to_owned()))
        }
    }
}

/// Collects problems while values are parsed.
struct Judge<'a> {
    effective: &'a Effective,
    problems: Vec<Problem>,
}

/// Judges the settings.
///
/// # Errors
/// [`ConfigError::Problems`] with everything that is wrong.
pub fn parse(effective: &Effective) -> Result<NodeConfig, ConfigError> {
    let mut judge = Judge { effective, problems: Vec::new() };
    let config = judge.node_config();
    if judge.problems.is_empty() { Ok(config) } else { Err(ConfigError::Problems(judge.problems)) }
}

impl Judge<'_> {
    fn fault(&mut self, key: &'static str, why: Fault) {
        self.problems.push(Problem::Unusable { origin: self.effective.origin(key), key, why });
    }

    fn node_config(&mut self) -> NodeConfig {
        let settings = &self.effective.settings;
        let data_dir = self.path("node.data_dir", &settings.node.data_dir);
        let validator = &settings.validator.key_file;
        let validator_key_file = (!validator.is_empty()).then(|| self.path("validator.key_file", validator));
        let history = &settings.validator.history_file;
        let history_file = validator_key_file.as_deref().map(|key_file| match history.as_str() {
            "" => history_beside(key_file),
            named => self.path("validator.history_file", named),
        });
        NodeConfig {
            genesis: self.path("node.genesis", &settings.node.genesis),
            node_key_file: self.path("node.key_file", &settings.node.key_file),
            validator_key_file,
            history_file,
            listen: self.listen(&settings.network.listen),
            bootstrap: self.bootstrap(&settings.network.bootstrap),
            external: self.multiaddrs("network.external", &settings.network.external),
            rpc: self.rpc(&data_dir),
            metrics: self.metrics(),
            tuning: self.tuning(),
            log: self.log(),
            data_dir,
        }
    }

    /// Relative paths of the file start where the file is, others in the working directory.
    fn path(&mut self, key: &'static str, text: &str) -> PathBuf {
        if text.is_empty() {
            self.fault(key, Fault::Empty);
        }
        match self.effective.origin(key) {
            Origin::Default | Origin::File { .. } => self.effective.directory.join(text),
            Origin::Environment { .. } | Origin::Flag { .. } => PathBuf::from(text),
        }
    }

    fn multiaddrs(&mut self, key: &'static str, texts: &[String]) -> Vec<Multiaddr> {
        let mut addresses = Vec::new();
        for text in texts {
            match text.parse::<Multiaddr>() {
                Ok(address) if has_transport(&address) => addresses.push(address),
                Ok(_) => self.fault(key, Fault::Transport(text.clone())),
                Err(_) => self.fault(key, Fault::Multiaddr(text.clone())),
            }
        }
        addresses
    }

    fn listen(&mut self, texts: &[String]) -> Vec<Multiaddr> {
        if texts.is_empty() {
            self.fault("network.listen", Fault::NothingToListenOn);
        }
        self.multiaddrs("network.listen", texts)
    }

    fn bootstrap(&mut self, texts: &[String]) -> Vec<Multiaddr> {
        let addresses = self.multiaddrs("network.bootstrap", texts);
        for address in &addresses {
            if !matches!(address.iter().last(), Some(Protocol::P2p(_))) {
                self.fault("network.bootstrap", Fault::PeerId(address.to_string()));
            }
        }
        addresses
    }

    fn socket(&mut self, key: &'static str, text: &str) -> Option<SocketAddr> {
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.fault(key, Fault::SocketAddress(text.to_owned()));
        }
        parsed
    }

    fn rpc(&mut self, data_dir: &Path) -> Option<RpcConfig> {
        let section = &self.effective.settings.rpc;
        let listen = self.socket("rpc.listen", &section.listen)?;
        let cookie = (!section.cookie_file.is_empty()).then(|| data_dir.join(&section.cookie_file));
        if section.enabled && cookie.is_none() && !listen.ip().is_loopback() {
            self.fault("rpc.listen", Fault::OpenRpc(listen));
        }
        let (unsafe_methods, allowed_hosts) = (section.unsafe_methods, section.allowed_hosts.clone());
        section.enabled.then_some(RpcConfig { listen, cookie, unsafe_methods, allowed_hosts })
    }

    fn metrics(&mut self) -> Option<SocketAddr> {
        let section = &self.effective.settings.metrics;
        self.socket("metrics.listen", &section.listen).filter(|_| section.enabled)
    }

    fn tuning(&mut self) -> Tuning {
        let section = &self.effective.settings.consensus;
        let (alpha, sample_size, contested) = (section.alpha, section.sample_size, section.finality_confidence);
        if alpha <= sample_size / 2 || alpha > sample_size {
            self.fault("consensus.alpha", Fault::Alpha { alpha, sample_size });
        }
        let unopposed = section.unopposed_confidence;
        if unopposed > contested {
            self.fault("consensus.unopposed_confidence", Fault::Confidence { unopposed, contested });
        }
        if section.max_rounds < contested {
            self.fault("consensus.max_rounds", Fault::Rounds { rounds: section.max_rounds, contested });
        }
        let mempool = &self.effective.settings.mempool;
        Tuning {
            pool_transactions_max: usize::try_from(mempool.transactions_max).unwrap_or(usize::MAX),
            pool_bytes_max: usize::try_from(mempool.bytes_max).unwrap_or(usize::MAX),
            vote_interval_ms: section.vote_interval_ms,
            query_timeout_ms: section.query_timeout_ms,
            sample_size,
            alpha_preference: alpha,
            beta: contested,
            beta_virtuous: unopposed,
            rounds_max: section.max_rounds,
            propose_timeout_ms: section.propose_timeout_ms,
            vote_timeout_ms: section.vote_timeout_ms,
            ..Tuning::default()
        }
    }

    fn log(&mut self) -> LogConfig {
        let section = &self.effective.settings.log;
        if !is_filter(&section.level) {
            self.fault("log.level", Fault::LogLevel(section.level.clone()));
        }
        if !matches!(section.format.as_str(), "text" | "json") {
            self.fault("log.format", Fault::LogFormat(section.format.clone()));
        }
        LogConfig { filter: section.level.clone(), json: section.format == "json" }
    }
}

/// Whether every directive is one: `EnvFilter` alone takes a mistyped level for the name of a module.
fn is_filter(text: &str) -> bool {
    let is_level = |level: &str| matches!(level, "off" | "error" | "warn" | "info" | "debug" | "trace");
    let is_directive = |directive: &str| match directive.rsplit_once('=') {
        Some((target, level)) => !target.is_empty() && is_level(level),
        None => is_level(directive),
    };
    text.split(',').map(str::trim).all(is_directive) && tracing_subscriber::EnvFilter::builder().parse(text).is_ok()
}

fn has_transport(address: &Multiaddr) -> bool {
    let parts: Vec<_> = address.iter().collect();
    let host = |part: &Protocol<'_>| {
        matches!(
            part,
            Protocol::Ip4(_)
                | Protocol::Ip6(_)
                | Protocol::Dns(_)
                | Protocol::Dns4(_)
                | Protocol::Dns6(_)
                | Protocol::Dnsaddr(_)
        )
    };
    match parts.as_slice() {
        [first, Protocol::Tcp(_)] | [first, Protocol::Tcp(_), Protocol::P2p(_)] => host(first),
        [first, Protocol::Udp(_), Protocol::QuicV1] | [first, Protocol::Udp(_), Protocol::QuicV1, Protocol::P2p(_)] => {
            host(first)
        }
        _ => false,
    }
}
