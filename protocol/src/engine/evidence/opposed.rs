//! Payments that another one spends an output with: what is kept to notice who votes for both (`SPEC.md` X-3).

use super::super::ByTxid;
use crate::bounds::OPPOSED_MAX;
use crate::hash::Txid;
use crate::transaction::{OutPoint, Transaction};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Their bodies, also of those that have lost or are in a block.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Opposed {
    bodies: ByTxid<Arc<Transaction>>,
    spenders: BTreeMap<OutPoint, Vec<Txid>>,
    order: VecDeque<Txid>,
}

impl Opposed {
    /// Whether a payment is among them. Costs next to nothing while there are none.
    pub fn contains(&self, txid: &Txid) -> bool {
        self.bodies.contains_key(txid)
    }

    pub fn len(&self) -> usize {
        self.bodies.len().max(self.order.len())
    }

    pub fn body(&self, txid: &Txid) -> Option<&Arc<Transaction>> {
        self.bodies.get(txid)
    }

    pub fn add(&mut self, txid: Txid, transaction: &Arc<Transaction>) {
        if self.bodies.insert(txid, Arc::clone(transaction)).is_some() {
            return;
        }
        self.order.push_back(txid);
        for input in &transaction.body.inputs {
            self.spenders.entry(*input).or_default().push(txid);
        }
        while self.order.len() > OPPOSED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.forget(&oldest);
        }
    }

    fn forget(&mut self, txid: &Txid) {
        let Some(transaction) = self.bodies.remove(txid) else { return };
        for input in &transaction.body.inputs {
            if let Some(spenders) = self.spenders.get_mut(input) {
                spenders.retain(|other| other != txid);
                if spenders.is_empty() {
                    self.spenders.remove(input);
                }
            }
        }
    }

    /// The others that spend an output together with this one; each once.
    pub fn rivals(&self, txid: &Txid) -> BTreeSet<Txid> {
        let inputs = self.bodies.get(txid).into_iter().flat_map(|transaction| &transaction.body.inputs);
        let spenders = inputs.filter_map(|input| self.spenders.get(input)).flatten();
        spenders.filter(|other| *other != txid).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    //! Rules: X-3.

    use super::*;
    use crate::transaction::TransactionBody;
    use alloc::vec;

    fn spend(inputs: &[u32], memo: u32) -> Arc<Transaction> {
        let inputs = inputs.iter().map(|index| OutPoint { txid: Txid([1; 32]), index: *index }).collect();
        let body = TransactionBody { inputs, outputs: vec![], memo: memo.to_le_bytes().to_vec() };
        Arc::new(Transaction { body, witnesses: vec![] })
    }

    fn add(opposed: &mut Opposed, inputs: &[u32], memo: u32) -> Txid {
        let transaction = spend(inputs, memo);
        opposed.add(transaction.txid(), &transaction);
        transaction.txid()
    }

    #[test]
    fn rivals_share_an_output_x_3() {
        let mut opposed = Opposed::default();
        let (left, right) = (add(&mut opposed, &[1, 2], 0), add(&mut opposed, &[2, 3], 0));
        let far = add(&mut opposed, &[3, 4], 0);
        assert_eq!(opposed.rivals(&left), [right].into());
        assert_eq!(opposed.rivals(&right), [left, far].into());
        assert_eq!(opposed.rivals(&Txid([9; 32])), [].into());
    }

    #[test]
    fn the_oldest_is_forgotten_first_and_as_a_whole_x_3() {
        let mut opposed = Opposed::default();
        let first = add(&mut opposed, &[1], 0);
        let second = add(&mut opposed, &[1], 1);
        for memo in 2..OPPOSED_MAX as u32 {
            add(&mut opposed, &[memo], memo);
        }
        assert!(opposed.contains(&first));
        add(&mut opposed, &[2], 0);
        assert!(!opposed.contains(&first) && opposed.contains(&second));
        assert_eq!(opposed.rivals(&second), [].into());
        assert_eq!(opposed.bodies.len(), OPPOSED_MAX);
    }
}
