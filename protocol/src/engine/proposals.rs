//! Proposals (`SPEC.md` B-10, R-16): building one's own, taking in those of others.

use super::admission::From;
use super::api::{Effect, Offence};
use super::pool::{Entry, Stage};
use super::rounds::{Candidate, Checked};
use super::{Cx, Engine, Ledger, Record};
use crate::bft::Event as RoundEvent;
use crate::block::{BlockPhase, BlockVote, CommitSignature, CompactBlock, Proposal};
use crate::bounds::BLOCK_TRANSACTIONS_MAX;
use crate::hash::{BlockHash, Domain, Txid, hash_bytes};
use crate::keys::{Signed, verify};
use crate::ledger::{BlockParts, Unavailable, build_block};
use crate::transaction::Transaction;
use crate::validator::{Epoch, Round};
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Time;

/// How long sampling may take before a block may settle a transaction, in milliseconds (B-11).
const FALLBACK_MS: u64 = 1_500;
/// How often that doubles after a proposer offered the transaction in vain: a double spend on which
/// the validators' locks are split costs the network a round now and then, not one at each height.
const OFFER_DOUBLINGS_MAX: u32 = 12;

impl<L: Ledger> Engine<L> {
    /// It is this validator's turn: propose `valid` again, or a new block (B-10).
    pub(super) fn propose(
        &mut self,
        round: Round,
        valid: Option<(Round, BlockHash)>,
        cx: &mut Cx<'_>,
    ) -> Result<(), Unavailable> {
        if self.rounds.candidates.contains_key(&round) {
            return Ok(()); // made before a crash, and its bodies are not at hand (D-13)
        }
        let compact = match valid {
            Some((_, hash)) => {
                let known = self.rounds.candidates.values().find(|candidate| candidate.hash == hash);
                match known {
                    Some(candidate) => candidate.proposal.block.clone(),
                    None => return Ok(()), // not at hand after a crash; another proposer has it
                }
            }
            None => self.build(round, cx.now)?,
        };
        let Some(key) = self.voting_key() else { return Ok(()) };
        let valid = valid.map(|(valid_round, hash)| (valid_round, self.rounds.proof_of(valid_round, hash)));
        let proposal = Proposal::sign(round, valid, compact, key, &self.identity.genesis);
        let proposal = Arc::new(proposal);
        cx.record(Record::Proposal(Arc::clone(&proposal)));
        cx.effect(Effect::PublishProposal(Arc::clone(&proposal)));
        self.take_candidate(None, proposal, cx)
    }

    fn build(&mut self, round: Round, now: Time) -> Result<CompactBlock, Unavailable> {
        let (seals, evidence) = (self.usable_seals(), self.evidence_for_block());
        let transactions = self.block_candidates(round, now);
        let state = &self.chain.state;
        let time_ms = now.millis().max(state.time_ms.saturating_add(1));
        let proposer = self.identity.public.unwrap_or(crate::keys::PublicKey([0; 32]));
        let (block, delta) = build_block(
            state,
            &self.identity.params,
            &self.chain.ledger,
            time_ms,
            proposer,
            BlockParts {
                parent_commit: self.chain.last_commit.clone(),
                transactions: &transactions,
                seals: &seals,
                evidence: &evidence,
            },
        )?;
        let compact = CompactBlock {
            header: block.header.clone(),
            parent_commit: block.parent_commit.clone(),
            coinbase: block.coinbase.clone(),
            txids: delta.txids.clone(),
            closing: block.closing.clone(),
        };
        self.rounds.blocks.insert(block.header.hash(), (Arc::new(block), Arc::new(delta)));
        Ok(compact)
    }

    /// Every certified transaction, parents first; in round 0 also those that sampling could not
    /// settle in time and that this validator's locks permit (B-11).
    fn block_candidates(&mut self, round: Round, now: Time) -> Vec<Arc<Transaction>> {
        let may_offer = round == Round(0) && !self.is_sealing();
        let offers = if may_offer { self.offers(now) } else { BTreeSet::new() };
        let mut left_out = BTreeSet::new();
        let mut chosen = Vec::new();
        let mut offered = Vec::new();
        for (txid, entry) in self.pool.in_order() {
            let certified = entry.stage >= Stage::Prepared;
            let fallback = offers.contains(txid);
            if (!certified && !fallback) || entry.parents.iter().any(|parent| left_out.contains(parent)) {
                left_out.insert(*txid);
                continue;
            }
            if chosen.len() >= BLOCK_TRANSACTIONS_MAX {
                break;
            }
            if !certified {
                offered.push(*txid);
            }
            chosen.push(Arc::clone(&entry.transaction));
        }
        for txid in offered {
            self.pool.note_offer(&txid, now);
        }
        chosen
    }

    /// Which transactions without a certificate to offer in one block. One on which the validators'
    /// locks are split spoils the whole block, so those that a conflict is known of never go with
    /// those that none is known of, and what was offered in vain goes alone. The three kinds take turns
    /// by height, so that none waits for the others (B-10): drawn from a hash, since in short epochs only some heights
    /// can have any.
    fn offers(&self, now: Time) -> BTreeSet<Txid> {
        let (mut lone, mut contested, mut failed) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for (txid, entry) in self.pool.in_order().filter(|(txid, entry)| self.is_offerable(txid, entry, now)) {
            match (entry.offers, self.pool.conflicts(txid, &entry.transaction).is_empty()) {
                (0 | 1, true) => lone.insert(*txid),
                (0, false) => contested.insert(*txid),
                // Alone it needs parents that need no offer.
                _ if entry.parents.iter().any(|parent| self.is_open(parent)) => false,
                _ => failed.insert((entry.offer_from, *txid)),
            };
        }
        let alone = failed.first().map(|(_, txid)| *txid).into_iter().collect();
        let mut kinds = [lone, contested, alone];
        // Not the bytes that say whose turn it is (V-3).
        let [.., drawn] = hash_bytes(Domain::Proposer, &self.rounds.height().0.to_le_bytes());
        kinds.rotate_left(usize::from(drawn % 3));
        kinds.into_iter().find(|kind| !kind.is_empty()).unwrap_or_default()
    }

    /// Whether a transaction is in the pool without a certificate.
    fn is_open(&self, txid: &Txid) -> bool {
        self.pool.get(txid).is_some_and(|entry| entry.stage < Stage::Prepared)
    }

    /// Whether sampling had its time with a transaction, and this validator may lock its inputs.
    fn is_offerable(&self, txid: &Txid, entry: &Entry, now: Time) -> bool {
        let stale = match entry.stage {
            Stage::Waiting => false,
            Stage::GivenUp if entry.offers == 0 => true,
            _ if entry.poll.left_open => true, // E-9
            // Offered in vain: each time, wait twice as long (B-11).
            _ => entry.offer_from.plus_ms(FALLBACK_MS << entry.offers.min(OFFER_DOUBLINGS_MAX)) <= now,
        };
        stale
            && entry.stage < Stage::Prepared
            && self.pool.is_preferred(txid)
            && self.locked_rival(&entry.transaction, txid).is_none()
    }

    /// A proposal whose signature was checked.
    pub(super) fn on_proposal(&mut self, from: From, proposal: Proposal, cx: &mut Cx<'_>) -> Result<(), Unavailable> {
        self.recognize_proposal(&proposal, cx);
        let header = &proposal.block.header;
        let height = self.rounds.height();
        let is_ahead = header.height == height.next();
        let Some(validators) = self.set_of(header.epoch) else { return Ok(()) };
        let is_present = header.height == height && header.epoch == self.chain.state.epoch;
        if !is_present && !is_ahead {
            return Ok(());
        }
        let rightful = validators.proposer(header.height, proposal.round).map(|member| member.key);
        let well_formed = proposal.proof.len() <= validators.len() && proposal.block.matches_header();
        // Whose turn it is in the next epoch may still change: whoever the closing block takes the vote is not in its set.
        if is_ahead && well_formed && rightful != Some(proposal.proposer) && header.epoch != self.chain.state.epoch {
            return Ok(());
        }
        if rightful != Some(proposal.proposer) || !well_formed {
            if let Some(peer) = from {
                cx.effect(Effect::Penalty(peer, Offence::InvalidVote));
            }
            return Ok(());
        }
        if is_ahead {
            if let Some(first) = self.rounds.keep_ahead(&proposal) {
                self.compare_proposals(&first, &proposal, cx);
            }
            return Ok(());
        }
        if !self.rounds.is_near(proposal.round) {
            return Ok(()); // R-15; it is heard again when its round comes (N-22)
        }
        if let Some(valid_round) = proposal.valid_round.filter(|valid_round| *valid_round < proposal.round) {
            self.take_proof(valid_round, &proposal, cx)?;
        }
        self.take_candidate(from, Arc::new(proposal), cx)
    }

    /// The prevotes that came with a re-proposal: a validator that prevoted twice in that
    /// round may have told this node the other thing.
    fn take_proof(&mut self, round: Round, proposal: &Proposal, cx: &mut Cx<'_>) -> Result<(), Unavailable> {
        let (header, block) = (&proposal.block.header, proposal.block.header.hash());
        if self.rounds.agreement.has_prevote_quorum(round, &block) {
            return Ok(());
        }
        // Whoever passed the proposal on may have spoilt the proof: it counts as a whole or not at all.
        if !self.is_prevote_quorum(round, header.epoch, block, &proposal.proof) {
            return Ok(());
        }
        let proof = proposal.proof.clone();
        let (height, phase) = (self.rounds.height(), BlockPhase::Prevote);
        let (voter, signature) = (proposal.proposer, proposal.signature); // each entry has its own
        let vote = BlockVote { epoch: header.epoch, height, round, phase, block: Some(block), voter, signature };
        self.compare_with_kept(&vote, &proof, cx);
        let voters = proof.iter().map(|entry| entry.validator).collect();
        self.rounds.proofs.insert((round, block), proof);
        self.advance(RoundEvent::PrevoteProof { round, block, voters }, cx)
    }

    /// Whether these are valid prevotes of a quorum for `block`, sorted by validator.
    fn is_prevote_quorum(&self, round: Round, epoch: Epoch, block: BlockHash, proof: &[CommitSignature]) -> bool {
        let weight = self.validators().weight_at(proof.iter().map(|entry| entry.validator));
        if !proof.is_sorted_by(|left, right| left.validator < right.validator) || !self.validators().is_quorum(weight) {
            return false;
        }
        let height = self.rounds.height();
        proof.iter().all(|entry| {
            self.validators().at(entry.validator).is_some_and(|member| {
                let (phase, voter, signature) = (BlockPhase::Prevote, member.key, entry.signature);
                let vote = BlockVote { epoch, height, round, phase, block: Some(block), voter, signature };
                let mut checks = Vec::new();
                vote.signature_checks(&self.identity.genesis, &mut checks);
                checks.iter().all(verify)
            })
        })
    }

    pub(super) fn take_candidate(
        &mut self,
        from: From,
        proposal: Arc<Proposal>,
        cx: &mut Cx<'_>,
    ) -> Result<(), Unavailable> {
        let (round, hash) = (proposal.round, proposal.block.header.hash());
        if let Some(known) = self.rounds.candidates.get(&round) {
            let (known, first) = (known.hash, Arc::clone(&known.proposal));
            self.compare_proposals(&first, &proposal, cx);
            if known != hash {
                // Two proposals of one round: the agreement takes note of the second.
                let event = RoundEvent::Proposal {
                    round,
                    block: hash,
                    valid_round: proposal.valid_round,
                    valid: false,
                    acceptable: false,
                };
                return self.advance(event, cx);
            }
            return Ok(());
        }
        self.rounds
            .candidates
            .insert(round, Candidate { proposal, hash, from, signatures: Checked::default(), settled: false });
        self.judge_candidate(round, cx)
    }
}
