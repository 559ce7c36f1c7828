//! Why storage failed, and what the operator can do about it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use timecoin_protocol::hash::GenesisHash;
use timecoin_protocol::keys::PublicKey;
use timecoin_protocol::ledger::GenesisError;
use timecoin_protocol::validator::Height;

/// Why storage failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the directory.
    #[error(
        "the data directory {} is in use by another node; stop that node, or give this one another directory",
        dir.display()
    )]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// The directory has files in it, and none of them is from TimeCoin.
    #[error(
        "the directory {} is no TimeCoin data directory: it has no {} file, but holds {found:?}; choose an empty or \
         new directory",
        dir.display(),
        super::directory::LOCK_FILE
    )]
    Foreign {
        /// The directory.
        dir: PathBuf,
        /// One of the files in it.
        found: String,
    },
    /// The data are those of another network.
    #[error(
        "{file} belongs to the network with genesis {found}, this node is for {expected}; choose the right genesis \
         file, or another data directory"
    )]
    OtherGenesis {
        /// The file.
        file: StoreFile,
        /// Whose data these are.
        found: GenesisHash,
        /// The network of this node.
        expected: GenesisHash,
    },
    /// The data have another table layout than this program knows.
    #[error(
        "{file} has layout version {found}, this program knows version {supported}; use the program that wrote it, \
         or sync anew into another data directory"
    )]
    OtherVersion {
        /// The file.
        file: StoreFile,
        /// Version of the data.
        found: u32,
        /// Version of this program.
        supported: u32,
    },
    /// Another process holds the vote history.
    #[error(
        "the vote history {} is in use: a node runs with this validator key; stop it first, and never run two nodes \
         with one key",
        path.display()
    )]
    HistoryInUse {
        /// The file.
        path: PathBuf,
    },
    /// The history of another key.
    #[error(
        "the vote history {} is that of validator {found}, this node's key is {expected}; set validator.history_file \
         to the file of this key (one that does not exist is made)",
        path.display()
    )]
    OtherKey {
        /// The file.
        path: PathBuf,
        /// Whose history it is.
        found: PublicKey,
        /// Whose it should be.
        expected: PublicKey,
    },
    /// The history was exported.
    #[error(
        "the vote history {} was exported and ended: the validator goes on where the export was imported. To bring it \
         back, export it there and `timed history import` it here; for a node without a vote, empty \
         validator.key_file; without any history, remove this file: the key then waits for a new epoch",
        path.display()
    )]
    Retired {
        /// The file.
        path: PathBuf,
    },
    /// There is a history already.
    #[error("there is a vote history at {} already, and it is left as it is (`timed history show`)", path.display())]
    HistoryExists {
        /// The file.
        path: PathBuf,
    },
    /// There is no history.
    #[error("there is no vote history at {}", path.display())]
    NoHistory {
        /// The file.
        path: PathBuf,
    },
    /// The history here is further than the one to be imported.
    #[error(
        "the vote history {} is further than the one to be imported, which is older; a validator must not go back: \
         keep the one that is here",
        path.display()
    )]
    HistoryFurther {
        /// The file.
        path: PathBuf,
    },
    /// An export never overwrites.
    #[error("{} exists and is left as it is; export to a new file", path.display())]
    ExportExists {
        /// The file.
        path: PathBuf,
    },
    /// Not an exported history, or damaged.
    #[error(
        "{} is no exported vote history, or it is damaged; make one with `timed history export` on the old machine",
        path.display()
    )]
    NotExported {
        /// The file.
        path: PathBuf,
    },
    /// A file is damaged, or does not belong to the other one.
    #[error("{file} is damaged ({reason}); {}", file.advice())]
    Corrupt {
        /// The file.
        file: StoreFile,
        /// What is wrong with it.
        reason: String,
    },
    /// The system refused something outside of the databases.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried: "create the directory".
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A database failed, usually because the disk did or is full.
    #[error("{file} failed: {source}")]
    Database {
        /// The file.
        file: StoreFile,
        /// The database's reason.
        source: Box<redb::Error>,
    },
    /// A block that is not the one after the last was to be stored; this program is at fault.
    #[error("block {found} was to be stored where block {expected} belongs")]
    BlockOrder {
        /// The height that is next.
        expected: Height,
        /// The height of the block.
        found: Height,
    },
    /// A block was to be shown before it was durable (D-1); this program is at fault.
    #[error("block {0} is not in the journal and cannot be shown yet")]
    NotDurable(Height),
    /// A checkpoint in the background failed; nothing more is taken.
    #[error("the ledger cannot be checkpointed: {0}")]
    Checkpoint(Arc<StoreError>),
    /// A new directory cannot be filled: the genesis description is unusable.
    #[error("the genesis description is unusable: {0}")]
    Genesis(#[from] GenesisError),
}

/// One of the databases of a data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFile {
    /// Records: what must be durable before messages leave.
    Journal,
    /// Committed blocks.
    Blocks,
    /// UTXO set and indexes, as of the last checkpoint.
    Ledger,
    /// The journal of a validator, beside its key.
    History,
}

impl StoreFile {
    /// The name of the file in the data directory; what the history is called, which has a name of its own.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Journal => "journal.redb",
            Self::Blocks => "blocks.redb",
            Self::Ledger => "ledger.redb",
            Self::History => "the vote history",
        }
    }

    const fn advice(self) -> &'static str {
        match self {
            Self::Journal => {
                "check the disk and restore the whole directory from a backup, or sync into a new directory"
            }
            Self::Blocks => {
                "check the disk and restore the whole directory from a backup, or sync into a new directory"
            }
            Self::History => {
                "check the disk, then remove this file: the validator is silent until an epoch begins in which its key \
                 cannot have voted"
            }
            Self::Ledger => "check the disk, then delete this file: it is rebuilt from blocks.redb at the next start",
        }
    }

    /// The error of this file behind `error`.
    pub(super) fn failed(self, error: impl Into<redb::Error>) -> StoreError {
        match error.into() {
            redb::Error::Corrupted(reason) => self.corrupt(reason),
            redb::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                self.corrupt(error.to_string())
            }
            error => StoreError::Database { file: self, source: Box::new(error) },
        }
    }

    pub(super) fn corrupt(self, reason: impl Into<String>) -> StoreError {
        StoreError::Corrupt { file: self, reason: reason.into() }
    }
}

impl fmt::Display for StoreFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
