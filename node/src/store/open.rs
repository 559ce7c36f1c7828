//! Opening a data directory (`SPEC.md` D-5, D-8).

use super::block_file::{self, BlockFile, Written};
use super::checkpoint;
use super::directory::DirectoryLock;
use super::history::{self, FileIdentity, HistoryAt, HistoryHead};
use super::history_files::silence_of;
use super::journal::{self, JournalFile, LogItem, file_of};
use super::ledger_store::LedgerStore;
use super::published::{CheckpointThread, Checkpoints, Published};
use super::reader::ChainReader;
use super::rebuild::rebuild;
use super::replay;
use super::snapshot::Snapshot;
use super::tables::{BLOCKS, LOG, META, META_GENESIS, META_SCHEMA, SCHEMA_VERSION};
use super::{StoreError, StoreFile, durable_write};
use crate::bounds::{BLOCKS_CACHE_BYTES, JOURNAL_CACHE_BYTES, LAYERS_MAX, LEDGER_CACHE_BYTES};
use redb::{Builder, Database, ReadableDatabase, StorageBackend, TableDefinition, TableError, WriteTransaction};
use std::path::Path;
use std::sync::Arc;
use timecoin_protocol::block::Commit;
use timecoin_protocol::engine::{Cause, Past, Record};
use timecoin_protocol::genesis::Genesis;
use timecoin_protocol::hash::GenesisHash;
use timecoin_protocol::keys::PublicKey;
use timecoin_protocol::ledger::{ChainState, genesis_state};
use timecoin_protocol::validator::Height;

/// Storage that was opened.
#[derive(Debug)]
pub struct Opened {
    /// For turns.
    pub journal: JournalFile,
    /// For the engine; stands at `state` until the blocks among `records` are pushed.
    pub ledger: LedgerStore,
    /// For everybody else.
    pub reader: Arc<ChainReader>,
    /// The chain at the checkpoint.
    pub state: ChainState,
    /// The commit of the checkpoint's block; none at genesis.
    pub last_commit: Option<Commit>,
    /// What the engine restores from, in order: the log, and among it the blocks above the
    /// checkpoint. Records about heights up to the checkpoint may be among them.
    pub records: Vec<Record>,
    /// What is known of the vote history (D-14…D-19); nothing of a node without a validator key.
    pub past: Past,
}

/// Ways to open storage.
#[derive(Debug)]
pub struct Store;

impl Store {
    /// Opens the data directory `dir`; a new one is filled with the genesis UTXO set.
    ///
    /// # Errors
    /// [`StoreError`]: in use, of somebody or something else, damaged, or the disk failed.
    pub fn open(dir: &Path, genesis: &Genesis) -> Result<Opened, StoreError> {
        Self::open_with(dir, genesis, None)
    }

    /// Opens the data directory `dir` of a validator, whose journal is its vote history.
    ///
    /// # Errors
    /// [`StoreError`] as from [`open`](Self::open), and if the history is in use, of another key or network, or retired.
    pub fn open_with(dir: &Path, genesis: &Genesis, history: Option<&HistoryAt>) -> Result<Opened, StoreError> {
        let lock = Arc::new(DirectoryLock::acquire(dir)?);
        let create = |file: StoreFile| builder(file).create(dir.join(file.name())).map_err(|error| file.failed(error));
        let journal = match history {
            Some(at) => {
                if !at.path.exists() {
                    history::create_file(&at.path, at.key, Some(Cause::Missing))?; // D-16
                }
                history::open_file(&at.path)?
            }
            None => create(StoreFile::Journal)?,
        };
        let identity = history.map(|at| FileIdentity::of(&at.path)).transpose()?;
        let files = Files {
            journal,
            owner: history
                .map(|at| Owner { key: at.key, place: identity.map(|identity| (at.path.as_path(), identity)) }),
            blocks: create(StoreFile::Blocks)?,
            ledger: create(StoreFile::Ledger)?,
            lock: Some(lock),
        };
        files.open(genesis, |published| {
            let failed =
                |source| StoreError::Io { what: "start a checkpoint thread for", path: dir.to_owned(), source };
            CheckpointThread::start(published).map(Checkpoints::Background).map_err(failed)
        })
    }

    /// Opens storage that is not in a directory, such as a simulated disk. Checkpoints are made by
    /// the caller of `publish` itself, so that equal runs stay equal.
    ///
    /// # Errors
    /// [`StoreError`] as from [`open`](Self::open), but for those about directories.
    pub fn open_on<B: StorageBackend>(disks: Disks<B>, genesis: &Genesis) -> Result<Opened, StoreError> {
        Self::open_on_with(disks, genesis, None)
    }

    /// Likewise; the journal is the vote history of a validator, `owner`.
    ///
    /// # Errors
    /// As from [`open_with`](Self::open_with), but for those about files.
    pub fn open_on_with<B: StorageBackend>(
        disks: Disks<B>,
        genesis: &Genesis,
        owner: Option<PublicKey>,
    ) -> Result<Opened, StoreError> {
        let create =
            |file: StoreFile, disk| builder(file).create_with_backend(disk).map_err(|error| file.failed(error));
        let files = Files {
            journal: create(StoreFile::Journal, disks.journal)?,
            blocks: create(StoreFile::Blocks, disks.blocks)?,
            ledger: create(StoreFile::Ledger, disks.ledger)?,
            owner: owner.map(|key| Owner { key, place: None }),
            lock: None,
        };
        files.open(genesis, |_| Ok(Checkpoints::Inline))
    }
}

/// Where the databases are, if not in a directory.
#[derive(Clone, Debug)]
pub struct Disks<B> {
    /// In the place of `journal.redb`.
    pub journal: B,
    /// In the place of `blocks.redb`.
    pub blocks: B,
    /// In the place of `ledger.redb`.
    pub ledger: B,
}

fn builder(file: StoreFile) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(match file {
        StoreFile::Journal | StoreFile::History => JOURNAL_CACHE_BYTES,
        StoreFile::Blocks => BLOCKS_CACHE_BYTES,
        StoreFile::Ledger => LEDGER_CACHE_BYTES,
    });
    builder
}

/// The validator whose vote history the journal is, and the file that it is in.
struct Owner<'a> {
    key: PublicKey,
    place: Option<(&'a Path, FileIdentity)>,
}

/// The databases, not yet looked into.
struct Files<'a> {
    journal: Database,
    owner: Option<Owner<'a>>,
    blocks: Database,
    ledger: Database,
    lock: Option<Arc<DirectoryLock>>,
}

impl Files<'_> {
    fn open(
        self,
        genesis: &Genesis,
        checkpoints: impl FnOnce(&Arc<Published>) -> Result<Checkpoints, StoreError>,
    ) -> Result<Opened, StoreError> {
        let (is_new_ledger, mut head) = self.fill(genesis)?;
        let (base, mut state) = Snapshot::open(&self.ledger).map_err(|error| StoreFile::Ledger.failed(error))?;
        let (tip, log) = self.fit_journal(&mut head, state.height)?;
        let blocks = Arc::new(BlockFile::new(self.blocks, tip));
        let mut last_commit = commit_of(&blocks, &state)?;
        let published = Arc::new(Published::new(self.ledger, base));
        let checkpoints = checkpoints(&published)?;
        let mut ledger = LedgerStore::new(Arc::clone(&published), Arc::clone(&blocks), checkpoints, self.lock.clone());
        if state.height < tip && (is_new_ledger || is_far_behind(&state, tip)) {
            state = rebuild(&mut ledger, &blocks, &genesis.params, state)?;
            last_commit = commit_of(&blocks, &state)?;
        }
        Ok(Opened {
            records: replay::records(&blocks, log, state.height)?,
            journal: JournalFile::open(self.journal, Arc::clone(&blocks), head.as_ref(), self.lock.clone())?,
            past: past_of(head.as_ref()),
            ledger,
            reader: Arc::new(ChainReader::new(published, blocks, self.lock)),
            state,
            last_commit,
        })
    }

    /// The last height that the journal vouches for, and its log. One that is not of the moment of the blocks begins
    /// anew with them (D-16): nothing in its log is of use then, and a validator is silent.
    fn fit_journal(
        &self,
        head: &mut Option<HistoryHead>,
        checkpoint: Height,
    ) -> Result<(Height, Vec<LogItem>), StoreError> {
        let file = file_of(head.is_some());
        let written = block_file::written(&self.blocks).map_err(|error| StoreFile::Blocks.failed(error))?;
        let (tip, log) = read_journal(&self.journal).map_err(|error| file.failed(error))?;
        let Some(doubt) = mismatch(tip, written, checkpoint) else { return Ok((tip, log)) };
        if let Some(head) = head {
            head.doubt = Some(head.doubt.filter(|before| *before != Cause::NewerThanBlocks).unwrap_or(doubt));
        }
        let reset = journal::reset(&self.journal, written.last, silence_of(&log), head.as_ref());
        reset.map_err(|error| file.failed(error))?;
        read_journal(&self.journal).map_err(|error| file.failed(error))
    }

    /// Fills what is new, and refuses what is not for this network (D-8). Says whether the ledger was new, and what
    /// the head of the vote history is.
    fn fill(&self, genesis: &Genesis) -> Result<(bool, Option<HistoryHead>), StoreError> {
        let network = genesis.hash();
        let is_new_ledger = !check_network(StoreFile::Ledger, &self.ledger, network)?;
        if is_new_ledger {
            let state = genesis_state(genesis)?;
            fill_ledger(&self.ledger, genesis, &state).map_err(|error| StoreFile::Ledger.failed(error))?;
        }
        if !check_network(StoreFile::Blocks, &self.blocks, network)? {
            fill_one(&self.blocks, network, BLOCKS).map_err(|error| StoreFile::Blocks.failed(error))?;
        }
        if let Some(owner) = &self.owner {
            let head = history::prepare(&self.journal, owner.key, network, owner.place)?;
            return Ok((is_new_ledger, Some(head)));
        }
        if !check_network(StoreFile::Journal, &self.journal, network)? {
            fill_one(&self.journal, network, LOG).map_err(|error| StoreFile::Journal.failed(error))?;
        }
        Ok((is_new_ledger, None))
    }
}

/// Whether journal and blocks are of one moment (D-16), and if not, which one is older. A turn writes its blocks first
/// (D-3): those of the last turn may be there without their entry in the journal.
fn mismatch(tip: Height, written: Written, checkpoint: Height) -> Option<Cause> {
    if written.last < tip {
        return Some(Cause::NewerThanBlocks);
    }
    let is_behind = written.last > tip && written.batch.is_some_and(|first| first > tip.next());
    (is_behind || checkpoint > tip).then_some(Cause::OlderThanBlocks)
}

fn past_of(head: Option<&HistoryHead>) -> Past {
    let past = |head: &HistoryHead| Past {
        doubt: head.doubt,
        voted: head.voted.map(|voted| voted.epoch),
        listens: true, // D-18
    };
    head.map(past).unwrap_or_default()
}

/// More blocks above the checkpoint than a running node lets come together: a rebuild was
/// interrupted. They are not handed to the engine, which would have them all in memory.
fn is_far_behind(state: &ChainState, tip: Height) -> bool {
    let layers_max = u64::try_from(LAYERS_MAX).unwrap_or(u64::MAX);
    tip.0.saturating_sub(state.height.0) > layers_max
}

fn read_journal(database: &Database) -> Result<(Height, Vec<LogItem>), redb::Error> {
    Ok((journal::read_tip(database)?, journal::read_log(database)?))
}

/// Whether the file is filled; what is in it must be for this network, in this layout (D-8).
fn check_network(file: StoreFile, database: &Database, expected: GenesisHash) -> Result<bool, StoreError> {
    let Some([schema, genesis]) = read_network(database).map_err(|error| file.failed(error))? else {
        return Ok(false);
    };
    let schema =
        <[u8; 4]>::try_from(schema.as_slice()).map_err(|_| file.corrupt("its layout version is unreadable"))?;
    let found = u32::from_le_bytes(schema);
    if found != SCHEMA_VERSION {
        return Err(StoreError::OtherVersion { file, found, supported: SCHEMA_VERSION });
    }
    let genesis =
        <[u8; 32]>::try_from(genesis.as_slice()).map_err(|_| file.corrupt("its genesis hash is unreadable"))?;
    let found = GenesisHash(genesis);
    if found == expected { Ok(true) } else { Err(StoreError::OtherGenesis { file, found, expected }) }
}

fn read_network(database: &Database) -> Result<Option<[Vec<u8>; 2]>, redb::Error> {
    let meta = match database.begin_read()?.open_table(META) {
        Ok(meta) => meta,
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let value = |key| Ok::<_, redb::Error>(meta.get(key)?.map(|value| value.value().to_vec()).unwrap_or_default());
    Ok(Some([value(META_SCHEMA)?, value(META_GENESIS)?]))
}

fn fill_ledger(database: &Database, genesis: &Genesis, state: &ChainState) -> Result<(), redb::Error> {
    let transaction = durable_write(database)?;
    write_network(&transaction, genesis.hash())?;
    checkpoint::write_genesis(&transaction, genesis.utxos(), state)?;
    transaction.commit()?;
    Ok(())
}

fn fill_one(
    database: &Database,
    network: GenesisHash,
    table: TableDefinition<'static, u64, &'static [u8]>,
) -> Result<(), redb::Error> {
    let transaction = durable_write(database)?;
    write_network(&transaction, network)?;
    transaction.open_table(table)?;
    transaction.commit()?;
    Ok(())
}

fn write_network(transaction: &WriteTransaction, network: GenesisHash) -> Result<(), redb::Error> {
    let mut meta = transaction.open_table(META)?;
    meta.insert(META_SCHEMA, SCHEMA_VERSION.to_le_bytes().as_slice())?;
    meta.insert(META_GENESIS, network.0.as_slice())?;
    Ok(())
}

/// The commit of the checkpoint's block. That very block must be there: a checkpoint is made of durable blocks only, so a
/// ledger that is ahead is from another moment (D-8).
fn commit_of(blocks: &BlockFile, state: &ChainState) -> Result<Option<Commit>, StoreError> {
    if state.height.0 == 0 {
        return Ok(None);
    }
    match blocks.block(state.height)? {
        Some(block) if block.block.header.hash() == state.hash => Ok(Some(block.commit.clone())),
        _ => Err(StoreFile::Blocks.corrupt(format!(
            "it does not have block {} ({}), which ledger.redb was built from: the files are not of one moment",
            state.height, state.hash
        ))),
    }
}
