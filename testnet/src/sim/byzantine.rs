//! What a lying validator sends in the place of what its engine wants to send.
//!
//! It votes Prepare and Commit for both sides of every double spend it hears of, tells each asker
//! that it prefers whatever is asked about, and sends contradicting block votes to the two halves
//! of the network.

use std::collections::BTreeMap;
use std::sync::Arc;
use timecoin_protocol::block::BlockVote;
use timecoin_protocol::finality::{Phase, VoteBatch};
use timecoin_protocol::hash::{GenesisHash, Txid};
use timecoin_protocol::keys::SecretKey;
use timecoin_protocol::transaction::{OutPoint, Transaction};
use timecoin_protocol::validator::Epoch;
use timecoin_protocol::wire::{Answer, Opinion, Query, Vote};

/// What the liar knows.
#[derive(Debug, Default)]
pub(super) struct Liar {
    spends: BTreeMap<OutPoint, Vec<Txid>>,
}

impl Liar {
    /// Votes for every side of the conflicts that these transactions complete.
    pub fn vote_for_all<'a>(
        &mut self,
        transactions: impl Iterator<Item = &'a Transaction>,
        epoch: Epoch,
        key: &SecretKey,
        genesis: &GenesisHash,
    ) -> Vec<Vote> {
        let mut votes = Vec::new();
        for transaction in transactions {
            let txid = transaction.txid();
            for input in &transaction.body.inputs {
                let sides = self.spends.entry(*input).or_default();
                if !sides.contains(&txid) {
                    sides.push(txid);
                }
                if sides.len() > 1 {
                    let both = [Phase::Prepare, Phase::Commit]
                        .into_iter()
                        .flat_map(|phase| sides.iter().map(move |side| (phase, *side)));
                    votes.extend(both.map(|(phase, side)| {
                        Vote::Finality(Arc::new(VoteBatch::sign(epoch, phase, vec![side], key, genesis)))
                    }));
                }
            }
        }
        votes
    }

    /// Everything is preferred.
    pub fn answer(query: &Query) -> Answer {
        Answer { opinions: query.txids.iter().map(|_| Opinion::Preferred).collect() }
    }

    /// The opposite of a block vote: nil for a block. Nothing for nil.
    pub fn contradict(vote: &BlockVote, key: &SecretKey, genesis: &GenesisHash) -> Option<BlockVote> {
        vote.block?;
        Some(BlockVote::sign(vote.epoch, vote.height, vote.round, vote.phase, None, key, genesis))
    }
}
