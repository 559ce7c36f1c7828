//! What can be wrong with a configuration, and how it is told.

use std::fmt;
use std::path::PathBuf;

/// Where a value comes from; later ones win.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "from", rename_all = "lowercase")]
pub enum Origin {
    /// Built in.
    Default,
    /// A line of the configuration file, from 1.
    File {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
    },
    /// An environment variable.
    Environment {
        /// Its name.
        variable: String,
    },
    /// A flag of the command line.
    Flag {
        /// As it is typed.
        flag: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment { variable } => write!(f, "environment variable {variable}"),
            Self::Flag { flag } => write!(f, "flag {flag}"),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// No such key.
    #[error("{origin}: unknown key {key}{}", did_you_mean(*.near))]
    UnknownKey {
        /// Where.
        origin: Origin,
        /// As written.
        key: String,
        /// What it was probably meant to be.
        near: Option<&'static str>,
    },
    /// The value is of the wrong kind.
    #[error("{origin}: {key} must be {expected}, not {found}")]
    WrongKind {
        /// Where.
        origin: Origin,
        /// Which key.
        key: &'static str,
        /// What it takes.
        expected: &'static str,
        /// What it was given.
        found: String,
    },
    /// The number is out of bounds.
    #[error("{origin}: {key} must be from {min} to {max}, not {found}")]
    OutOfRange {
        /// Where.
        origin: Origin,
        /// Which key.
        key: &'static str,
        /// Least.
        min: u64,
        /// Greatest.
        max: u64,
        /// What it was given.
        found: u64,
    },
    /// The value cannot be used.
    #[error("{origin}: {key}: {why}")]
    Unusable {
        /// Where.
        origin: Origin,
        /// Which key.
        key: &'static str,
        /// What is wrong with it.
        why: Fault,
    },
}

fn did_you_mean(near: Option<&str>) -> String {
    near.map_or_else(String::new, |near| format!("; did you mean {near}?"))
}

/// What is wrong with a value of the right kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not a multiaddr.
    #[error("\"{0}\" is not a multiaddr; one looks like /ip4/0.0.0.0/tcp/24100")]
    Multiaddr(String),
    /// A multiaddr that nodes cannot use.
    #[error("\"{0}\" is neither TCP (/ip4/…/tcp/…) nor QUIC (/ip4/…/udp/…/quic-v1)")]
    Transport(String),
    /// A bootstrap address without a peer id.
    #[error("\"{0}\" must end with the peer's id: …/p2p/12D3KooW…")]
    PeerId(String),
    /// Not an address with a port.
    #[error("\"{0}\" is not an IP address with a port, like 127.0.0.1:24101")]
    SocketAddress(String),
    /// Nothing to listen on.
    #[error("is empty: a node needs at least one address to listen on")]
    NothingToListenOn,
    /// Open to the network without authentication.
    #[error("{0} is not a loopback address, so rpc.cookie_file must not be empty")]
    OpenRpc(std::net::SocketAddr),
    /// A file name is needed.
    #[error("must not be empty")]
    Empty,
    /// An alpha that is no majority of the sample.
    #[error("{alpha} must be more than half of consensus.sample_size ({sample_size}) and not above it")]
    Alpha {
        /// As given.
        alpha: u32,
        /// The sample.
        sample_size: u32,
    },
    /// More confidence asked of the unopposed than of the contested.
    #[error("{unopposed} must not be above consensus.finality_confidence ({contested})")]
    Confidence {
        /// For unopposed payments.
        unopposed: u32,
        /// For contested ones.
        contested: u32,
    },
    /// Sampling would give up before it could succeed.
    #[error("{rounds} must not be below consensus.finality_confidence ({contested})")]
    Rounds {
        /// Most rounds.
        rounds: u32,
        /// Rounds that are needed.
        contested: u32,
    },
    /// Not a log filter.
    #[error("\"{0}\" is not a log level (error, warn, info, debug, trace) or filter like info,libp2p=warn")]
    LogLevel(String),
    /// Not a log format.
    #[error("\"{0}\" must be text or json")]
    LogFormat(String),
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{}:{line}: not valid TOML: {message}", path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// The parser's reason.
        message: String,
    },
    /// Keys or values are wrong; all of them are listed.
    #[error("{}", lines(.0))]
    Problems(Vec<Problem>),
    /// The layers do not fit together.
    #[error("the configuration cannot be put together: {0}")]
    Merge(#[from] config::ConfigError),
    /// The genesis file is missing.
    #[error(
        "the genesis file {} does not exist; get it from whoever runs the network and set node.genesis \
         (or --genesis), or start a local network with `timed dev`",
        .0.display()
    )]
    NoGenesis(PathBuf),
    /// The genesis file cannot be read.
    #[error("cannot read the genesis file {}: {source}", path.display())]
    GenesisUnreadable {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The genesis file is not a genesis description.
    #[error("{} is not a genesis file: {message}", path.display())]
    GenesisMalformed {
        /// Which.
        path: PathBuf,
        /// The parser's reason.
        message: String,
    },
}

fn lines(problems: &[Problem]) -> String {
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    texts.join("\n")
}
