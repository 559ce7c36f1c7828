//! Why a command failed, what a person reads about it, and with which exit code it ends.

use crate::rpc::CallError;
use std::io;
use std::path::PathBuf;
use timecoin_node::exit::Exit;
use timecoin_node::wallet::{PhraseError, PrivateFileError};

/// The command line, or a file that it names, is wrong: trying again does not help.
#[derive(Debug, thiserror::Error)]
pub enum Misuse {
    /// The node's program is not where it was looked for.
    #[error("there is no timed at {}; build it with `cargo build --package timecoin-node`, or name it with --timed", .0.display())]
    NoNodeProgram(PathBuf),
    /// An endpoints file that cannot be read.
    #[error("{} is not an endpoints file of `testnet up` or `timed dev`: {reason}", file.display())]
    Endpoints {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A directory with a network of another size.
    #[error("{} holds a network of {found} nodes, not {wanted}; use --nodes {found} or another directory", directory.display())]
    OtherSize {
        /// The directory.
        directory: PathBuf,
        /// Nodes in it.
        found: usize,
        /// Nodes asked for.
        wanted: usize,
    },
    /// More payments than one run may have.
    #[error("{wanted} payments are too many for one run; at most {most} are signed ahead: lower --rate or --seconds")]
    TooManyPayments {
        /// Rate times seconds.
        wanted: u64,
        /// The bound.
        most: usize,
    },
    /// Shares that leave nothing.
    #[error("--double-spends and --chains are shares from 0 to 1")]
    Shares,
    /// A rate of nothing.
    #[error("--rate is a number above 0 and at most {0}")]
    Rate(u32),
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Wrong use.
    #[error(transparent)]
    Usage(#[from] Misuse),
    /// A node ended by itself.
    #[error("node {number} ended by itself ({status}); the last lines of {}:\n{tail}", log.display())]
    NodeExited {
        /// From 1.
        number: usize,
        /// How it ended.
        status: String,
        /// Its log.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// A node runs but does not become ready.
    #[error("node {number} {what} for {seconds} s; the last lines of {}:\n{tail}", log.display())]
    NodeNotReady {
        /// From 1.
        number: usize,
        /// What it has not done.
        what: &'static str,
        /// How long it was waited for.
        seconds: u64,
        /// Its log.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// `timed init` failed.
    #[error("`timed init` failed ({status}): {message}")]
    Init {
        /// How it ended.
        status: String,
        /// What it said.
        message: String,
    },
    /// A file or a process could not be used.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A file with secrets could not be used.
    #[error(transparent)]
    PrivateFile(#[from] PrivateFileError),
    /// The network's recovery phrase is none.
    #[error("the network's recovery phrase: {0}")]
    Phrase(#[from] PhraseError),
    /// The system did not give this process what it needs.
    #[error("the system refuses: {0}")]
    Runtime(io::Error),
    /// The funded accounts have no money to share out.
    #[error(
        "the funded accounts have {found} coins that can pay for this run, {needed} are needed: start a new network"
    )]
    Funds {
        /// Coins found.
        found: usize,
        /// Coins needed.
        needed: usize,
    },
    /// The endpoints are those of another network.
    #[error("the node at {url} belongs to another network ({genesis_hash}); is the endpoints file an old one?")]
    OtherNetwork {
        /// Which node.
        url: String,
        /// Its network.
        genesis_hash: String,
    },
    /// Something that was waited for did not come about.
    #[error("{what} did not come about within {seconds} s")]
    Timeout {
        /// What.
        what: &'static str,
        /// How long it was waited for.
        seconds: u64,
    },
    /// Somebody asked the program to end before it had a result.
    #[error("interrupted before the end; nothing was measured")]
    Interrupted,
    /// A call failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl Failure {
    /// The exit code.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Call(CallError::Unreachable { .. }) => Exit::Unreachable,
            _ => Exit::Runtime,
        }
    }

    /// Wraps an I/O error with what was tried.
    pub fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_command_line_a_silent_node_and_a_failed_run_have_exit_codes_of_their_own() {
        let unreachable = CallError::Unreachable { url: "ws://127.0.0.1:1".into(), why: "refused".into() };
        assert_eq!(Failure::from(Misuse::Shares).exit().code(), 2);
        assert_eq!(Failure::from(unreachable).exit().code(), 5);
        assert_eq!(Failure::Timeout { what: "peace", seconds: 1 }.exit().code(), 1);
    }
}
