//! What a lying validator does besides, or in the place of, what its engine wants to do.
//!
//! Each liar has habits of its own, drawn from the seed. All liars of a run know the same: every
//! double spend, and what each honest validator last said it prefers.

mod lies;

use super::chance::Chance;
use std::collections::BTreeMap;
use timecoin_protocol::block::Proposal;
use timecoin_protocol::hash::{BlockHash, GenesisHash, Txid};
use timecoin_protocol::keys::SecretKey;
use timecoin_protocol::transaction::{OutPoint, Transaction};
use timecoin_protocol::validator::{Height, Round};
use timecoin_protocol::wire::{Answer, Opinion, Query};

/// How many habits there are.
const HABITS: u64 = 12;
/// How many blocks more than there are a liar says that it has.
const BOASTED_BLOCKS: u64 = 1_000;

/// What a liar does, each habit or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Habits {
    /// Votes Prepare and Commit for every side of a double spend.
    pub votes_for_both: bool,
    /// Votes for one side of a double spend towards one half of the network, and for the other side towards the other.
    pub splits_votes: bool,
    /// Votes for different blocks, or none, towards the two halves of the network.
    pub contradicts: bool,
    /// Says in samples that it prefers the side that fewer honest validators prefer.
    pub keeps_splits: bool,
    /// Gives no bodies, no certificates and no blocks to those who ask.
    pub withholds: bool,
    /// Says that it has many more blocks than there are.
    pub boasts: bool,
    /// Repeats its votes, seals and proposals for other epochs, heights and rounds.
    pub strays: bool,
    /// Proposes different blocks to the two halves of the network.
    pub splits_proposals: bool,
    /// Never heard of half of all payments.
    pub censors: bool,
    /// Does not propose.
    pub stalls: bool,
    /// Proposes blocks that break a rule.
    pub spoils_proposals: bool,
    /// Sends its votes and proposals late.
    pub dawdles: bool,
}

impl Habits {
    /// Draws habits: one at least.
    pub fn draw(chance: &mut Chance) -> Self {
        let bits = chance.bits() | 1 << chance.below(HABITS);
        let has = |habit: u32| bits >> habit & 1 == 1;
        Self {
            votes_for_both: has(0),
            contradicts: has(1),
            keeps_splits: has(2),
            withholds: has(3),
            strays: has(4),
            splits_proposals: has(5),
            censors: has(6),
            stalls: has(7),
            splits_votes: has(8),
            boasts: has(9),
            spoils_proposals: has(10),
            dawdles: has(11),
        }
    }
}

/// What all liars of a run know.
#[derive(Debug, Default)]
pub(super) struct Knowledge {
    /// Spenders of each output.
    spends: BTreeMap<OutPoint, Vec<Txid>>,
    /// The other side of a double spend.
    rivals: BTreeMap<Txid, Txid>,
    /// Which side each honest validator last said it prefers, by its side's txid.
    preferred: BTreeMap<(usize, OutPoint), Txid>,
    /// The output that a double spend is about.
    contested: BTreeMap<Txid, OutPoint>,
    /// A second block for each proposed one.
    twins: BTreeMap<BlockHash, BlockHash>,
    /// What was proposed in each round.
    proposed: BTreeMap<(Height, Round), BlockHash>,
}

/// A lying validator's own side of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Liar<'a> {
    pub habits: Habits,
    pub key: &'a SecretKey,
    pub genesis: &'a GenesisHash,
}

impl Knowledge {
    /// Takes note of payments, and of the double spends that they complete.
    pub fn hear<'a>(&mut self, transactions: impl Iterator<Item = &'a Transaction>) {
        for transaction in transactions {
            let txid = transaction.txid();
            for input in &transaction.body.inputs {
                let sides = self.spends.entry(*input).or_default();
                if sides.contains(&txid) {
                    continue;
                }
                sides.push(txid);
                if let [first, second] = sides[..] {
                    self.rivals.extend([(first, second), (second, first)]);
                    self.contested.extend([(first, *input), (second, *input)]);
                }
            }
        }
    }

    /// Both sides of the double spend that a payment is part of.
    pub fn sides(&self, txid: &Txid) -> Option<[Txid; 2]> {
        Some([*txid, *self.rivals.get(txid)?])
    }

    /// Somebody proposes a block.
    pub fn note_proposal(&mut self, proposal: &Proposal) {
        let header = &proposal.block.header;
        self.proposed.entry((header.height, proposal.round)).or_insert_with(|| header.hash());
    }

    /// An honest validator answered somebody.
    pub fn overhear(&mut self, node: usize, query: &Query, answer: &Answer) {
        for (txid, opinion) in query.txids.iter().zip(&answer.opinions) {
            let Some(contested) = self.contested.get(txid) else { continue };
            match opinion {
                Opinion::Preferred => self.preferred.insert((node, *contested), *txid),
                Opinion::Other(other) => self.preferred.insert((node, *contested), *other),
                Opinion::Unknown | Opinion::Invalid => None,
            };
        }
    }

    /// The side of a double spend that fewer honest validators prefer.
    fn weaker(&self, txid: &Txid) -> Option<Txid> {
        let (rival, contested) = (self.rivals.get(txid)?, self.contested.get(txid)?);
        let count = |side: &Txid| {
            self.preferred.iter().filter(|((_, outpoint), told)| outpoint == contested && *told == side).count()
        };
        Some(if count(txid) <= count(rival) { *txid } else { *rival })
    }
}
