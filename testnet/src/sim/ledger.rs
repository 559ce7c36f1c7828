//! A UTXO set in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use timecoin_protocol::engine::Ledger;
use timecoin_protocol::genesis::Genesis;
use timecoin_protocol::hash::Txid;
use timecoin_protocol::ledger::{BlockDelta, Unavailable, UtxoSet};
use timecoin_protocol::transaction::{OutPoint, Utxo};
use timecoin_protocol::validator::Height;

/// A UTXO set in memory, with the heights of all transactions.
#[derive(Clone, Debug)]
pub(super) struct MemoryLedger {
    utxos: BTreeMap<OutPoint, Utxo>,
    heights: BTreeMap<Txid, Height>,
}

impl MemoryLedger {
    pub fn at_genesis(genesis: &Genesis) -> Self {
        Self { utxos: genesis.utxos().collect(), heights: BTreeMap::new() }
    }
}

impl UtxoSet for MemoryLedger {
    fn utxo(&self, outpoint: &OutPoint) -> Result<Option<Utxo>, Unavailable> {
        Ok(self.utxos.get(outpoint).copied())
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
