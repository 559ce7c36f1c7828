//! Committed blocks: one row each, the latest kept decoded.

use super::tables::{self, BLOCKS, META, META_BATCH};
use super::{StoreError, StoreFile, durable_write};
use crate::bounds::{BLOCKS_CACHED_MAX, CACHED_TRANSACTIONS_MAX};
use redb::{Database, ReadableDatabase, ReadableTable};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use timecoin_protocol::block::CommittedBlock;
use timecoin_protocol::codec::encode;
use timecoin_protocol::validator::Height;

/// The table of blocks, with the last decoded ones.
///
/// It has a file of its own because each commit saves the state of the file's allocator, which
/// grows with the file: half a gigabyte of blocks makes every commit 0.16 ms slower. The journal's
/// log, which commits with every turn, stays small.
#[derive(Debug)]
pub struct BlockFile {
    database: Database,
    /// The last height that the journal vouches for. Blocks above it are left over from a turn
    /// that was never completed: they are not there for anybody.
    tip: AtomicU64,
    recent: Mutex<VecDeque<Arc<CommittedBlock>>>,
}

impl BlockFile {
    /// The blocks up to `tip`, which is the journal's.
    pub fn new(database: Database, tip: Height) -> Self {
        Self { database, tip: AtomicU64::new(tip.0), recent: Mutex::default() }
    }

    /// Height of the last durable block; 0 if there is none.
    pub fn tip(&self) -> Height {
        Height(self.tip.load(Ordering::Acquire))
    }

    /// Decoded blocks in memory.
    pub fn cached(&self) -> usize {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The block at `height`, if it is durable.
    pub fn block(&self, height: Height) -> Result<Option<Arc<CommittedBlock>>, StoreError> {
        if height > self.tip() {
            return Ok(None);
        }
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let known = recent.iter().find(|known| known.block.header.height == height).cloned();
        drop(recent);
        if known.is_some() {
            return Ok(known);
        }
        let block = self.read(height).map_err(|error| StoreFile::Blocks.failed(error))?.map(Arc::new);
        if let Some(block) = &block {
            self.remember(block);
        }
        Ok(block)
    }

    /// Writes blocks to the disk; they count once the journal vouches for them.
    pub fn write<'a>(&self, blocks: impl Iterator<Item = &'a Arc<CommittedBlock>>) -> Result<(), StoreError> {
        let write = || -> Result<(), redb::Error> {
            let transaction = durable_write(&self.database)?;
            let mut table = transaction.open_table(BLOCKS)?;
            let mut first = true;
            for block in blocks {
                if std::mem::take(&mut first) {
                    let height = block.block.header.height.0.to_le_bytes();
                    transaction.open_table(META)?.insert(META_BATCH, height.as_slice())?;
                }
                table.insert(block.block.header.height.0, encode(&**block).as_slice())?;
            }
            drop(table);
            transaction.commit()?;
            Ok(())
        };
        write().map_err(|error| StoreFile::Blocks.failed(error))
    }

    /// The journal vouches for `block`, the one after the last.
    pub fn accept(&self, block: &Arc<CommittedBlock>) {
        self.remember(block);
        self.tip.store(block.block.header.height.0, Ordering::Release);
    }

    /// Keeps a durable block decoded; the one kept longest makes room.
    fn remember(&self, block: &Arc<CommittedBlock>) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.push_back(Arc::clone(block));
        let mut transactions: usize = recent.iter().map(|block| block.block.transactions.len()).sum();
        while recent.len() > BLOCKS_CACHED_MAX || (transactions > CACHED_TRANSACTIONS_MAX && recent.len() > 1) {
            transactions -= recent.pop_front().map_or(0, |block| block.block.transactions.len());
        }
    }

    fn read(&self, height: Height) -> Result<Option<CommittedBlock>, redb::Error> {
        let blocks = self.database.begin_read()?.open_table(BLOCKS)?;
        blocks.get(height.0)?.map(|bytes| tables::decode(bytes.value())).transpose()
    }
}

/// What a file of blocks says of itself, whatever a journal vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Height of the last block, 0 if there is none.
    pub last: Height,
    /// Height of the first block of the last turn that wrote any.
    pub batch: Option<Height>,
}

/// Reads it.
pub fn written(database: &Database) -> Result<Written, redb::Error> {
    let read = database.begin_read()?;
    let last = read.open_table(BLOCKS)?.last()?.map_or(0, |(height, _)| height.value());
    let meta = read.open_table(META)?;
    let batch = meta.get(META_BATCH)?.and_then(|bytes| bytes.value().try_into().ok());
    Ok(Written { last: Height(last), batch: batch.map(u64::from_le_bytes).map(Height) })
}
