//! A validator that lies: it speaks against every payment it is asked about, and votes for both sides
//! of a double spend. Its engine does the rest, so that it is believed.

use std::collections::BTreeMap;
use std::sync::Arc;
use timecoin_protocol::finality::{Phase, VoteBatch};
use timecoin_protocol::hash::{GenesisHash, Txid};
use timecoin_protocol::keys::SecretKey;
use timecoin_protocol::transaction::{OutPoint, Transaction};
use timecoin_protocol::validator::Epoch;
use timecoin_protocol::wire::{Answer, Opinion, Query, Vote};

/// What a liar knows: who spends what.
#[derive(Debug, Default)]
pub(super) struct Liar {
    spends: BTreeMap<OutPoint, Vec<Txid>>,
    rivals: BTreeMap<Txid, Txid>,
}

impl Liar {
    /// Takes note of a payment; votes for both sides, in both phases, once two spend one coin.
    pub fn hear(
        &mut self,
        transaction: &Transaction,
        epoch: Epoch,
        key: &SecretKey,
        genesis: &GenesisHash,
    ) -> Vec<Vote> {
        let txid = transaction.txid();
        let mut votes = Vec::new();
        for input in &transaction.body.inputs {
            let sides = self.spends.entry(*input).or_default();
            if sides.contains(&txid) {
                continue;
            }
            sides.push(txid);
            if let [first, second] = sides.as_slice() {
                self.rivals.extend([(*first, *second), (*second, *first)]);
                votes.extend(
                    [Phase::Prepare, Phase::Commit].map(|phase| {
                        Vote::Finality(Arc::new(VoteBatch::sign(epoch, phase, sides.clone(), key, genesis)))
                    }),
                );
            }
        }
        votes
    }

    /// Speaks for the other side of a double spend. Of other payments it says that they are invalid,
    /// or that it prefers one that nobody else has ever seen.
    pub fn answer(&self, query: &Query) -> Answer {
        let lie = |txid: &Txid| match self.rivals.get(txid) {
            Some(rival) => Opinion::Other(*rival),
            None if txid.0[0].is_multiple_of(2) => Opinion::Invalid,
            None => Opinion::Other(Txid(txid.0.map(|byte| !byte))),
        };
        Answer { opinions: query.txids.iter().map(lie).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use timecoin_protocol::transaction::TransactionBody;

    fn spend(memo: u8) -> Transaction {
        let inputs = vec![OutPoint { txid: Txid([1; 32]), index: 0 }];
        let body = TransactionBody { inputs, outputs: Vec::new(), memo: vec![memo] };
        Transaction { body, witnesses: Vec::new() }
    }

    #[test]
    fn a_liar_votes_for_both_sides_once_and_speaks_for_the_other_one() {
        let (mut liar, key) = (Liar::default(), SecretKey::from_seed(&[1; 32]));
        let (left, right) = (spend(1), spend(2));
        let mut hear = |side: &Transaction| liar.hear(side, Epoch(0), &key, &GenesisHash([7; 32]));
        assert_eq!([hear(&left).len(), hear(&left).len(), hear(&right).len(), hear(&right).len()], [0, 0, 2, 0]);
        let query = Query { epoch: Epoch(0), txids: vec![left.txid(), right.txid(), Txid([2; 32]), Txid([3; 32])] };
        let other = Opinion::Other(Txid([252; 32]));
        let lies = [Opinion::Other(right.txid()), Opinion::Other(left.txid()), Opinion::Invalid, other];
        assert_eq!(liar.answer(&query).opinions, lies);
    }
}
