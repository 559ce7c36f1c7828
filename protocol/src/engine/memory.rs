//! A ledger that is nowhere but in memory: for tests, models and fuzzing, which need no other.

use super::Ledger;
use crate::hash::Txid;
use crate::ledger::{BlockDelta, Unavailable, UtxoSet};
use crate::transaction::{OutPoint, Utxo};
use crate::validator::Height;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::fmt;

/// All unspent outputs, and the height of every transaction that is in a block. It never fails, and it grows with the chain.
#[derive(Clone, Default)]
pub struct MemoryLedger {
    utxos: BTreeMap<OutPoint, Utxo>,
    heights: BTreeMap<Txid, Height>,
}

impl MemoryLedger {
    /// With these outputs unspent, and no block.
    pub fn new(utxos: impl IntoIterator<Item = (OutPoint, Utxo)>) -> Self {
        Self { utxos: utxos.into_iter().collect(), heights: BTreeMap::new() }
    }

    /// All unspent outputs, in order.
    pub fn utxos(&self) -> impl Iterator<Item = (&OutPoint, &Utxo)> {
        self.utxos.iter()
    }
}

/// Counts alone: what is in it follows from the chain.
impl fmt::Debug for MemoryLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryLedger({} unspent, {} committed)", self.utxos.len(), self.heights.len())
    }
}

impl UtxoSet for MemoryLedger {
    fn utxo(&self, outpoint: &OutPoint) -> Result<Option<Utxo>, Unavailable> {
        self.utxos.utxo(outpoint)
    }
}

impl Ledger for MemoryLedger {
    fn push(&mut self, delta: &Arc<BlockDelta>) {
        for (outpoint, _) in &delta.spent {
            self.utxos.remove(outpoint);
        }
        self.utxos.extend(delta.created.iter().copied());
        self.heights.extend(delta.txids.iter().map(|txid| (*txid, delta.state.height)));
    }

    fn committed_at(&self, txid: &Txid) -> Result<Option<Height>, Unavailable> {
        Ok(self.heights.get(txid).copied())
    }
}
