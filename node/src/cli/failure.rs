//! Why a command failed: one line that says what was wrong and what to do, and an exit code.

use super::client::RpcFailure;
use crate::config::ConfigError;
use crate::exit::Exit;
use crate::node::StartError;
use crate::store::StoreError;
use crate::wallet::{AmountError, BuildError, KeystoreError, PhraseError, PrivateFileError};
use std::io::ErrorKind;
use std::path::PathBuf;
use timecoin_protocol::address::{AddressError, NetworkKind};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The node did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The vote history.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The node could not go on.
    #[error("the node stopped: {0}")]
    Stopped(String),
    /// A file with a secret.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// The keystore.
    #[error(transparent)]
    Keystore(#[from] KeystoreError),
    /// The recovery phrase.
    #[error(transparent)]
    Phrase(#[from] PhraseError),
    /// An amount.
    #[error(transparent)]
    Amount(#[from] AmountError),
    /// An address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The transaction.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The node that was asked.
    #[error(transparent)]
    Rpc(#[from] RpcFailure),
    /// The command line.
    #[error(transparent)]
    Usage(#[from] Misuse),
    /// A file without secrets.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// "read", "write", "create".
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A genesis description that cannot be written as TOML.
    #[error("the genesis description cannot be written: {0}")]
    GenesisText(#[from] toml::ser::Error),
    /// The answer that was awaited did not come in time.
    #[error("{what} did not happen within {seconds} s")]
    Timeout {
        /// What was awaited.
        what: &'static str,
        /// How long.
        seconds: u64,
    },
    /// A payment that will never be final.
    #[error("the payment {txid} was rejected: {reason}")]
    Rejected {
        /// Which.
        txid: String,
        /// Why.
        reason: String,
    },
    /// Tasks did not end in time.
    #[error("the node did not stop cleanly within {seconds} s; what was committed is safe")]
    Unclean {
        /// How long.
        seconds: u64,
    },
    /// The address to ask for health does not answer.
    #[error("{url} does not answer: {source}")]
    Unreachable {
        /// Whom.
        url: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Threads or signals cannot be had.
    #[error("the system refused: {0}")]
    Runtime(std::io::Error),
}

/// What is wrong with a command line beyond its grammar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misuse {
    /// A secret is needed and nobody is there to type it.
    #[error("{what} is needed and there is no terminal to ask at; give it with {flag}")]
    NoTerminal {
        /// "a passphrase".
        what: &'static str,
        /// Which flag gives it.
        flag: &'static str,
    },
    /// Two entries of a new passphrase differ.
    #[error("the two passphrases differ")]
    PassphrasesDiffer,
    /// An empty passphrase.
    #[error("the passphrase is empty; a keystore without one protects nothing")]
    EmptyPassphrase,
    /// The wallet and the node are of different networks.
    #[error("the wallet is for {wallet:?}, the node at {url} is for {node:?}; choose another --keystore or --rpc")]
    OtherNetwork {
        /// Of the wallet.
        wallet: NetworkKind,
        /// Of the node.
        node: NetworkKind,
        /// The node.
        url: String,
    },
    /// A setting without a value.
    #[error("--set takes SECTION.KEY=VALUE, not \"{0}\"")]
    Setting(String),
    /// A private key that is not one.
    #[error("--from-key takes 64 hexadecimal digits")]
    FromKey,
    /// No home directory for the default keystore.
    #[error("there is no home directory; name the wallet with --keystore FILE")]
    NoHome,
    /// Something that is fixed by the chain that exists already.
    #[error("{flag} is {wanted}, but the network in {} has {found}; leave the flag away, or use another directory", directory.display())]
    Fixed {
        /// Which flag.
        flag: &'static str,
        /// As given.
        wanted: u64,
        /// As it is.
        found: u64,
        /// Where.
        directory: PathBuf,
    },
    /// A new recovery phrase for a network that has another one.
    #[error("--mnemonic differs from the recovery phrase of the network in {}; leave it away", .0.display())]
    OtherPhrase(PathBuf),
    /// A directory that holds a node already.
    #[error("{} holds a node already and is left as it is; choose another directory", .0.display())]
    Initialized(PathBuf),
    /// A directory that is somebody else's.
    #[error("{} holds files but no network of `timed dev`; choose a new or an empty directory", .0.display())]
    Foreign(PathBuf),
    /// A key that is not there yet.
    #[error("{} does not exist; --generate creates keys", .0.display())]
    NoKey(PathBuf),
    /// A command about the keystore together with keys that have none.
    #[error("--dev, --mnemonic-file and --from-key have no keystore; balance, history and send work with them")]
    NotAKeystore,
    /// A history without a key.
    #[error("this configuration names no validator key, so there is no vote history; set validator.key_file")]
    NoValidator,
    /// A history that nobody vouches for.
    #[error(
        "nothing is created without --never-signed: with it you vouch that this key never signed anything in this \
         network, or that nothing it signed is still in play. Without it, start the node: it makes a history by itself \
         and waits for an epoch in which the key cannot have voted"
    )]
    NotVouched,
    /// A health URL of another form.
    #[error("\"{0}\" is not a URL like http://127.0.0.1:24102/readyz (plain http)")]
    HealthUrl(String),
    /// The node serves no health.
    #[error("metrics are off in this configuration, so there is no health to ask for; set metrics.enabled")]
    MetricsOff,
    /// A cookie file with something else in it.
    #[error("{} is not a cookie file: it must hold user:password", .0.display())]
    Cookie(PathBuf),
    /// Ports beyond the last one.
    #[error("the ports for {nodes} nodes from {base_port} on go beyond 65535; choose a lower --base-port")]
    Ports {
        /// Nodes.
        nodes: usize,
        /// First port.
        base_port: u16,
    },
    /// Nothing to withdraw.
    #[error("no bond of this wallet can be withdrawn")]
    NoBond,
    /// A log level that is none.
    #[error("--log-level: {0}")]
    LogLevel(crate::config::Fault),
    /// Something that the grammar of the command line cannot say.
    #[error("{0}")]
    Other(&'static str),
}

impl Failure {
    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Config(_) | Self::Usage(_) | Self::Amount(_) | Self::Address(_) | Self::Phrase(_) => Exit::Usage,
            Self::Start(error) => exit_of_start(error),
            Self::Store(error) => exit_of_store(error),
            Self::File(_) | Self::Keystore(_) => Exit::Usage,
            Self::Rpc(error) => error.exit(),
            Self::Unreachable { .. } => Exit::Unreachable,
            Self::Build(_)
            | Self::Io { .. }
            | Self::GenesisText(_)
            | Self::Timeout { .. }
            | Self::Rejected { .. }
            | Self::Unclean { .. }
            | Self::Stopped(_)
            | Self::Runtime(_) => Exit::Runtime,
        }
    }

    /// What to do, where the message does not say it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Start(StartError::Listen { purpose, source, .. }) if source.kind() == ErrorKind::AddrInUse => {
                Some(format!("another program uses this port: stop it, or choose another one with {}", knob(purpose)))
            }
            Self::Start(StartError::Listen { purpose, .. }) => Some(format!("change it with {}", knob(purpose))),
            Self::Rpc(error) => error.hint(),
            Self::Keystore(KeystoreError::File(PrivateFileError::Missing(_))) => Some(
                "make a wallet with `time-cli wallet create --network NETWORK`, name another one with --keystore, or \
                 take the accounts of `timed dev` with --dev"
                    .to_owned(),
            ),
            Self::Unreachable { .. } => Some("is the node running, and are its metrics on?".to_owned()),
            _ => None,
        }
    }
}

/// What changes an address that is listened on.
fn knob(purpose: &str) -> &'static str {
    match purpose {
        "RPC" => "rpc.listen (--rpc-listen; with `timed dev`: --rpc-port)",
        "metrics" => "metrics.listen (--metrics-listen; with `timed dev`: --metrics-port)",
        _ => "network.listen (--listen)",
    }
}

fn exit_of_start(error: &StartError) -> Exit {
    match error {
        StartError::Store(error) => exit_of_store(error),
        StartError::Listen { source, .. } if source.kind() == ErrorKind::AddrInUse => Exit::InUse,
        StartError::Listen { .. } | StartError::Genesis(_) => Exit::Usage,
        StartError::Restore(_) => Exit::Database,
        StartError::Network(_) | StartError::Thread(_) => Exit::Runtime,
    }
}

fn exit_of_store(error: &StoreError) -> Exit {
    match error {
        StoreError::InUse { .. } | StoreError::HistoryInUse { .. } => Exit::InUse,
        StoreError::OtherKey { .. }
        | StoreError::Retired { .. }
        | StoreError::HistoryExists { .. }
        | StoreError::NoHistory { .. }
        | StoreError::HistoryFurther { .. }
        | StoreError::ExportExists { .. }
        | StoreError::NotExported { .. }
        | StoreError::Foreign { .. }
        | StoreError::OtherGenesis { .. }
        | StoreError::OtherVersion { .. }
        | StoreError::Genesis(_) => Exit::Usage,
        _ => Exit::Database,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_use(purpose: &'static str) -> Failure {
        let source = std::io::Error::from(ErrorKind::AddrInUse);
        Failure::Start(StartError::Listen { address: "127.0.0.1:24101".into(), purpose, source })
    }

    #[test]
    fn a_port_in_use_has_its_exit_code_and_names_what_changes_it() {
        assert_eq!(in_use("RPC").exit(), Exit::InUse);
        for (purpose, flag) in [("RPC", "--rpc-listen"), ("metrics", "--metrics-listen"), ("peers", "--listen")] {
            assert!(in_use(purpose).hint().unwrap().contains(flag), "{purpose}");
        }
    }

    #[test]
    fn storage_errors_have_exit_codes_of_their_own() {
        let dir = PathBuf::from("x");
        let exit = |error: StoreError| Failure::Start(StartError::Store(error)).exit();
        assert_eq!(exit(StoreError::InUse { dir: dir.clone() }), Exit::InUse);
        assert_eq!(exit(StoreError::Foreign { dir, found: "y".into() }), Exit::Usage);
        let file = crate::store::StoreFile::Journal;
        assert_eq!(exit(StoreError::Corrupt { file, reason: "z".into() }), Exit::Database);
    }
}
