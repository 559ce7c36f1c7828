//! Judging proposals (`SPEC.md` B-11…B-13): is the block valid, and may this validator prevote it?

use super::api::Destination;
use super::rounds::Candidate;
use super::sealing::InvalidClosing;
use super::{Cx, Engine, Ledger, Time};
use crate::bft::{Event as RoundEvent, Step};
use crate::block::{Block, CommitSignature, CompactBlock, Proposal};
use crate::bounds::{BLOCK_TRANSACTIONS_MAX, REQUEST_CERTIFICATES_MAX};
use crate::hash::Txid;
use crate::keys::{PublicKey, Signature, SignatureCheck};
use crate::ledger::{Unavailable, apply_block};
use crate::mutation::{Mutation, is_broken};
use crate::transaction::Transaction;
use crate::validator::Round;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// How far a block's time may lie in the future by this node's clock, in milliseconds (B-12).
const CLOCK_DRIFT_MS_MAX: u64 = 2_000;
/// Pause before a candidate that waits for something is judged again, in milliseconds.
const REJUDGE_MS: u64 = 50;

/// What keeps a validator from prevoting a block that breaks no rule.
enum Acceptance {
    /// Nothing; these transactions without certificate are to be locked first (B-11).
    Now(Vec<Txid>),
    /// Certificates of these are missing here.
    Lacks(Vec<Txid>),
    /// Its time has not come yet.
    Early,
}

impl<L: Ledger> Engine<L> {
    /// Judges again what was not settled.
    pub(super) fn judge_candidates(&mut self, cx: &mut Cx<'_>) -> Result<(), Unavailable> {
        let open: Vec<Round> = self
            .rounds
            .candidates
            .iter()
            .filter(|(_, candidate)| !candidate.settled)
            .map(|(round, _)| *round)
            .collect();
        let height = self.rounds.height();
        for round in open {
            if self.rounds.height() == height {
                self.judge_candidate(round, cx)?;
            }
        }
        Ok(())
    }

    pub(super) fn judge_candidate(&mut self, round: Round, cx: &mut Cx<'_>) -> Result<(), Unavailable> {
        let Some(candidate) = self.rounds.candidates.get(&round).cloned() else { return Ok(()) };
        let proposal = &candidate.proposal;
        let Some(valid) = self.is_valid_block(&candidate, cx)? else { return Ok(()) };
        if valid && proposal.block.closing.closes() && !self.rounds.started {
            self.rounds.start_at = cx.now; // E-5: it does not wait for the block interval
        }
        // Only a validator that can still prevote in this round needs its locks asked, and takes new
        // ones (B-11). A later round is judged again when it comes, an earlier one never.
        let current = self.rounds.round();
        let undecided =
            self.rounds.started && round == current && self.rounds.agreement.current_step() == Step::Propose;
        let mut acceptable = false;
        if valid && undecided {
            match self.acceptance(proposal, cx.now) {
                Acceptance::Now(uncertified) => acceptable = self.lock_all(&uncertified, cx),
                Acceptance::Lacks(txids) => self.fetch_certificates(round, txids, cx),
                Acceptance::Early => self.rounds.rejudge_at = Some(cx.now.plus_ms(REJUDGE_MS)),
            }
        }
        let open = undecided || !self.rounds.started || round > current;
        if let Some(candidate) = self.rounds.candidates.get_mut(&round) {
            candidate.settled = !valid || acceptable || !open;
        }
        let event =
            RoundEvent::Proposal { round, block: candidate.hash, valid_round: proposal.valid_round, valid, acceptable };
        self.advance(event, cx)?;
        if self.rounds.decided.is_some_and(|(_, block)| block == candidate.hash) {
            self.try_commit(cx)?;
        }
        Ok(())
    }

    /// Whether the ledger permits the block; `None` while bodies are missing.
    fn is_valid_block(&mut self, candidate: &Candidate, cx: &mut Cx<'_>) -> Result<Option<bool>, Unavailable> {
        if self.rounds.blocks.contains_key(&candidate.hash) {
            return Ok(Some(true));
        }
        let compact = &candidate.proposal.block;
        let mut transactions = Vec::with_capacity(compact.txids.len().min(BLOCK_TRANSACTIONS_MAX));
        let mut complete = compact.txids.len() <= BLOCK_TRANSACTIONS_MAX;
        if !complete {
            return Ok(Some(false));
        }
        for txid in &compact.txids {
            match self.body(txid) {
                Some(body) => transactions.push(body.as_ref().clone()),
                None => {
                    complete = false;
                    self.rounds.need_body(*txid);
                    self.want_for_proposal(*txid, candidate.from, cx.now);
                }
            }
        }
        if !complete {
            return Ok(None);
        }
        let compact = compact.clone();
        // X-6, E-5. Once for each proposal: it is judged again whenever something that it needs has come.
        let mut signatures = candidate.signatures;
        let (evidence, seals) =
            (|| self.is_valid_evidence(&compact.closing), || self.are_valid_seals(&compact.closing));
        if compact.closing.closes() && !signatures.hold(|| evidence() && seals()) {
            return Ok(Some(false));
        }
        if let Some(candidate) = self.rounds.candidates.get_mut(&candidate.proposal.round) {
            candidate.signatures = signatures;
        }
        let listed = match self.lists_for(&compact, candidate.from, cx) {
            Ok(Some(listed)) => listed,
            Ok(None) => return Ok(None),
            Err(InvalidClosing) => return Ok(Some(false)),
        };
        let CompactBlock { header, parent_commit, coinbase, closing, .. } = compact;
        let block = Block { header, parent_commit, coinbase, transactions, closing, listed };
        if !self.is_valid_parent_commit(&block) {
            return Ok(Some(false));
        }
        let judged = apply_block(&self.chain.state, &self.identity.params, &self.chain.ledger, &block)?;
        let Ok(delta) = judged else { return Ok(Some(false)) };
        self.rounds.blocks.insert(candidate.hash, (Arc::new(block), Arc::new(delta)));
        Ok(Some(true))
    }

    /// Checks the signatures of the parent's commit, except those that are known (B-3).
    fn is_valid_parent_commit(&self, block: &Block) -> bool {
        let Some(commit) = &block.parent_commit else { return true };
        let same = self.chain.last_commit.as_ref().filter(|own| own.round == commit.round && own.block == commit.block);
        // By signer: a known signature under the name of another validator is a forgery (B-3).
        let signers = &self.chain.state.signers;
        let signer = |entry: &CommitSignature| Some((signers.validators.at(entry.validator)?.key, entry.signature));
        let known: BTreeSet<(PublicKey, Signature)> =
            same.into_iter().flat_map(|own| own.signatures.iter().filter_map(signer)).collect();
        let is_known = |check: &SignatureCheck| known.contains(&(check.key, check.signature));
        commit.verify_except(signers.epoch, &signers.validators, &self.identity.genesis, is_known).is_ok()
    }

    /// Whether this validator may prevote a valid block for the first time (B-11, B-12).
    fn acceptance(&self, proposal: &Proposal, now: Time) -> Acceptance {
        if proposal.block.header.time_ms > now.millis().saturating_add(CLOCK_DRIFT_MS_MAX) {
            return Acceptance::Early; // B-12
        }
        if proposal.valid_round.is_none() && proposal.block.header.proposer != proposal.proposer {
            return Acceptance::Lacks(Vec::new()); // a new block names its own proposer (B-10)
        }
        let uncertified: Vec<Txid> =
            proposal.block.txids.iter().filter(|txid| !self.has_certificate(txid)).copied().collect();
        let free = |txid: &Txid| self.body(txid).is_some_and(|body| self.locked_rival(&body, txid).is_none());
        let first = proposal.round == Round(0) || is_broken(Mutation::UncertifiedInLaterRounds);
        if first && !self.is_sealing() && uncertified.iter().all(free) {
            return Acceptance::Now(uncertified);
        }
        if uncertified.is_empty() { Acceptance::Now(uncertified) } else { Acceptance::Lacks(uncertified) }
    }

    fn lock_all(&mut self, txids: &[Txid], cx: &mut Cx<'_>) -> bool {
        txids.iter().all(|txid| match self.body(txid) {
            Some(body) => self.lock_inputs(txid, &body, cx),
            None => false,
        })
    }

    fn fetch_certificates(&mut self, round: Round, mut txids: Vec<Txid>, cx: &mut Cx<'_>) {
        txids.truncate(REQUEST_CERTIFICATES_MAX);
        if !txids.is_empty() && self.rounds.rejudge_at.is_none() {
            // First of whoever brought the proposal, then of anybody.
            let from = self.rounds.candidates.get_mut(&round).and_then(|candidate| candidate.from.take());
            self.rounds.rejudge_at = Some(cx.now.plus_ms(REJUDGE_MS));
            self.request_certificates(txids, from.map_or(Destination::Any, Destination::Peer), cx);
        }
    }

    /// A body came: if a candidate waits for it, keeps it, whether or not the pool takes it, and
    /// judges the candidate again (B-13).
    pub(super) fn keep_for_proposal(&mut self, body: &Transaction, now: Time) {
        if !self.rounds.needs_bodies() {
            return;
        }
        let txid = body.txid();
        if self.rounds.take_needed(&txid) {
            self.rounds.keep_body(txid, Arc::new(body.clone()));
            self.rounds.rejudge_at = Some(now);
        }
    }
}
