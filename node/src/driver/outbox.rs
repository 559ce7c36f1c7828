//! Transactions on their way into gossip: the first leaves at once, those that follow within a few
//! milliseconds share a message (`SPEC.md` N-3).

use crate::bounds::GOSSIP_INTERVAL_MS;
use std::sync::Arc;
use timecoin_protocol::bounds::{GOSSIP_TRANSACTIONS_BYTES_TARGET, GOSSIP_TRANSACTIONS_MAX};
use timecoin_protocol::codec::{encode, encoded_len};
use timecoin_protocol::engine::Time;
use timecoin_protocol::transaction::Transaction;

/// Transactions that wait for company. Bounded by what the engine admits within
/// [`GOSSIP_INTERVAL_MS`]: it leaves at the end of the first turn after that.
#[derive(Debug, Default)]
pub struct Outbox {
    waiting: Vec<Arc<Transaction>>,
    free_at: Time,
}

impl Outbox {
    /// Adds transactions; parents come before children.
    pub fn add(&mut self, transactions: Vec<Arc<Transaction>>) {
        self.waiting.extend(transactions);
    }

    /// When what waits is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        (!self.waiting.is_empty()).then_some(self.free_at)
    }

    /// The encoded messages that are due, each a `TransactionBatch`.
    pub fn due(&mut self, now: Time) -> Vec<Vec<u8>> {
        if self.waiting.is_empty() || now < self.free_at {
            return Vec::new();
        }
        self.free_at = now.plus_ms(GOSSIP_INTERVAL_MS);
        pack(&std::mem::take(&mut self.waiting))
    }
}

fn pack(transactions: &[Arc<Transaction>]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    let (mut batch, mut bytes): (Vec<&Arc<Transaction>>, usize) = (Vec::new(), 0);
    for transaction in transactions {
        let len = encoded_len(transaction);
        let full = batch.len() >= GOSSIP_TRANSACTIONS_MAX || bytes + len > GOSSIP_TRANSACTIONS_BYTES_TARGET;
        if full && !batch.is_empty() {
            // A list of references encodes as the batch that it stands for (W-1).
            messages.push(encode(&batch));
            batch.clear();
            bytes = 0;
        }
        bytes += len;
        batch.push(transaction);
    }
    messages.push(encode(&batch));
    messages
}

#[cfg(test)]
mod tests {
    use super::*;
    use timecoin_protocol::bounds::GOSSIP_BYTES_MAX;
    use timecoin_protocol::codec::decode;
    use timecoin_protocol::transaction::TransactionBody;
    use timecoin_protocol::wire::TransactionBatch;

    fn transaction(number: usize, memo_bytes: usize) -> Arc<Transaction> {
        let mut memo = number.to_le_bytes().to_vec();
        memo.resize(memo_bytes.max(memo.len()), 0);
        let body = TransactionBody { inputs: Vec::new(), outputs: Vec::new(), memo };
        Arc::new(Transaction { body, witnesses: Vec::new() })
    }

    fn unpack(messages: &[Vec<u8>]) -> Vec<TransactionBatch> {
        messages.iter().map(|bytes| decode(bytes, GOSSIP_BYTES_MAX).unwrap()).collect()
    }

    #[test]
    fn a_lone_transaction_leaves_at_once_and_the_next_ones_together() {
        let mut outbox = Outbox::default();
        outbox.add(vec![transaction(1, 0)]);
        assert_eq!(outbox.due(Time(10)).len(), 1);
        outbox.add(vec![transaction(2, 0)]);
        outbox.add(vec![transaction(3, 0)]);
        assert!(outbox.due(Time(11)).is_empty());
        let due = outbox.deadline().unwrap();
        assert_eq!(due, Time(10).plus_ms(GOSSIP_INTERVAL_MS));
        let batches = unpack(&outbox.due(due));
        assert_eq!(batches.len(), 1);
        assert_eq!(batches[0].transactions, [(*transaction(2, 0)).clone(), (*transaction(3, 0)).clone()]);
        assert_eq!(outbox.deadline(), None);
    }

    #[test]
    fn a_batch_ends_at_its_bytes_and_at_its_count_and_keeps_the_order() {
        let large: Vec<_> = (0..20).map(|number| transaction(number, 10_000)).collect();
        let small: Vec<_> = (0..GOSSIP_TRANSACTIONS_MAX + 1).map(|number| transaction(number, 0)).collect();
        for (all, messages) in [(large, 2), (small, 2)] {
            let batches = unpack(&pack(&all));
            assert_eq!(batches.len(), messages);
            assert!(batches.iter().all(|batch| batch.transactions.len() <= GOSSIP_TRANSACTIONS_MAX));
            let unpacked: Vec<_> = batches.into_iter().flat_map(|batch| batch.transactions).collect();
            assert!(unpacked.iter().eq(all.iter().map(Arc::as_ref)));
        }
    }
}
