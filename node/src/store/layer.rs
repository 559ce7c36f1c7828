//! One block's effect in memory, made for lookups.

use hashbrown::HashMap;
use std::sync::Arc;
use timecoin_protocol::address::Owner;
use timecoin_protocol::block::CommittedBlock;
use timecoin_protocol::hash::Txid;
use timecoin_protocol::ledger::BlockDelta;
use timecoin_protocol::transaction::{OutPoint, Utxo};
use timecoin_protocol::validator::Height;

/// What consensus looks up: made as soon as the block is decided.
#[derive(Debug)]
pub struct Changes {
    delta: Arc<BlockDelta>,
    /// Made (some) or spent (none) by this block. What it both made and spent counts as spent.
    outputs: HashMap<OutPoint, Option<Utxo>>,
    /// Position of each transaction in the block.
    positions: HashMap<Txid, u32>,
}

impl Changes {
    pub fn new(delta: &Arc<BlockDelta>) -> Self {
        let made = delta.created.iter().map(|(outpoint, utxo)| (*outpoint, Some(*utxo)));
        let gone = delta.spent.iter().chain(&delta.ephemeral).map(|(outpoint, _)| (*outpoint, None));
        Self {
            outputs: made.chain(gone).collect(),
            positions: transactions(delta).map(|(position, txid)| (txid, position)).collect(),
            delta: Arc::clone(delta),
        }
    }

    pub fn height(&self) -> Height {
        self.delta.state.height
    }

    pub fn delta(&self) -> &BlockDelta {
        &self.delta
    }

    /// Some if this block made or spent the output: the output, or none if it is gone.
    pub fn output(&self, outpoint: &OutPoint) -> Option<Option<Utxo>> {
        self.outputs.get(outpoint).copied()
    }

    /// Position of a transaction in this block.
    pub fn position(&self, txid: &Txid) -> Option<u32> {
        self.positions.get(txid).copied()
    }

    /// How much work a checkpoint has with this block, in rows.
    pub fn rows(&self) -> usize {
        self.outputs.len() + self.positions.len()
    }
}

/// What a block did to one owner.
#[derive(Debug, Default)]
pub struct OwnerChanges {
    /// Outputs made and not spent by this block, in order.
    pub created: Vec<(OutPoint, Utxo)>,
    /// Transactions that paid the owner or spent its outputs, by position.
    pub history: Vec<(u32, Txid)>,
}

/// A durable block's effect with what readers look up besides.
#[derive(Debug)]
pub struct Layer {
    changes: Changes,
    owners: HashMap<Owner, OwnerChanges>,
}

impl Layer {
    /// `block` is the block that `changes` come from.
    pub fn new(changes: Changes, block: &CommittedBlock) -> Self {
        let mut owners: HashMap<Owner, OwnerChanges> = HashMap::new();
        for (outpoint, utxo) in &changes.delta.created {
            owners.entry(*utxo.output.lock.owner()).or_default().created.push((*outpoint, *utxo));
        }
        for (position, txid, owner) in touched(&changes.delta, block) {
            let history = &mut owners.entry(owner).or_default().history;
            if history.last().is_none_or(|(last, _)| *last != position) {
                history.push((position, txid));
            }
        }
        for owner in owners.values_mut() {
            owner.created.sort_unstable_by_key(|(outpoint, _)| *outpoint);
        }
        Self { changes, owners }
    }

    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    pub fn owner(&self, owner: &Owner) -> Option<&OwnerChanges> {
        self.owners.get(owner)
    }

    pub fn owners(&self) -> impl Iterator<Item = (&Owner, &OwnerChanges)> {
        self.owners.iter()
    }
}

/// All transactions of a block with their positions: the coinbase at 0, transfers from 1.
pub fn transactions(delta: &BlockDelta) -> impl Iterator<Item = (u32, Txid)> + '_ {
    (0_u32..).zip(std::iter::once(delta.coinbase).chain(delta.txids.iter().copied()))
}

/// Which transaction, by rising position, touched which owner; some more than once.
fn touched<'a>(delta: &'a BlockDelta, block: &'a CommittedBlock) -> impl Iterator<Item = (u32, Txid, Owner)> + 'a {
    let spent: HashMap<OutPoint, Owner> = delta
        .spent
        .iter()
        .chain(&delta.ephemeral)
        .map(|(outpoint, utxo)| (*outpoint, *utxo.output.lock.owner()))
        .collect();
    let bodies =
        std::iter::once(&block.block.coinbase).chain(block.block.transactions.iter().map(|transfer| &transfer.body));
    transactions(delta).zip(bodies).flat_map(move |((position, txid), body)| {
        let payers = body.inputs.iter().filter_map(|input| spent.get(input).copied());
        let payees = body.outputs.iter().map(|output| *output.lock.owner());
        payers.chain(payees).map(|owner| (position, txid, owner)).collect::<Vec<_>>()
    })
}
