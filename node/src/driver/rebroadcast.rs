//! Gossips local transactions again for as long as nobody seems to have taken notice: the first
//! message may have found no peer, and a node that only follows has no votes that name them.

use crate::bounds::{REBROADCAST_FIRST_MS, REBROADCAST_MAX, REBROADCAST_MAX_MS};
use std::collections::BTreeMap;
use timecoin_protocol::engine::Time;
use timecoin_protocol::hash::Txid;

/// Local transactions that are gossiped again when their time comes, earliest first.
#[derive(Debug, Default)]
pub struct Rebroadcast {
    due: BTreeMap<(Time, Txid), u64>,
}

impl Rebroadcast {
    /// Looks after a transaction that is gossiped now for the first time. With too many to look
    /// after, the one whose time is furthest away is left to itself.
    pub fn watch(&mut self, txid: Txid, now: Time) {
        self.schedule(txid, now, REBROADCAST_FIRST_MS);
        if self.due.len() > REBROADCAST_MAX {
            self.due.pop_last();
        }
    }

    fn schedule(&mut self, txid: Txid, now: Time, pause_ms: u64) {
        self.due.insert((now.plus_ms(pause_ms), txid), pause_ms);
    }

    /// When the next one is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes those that are due and still unnoticed, as `is_unnoticed` says; they come again after
    /// twice the pause. Forgets the others.
    pub fn due(&mut self, now: Time, is_unnoticed: impl Fn(&Txid) -> bool) -> Vec<Txid> {
        let mut again = Vec::new();
        while let Some(entry) = self.due.first_entry()
            && entry.key().0 <= now
        {
            let ((_, txid), pause_ms) = entry.remove_entry();
            if is_unnoticed(&txid) {
                again.push((txid, pause_ms.saturating_mul(2).min(REBROADCAST_MAX_MS)));
            }
        }
        for (txid, pause_ms) in &again {
            self.schedule(*txid, now, *pause_ms);
        }
        again.into_iter().map(|(txid, _)| txid).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn txid(number: usize) -> Txid {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        Txid(bytes)
    }

    #[test]
    fn an_unnoticed_transaction_comes_again_with_growing_pauses() {
        let mut rebroadcast = Rebroadcast::default();
        rebroadcast.watch(txid(1), Time(0));
        assert!(rebroadcast.due(Time(0), |_| true).is_empty());
        let mut at = Time(0);
        for pause in [1, 2, 4] {
            at = at.plus_ms(pause * REBROADCAST_FIRST_MS);
            assert_eq!(rebroadcast.deadline(), Some(at));
            assert_eq!(rebroadcast.due(at, |_| true), [txid(1)]);
        }
    }

    #[test]
    fn a_transaction_that_was_noticed_is_forgotten() {
        let mut rebroadcast = Rebroadcast::default();
        rebroadcast.watch(txid(1), Time(0));
        assert!(rebroadcast.due(Time(u64::MAX), |_| false).is_empty());
        assert_eq!(rebroadcast.deadline(), None);
    }

    #[test]
    fn the_number_looked_after_is_bounded() {
        let mut rebroadcast = Rebroadcast::default();
        (0..=REBROADCAST_MAX).for_each(|number| rebroadcast.watch(txid(number), Time(0)));
        assert_eq!(rebroadcast.due(Time(u64::MAX), |_| true).len(), REBROADCAST_MAX);
    }
}
