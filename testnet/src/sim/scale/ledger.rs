//! One UTXO set for all nodes: genesis, and on top of it the blocks that each node has.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use timecoin_protocol::engine::Ledger;
use timecoin_protocol::genesis::Genesis;
use timecoin_protocol::hash::{BlockHash, Txid};
use timecoin_protocol::ledger::{BlockDelta, Unavailable, UtxoSet};
use timecoin_protocol::transaction::{OutPoint, Utxo};
use timecoin_protocol::validator::Height;

/// The effect of one block.
#[derive(Debug)]
struct Layer {
    height: Height,
    spent: HashSet<OutPoint>,
    created: HashMap<OutPoint, Utxo>,
    txids: HashSet<Txid>,
}

/// What all nodes share: genesis, and each block's effect once.
#[derive(Debug, Default)]
struct Shared {
    genesis: HashMap<OutPoint, Utxo>,
    layers: RefCell<HashMap<BlockHash, Rc<Layer>>>,
}

/// The UTXO set of one node.
#[derive(Clone, Debug)]
pub(super) struct SharedLedger {
    shared: Rc<Shared>,
    /// The blocks of this node, lowest first.
    layers: Vec<Rc<Layer>>,
}

impl SharedLedger {
    pub fn at_genesis(genesis: &Genesis) -> Self {
        let shared = Shared { genesis: genesis.utxos().collect(), layers: RefCell::default() };
        Self { shared: Rc::new(shared), layers: Vec::new() }
    }
}

impl UtxoSet for SharedLedger {
    fn utxo(&self, outpoint: &OutPoint) -> Result<Option<Utxo>, Unavailable> {
        for layer in self.layers.iter().rev() {
            if layer.spent.contains(outpoint) {
                return Ok(None);
            }
            if let Some(utxo) = layer.created.get(outpoint) {
                return Ok(Some(*utxo));
            }
        }
        Ok(self.shared.genesis.get(outpoint).copied())
    }
}

impl Ledger for SharedLedger {
    fn push(&mut self, delta: &Arc<BlockDelta>) {
        let mut known = self.shared.layers.borrow_mut();
        let layer = known.entry(delta.state.hash).or_insert_with(|| {
            Rc::new(Layer {
                height: delta.state.height,
                spent: delta.spent.iter().map(|(outpoint, _)| *outpoint).collect(),
                created: delta.created.iter().copied().collect(),
                txids: delta.txids.iter().copied().collect(),
            })
        });
        self.layers.push(Rc::clone(layer));
    }

    fn committed_at(&self, txid: &Txid) -> Result<Option<Height>, Unavailable> {
        Ok(self.layers.iter().find(|layer| layer.txids.contains(txid)).map(|layer| layer.height))
    }
}
