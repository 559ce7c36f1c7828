//! Opening a data directory (`SPEC.md` D-5, D-8).

use super::block_file::{self, BlockFile};
use super::checkpoint;
use super::directory::DirectoryLock;
use super::journal::{self, JournalFile, LogItem};
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
use timecoin_protocol::engine::Record;
use timecoin_protocol::genesis::Genesis;
use timecoin_protocol::hash::GenesisHash;
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
        let lock = Arc::new(DirectoryLock::acquire(dir)?);
        let create = |file: StoreFile| builder(file).create(dir.join(file.name())).map_err(|error| file.failed(error));
        let files = Files {
            journal: create(StoreFile::Journal)?,
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
        let create =
            |file: StoreFile, disk| builder(file).create_with_backend(disk).map_err(|error| file.failed(error));
        let files = Files {
            journal: create(StoreFile::Journal, disks.journal)?,
            blocks: create(StoreFile::Blocks, disks.blocks)?,
            ledger: create(StoreFile::Ledger, disks.ledger)?,
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
        StoreFile::Journal => JOURNAL_CACHE_BYTES,
        StoreFile::Blocks => BLOCKS_CACHE_BYTES,
        StoreFile::Ledger => LEDGER_CACHE_BYTES,
    });
    builder
}

/// The databases, not yet looked into.
struct Files {
    journal: Database,
    blocks: Database,
    ledger: Database,
    lock: Option<Arc<DirectoryLock>>,
}

impl Files {
    fn open(
        self,
        genesis: &Genesis,
        checkpoints: impl FnOnce(&Arc<Published>) -> Result<Checkpoints, StoreError>,
    ) -> Result<Opened, StoreError> {
        let is_new_ledger = self.fill(genesis)?;
        let (base, mut state) = Snapshot::open(&self.ledger).map_err(|error| StoreFile::Ledger.failed(error))?;
        let (tip, log) = read_journal(&self.journal).map_err(|error| StoreFile::Journal.failed(error))?;
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
            journal: JournalFile::open(self.journal, Arc::clone(&blocks), self.lock.clone())?,
            ledger,
            reader: Arc::new(ChainReader::new(published, blocks, self.lock)),
            state,
            last_commit,
        })
    }

    /// Fills what is new, and refuses what is not for this network (D-8). The journal is last: it
    /// is missing only if nothing was ever appended, or if somebody removed it. Says whether the
    /// ledger was new.
    fn fill(&self, genesis: &Genesis) -> Result<bool, StoreError> {
        let network = genesis.hash();
        let is_new_ledger = !check_network(StoreFile::Ledger, &self.ledger, network)?;
        if is_new_ledger {
            let state = genesis_state(genesis)?;
            fill_ledger(&self.ledger, genesis, &state).map_err(|error| StoreFile::Ledger.failed(error))?;
        }
        if !check_network(StoreFile::Blocks, &self.blocks, network)? {
            fill_one(&self.blocks, network, BLOCKS).map_err(|error| StoreFile::Blocks.failed(error))?;
        }
        if !check_network(StoreFile::Journal, &self.journal, network)? {
            if !block_file::is_empty(&self.blocks).map_err(|error| StoreFile::Blocks.failed(error))? {
                return Err(StoreFile::Journal.corrupt("it is missing or empty, although there are blocks"));
            }
            fill_one(&self.journal, network, LOG).map_err(|error| StoreFile::Journal.failed(error))?;
        }
        Ok(is_new_ledger)
    }
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

/// The commit of the checkpoint's block. The journal must know that very block: a checkpoint is
/// made of durable blocks only, so a ledger that is ahead is from another moment (D-8).
fn commit_of(blocks: &BlockFile, state: &ChainState) -> Result<Option<Commit>, StoreError> {
    if state.height.0 == 0 {
        return Ok(None);
    }
    match blocks.block(state.height)? {
        Some(block) if block.block.header.hash() == state.hash => Ok(Some(block.commit.clone())),
        _ => Err(StoreFile::Journal.corrupt(format!(
            "it does not know block {} ({}), which ledger.redb was built from: the files are not of one moment",
            state.height, state.hash
        ))),
    }
}
