//! Block agreement in the engine (`SPEC.md` R-*): drives [`Agreement`], signs what it decides,
//! keeps its timeouts.

use super::admission::From;
use super::api::{Effect, Event, Time};
use super::{ByTxid, Cx, Engine, Kept, Ledger, Record};
use crate::bft::{Action, Agreement, Event as RoundEvent, Step};
use crate::block::{Block, BlockPhase, BlockVote, CommitSignature, Proposal};
use crate::bounds::{AHEAD_ROUNDS, AHEAD_VOTES_MAX, BLOCK_TRANSACTIONS_MAX, ROUNDS_AHEAD_MAX, STATUS_PROPOSALS_MAX};
use crate::hash::{BlockHash, Txid};
use crate::keys::PublicKey;
use crate::ledger::{BlockDelta, ChainState, Unavailable};
use crate::transaction::Transaction;
use crate::validator::{Epoch, Height, Round, ValidatorIndex};
use crate::wire::Vote;
use alloc::collections::btree_map::Entry;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Signatures that are checked once, however often they matter.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Checked(bool);

impl Checked {
    /// Whether they hold, by `check` if that is not known yet.
    pub fn hold(&mut self, check: impl FnOnce() -> bool) -> bool {
        self.0 = self.0 || check();
        self.0
    }
}

/// A proposal and what is known of it.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub proposal: Arc<Proposal>,
    pub hash: BlockHash,
    pub from: From,
    /// The signatures of its closing.
    pub signatures: Checked,
    /// Whether the agreement knows that it may prevote this one: nothing is left to do.
    pub settled: bool,
}

/// Agreement on the height after the tip.
#[derive(Clone, Debug)]
pub(super) struct Rounds {
    pub agreement: Agreement,
    height: Height,
    /// When the height may begin (the block interval after the last block), and whether it has.
    pub start_at: Time,
    pub started: bool,
    timeouts: BTreeMap<(Round, Step), Time>,
    pub candidates: BTreeMap<Round, Candidate>,
    /// Blocks that passed every ledger rule, with their effect.
    pub blocks: BTreeMap<BlockHash, (Arc<Block>, Arc<BlockDelta>)>,
    votes: BTreeMap<(Round, BlockPhase, ValidatorIndex), BlockVote>,
    /// Prevotes that came with re-proposals, or from the journal.
    pub proofs: BTreeMap<(Round, BlockHash), Vec<CommitSignature>>,
    /// The valid block whose prevotes the journal has.
    recorded_proof: Option<(Round, BlockHash)>,
    /// Bodies that a proposal needs and the pool did not take.
    bodies: ByTxid<Arc<Transaction>>,
    /// Bodies that a proposal waits for.
    needed: BTreeSet<Txid>,
    /// When candidates are to be judged again.
    pub rejudge_at: Option<Time>,
    pub decided: Option<(Round, BlockHash)>,
    ahead: Ahead,
    /// From the journal, until the node starts.
    pub restored: super::restore::RestoredRounds,
}

/// What arrived for the height after the one in progress.
#[derive(Clone, Debug, Default)]
pub(super) struct Ahead {
    pub votes: BTreeMap<(Epoch, Round, BlockPhase, ValidatorIndex), BlockVote>,
    pub proposals: BTreeMap<(Epoch, Round), Proposal>,
}

impl Rounds {
    pub fn new(state: &ChainState, own: Option<&PublicKey>) -> Self {
        let own = own.and_then(|key| state.validators.index_of(key));
        let height = state.height.next();
        Self {
            agreement: Agreement::new(height, Arc::clone(&state.validators), own),
            height,
            start_at: Time(0),
            started: false,
            timeouts: BTreeMap::new(),
            candidates: BTreeMap::new(),
            blocks: BTreeMap::new(),
            votes: BTreeMap::new(),
            proofs: BTreeMap::new(),
            recorded_proof: None,
            bodies: BTreeMap::new(),
            needed: BTreeSet::new(),
            rejudge_at: None,
            decided: None,
            ahead: Ahead::default(),
            restored: super::restore::RestoredRounds::default(),
        }
    }

    pub fn round(&self) -> Round {
        self.agreement.round()
    }

    pub const fn height(&self) -> Height {
        self.height
    }

    /// Rounds of the height of which anything is kept, at most.
    pub fn rounds_kept(&self) -> usize {
        let last = self.round().0.saturating_add(ROUNDS_AHEAD_MAX);
        usize::try_from(last).unwrap_or(usize::MAX).saturating_add(1)
    }

    /// In a set of `members`.
    pub fn kept(&self, members: usize) -> [Kept; 7] {
        let rounds = self.rounds_kept();
        let (votes, needed) = (rounds.saturating_mul(2 * members), rounds.saturating_mul(BLOCK_TRANSACTIONS_MAX));
        let ahead = usize::try_from(AHEAD_ROUNDS).unwrap_or(usize::MAX);
        [
            Kept::new("block votes of the height", self.votes.len(), votes),
            Kept::new("proposals of the height", self.candidates.len(), rounds),
            Kept::new("checked blocks of the height", self.blocks.len(), rounds),
            Kept::new("proofs of prevotes", self.proofs.len(), rounds),
            Kept::new("bodies that proposals wait for", self.needed.len(), needed),
            Kept::new("block votes of the next height", self.ahead.votes.len(), AHEAD_VOTES_MAX),
            Kept::new("proposals of the next height", self.ahead.proposals.len(), 2 * ahead),
        ]
    }

    /// Gives the vote that is kept of that validator, round and phase.
    fn keep_ahead_vote(&mut self, index: ValidatorIndex, vote: BlockVote) -> Option<BlockVote> {
        let fits = vote.round.0 < AHEAD_ROUNDS && self.ahead.votes.len() < AHEAD_VOTES_MAX;
        fits.then(|| *self.ahead.votes.entry((vote.epoch, vote.round, vote.phase, index)).or_insert(vote))
    }

    /// Keeps a proposal of its rightful proposer until its height is reached; gives the one that was kept before.
    pub fn keep_ahead(&mut self, proposal: &Proposal) -> Option<Proposal> {
        if proposal.round.0 >= AHEAD_ROUNDS {
            return None;
        }
        match self.ahead.proposals.entry((proposal.block.header.epoch, proposal.round)) {
            Entry::Occupied(first) => Some(first.get().clone()),
            Entry::Vacant(place) => {
                place.insert(proposal.clone());
                None
            }
        }
    }

    pub fn take_ahead(&mut self) -> Ahead {
        core::mem::take(&mut self.ahead)
    }

    pub fn body(&self, txid: &Txid) -> Option<Arc<Transaction>> {
        self.bodies.get(txid).cloned()
    }

    pub fn keep_body(&mut self, txid: Txid, body: Arc<Transaction>) {
        self.bodies.insert(txid, body);
    }

    /// Notes that a proposal waits for a body.
    pub fn need_body(&mut self, txid: Txid) {
        self.needed.insert(txid);
    }

    /// Whether a proposal waits for any body.
    pub fn needs_bodies(&self) -> bool {
        !self.needed.is_empty()
    }

    /// Whether a proposal waited for this body; from now on it does not.
    pub fn take_needed(&mut self, txid: &Txid) -> bool {
        self.needed.remove(txid)
    }

    pub fn deadline(&self) -> Option<Time> {
        if self.decided.is_some() {
            return self.rejudge_at;
        }
        if !self.started {
            return Some(self.start_at);
        }
        super::earlier(self.timeouts.values().min().copied(), self.rejudge_at)
    }

    /// Keeps the first vote of a validator in a round and phase, and gives it.
    pub fn keep_vote(&mut self, index: ValidatorIndex, vote: BlockVote) -> BlockVote {
        *self.votes.entry((vote.round, vote.phase, index)).or_insert(vote)
    }

    /// Whether a message of `round` is near enough to be kept.
    pub fn is_near(&self, round: Round) -> bool {
        round.0 <= self.round().0.saturating_add(ROUNDS_AHEAD_MAX)
    }

    /// Forgets a vote that the agreement did not count either: what is kept here must be
    /// what a commit is made of.
    fn forget_far_vote(&mut self, index: ValidatorIndex, vote: &BlockVote) {
        if !self.is_near(vote.round) {
            self.votes.remove(&(vote.round, vote.phase, index));
        }
    }

    /// Votes of one round and phase, in order of the validators.
    pub fn votes_of(&self, round: Round, phase: BlockPhase) -> impl Iterator<Item = (ValidatorIndex, &BlockVote)> {
        let range = (round, phase, 0)..=(round, phase, ValidatorIndex::MAX);
        self.votes.range(range).map(|((_, _, index), vote)| (*index, vote))
    }

    /// The prevotes that prove a re-proposal, as far as they are at hand.
    pub fn proof_of(&self, round: Round, block: BlockHash) -> Vec<CommitSignature> {
        let kept = self.proofs.get(&(round, block)).into_iter().flatten().cloned();
        let mut found: BTreeMap<ValidatorIndex, CommitSignature> = kept.map(|entry| (entry.validator, entry)).collect();
        for (validator, vote) in self.votes_of(round, BlockPhase::Prevote) {
            if vote.block == Some(block) {
                found.entry(validator).or_insert(CommitSignature { validator, signature: vote.signature });
            }
        }
        found.into_values().collect()
    }

    /// All votes at hand.
    pub fn all_votes(&self) -> impl Iterator<Item = &BlockVote> {
        self.votes.values()
    }

    /// What this node holds of the height, for a peer in `round`.
    /// Whether this very vote is here, or among those that the journal gave back.
    pub fn has_vote(&self, vote: &BlockVote) -> bool {
        let same = |own: &BlockVote| {
            (own.voter, own.height, own.round, own.phase, own.block)
                == (vote.voter, vote.height, vote.round, vote.phase, vote.block)
        };
        self.votes_of(vote.round, vote.phase).any(|(_, own)| same(own)) || self.restored.votes.iter().any(same)
    }

    /// What this node holds of the signatures of one validator, of this height and the next (N-6).
    pub fn held_of(&self, voter: &PublicKey) -> (Vec<Proposal>, Vec<BlockVote>) {
        let held = self.candidates.values().rev().map(|candidate| candidate.proposal.as_ref());
        let proposals = held.chain(self.ahead.proposals.values()).filter(|proposal| proposal.proposer == *voter);
        let votes = self.votes.values().chain(self.ahead.votes.values()).filter(|vote| vote.voter == *voter);
        (proposals.take(STATUS_PROPOSALS_MAX).cloned().collect(), votes.copied().collect())
    }

    /// Timeouts of an agreement that is no more.
    pub fn clear_timeouts(&mut self) {
        self.timeouts.clear();
    }

    pub fn held(&self, round: Round) -> (Vec<Proposal>, Vec<BlockVote>) {
        let proposals = self.candidates.range(round..).map(|(_, candidate)| candidate.proposal.as_ref().clone());
        (proposals.take(STATUS_PROPOSALS_MAX).collect(), self.votes.values().copied().collect())
    }
}

impl<L: Ledger> Engine<L> {
    /// Does what time made due: begins the height, runs timeouts, judges candidates again.
    pub(super) fn run_timeouts(&mut self, cx: &mut Cx<'_>) -> Result<(), Unavailable> {
        if self.rounds.rejudge_at.is_some_and(|at| at <= cx.now) {
            self.rounds.rejudge_at = None;
            self.judge_candidates(cx)?;
            // What was decided is asked for until it is here.
            self.try_commit(cx)?;
        }
        if !self.rounds.started && self.rounds.start_at <= cx.now {
            self.rounds.started = true;
            self.advance(RoundEvent::Start, cx)?;
            self.judge_candidates(cx)?;
        }
        while let Some((round, step)) = self.due_timeout(cx.now) {
            self.rounds.timeouts.remove(&(round, step));
            self.advance(RoundEvent::Timeout { round, step }, cx)?;
        }
        Ok(())
    }

    fn due_timeout(&self, now: Time) -> Option<(Round, Step)> {
        if !self.rounds.started || self.rounds.decided.is_some() {
            return None;
        }
        self.rounds.timeouts.iter().find(|(_, at)| **at <= now).map(|(key, _)| *key)
    }

    /// Judges candidates again soon: something they may have waited for has arrived.
    pub(super) fn wake_proposal(&mut self, now: Time) {
        if self.rounds.candidates.values().any(|candidate| !candidate.settled) {
            self.rounds.rejudge_at = Some(now);
        }
    }

    /// Feeds the agreement and carries out what it wants, until it wants nothing.
    pub(super) fn advance(&mut self, event: RoundEvent, cx: &mut Cx<'_>) -> Result<(), Unavailable> {
        let (height, before) = (self.rounds.height(), self.rounds.round());
        let actions = self.rounds.agreement.step(event);
        for action in actions {
            if self.rounds.height() != height {
                return Ok(()); // decided on the way
            }
            self.act(action, cx)?;
        }
        if self.rounds.height() == height && self.rounds.round() != before {
            let round = self.rounds.round();
            cx.effect(Effect::Event(Event::Round { height, round }));
            self.judge_candidates(cx)?;
        }
        Ok(())
    }

    fn act(&mut self, action: Action, cx: &mut Cx<'_>) -> Result<(), Unavailable> {
        match action {
            Action::Propose { round, valid } => self.propose(round, valid, cx),
            Action::Vote { round, phase, block } => {
                self.cast_block_vote(round, phase, block, cx);
                Ok(())
            }
            Action::Schedule { round, step } => {
                let at = cx.now.plus_ms(self.timeout_ms(round, step));
                self.rounds.timeouts.insert((round, step), at);
                Ok(())
            }
            Action::Decide { round, block } => {
                self.rounds.decided = Some((round, block));
                self.try_commit(cx)
            }
            // The signed messages were compared where they came in.
            Action::Equivocation { .. } | Action::ProposalEquivocation { .. } => Ok(()),
        }
    }

    /// Timeouts grow with the round, so that they outgrow any delay of the network.
    fn timeout_ms(&self, round: Round, step: Step) -> u64 {
        let tuning = &self.identity.tuning;
        let base = if step == Step::Propose { tuning.propose_timeout_ms } else { tuning.vote_timeout_ms };
        base.saturating_add((base / 2).saturating_mul(u64::from(round.0)))
    }

    fn cast_block_vote(&mut self, round: Round, phase: BlockPhase, block: Option<BlockHash>, cx: &mut Cx<'_>) {
        let Some(index) = self.own_index() else { return };
        let Some(key) = self.voting_key() else { return };
        let (epoch, height) = (self.chain.state.epoch, self.rounds.height());
        let vote = BlockVote::sign(epoch, height, round, phase, block, key, &self.identity.genesis);
        if let Some(candidate) = block.and_then(|hash| self.rounds.candidates.values().find(|c| c.hash == hash)) {
            // The block must be at hand after a restart, to be proposed again or decided.
            let proposal = Arc::clone(&candidate.proposal);
            self.record_candidate(&proposal, cx);
        }
        self.rounds.keep_vote(index, vote);
        let locks = self.rounds.agreement.locks();
        if locks.valid != self.rounds.recorded_proof
            && let Some((round, hash)) = locks.valid
        {
            // Without its prevotes a valid block could not be proposed again after a restart.
            self.rounds.recorded_proof = locks.valid;
            cx.record(Record::Prevotes(height, round, hash, self.rounds.proof_of(round, hash)));
        }
        cx.record(Record::BlockVote(vote, locks));
        cx.effect(Effect::PublishVote(Vote::Block(vote)));
    }

    fn record_candidate(&mut self, proposal: &Arc<Proposal>, cx: &mut Cx<'_>) {
        for txid in &proposal.block.txids {
            if self.pool.contains(txid) {
                self.record_body(txid, cx);
            } else if let Some(body) = self.rounds.body(txid) {
                cx.record(Record::Transaction(body));
            }
        }
        for seal in self.sealing.take_unrecorded(&proposal.block.closing) {
            cx.record(Record::Sealed(seal));
        }
        cx.record(Record::Proposal(Arc::clone(proposal)));
    }

    /// A prevote or precommit whose signature was checked.
    pub(super) fn on_block_vote(&mut self, from: From, vote: BlockVote, cx: &mut Cx<'_>) -> Result<(), Unavailable> {
        self.recognize_block_vote(&vote, cx);
        let height = self.rounds.height();
        if vote.height == self.chain.state.height {
            self.add_late_precommit(&vote, cx);
            return Ok(());
        }
        let Some(validators) = self.set_of(vote.epoch) else { return Ok(()) };
        let Some(index) = validators.index_of(&vote.voter) else { return Ok(()) };
        if vote.height > height {
            if vote.height == height.next()
                && let Some(first) = self.rounds.keep_ahead_vote(index, vote)
            {
                self.compare_block_votes(&first, &vote, cx);
            }
            if let Some(peer) = from {
                // Whoever votes on a height has decided the one below.
                self.sync_hint(Height(vote.height.0 - 1), peer, cx);
            }
            return Ok(());
        }
        if vote.height < height || vote.epoch != self.chain.state.epoch {
            return Ok(());
        }
        let first = self.rounds.keep_vote(index, vote);
        self.compare_block_votes(&first, &vote, cx);
        let event = RoundEvent::Vote { round: vote.round, phase: vote.phase, block: vote.block, voter: index };
        self.advance(event, cx)?;
        if self.rounds.height() == height {
            self.rounds.forget_far_vote(index, &vote);
        }
        Ok(())
    }

    /// A precommit that comes after the decision still counts for its validator's pay (B-6).
    /// The last block may have closed its epoch: the set is the one of then.
    fn add_late_precommit(&mut self, vote: &BlockVote, cx: &mut Cx<'_>) {
        let signers = &self.chain.state.signers;
        let Some(index) = signers.validators.index_of(&vote.voter).filter(|_| signers.epoch == vote.epoch) else {
            return;
        };
        let Some(commit) = &mut self.chain.last_commit else { return };
        if vote.phase != BlockPhase::Precommit || vote.round != commit.round {
            return;
        }
        match commit.signatures.binary_search_by_key(&index, |entry| entry.validator) {
            Err(at) if vote.block == Some(commit.block) => {
                commit.signatures.insert(at, CommitSignature { validator: index, signature: vote.signature });
            }
            Ok(at) if let Some(entry) = commit.signatures.get(at) => {
                let counted = BlockVote { block: Some(commit.block), signature: entry.signature, ..*vote };
                self.compare_block_votes(&counted, vote, cx);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    //! Rules: E-5, X-6.

    use super::Checked;

    /// A closing block that waited for seals had all of its evidence and all of its seals checked again with each seal that
    /// came: in a large set that is the square of the number of validators.
    #[test]
    fn signatures_that_hold_are_not_checked_again_and_others_are() {
        let (mut signatures, mut checks) = (Checked::default(), 0);
        for (holds, expected) in [(false, false), (true, true), (false, true), (false, true)] {
            let found = signatures.hold(|| {
                checks += 1;
                holds
            });
            assert_eq!(found, expected);
        }
        assert_eq!(checks, 2, "not again once they held");
    }
}
