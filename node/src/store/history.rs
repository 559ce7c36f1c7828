//! A validator's vote history: a journal in a file of its own, bound to its key (`SPEC.md` D-14, D-16, D-19).

use super::tables::{self, LOG, META, META_GENESIS, META_SCHEMA, SCHEMA_VERSION};
use super::{StoreError, StoreFile, durable_write};
use crate::bounds::JOURNAL_CACHE_BYTES;
use redb::{Builder, Database, DatabaseError, ReadableDatabase, TableError, WriteTransaction};
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use timecoin_protocol::codec::{Decode, Encode, encode};
use timecoin_protocol::engine::{Cause, Record};
use timecoin_protocol::finality::VoteBatch;
use timecoin_protocol::hash::GenesisHash;
use timecoin_protocol::keys::PublicKey;
use timecoin_protocol::validator::{Epoch, Height};

/// Key in the history's `META`: the public key whose history it is.
const META_KEY: &str = "key";
/// Likewise: [`FileIdentity`] of the file that it was written to.
const META_IDENTITY: &str = "identity";
/// Likewise: the [`Cause`] of a silence that is not in the log yet.
const META_DOUBT: &str = "doubt";
/// Likewise: [`Voted`].
const META_VOTED: &str = "voted";
/// Likewise: there if the history was exported and goes on elsewhere.
const META_RETIRED: &str = "retired";

/// How far a key voted, as far as its history knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct Voted {
    /// The last epoch in which it signed anything.
    pub epoch: Epoch,
    /// The last height at which it voted or proposed.
    pub height: Height,
}

impl Voted {
    /// This, or what `record` of the validator `key` says if that is further.
    fn after(self, record: &Record, key: &PublicKey) -> Self {
        let (epoch, height) = match record {
            Record::BlockVote(vote, _) => (vote.epoch, vote.height),
            Record::Proposal(proposal) if proposal.proposer == *key => {
                (proposal.block.header.epoch, proposal.block.header.height)
            }
            Record::Sealed(seal) if seal.voter == *key => (seal.epoch, self.height),
            Record::Votes(batch) if is_by(batch, key) => (batch.epoch, self.height),
            _ => return self,
        };
        Self { epoch: self.epoch.max(epoch), height: self.height.max(height) }
    }

    /// How far the key voted after `records`; none if it still has not.
    pub fn after_all(before: Option<Self>, records: &[Record], key: &PublicKey) -> Option<Self> {
        let start = before.unwrap_or_default();
        let voted = records.iter().fold(start, |voted, record| voted.after(record, key));
        let is_first = || records.iter().any(|record| is_own_vote(record, key));
        (before.is_some() || is_first()).then_some(voted)
    }
}

fn is_by(batch: &VoteBatch, key: &PublicKey) -> bool {
    batch.voter == *key
}

fn is_own_vote(record: &Record, key: &PublicKey) -> bool {
    match record {
        Record::BlockVote(..) => true,
        Record::Sealed(seal) => seal.voter == *key,
        Record::Votes(batch) => is_by(batch, key),
        Record::Proposal(proposal) => proposal.proposer == *key,
        _ => false,
    }
}

/// What tells a file from a copy of it: its number in the file system and when it was made. The device is none of it:
/// its number changes when a volume is mounted anew. All zero where the system does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct FileIdentity {
    inode: u64,
    created_ns: u64,
}

impl FileIdentity {
    /// That of the file at `path`.
    pub(super) fn of(path: &Path) -> Result<Self, StoreError> {
        let metadata = path.metadata().map_err(|source| failed("read the identity of", path, source))?;
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
        #[cfg(not(unix))]
        let inode = 0;
        let since = metadata.created().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        let created_ns = since.and_then(|since| u64::try_from(since.as_nanos()).ok()).unwrap_or_default();
        Ok(Self { inode, created_ns })
    }
}

/// Whose history a node opens, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryAt {
    /// The file.
    pub path: PathBuf,
    /// The validator.
    pub key: PublicKey,
}

/// What is in a history besides its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryHead {
    /// Whose it is.
    pub key: PublicKey,
    /// The network; none before the first start.
    pub genesis: Option<GenesisHash>,
    /// How far the key voted.
    pub voted: Option<Voted>,
    /// What is wrong with it, if the log does not say so yet.
    pub doubt: Option<Cause>,
    /// Whether it was exported and goes on elsewhere.
    pub is_retired: bool,
    pub(super) identity: FileIdentity,
}

impl HistoryHead {
    pub(super) const fn new(key: PublicKey, identity: FileIdentity, doubt: Option<Cause>) -> Self {
        Self { key, genesis: None, voted: None, doubt, is_retired: false, identity }
    }

    /// Reads it; none from a file that was never filled.
    pub(super) fn read(database: &Database) -> Result<Option<Self>, StoreError> {
        let file = StoreFile::History;
        let Some(head) = Self::read_rows(database).map_err(|error| file.failed(error))? else { return Ok(None) };
        let [schema, genesis, key, identity, doubt, voted, retired] = head;
        let Some(key) = key else { return Ok(None) };
        let schema = schema.and_then(|bytes| <[u8; 4]>::try_from(bytes).ok()).map(u32::from_le_bytes);
        let schema = schema.ok_or_else(|| file.corrupt("its layout version is unreadable"))?;
        if schema != SCHEMA_VERSION {
            return Err(StoreError::OtherVersion { file, found: schema, supported: SCHEMA_VERSION });
        }
        let hash = |bytes: Vec<u8>| <[u8; 32]>::try_from(bytes).map_err(|_| file.corrupt("its key is unreadable"));
        Ok(Some(Self {
            key: PublicKey(hash(key)?),
            genesis: genesis.map(hash).transpose()?.map(GenesisHash),
            voted: decoded(voted)?,
            doubt: decoded(doubt)?,
            is_retired: retired.is_some(),
            identity: decoded(identity)?.unwrap_or_default(),
        }))
    }

    fn read_rows(database: &Database) -> Result<Option<[Option<Vec<u8>>; 7]>, redb::Error> {
        let meta = match database.begin_read()?.open_table(META) {
            Ok(meta) => meta,
            Err(TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let keys = [META_SCHEMA, META_GENESIS, META_KEY, META_IDENTITY, META_DOUBT, META_VOTED, META_RETIRED];
        let mut rows = [const { None }; 7];
        for (row, key) in rows.iter_mut().zip(keys) {
            *row = meta.get(key)?.map(|value| value.value().to_vec());
        }
        Ok(Some(rows))
    }

    /// Writes it in place of what is there.
    pub(super) fn write(&self, transaction: &WriteTransaction) -> Result<(), redb::Error> {
        transaction.open_table(LOG)?;
        let mut meta = transaction.open_table(META)?;
        meta.insert(META_SCHEMA, SCHEMA_VERSION.to_le_bytes().as_slice())?;
        meta.insert(META_KEY, self.key.0.as_slice())?;
        meta.insert(META_IDENTITY, encode(&self.identity).as_slice())?;
        let rows = [
            (META_GENESIS, self.genesis.map(|genesis| genesis.0.to_vec())),
            (META_DOUBT, self.doubt.map(|doubt| encode(&doubt))),
            (META_VOTED, self.voted.map(|voted| encode(&voted))),
            (META_RETIRED, self.is_retired.then(|| vec![1])),
        ];
        for (key, value) in rows {
            match value {
                Some(value) => drop(meta.insert(key, value.as_slice())?),
                None => drop(meta.remove(key)?),
            }
        }
        Ok(())
    }
}

fn decoded<T: Encode + Decode<()>>(bytes: Option<Vec<u8>>) -> Result<Option<T>, StoreError> {
    bytes.map(|bytes| tables::decode(&bytes)).transpose().map_err(|error| StoreFile::History.failed(error))
}

/// Notes what the records of a turn change in the head (D-14): in the transaction that appends them.
pub(super) fn note(
    transaction: &WriteTransaction,
    before: Option<Voted>,
    after: Option<Voted>,
    records: &[Record],
) -> Result<(), redb::Error> {
    let settled = records.iter().any(|record| matches!(record, Record::Silence(Some(_))));
    if before == after && !settled {
        return Ok(());
    }
    let mut meta = transaction.open_table(META)?;
    if let Some(after) = after {
        meta.insert(META_VOTED, encode(&after).as_slice())?;
    }
    if settled {
        meta.remove(META_DOUBT)?; // the log says it from here on
    }
    Ok(())
}

/// Makes the file, readable by its owner only: it is there whole or not at all, whatever happens meanwhile.
pub(super) fn create_file(path: &Path, key: PublicKey, doubt: Option<Cause>) -> Result<(), StoreError> {
    let directory = directory_of(path);
    std::fs::create_dir_all(directory).map_err(|source| failed("create the directory", directory, source))?;
    let making = |source| failed("create the vote history", path, source);
    let temporary = tempfile::NamedTempFile::new_in(directory).map_err(making)?; // mode 0600
    let file = temporary.reopen().map_err(making)?;
    let database = Builder::new().create_file(file).map_err(|error| StoreFile::History.failed(error))?;
    write_head(&database, &HistoryHead::new(key, FileIdentity::of(temporary.path())?, doubt))?;
    drop(database);
    temporary.as_file().sync_all().map_err(making)?;
    temporary.persist_noclobber(path).map_err(|error| match error.error.kind() {
        std::io::ErrorKind::AlreadyExists => StoreError::HistoryExists { path: path.to_owned() },
        _ => making(error.error),
    })?;
    sync_directory(path)
}

/// Opens the file; nobody else opens it meanwhile.
pub(super) fn open_file(path: &Path) -> Result<Database, StoreError> {
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => StoreError::NoHistory { path: path.to_owned() },
        _ => failed("open the vote history", path, source),
    })?;
    let opened = Builder::new().set_cache_size(JOURNAL_CACHE_BYTES).create_file(file);
    opened.map_err(|error| match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::HistoryInUse { path: path.to_owned() },
        error => StoreFile::History.failed(error),
    })
}

pub(super) fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A new file survives a power failure only once its directory is durable too.
pub(super) fn sync_directory(path: &Path) -> Result<(), StoreError> {
    let directory = directory_of(path);
    let synced = std::fs::File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|source| failed("sync the directory", directory, source))
}

/// What a start finds: a new history is in doubt, since the key may have signed elsewhere (D-16); so is one that was
/// copied or restored (D-19).
pub(super) fn prepare(
    database: &Database,
    key: PublicKey,
    network: GenesisHash,
    place: Option<(&Path, FileIdentity)>,
) -> Result<HistoryHead, StoreError> {
    let identity = place.map(|(_, identity)| identity).unwrap_or_default();
    let path = place.map(|(path, _)| path.to_owned()).unwrap_or_default();
    let found = HistoryHead::read(database)?;
    let mut head = found.clone().unwrap_or_else(|| HistoryHead::new(key, identity, Some(Cause::Missing)));
    if head.key != key {
        return Err(StoreError::OtherKey { path, found: head.key, expected: key });
    }
    if let Some(found) = head.genesis.filter(|found| *found != network) {
        return Err(StoreError::OtherGenesis { file: StoreFile::History, found, expected: network });
    }
    if head.is_retired {
        return Err(StoreError::Retired { path });
    }
    head.genesis = Some(network);
    if head.identity != identity {
        head.identity = identity;
        // A history that is only newer than the blocks would end its silence by its own numbers: the weakest doubt.
        head.doubt = Some(head.doubt.filter(|doubt| *doubt != Cause::NewerThanBlocks).unwrap_or(Cause::Copied));
    }
    if found.as_ref() != Some(&head) {
        write_head(database, &head)?;
    }
    Ok(head)
}

pub(super) fn write_head(database: &Database, head: &HistoryHead) -> Result<(), StoreError> {
    let write = || -> Result<(), redb::Error> {
        let transaction = durable_write(database)?;
        head.write(&transaction)?;
        transaction.commit()?;
        Ok(())
    };
    write().map_err(|error| StoreFile::History.failed(error))
}

pub(super) fn failed(what: &'static str, path: &Path, source: std::io::Error) -> StoreError {
    StoreError::Io { what, path: path.to_owned(), source }
}
