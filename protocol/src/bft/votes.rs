//! What was said in one round: the proposal and the votes, each voter counted once.

use super::event::Step;
use crate::block::BlockPhase;
use crate::hash::BlockHash;
use crate::mutation::{Mutation, is_broken};
use crate::validator::{Round, ValidatorIndex, ValidatorSet, Weight};
use alloc::collections::{BTreeMap, BTreeSet};

/// How a message compares with what was kept of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// It is the first, or the same again, or a contradiction already reported.
    Nothing,
    /// It contradicts the first one, which stays.
    Contradiction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Ballot {
    block: Option<BlockHash>,
    contradicted: bool,
}

/// Votes of one round and phase.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Tally {
    ballots: BTreeMap<ValidatorIndex, Ballot>,
    weights: BTreeMap<Option<BlockHash>, Weight>,
    total: Weight,
}

impl Tally {
    /// Counts the first vote of `voter`.
    fn count(&mut self, voter: ValidatorIndex, block: Option<BlockHash>, weight: Weight) -> Kept {
        let Some(first) = self.ballots.get_mut(&voter) else {
            self.ballots.insert(voter, Ballot { block, contradicted: false });
            let sum = self.weights.entry(block).or_default();
            *sum = Weight(sum.0.saturating_add(weight.0));
            self.total = Weight(self.total.0.saturating_add(weight.0));
            return Kept::Nothing;
        };
        if is_broken(Mutation::RoundVoteCountsTwice) {
            let sum = self.weights.entry(block).or_default();
            *sum = Weight(sum.0.saturating_add(weight.0));
        }
        if first.block == block || first.contradicted {
            return Kept::Nothing;
        }
        first.contradicted = true;
        Kept::Contradiction
    }

    /// Weight of the votes for `block`.
    pub(super) fn weight_of(&self, block: Option<BlockHash>) -> Weight {
        self.weights.get(&block).copied().unwrap_or_default()
    }

    /// Weight of all votes.
    pub(super) const fn total(&self) -> Weight {
        self.total
    }

    /// The block with a quorum. Voters count once, so there is one at most.
    pub(super) fn quorum_block(&self, validators: &ValidatorSet) -> Option<BlockHash> {
        let decides = |weight| {
            validators.is_quorum(weight) || is_broken(Mutation::DecideWithoutQuorum) && validators.has_honest(weight)
        };
        if !decides(self.total) {
            return None;
        }
        self.weights.iter().find(|(_, weight)| decides(**weight)).and_then(|(block, _)| *block)
    }

    /// Whether the vote of `voter` was counted.
    pub(super) fn has(&self, voter: ValidatorIndex) -> bool {
        self.ballots.contains_key(&voter)
    }

    fn voters_for(&self, block: Option<BlockHash>) -> impl Iterator<Item = ValidatorIndex> {
        self.ballots.iter().filter(move |(_, ballot)| ballot.block == block).map(|(voter, _)| *voter)
    }
}

/// The proposal of a round, judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Proposed {
    pub(super) block: BlockHash,
    pub(super) valid_round: Option<Round>,
    pub(super) valid: bool,
    pub(super) acceptable: bool,
}

/// Prevotes that were handed in as one proof.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Proof {
    block: BlockHash,
    voters: BTreeSet<ValidatorIndex>,
}

/// Everything kept of one round.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct RoundLog {
    proposal: Option<Proposed>,
    proposal_contradicted: bool,
    prevotes: Tally,
    precommits: Tally,
    proof: Option<Proof>,
}

impl RoundLog {
    /// Keeps the first proposal; the same one again can only improve its judgement.
    pub(super) fn propose(&mut self, new: Proposed) -> Kept {
        let first = self.proposal.get_or_insert(new);
        if (first.block, first.valid_round) == (new.block, new.valid_round) {
            first.valid |= new.valid;
            first.acceptable |= new.acceptable;
            return Kept::Nothing;
        }
        if self.proposal_contradicted {
            return Kept::Nothing;
        }
        self.proposal_contradicted = true;
        Kept::Contradiction
    }

    /// Counts a vote.
    pub(super) fn vote(
        &mut self,
        phase: BlockPhase,
        block: Option<BlockHash>,
        voter: ValidatorIndex,
        weight: Weight,
    ) -> Kept {
        match phase {
            BlockPhase::Prevote => self.prevotes.count(voter, block, weight),
            BlockPhase::Precommit => self.precommits.count(voter, block, weight),
        }
    }

    /// Keeps the first proof that is a quorum.
    pub(super) fn prove(&mut self, block: BlockHash, voters: BTreeSet<ValidatorIndex>, validators: &ValidatorSet) {
        let weight = validators.weight_at(voters.iter().copied());
        if self.proof.is_none() && (validators.is_quorum(weight) || is_broken(Mutation::ProofWithoutQuorum)) {
            self.proof = Some(Proof { block, voters });
        }
    }

    pub(super) const fn proposal(&self) -> Option<&Proposed> {
        self.proposal.as_ref()
    }

    pub(super) const fn prevotes(&self) -> &Tally {
        &self.prevotes
    }

    pub(super) const fn precommits(&self) -> &Tally {
        &self.precommits
    }

    /// Whether a validator has voted in a phase.
    pub(super) fn has_voted(&self, phase: BlockPhase, voter: ValidatorIndex) -> bool {
        match phase {
            BlockPhase::Prevote => self.prevotes.has(voter),
            BlockPhase::Precommit => self.precommits.has(voter),
        }
    }

    /// The step in which a validator is that has said this much.
    pub(super) fn step_of(&self, voter: ValidatorIndex) -> Step {
        if self.precommits.has(voter) {
            Step::Precommit
        } else if self.prevotes.has(voter) {
            Step::Prevote
        } else {
            Step::Propose
        }
    }

    /// Whether a quorum prevoted `block`, counted here or proven.
    pub(super) fn has_prevote_quorum(&self, block: &BlockHash, validators: &ValidatorSet) -> bool {
        validators.is_quorum(self.prevotes.weight_of(Some(*block)))
            || self.proof.as_ref().is_some_and(|proof| proof.block == *block)
    }

    /// Whether a quorum prevoted, whatever for.
    pub(super) fn has_prevotes(&self, validators: &ValidatorSet) -> bool {
        validators.is_quorum(self.prevotes.total()) || self.proof.is_some()
    }

    /// Those known to have prevoted `block`, in order.
    pub(super) fn prevoters(&self, block: &BlockHash) -> BTreeSet<ValidatorIndex> {
        let proven = self.proof.iter().filter(|proof| proof.block == *block).flat_map(|proof| &proof.voters);
        self.prevotes.voters_for(Some(*block)).chain(proven.copied()).collect()
    }
}
