//! Committed state for RPC and peers.

use super::block_file::BlockFile;
use super::directory::DirectoryLock;
use super::published::Published;
use super::{StoreError, StoreFile};
use std::sync::Arc;
use timecoin_protocol::address::Owner;
use timecoin_protocol::block::CommittedBlock;
use timecoin_protocol::hash::{BlockHash, Txid};
use timecoin_protocol::transaction::{OutPoint, Transaction, Utxo};
use timecoin_protocol::validator::Height;

/// A transaction in a block.
#[derive(Clone, Debug)]
pub struct StoredTransaction {
    /// Height of its block.
    pub height: Height,
    /// Position in the block: 0 is the coinbase, transfers follow from 1.
    pub position: u32,
    /// The transaction; a coinbase has no witnesses.
    pub transaction: Transaction,
    /// Its block.
    pub block: Arc<CommittedBlock>,
}

/// Reads committed state; cheap to call from many threads, blocks on disk at most (call it from
/// a blocking thread). Each call sees one moment; a block is seen once it is published.
#[derive(Debug)]
pub struct ChainReader {
    published: Arc<Published>,
    blocks: Arc<BlockFile>,
    _lock: Option<Arc<DirectoryLock>>,
}

impl ChainReader {
    pub(super) fn new(published: Arc<Published>, blocks: Arc<BlockFile>, lock: Option<Arc<DirectoryLock>>) -> Self {
        Self { published, blocks, _lock: lock }
    }

    /// Height of the last block; 0 is genesis.
    #[must_use]
    pub fn tip(&self) -> Height {
        self.published.overlay().tip()
    }

    /// The block at a height above 0.
    ///
    /// # Errors
    /// Storage failed.
    pub fn block(&self, height: Height) -> Result<Option<Arc<CommittedBlock>>, StoreError> {
        if height > self.tip() { Ok(None) } else { self.blocks.block(height) }
    }

    /// Decoded blocks in memory.
    #[must_use]
    pub fn blocks_cached(&self) -> usize {
        self.blocks.cached()
    }

    /// Height of the block with this hash (not for genesis).
    ///
    /// # Errors
    /// Storage failed.
    pub fn height_of(&self, hash: &BlockHash) -> Result<Option<Height>, StoreError> {
        self.published.overlay().height_of(hash).map_err(|error| StoreFile::Ledger.failed(error))
    }

    /// A transaction in a block.
    ///
    /// # Errors
    /// Storage failed.
    pub fn transaction(&self, txid: &Txid) -> Result<Option<StoredTransaction>, StoreError> {
        let place = self.published.overlay().place_of(txid).map_err(|error| StoreFile::Ledger.failed(error))?;
        let Some((height, position)) = place else { return Ok(None) };
        let missing = || StoreFile::Blocks.corrupt(format!("block {height} lacks transaction {position}"));
        let block = self.blocks.block(height)?.ok_or_else(missing)?;
        let transaction = transaction_at(&block, position).ok_or_else(missing)?;
        Ok(Some(StoredTransaction { height, position, transaction, block }))
    }

    /// An unspent output.
    ///
    /// # Errors
    /// Storage failed.
    pub fn utxo(&self, outpoint: &OutPoint) -> Result<Option<Utxo>, StoreError> {
        self.published.overlay().utxo(outpoint).map_err(|error| StoreFile::Ledger.failed(error))
    }

    /// Up to `limit` unspent outputs of an owner (bonds and unbonding ones too), in order of outpoint, after `after`.
    ///
    /// # Errors
    /// Storage failed.
    pub fn utxos_of(
        &self,
        owner: &Owner,
        after: Option<OutPoint>,
        limit: usize,
    ) -> Result<Vec<(OutPoint, Utxo)>, StoreError> {
        self.published.overlay().utxos_of(owner, after, limit).map_err(|error| StoreFile::Ledger.failed(error))
    }

    /// Up to `limit` transactions that paid or spent outputs of an owner, newest first, below
    /// `before` (height, position).
    ///
    /// # Errors
    /// Storage failed.
    pub fn history_of(
        &self,
        owner: &Owner,
        before: Option<(Height, u32)>,
        limit: usize,
    ) -> Result<Vec<(Height, u32, Txid)>, StoreError> {
        self.published.overlay().history_of(owner, before, limit).map_err(|error| StoreFile::Ledger.failed(error))
    }
}

fn transaction_at(block: &CommittedBlock, position: u32) -> Option<Transaction> {
    match usize::try_from(position).ok()?.checked_sub(1) {
        None => Some(Transaction { body: block.block.coinbase.clone(), witnesses: Vec::new() }),
        Some(index) => block.block.transactions.get(index).cloned(),
    }
}
