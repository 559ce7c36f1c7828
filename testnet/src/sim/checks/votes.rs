//! What honest validators may say: nothing that contradicts what they said before, crashes or not.

use super::{Checked, Checks};
use crate::sim::node::History;
use crate::sim::report::Invariant;
use std::collections::{BTreeMap, BTreeSet};
use timecoin_protocol::block::{BlockPhase, BlockVote, Proposal};
use timecoin_protocol::finality::{Phase, Seal, VoteBatch};
use timecoin_protocol::hash::{BlockHash, Txid};
use timecoin_protocol::transaction::OutPoint;
use timecoin_protocol::validator::{Epoch, Height, Round};
use timecoin_protocol::wire::Vote;

/// What has left honest nodes.
#[derive(Debug, Default)]
pub(super) struct Said {
    spends: BTreeMap<(usize, Epoch, Phase, OutPoint), Txid>,
    seals: BTreeMap<(usize, Epoch), Vec<Txid>>,
    block_votes: BTreeMap<(usize, Height, Round, BlockPhase), Option<BlockHash>>,
    proposals: BTreeMap<(usize, Height, Round), BlockHash>,
    /// Who heard it.
    hearers: BTreeMap<(usize, Word), BTreeSet<usize>>,
}

/// One thing that a node said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Word {
    Spend(Epoch, Phase, OutPoint),
    Seal(Epoch),
    Vote(Height, Round, BlockPhase),
    Proposal(Height, Round),
}

impl Said {
    /// A node is set back. Where it may ask enough others of whom none heard what it said, it cannot know that it said it (D-18).
    pub fn set_back(&mut self, node: usize, is_missed: impl Fn(&BTreeSet<usize>) -> bool) {
        let own = self.hearers.iter().filter(|((by, _), hearers)| *by == node && is_missed(hearers));
        let lost: Vec<Word> = own.map(|((_, word), _)| *word).collect();
        for word in lost {
            self.hearers.remove(&(node, word));
            match word {
                Word::Spend(epoch, phase, outpoint) => drop(self.spends.remove(&(node, epoch, phase, outpoint))),
                Word::Seal(epoch) => drop(self.seals.remove(&(node, epoch))),
                Word::Vote(height, round, phase) => drop(self.block_votes.remove(&(node, height, round, phase))),
                Word::Proposal(height, round) => drop(self.proposals.remove(&(node, height, round))),
            }
        }
    }

    fn heard(&mut self, node: usize, word: Word, hearer: usize) {
        if let Some(hearers) = self.hearers.get_mut(&(node, word)) {
            hearers.insert(hearer);
        }
    }

    fn says(&mut self, node: usize, word: Word) {
        self.hearers.entry((node, word)).or_default();
    }
}

impl Checks {
    /// A node hears a vote of another one.
    pub fn vote_heard(&mut self, (node, hearer): (usize, usize), vote: &Vote) {
        match vote {
            Vote::Finality(batch) => {
                let bodies = batch.txids.iter().filter_map(|txid| self.bodies.get(txid));
                for input in bodies.flat_map(|body| &body.body.inputs) {
                    self.said.heard(node, Word::Spend(batch.epoch, batch.phase, *input), hearer);
                }
            }
            Vote::Block(vote) => self.said.heard(node, Word::Vote(vote.height, vote.round, vote.phase), hearer),
            Vote::Seal(seal) => self.said.heard(node, Word::Seal(seal.epoch), hearer),
            Vote::Evidence(_) => {}
        }
    }

    /// A node hears a proposal of another one.
    pub fn proposal_heard(&mut self, (node, hearer): (usize, usize), proposal: &Proposal) {
        self.said.heard(node, Word::Proposal(proposal.block.header.height, proposal.round), hearer);
    }

    /// An honest node never prepares, nor commits, two spends of one output in an epoch, and casts no
    /// such vote after its seal.
    pub fn vote_batch(&mut self, node: usize, batch: &VoteBatch) -> Checked {
        self.report.check(Invariant::OneSpend);
        if self.said.seals.contains_key(&(node, batch.epoch)) {
            return Err(format!("node {node} voted {:?} in epoch {} after its seal", batch.phase, batch.epoch));
        }
        for txid in &batch.txids {
            let Some(body) = self.bodies.get(txid) else { continue };
            for input in &body.body.inputs {
                self.report.check(Invariant::OneSpend);
                let key = (node, batch.epoch, batch.phase, *input);
                self.said.says(node, Word::Spend(batch.epoch, batch.phase, *input));
                let before = *self.said.spends.entry(key).or_insert(*txid);
                if before != *txid {
                    return Err(format!("node {node} voted {:?} for {txid} after {before} on {input}", batch.phase));
                }
            }
        }
        Ok(())
    }

    /// It signs one seal in an epoch.
    pub fn seal(&mut self, node: usize, seal: &Seal) -> Checked {
        self.report.check(Invariant::OneSeal);
        let before = self.said.seals.insert((node, seal.epoch), seal.txids.clone());
        self.report.seals += u64::from(before.is_none());
        self.said.says(node, Word::Seal(seal.epoch));
        match before {
            Some(before) if before != seal.txids => Err(format!("node {node} sealed epoch {} twice", seal.epoch)),
            _ => Ok(()),
        }
    }

    /// Nor does it vote twice in one round and phase.
    pub fn block_vote(&mut self, node: usize, vote: &BlockVote) -> Checked {
        self.report.check(Invariant::OneVote);
        let key = (node, vote.height, vote.round, vote.phase);
        self.said.says(node, Word::Vote(vote.height, vote.round, vote.phase));
        let before = *self.said.block_votes.entry(key).or_insert(vote.block);
        if before == vote.block { Ok(()) } else { Err(format!("node {node} voted twice: {vote:?} after {before:?}")) }
    }

    /// Nor propose two blocks in one round.
    pub fn proposal(&mut self, node: usize, proposal: &Proposal) -> Checked {
        self.report.check(Invariant::OneVote);
        let (height, hash) = (proposal.block.header.height, proposal.block.header.hash());
        self.said.says(node, Word::Proposal(height, proposal.round));
        let before = *self.said.proposals.entry((node, height, proposal.round)).or_insert(hash);
        if before == hash {
            return Ok(());
        }
        Err(format!("node {node} proposed {hash} after {before} at {height}, round {}", proposal.round))
    }

    /// What a node said is among what its journal gives back: locks of what it prepared, unless a
    /// block decided about them, and its votes for the height in progress (D-4, D-5).
    pub fn remembers(&mut self, node: usize, history: &History) -> Checked {
        let kind = (node, history.epoch, Phase::Prepare);
        let prepared = self.said.spends.range((kind.0, kind.1, kind.2, OutPoint { txid: Txid([0; 32]), index: 0 })..);
        for ((.., input), txid) in prepared.take_while(|((by, epoch, phase, _), _)| (*by, *epoch, *phase) == kind) {
            *self.report.checks.entry(Invariant::Remembered).or_default() += 1;
            if history.locks.get(&(history.epoch, *input)) != Some(txid) && !self.winners.contains_key(input) {
                return Err(format!("node {node} prepared {txid} and has no lock on {input} after a restart"));
            }
        }
        let height = history.height.next();
        let first = (node, height, Round(0), BlockPhase::Prevote);
        let votes = self.said.block_votes.range(first..);
        for ((_, height, round, phase), block) in votes.take_while(|((by, of, ..), _)| (*by, *of) == (node, height)) {
            *self.report.checks.entry(Invariant::Remembered).or_default() += 1;
            if !history.block_votes.contains(&(*height, *round, *phase, *block)) {
                return Err(format!("node {node} forgot its {phase:?} for {block:?} at {height}, round {round}"));
            }
        }
        Ok(())
    }
}
