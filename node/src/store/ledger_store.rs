//! The ledger as consensus sees it: what readers see, and blocks above that are decided but not
//! yet durable.

use super::block_file::BlockFile;
use super::directory::DirectoryLock;
use super::layer::{Changes, Layer};
use super::published::{Checkpoints, Published};
use super::{StoreError, StoreFile};
use std::sync::Arc;
use timecoin_protocol::engine::Ledger;
use timecoin_protocol::hash::Txid;
use timecoin_protocol::ledger::{BlockDelta, Unavailable, UtxoSet};
use timecoin_protocol::transaction::{OutPoint, Utxo};
use timecoin_protocol::validator::Height;

/// The UTXO set and the place of transactions. There is one, and the driver has it.
#[derive(Debug)]
pub struct LedgerStore {
    /// Decided in this turn: seen here at once, by readers after [`publish`](Self::publish).
    pending: Vec<Changes>,
    published: Arc<Published>,
    blocks: Arc<BlockFile>,
    checkpoints: Checkpoints,
    _lock: Option<Arc<DirectoryLock>>,
}

impl LedgerStore {
    pub(super) fn new(
        published: Arc<Published>,
        blocks: Arc<BlockFile>,
        checkpoints: Checkpoints,
        lock: Option<Arc<DirectoryLock>>,
    ) -> Self {
        Self { pending: Vec::new(), published, blocks, checkpoints, _lock: lock }
    }

    /// Shows readers the blocks pushed so far; call it after each commit of the journal, and once
    /// after a restore. Without new blocks it costs nothing.
    ///
    /// Waits for the checkpoint in the background if that is too far behind (D-10): here rather
    /// than in `push`, because what is waited for may be the blocks of this very turn.
    ///
    /// # Errors
    /// A block is not in the journal (D-1), or storage failed, now or in the background; the node
    /// must stop.
    pub fn publish(&mut self) -> Result<(), StoreError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        for changes in std::mem::take(&mut self.pending) {
            let height = changes.height();
            let block = self.blocks.block(height)?.ok_or(StoreError::NotDurable(height))?;
            self.published.add(&Arc::new(Layer::new(changes, &block)));
        }
        self.checkpoints.run(&self.published)
    }

    /// Layers above the checkpoint and the rows in them (D-10), those of this turn not among them.
    #[must_use]
    pub fn above_checkpoint(&self) -> (usize, usize) {
        let overlay = self.published.overlay();
        (overlay.layers().len(), overlay.rows())
    }

    /// Moves everything published into the ledger's file, so that the next start replays nothing;
    /// for a clean stop. It may take a second.
    ///
    /// # Errors
    /// Storage failed. Nothing is lost: the next start replays the blocks.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        self.published.checkpoint()
    }

    /// Logs why storage failed; the caller gets only [`Unavailable`] (D-11).
    fn read<T>(result: Result<T, redb::Error>) -> Result<T, Unavailable> {
        result.map_err(|error| {
            let error = StoreFile::Ledger.failed(error);
            tracing::error!(%error, "the ledger cannot be read");
            Unavailable
        })
    }
}

impl UtxoSet for LedgerStore {
    fn utxo(&self, outpoint: &OutPoint) -> Result<Option<Utxo>, Unavailable> {
        match self.pending.iter().rev().find_map(|changes| changes.output(outpoint)) {
            Some(output) => Ok(output),
            None => Self::read(self.published.overlay().utxo(outpoint)),
        }
    }
}

impl Ledger for LedgerStore {
    fn push(&mut self, delta: &Arc<BlockDelta>) {
        self.pending.push(Changes::new(delta));
    }

    fn committed_at(&self, txid: &Txid) -> Result<Option<Height>, Unavailable> {
        match self.pending.iter().find(|changes| changes.position(txid).is_some()) {
            Some(changes) => Ok(Some(changes.height())),
            None => Ok(Self::read(self.published.overlay().place_of(txid))?.map(|(height, _)| height)),
        }
    }
}
