//! The pool as a wallet sees it: what it spends, and what it adds for an owner.

use crate::view::{PoolEntry, View};
use std::collections::HashMap;
use timecoin_protocol::address::Owner;
use timecoin_protocol::amount::Amount;
use timecoin_protocol::engine::Status;
use timecoin_protocol::transaction::{OutPoint, Output, Transaction};

/// One reading of the pool. Costs a pass over the pool, which is bounded.
#[derive(Clone, Debug, Default)]
pub struct PoolView {
    /// Outputs that pool transactions spend, and whether one of these is final.
    spent: HashMap<OutPoint, bool>,
    /// Outputs made for the owner, and whether by a final transaction.
    made: HashMap<OutPoint, (Output, bool)>,
}

impl PoolView {
    /// Reads the pool; of the outputs made, those of `owner` are kept.
    #[must_use]
    pub fn read(view: &View, owner: &Owner) -> Self {
        let mut pool = Self::default();
        for entry in &view.pool {
            pool.add(entry.value(), owner);
        }
        pool
    }

    fn add(&mut self, entry: &PoolEntry, owner: &Owner) {
        let is_final = matches!(entry.status, Status::Final(_));
        for input in &entry.transaction.body.inputs {
            *self.spent.entry(*input).or_default() |= is_final;
        }
        let txid = entry.admitted.txid;
        for (index, output) in (0_u32..).zip(&entry.transaction.body.outputs) {
            if output.lock.owner() == owner {
                self.made.insert(OutPoint { txid, index }, (*output, is_final));
            }
        }
    }

    /// Whether a pool transaction spends this output.
    #[must_use]
    pub fn spends(&self, outpoint: &OutPoint) -> bool {
        self.spent.contains_key(outpoint)
    }

    /// Whether a final pool transaction spends this output.
    #[must_use]
    pub fn spends_finally(&self, outpoint: &OutPoint) -> bool {
        self.spent.get(outpoint).is_some_and(|is_final| *is_final)
    }

    /// The owner's outputs of final transactions that no pool transaction spends.
    pub fn final_outputs(&self) -> impl Iterator<Item = (OutPoint, Output)> + '_ {
        self.made
            .iter()
            .filter(|(outpoint, (_, is_final))| *is_final && !self.spends(outpoint))
            .map(|(outpoint, (output, _))| (*outpoint, *output))
    }

    /// Leaves out an output that was found in a block: its transaction is about to leave the pool.
    pub fn forget(&mut self, outpoint: &OutPoint) {
        self.made.remove(outpoint);
    }

    /// All of the owner's outputs that pool transactions made, and whether these are final.
    pub fn made(&self) -> impl Iterator<Item = (&OutPoint, &Output, bool)> {
        self.made.iter().map(|(outpoint, (output, is_final))| (outpoint, output, *is_final))
    }
}

/// Whether a pool transaction spends this one output; for many, [`PoolView::read`] is cheaper.
#[must_use]
pub fn is_spent_by_pool(view: &View, outpoint: &OutPoint) -> bool {
    view.pool.iter().any(|entry| entry.transaction.body.inputs.contains(outpoint))
}

/// Whether `owner` signed the transaction: the witnesses are one for each owner of an input (L-6).
#[must_use]
pub fn is_spender(transaction: &Transaction, owner: &Owner) -> bool {
    transaction.witnesses.iter().any(|witness| Owner::from(&witness.key) == *owner)
}

/// The sum that a transaction pays to `owner`.
#[must_use]
pub fn paid_to(outputs: &[Output], owner: &Owner) -> Amount {
    let mine = outputs.iter().filter(|output| output.lock.owner() == owner).map(|output| output.amount);
    // Valid transactions never overflow; for others any answer will do.
    Amount::checked_sum(mine).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use timecoin_protocol::engine::{Admitted, Path, Time};
    use timecoin_protocol::hash::Txid;
    use timecoin_protocol::transaction::{Lock, TransactionBody};

    const ME: Owner = Owner([1; 20]);

    fn entry(spends: OutPoint, pays: &[(Owner, u64)], status: Status) -> PoolEntry {
        let outputs =
            pays.iter().map(|(owner, units)| Output { amount: Amount(*units), lock: Lock::Address(*owner) }).collect();
        let body = TransactionBody { inputs: vec![spends], outputs, memo: Vec::new() };
        let transaction = Arc::new(Transaction { body, witnesses: Vec::new() });
        let admitted = Admitted { txid: transaction.txid(), fee: Amount(1_000), bytes: 100, conflict: None };
        PoolEntry { transaction, admitted, admitted_at: Time(0), status, final_at: None }
    }

    fn coin(byte: u8) -> OutPoint {
        OutPoint { txid: Txid([byte; 32]), index: 0 }
    }

    #[test]
    fn only_outputs_of_final_transactions_can_be_built_on() {
        let mut pool = PoolView::default();
        let certain = entry(coin(1), &[(ME, 10), (Owner([2; 20]), 20)], Status::Final(Path::Sampled));
        pool.add(&certain, &ME);
        pool.add(&entry(coin(2), &[(ME, 30)], Status::Pending), &ME);
        let outputs: Vec<_> = pool.final_outputs().collect();
        assert_eq!(outputs.len(), 1);
        assert_eq!(outputs[0].0, OutPoint { txid: certain.admitted.txid, index: 0 });
    }

    #[test]
    fn an_output_that_a_pool_transaction_spends_is_gone_even_if_its_maker_is_final() {
        let mut pool = PoolView::default();
        let parent = entry(coin(1), &[(ME, 10)], Status::Final(Path::Sampled));
        let made = OutPoint { txid: parent.admitted.txid, index: 0 };
        pool.add(&parent, &ME);
        pool.add(&entry(made, &[(ME, 9)], Status::Pending), &ME);
        assert!(pool.spends(&made) && !pool.spends_finally(&made));
        assert_eq!(pool.final_outputs().count(), 0);
    }

    #[test]
    fn an_output_found_in_a_block_is_not_counted_a_second_time() {
        let mut pool = PoolView::default();
        let parent = entry(coin(1), &[(ME, 10)], Status::Final(Path::Sampled));
        pool.add(&parent, &ME);
        pool.forget(&OutPoint { txid: parent.admitted.txid, index: 0 });
        assert_eq!((pool.made().count(), pool.final_outputs().count()), (0, 0));
    }

    #[test]
    fn of_two_rivals_the_final_one_spends_finally() {
        let mut pool = PoolView::default();
        pool.add(&entry(coin(1), &[(ME, 10)], Status::Final(Path::Sampled)), &ME);
        pool.add(&entry(coin(1), &[(ME, 11)], Status::Contested(Txid([9; 32]))), &ME);
        assert!(pool.spends_finally(&coin(1)));
    }
}
