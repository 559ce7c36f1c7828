//! Validators that contradict themselves (`SPEC.md` X-3…X-5): noticing it, and keeping the proof until it is in a block.

mod opposed;

use super::admission::From;
use super::api::{Effect, Event, Offence};
use super::{Cx, Engine, Kept, Ledger, Record};
use crate::bitmap::Bitmap;
use crate::block::evidence::{TwoBlockVotes, TwoPayments, TwoProposals, TwoSeals};
use crate::block::{BlockPhase, BlockVote, Closing, Commit, CommitSignature, Evidence, Proposal};
use crate::bounds::{CLOSING_EVIDENCE_MAX, EVIDENCE_HELD_BYTES_MAX, OPPOSED_MAX, STATUS_EVIDENCE_BYTES_MAX};
use crate::finality::{Phase, Seal, VoteBatch};
use crate::hash::Txid;
use crate::keys::PublicKey;
use crate::ledger::ChainState;
use crate::transaction::Transaction;
use crate::validator::ValidatorIndex;
use crate::wire::Vote;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use opposed::Opposed;

/// Everything about validators that contradict themselves.
#[derive(Clone, Debug, Default)]
pub(super) struct Accused {
    /// The first evidence against each that still has a vote to lose.
    held: BTreeMap<PublicKey, Arc<Evidence>>,
    /// Bytes of these.
    bytes: usize,
    opposed: Opposed,
}

impl Accused {
    /// All that is held, in order of the offenders.
    pub fn held(&self) -> impl Iterator<Item = &Arc<Evidence>> {
        self.held.values()
    }

    /// With so many that have a vote to lose.
    pub fn kept(&self, voters: usize) -> [Kept; 3] {
        [
            Kept::new("pieces of evidence", self.held.len(), voters),
            Kept::new("bytes of evidence", self.bytes, EVIDENCE_HELD_BYTES_MAX),
            Kept::new("payments with a conflict that are watched", self.opposed.len(), OPPOSED_MAX),
        ]
    }

    /// Whether conflicts of a payment were seen: its votes are worth keeping although it is settled.
    pub fn is_opposed(&self, txid: &Txid) -> bool {
        self.opposed.contains(txid)
    }

    /// Keeps evidence if it is the first against somebody who has a vote to lose, and there is room.
    pub fn hold(&mut self, evidence: Arc<Evidence>, state: &ChainState) -> bool {
        let (offender, bytes) = (evidence.offender(), evidence.bytes());
        let is_new = state.is_accusable(&offender) && !self.held.contains_key(&offender);
        let fits = self.bytes.saturating_add(bytes) <= EVIDENCE_HELD_BYTES_MAX;
        if is_new && fits {
            self.bytes += bytes;
            self.held.insert(offender, evidence);
        }
        is_new && fits
    }

    /// Forgets evidence against those who have no vote to lose any more: it is in a block, or they left.
    pub fn note_block(&mut self, state: &ChainState) {
        self.held.retain(|offender, _| state.is_accusable(offender));
        self.bytes = self.held.values().map(|evidence| evidence.bytes()).sum();
    }
}

/// The number that stands for a validator in the bitmaps of X-5.
fn number_of(state: &ChainState, key: &PublicKey) -> Option<usize> {
    let next = || Some(state.validators.len() + usize::from(state.next_validators.index_of(key)?));
    state.validators.index_of(key).map(usize::from).or_else(next)
}

impl<L: Ledger> Engine<L> {
    /// What this node found out itself: keeps it, durably, and tells everybody.
    fn accuse(&mut self, evidence: Evidence, cx: &mut Cx<'_>) {
        // A node says nothing that it cannot prove, whatever it was told.
        if !self.would_accuse(&evidence.offender()) || evidence.verify(&self.identity.genesis).is_err() {
            return;
        }
        let evidence = Arc::new(evidence);
        if self.hold_evidence(&evidence, cx) {
            cx.effect(Effect::PublishVote(Vote::Evidence(evidence)));
        }
    }

    /// Whether evidence against this validator would be kept.
    fn would_accuse(&self, key: &PublicKey) -> bool {
        self.chain.state.is_accusable(key) && !self.evidence.held.contains_key(key)
    }

    fn hold_evidence(&mut self, evidence: &Arc<Evidence>, cx: &mut Cx<'_>) -> bool {
        let held = self.evidence.hold(Arc::clone(evidence), &self.chain.state);
        if held {
            cx.record(Record::Evidence(Arc::clone(evidence)));
            Self::announce_evidence(evidence, cx);
        }
        held
    }

    /// Readers learn of evidence that is held, once in the life of a process.
    pub(super) fn announce_evidence(evidence: &Arc<Evidence>, cx: &mut Cx<'_>) {
        cx.effect(Effect::Event(Event::Evidence(Arc::clone(evidence))));
    }

    /// Evidence from a peer whose signatures were checked. The shell forwards it (N-13).
    pub(super) fn on_evidence(&mut self, from: From, evidence: &Arc<Evidence>, cx: &mut Cx<'_>) {
        if evidence.check().is_ok() {
            self.hold_evidence(evidence, cx);
        } else if let Some(peer) = from {
            cx.effect(Effect::Penalty(peer, Offence::InvalidVote));
        }
    }

    /// Two block votes of one validator; nothing is wrong if they agree, or are about different things.
    pub(super) fn compare_block_votes(&mut self, one: &BlockVote, other: &BlockVote, cx: &mut Cx<'_>) {
        if let Some(evidence) = TwoBlockVotes::of(one, other) {
            self.accuse(Evidence::BlockVotes(evidence), cx);
        }
    }

    /// Votes that came together, as a proof or a commit, each of them like `vote` but for voter and signature, against
    /// those that came one by one.
    pub(super) fn compare_with_kept(&mut self, vote: &BlockVote, proof: &[CommitSignature], cx: &mut Cx<'_>) {
        let mut found = Vec::new();
        for (index, kept) in self.rounds.votes_of(vote.round, vote.phase).filter(|(_, kept)| kept.block != vote.block) {
            if let Ok(at) = proof.binary_search_by_key(&index, |entry| entry.validator)
                && let Some(entry) = proof.get(at)
            {
                found.push((*kept, BlockVote { voter: kept.voter, signature: entry.signature, ..*vote }));
            }
        }
        for (kept, proven) in found {
            self.compare_block_votes(&kept, &proven, cx);
        }
    }

    /// The commit of the height in progress against the precommits that came one by one.
    pub(super) fn compare_commit(&mut self, commit: &Commit, cx: &mut Cx<'_>) {
        let Some(first) = commit.signatures.first() else { return };
        let Commit { height, round, block, .. } = *commit;
        let (epoch, phase) = (self.chain.state.epoch, BlockPhase::Precommit);
        let voter = PublicKey([0; 32]); // each entry has its own
        let vote = BlockVote { epoch, height, round, phase, block: Some(block), voter, signature: first.signature };
        self.compare_with_kept(&vote, &commit.signatures, cx);
    }

    /// Two proposals of one round.
    pub(super) fn compare_proposals(&mut self, one: &Proposal, other: &Proposal, cx: &mut Cx<'_>) {
        if let Some(evidence) = TwoProposals::of(one, other) {
            self.accuse(Evidence::Proposals(evidence), cx);
        }
    }

    /// A seal against those that are kept of the same validator.
    pub(super) fn compare_seals(&mut self, seal: &Seal, index: ValidatorIndex, cx: &mut Cx<'_>) {
        let kept = self.sealing.seals_of(index).find_map(|kept| TwoSeals::of(kept, seal));
        if let Some(evidence) = kept {
            self.accuse(Evidence::Seals(evidence), cx);
        }
    }

    /// Seals of a closing whose signatures hold against those that are kept.
    pub(super) fn compare_closing(&mut self, closing: &Closing, cx: &mut Cx<'_>) {
        let epoch = self.chain.state.epoch;
        let mut found = Vec::new();
        for seal in &closing.seals {
            let said = (seal.list, seal.signature);
            let kept = self.sealing.seals_of(seal.validator).map(|kept| (kept.voter, (kept.list(), kept.signature)));
            found.extend(kept.filter_map(|(voter, kept)| TwoSeals::of_lists(voter, epoch, said, kept)));
        }
        found.into_iter().for_each(|evidence| self.accuse(Evidence::Seals(evidence), cx));
    }

    /// Two payments that spend an output together are known from now on: whoever has voted for both is noticed, and
    /// whoever will.
    pub(super) fn watch_rivals(&mut self, txid: &Txid, rival: &Txid, cx: &mut Cx<'_>) {
        for side in [txid, rival] {
            if let Some(entry) = self.pool.get(side) {
                self.evidence.opposed.add(*side, &entry.transaction);
            }
        }
        for phase in [Phase::Prepare, Phase::Commit] {
            let voted = |txid: &Txid| self.voting.tally(txid).map(|tally| tally.votes(phase));
            let Some((left, right)) = voted(txid).zip(voted(rival)) else { continue };
            let both = left.iter().filter_map(|(voter, one)| Some((Arc::clone(one), Arc::clone(right.get(voter)?))));
            for (one, other) in both.collect::<Vec<_>>() {
                self.accuse_voter((txid, &one), (rival, &other), cx);
            }
        }
    }

    /// A payment that the pool refuses because of others; if somebody voted for it, it matters who.
    pub(super) fn watch_refused(&mut self, transaction: &Transaction, cx: &mut Cx<'_>) {
        let txid = transaction.txid();
        if self.voting.tally(&txid).is_none() {
            return;
        }
        for rival in self.pool.conflicts(&txid, transaction) {
            self.evidence.opposed.add(txid, &Arc::new(transaction.clone()));
            self.watch_rivals(&txid, &rival, cx);
        }
    }

    /// A vote was counted: has the voter voted for a rival in the same phase? Payments that nothing is known to conflict
    /// with cost one look.
    pub(super) fn compare_votes(
        &mut self,
        txid: &Txid,
        batch: &Arc<VoteBatch>,
        voter: ValidatorIndex,
        cx: &mut Cx<'_>,
    ) {
        if !self.evidence.opposed.contains(txid) || !self.would_accuse(&batch.voter) {
            return;
        }
        for rival in self.evidence.opposed.rivals(txid) {
            let other = self.voting.tally(&rival).and_then(|tally| tally.votes(batch.phase).get(&voter).cloned());
            if let Some(other) = other {
                self.accuse_voter((txid, batch), (&rival, &other), cx);
            }
        }
    }

    fn accuse_voter(&mut self, one: (&Txid, &VoteBatch), other: (&Txid, &VoteBatch), cx: &mut Cx<'_>) {
        if !self.would_accuse(&one.1.voter) {
            return;
        }
        let body = |txid: &Txid| self.evidence.opposed.body(txid).map(|transaction| &transaction.body);
        let Some((left, right)) = body(one.0).zip(body(other.0)) else { return };
        if let Some(evidence) = TwoPayments::of((one.1, left), (other.1, right)) {
            self.accuse(Evidence::Payments(evidence), cx);
        }
    }

    /// What a proposal of this node takes along, the shortest first: so that as many as possible lose their vote.
    pub(super) fn evidence_for_block(&self) -> Vec<Arc<Evidence>> {
        let mut held: Vec<Arc<Evidence>> = self.evidence.held().cloned().collect();
        held.sort_by_key(|evidence| evidence.bytes());
        held
    }

    /// Whether both signatures of each piece of evidence in a proposal hold; what is held here was checked before.
    pub(super) fn is_valid_evidence(&self, closing: &Closing) -> bool {
        let is_bounded = closing.evidence.len() <= CLOSING_EVIDENCE_MAX; // before anything that costs time
        is_bounded
            && closing.evidence.iter().all(|piece| {
                let is_held = self.evidence.held.get(&piece.offender()).is_some_and(|held| **held == *piece);
                is_held || piece.verify(&self.identity.genesis).is_ok()
            })
    }

    /// What a status request says of the evidence that is here.
    pub(super) fn evidence_held(&self) -> Bitmap {
        self.evidence.held.keys().filter_map(|offender| number_of(&self.chain.state, offender)).collect()
    }

    /// The evidence that a peer at the same height lacks, as much as fits.
    pub(super) fn evidence_for_peer(&self, has: &Bitmap) -> Vec<Evidence> {
        let mut room = STATUS_EVIDENCE_BYTES_MAX;
        let lacks =
            |offender: &PublicKey| number_of(&self.chain.state, offender).is_some_and(|number| !has.contains(number));
        let lacking = self.evidence.held.iter().filter(|(offender, _)| lacks(offender));
        let fitting = lacking.map_while(|(_, evidence)| {
            room = room.checked_sub(evidence.bytes())?;
            Some(evidence.as_ref().clone())
        });
        fitting.collect()
    }
}
