//! The end of an epoch (`SPEC.md` E-3…E-5): own and others' seals, and when the closing block can be made.

use super::admission::From;
use super::api::{Destination, Effect, Offence, Request, Time};
use super::pool::Stage;
use super::requests::Purpose;
use super::{Cx, Engine, Kept, Ledger, Record};
use crate::bitmap::Bitmap;
use crate::block::{Closing, CompactBlock};
use crate::bounds::{REQUEST_CERTIFICATES_MAX, SEALS_PER_VALIDATOR_MAX, STATUS_SEALS_BYTES_MAX};
use crate::codec::encoded_len;
use crate::finality::Seal;
use crate::hash::{Hash, Txid};
use crate::keys::{PublicKey, Signature, SignatureCheck};
use crate::ledger::{Unavailable, lists_of};
use crate::mutation::{Mutation, is_broken};
use crate::validator::ValidatorIndex;
use crate::wire::{StatusRequest, Vote};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Pause between two looks for what is missing to close the epoch, in milliseconds.
const SEAL_RETRY_MS: u64 = 200;
/// Validators that are asked for votes at each of these looks.
const SEAL_ASKED_MAX: usize = 8;

/// A seal, by who made it and the hash of its list.
type SealId = (ValidatorIndex, Hash);

/// Seals of the current epoch.
#[derive(Clone, Debug, Default)]
pub(super) struct Sealing {
    /// The own one: from it on this node casts no Prepare and no Commit vote in the epoch (E-4).
    own: Option<Arc<Seal>>,
    seals: BTreeMap<SealId, Arc<Seal>>,
    /// Those whose transactions all are certified here or in a block since sealing began.
    usable: BTreeSet<SealId>,
    /// Transactions in blocks since sealing began.
    in_blocks: BTreeSet<Txid>,
    /// Seals that a proposal names and that are not here.
    wanted: BTreeSet<SealId>,
    /// Those of others that are durable.
    recorded: BTreeSet<SealId>,
    /// Whether something came that may make another seal usable.
    stale: bool,
    retry_at: Time,
    /// Whom to ask first the next time.
    next_asked: usize,
}

impl Sealing {
    pub const fn own(&self) -> Option<&Arc<Seal>> {
        self.own.as_ref()
    }

    /// In a set of `members`, with proposals of so many rounds: each names one seal of each (E-5).
    pub fn kept(&self, members: usize, rounds: usize) -> Kept {
        let most = members.saturating_mul(SEALS_PER_VALIDATOR_MAX.saturating_add(rounds));
        Kept::new("seals", self.seals.len(), most)
    }

    pub const fn deadline(&self) -> Time {
        self.retry_at
    }

    /// A block or a certificate came: more seals may be usable.
    pub const fn wake(&mut self) {
        self.stale = true;
    }

    pub fn note_block(&mut self, txids: &[Txid]) {
        self.in_blocks.extend(txids.iter().copied());
        self.stale = true;
    }

    /// The seal of another validator, from the journal.
    pub fn restore_other(&mut self, seal: Arc<Seal>, index: ValidatorIndex) {
        let id = (index, seal.list());
        self.seals.insert(id, seal);
        self.recorded.insert(id);
        self.stale = true;
    }

    /// The seals of others that a closing names and that are not durable yet; they are from now on, to the end of the epoch.
    pub fn take_unrecorded(&mut self, closing: &Closing) -> Vec<Arc<Seal>> {
        let ids = closing.seals.iter().map(|seal| (seal.validator, seal.list));
        let held = ids.filter_map(|id| Some((id, self.seals.get(&id)?)));
        let of_others = held.filter(|(_, seal)| self.own.as_ref().is_none_or(|own| own.voter != seal.voter));
        of_others.filter(|(id, _)| self.recorded.insert(*id)).map(|(_, seal)| Arc::clone(seal)).collect()
    }

    /// All seals that a restart must find again: the own one, and those of others that were made durable.
    pub fn durable(&self) -> impl Iterator<Item = &Arc<Seal>> {
        self.own.iter().chain(self.recorded.iter().filter_map(|id| self.seals.get(id)))
    }

    /// The own seal, from the journal (D-13).
    pub fn restore(&mut self, seal: Arc<Seal>, index: Option<ValidatorIndex>) {
        if let Some(index) = index {
            self.seals.insert((index, seal.list()), Arc::clone(&seal));
        }
        self.own = Some(seal);
    }

    fn has_seal_of(&self, validator: ValidatorIndex) -> bool {
        self.seals_of(validator).next().is_some()
    }

    pub fn seals_of(&self, validator: ValidatorIndex) -> impl Iterator<Item = &Arc<Seal>> {
        let range = (validator, Hash([0; 32]))..=(validator, Hash([255; 32]));
        self.seals.range(range).map(|(_, seal)| seal)
    }
}

impl<L: Ledger> Engine<L> {
    /// Whether Prepare and Commit votes of this epoch have ended here (E-3, E-4).
    pub(super) fn is_sealing(&self) -> bool {
        self.sealing.own.is_some() || self.chain.state.is_sealing(&self.identity.params)
    }

    /// Whether this node may cast Prepare and Commit votes now.
    pub(super) fn may_vote(&self) -> bool {
        (!self.is_sealing() || is_broken(Mutation::VoteAfterSeal)) && self.voting_key().is_some()
    }

    /// Seals the epoch when its time has come (E-4): durably, once, with everything it voted Commit for.
    pub(super) fn seal_if_due(&mut self, cx: &mut Cx<'_>) {
        if !self.is_sealing() {
            return;
        }
        if !is_broken(Mutation::VoteAfterSeal) {
            self.voting.clear_queues();
        }
        if self.sealing.own.is_some() {
            return;
        }
        let Some((key, index)) = self.voting_key().zip(self.own_index()) else { return };
        let omitted = usize::from(is_broken(Mutation::SealOmitsCommit));
        let txids = self.voting.own_commits().iter().skip(omitted).copied().collect();
        let seal = Arc::new(Seal::sign(self.chain.state.epoch, txids, key, &self.identity.genesis));
        cx.record(Record::Sealed(Arc::clone(&seal)));
        cx.effect(Effect::PublishVote(Vote::Seal(seal.as_ref().clone())));
        self.sealing.restore(seal, Some(index));
        self.sealing.stale = true;
    }

    /// A seal whose signature was checked.
    pub(super) fn on_seal(&mut self, from: From, seal: Seal, cx: &mut Cx<'_>) {
        if !seal.has_valid_form() {
            if let Some(peer) = from {
                cx.effect(Effect::Penalty(peer, Offence::InvalidVote));
            }
            return;
        }
        self.recognize_seal(&seal, cx);
        let Some(index) = self.validators().index_of(&seal.voter) else { return };
        if seal.epoch != self.chain.state.epoch {
            return;
        }
        self.compare_seals(&seal, index, cx);
        let id = (index, seal.list());
        let wanted = self.sealing.wanted.remove(&id);
        if wanted || self.sealing.seals_of(index).count() < SEALS_PER_VALIDATOR_MAX {
            self.sealing.seals.entry(id).or_insert_with(|| Arc::new(seal));
            self.sealing.stale = true;
        }
        if wanted {
            self.rounds.rejudge_at = Some(cx.now);
        }
    }

    /// Begins the next height as soon as it can close the epoch (E-5), and asks for what is missing.
    pub(super) fn run_sealing(&mut self, cx: &mut Cx<'_>) -> Result<(), Unavailable> {
        if !self.is_sealing() {
            return Ok(());
        }
        if core::mem::take(&mut self.sealing.stale) {
            self.find_usable();
        }
        let ready = self.is_quorum_usable();
        if ready && !self.rounds.started {
            self.rounds.start_at = cx.now;
            self.run_timeouts(cx)?;
        }
        // The closing block may have been decided at once, by a single validator.
        if self.is_sealing() && self.sealing.retry_at <= cx.now {
            self.sealing.retry_at = cx.now.plus_ms(SEAL_RETRY_MS);
            if !ready || !self.sealing.wanted.is_empty() {
                self.ask_seals(Destination::Any, cx);
                self.ask_listed(cx);
            }
        }
        Ok(())
    }

    fn find_usable(&mut self) {
        let open = self.sealing.seals.iter().filter(|(id, _)| !self.sealing.usable.contains(id));
        let found: Vec<SealId> = open
            .filter(|(_, seal)| seal.txids.iter().all(|txid| self.can_close_with(txid)))
            .map(|(id, _)| *id)
            .collect();
        self.sealing.usable.extend(found);
    }

    /// Whether a listed transaction is in a block since sealing began, or this node can put it into one.
    fn can_close_with(&self, txid: &Txid) -> bool {
        self.sealing.in_blocks.contains(txid) || self.pool.get(txid).is_some_and(|entry| entry.stage >= Stage::Prepared)
    }

    fn is_quorum_usable(&self) -> bool {
        let members: BTreeSet<ValidatorIndex> = self.sealing.usable.iter().map(|(index, _)| *index).collect();
        let weight = self.validators().weight_at(members);
        self.validators().is_quorum(weight) || (weight.0 > 0 && is_broken(Mutation::ClosedWithoutQuorum))
    }

    /// The seals that a proposal of this node may name, in order of the validators.
    pub(super) fn usable_seals(&mut self) -> Vec<Arc<Seal>> {
        if !self.is_sealing() {
            return Vec::new();
        }
        self.find_usable();
        self.sealing.usable.iter().filter_map(|id| self.sealing.seals.get(id).cloned()).collect()
    }

    /// What a status request says of the seals and the evidence that are here (N-6).
    pub(super) fn status_request(&self) -> StatusRequest {
        let asked = |index: &ValidatorIndex| self.sealing.wanted.iter().any(|(wanted, _)| wanted == index);
        let held = self.sealing.seals.keys().map(|(index, _)| *index).filter(|index| !asked(index));
        let seals = held.map(usize::from).collect();
        StatusRequest {
            tip: self.chain.state.height,
            round: self.rounds.round(),
            seals,
            evidence: self.evidence_held(),
            voter: None,
        }
    }

    /// The seals that are here of one validator, as many as fit (N-6).
    pub(super) fn own_seals_of(&self, validator: ValidatorIndex) -> Vec<Seal> {
        self.sealing.seals_of(validator).take(SEALS_PER_VALIDATOR_MAX).map(|seal| seal.as_ref().clone()).collect()
    }

    /// The seals that a peer lacks, as many as fit.
    pub(super) fn seals_for(&self, held: &Bitmap) -> Vec<Seal> {
        let mut room = STATUS_SEALS_BYTES_MAX;
        let lacking = self.sealing.seals.iter().filter(|((index, _), _)| !held.contains(usize::from(*index)));
        let fitting = lacking.map_while(|(_, seal)| {
            room = room.checked_sub(encoded_len(seal.as_ref()))?;
            Some(seal.as_ref().clone())
        });
        fitting.collect()
    }

    fn ask_seals(&mut self, to: Destination, cx: &mut Cx<'_>) {
        let members = self.validators().len();
        let all_here = (0..members)
            .all(|index| ValidatorIndex::try_from(index).is_ok_and(|index| self.sealing.has_seal_of(index)));
        if all_here && self.sealing.wanted.is_empty() {
            return;
        }
        let request = self.status_request();
        let id = self.requests.next(Purpose::Status);
        cx.effect(Effect::Request(id, to, Request::Status(request)));
    }

    /// Who listed a transaction holds its certificate (F-4): asks some of those whose seals cannot be used yet, others
    /// each time. Bodies are asked for when votes for them come.
    fn ask_listed(&mut self, cx: &mut Cx<'_>) {
        let open: Vec<(PublicKey, Vec<Txid>)> = self
            .sealing
            .seals
            .iter()
            .filter(|(id, _)| !self.sealing.usable.contains(id))
            .map(|(_, seal)| {
                let lacking = seal.txids.iter().filter(|txid| !self.can_close_with(txid));
                (seal.voter, lacking.take(REQUEST_CERTIFICATES_MAX).copied().collect())
            })
            .collect();
        if open.is_empty() {
            return;
        }
        let first = self.sealing.next_asked % open.len();
        self.sealing.next_asked = first + SEAL_ASKED_MAX;
        for (voter, txids) in open.iter().cycle().skip(first).take(open.len().min(SEAL_ASKED_MAX)) {
            for txid in txids {
                if self.has_certificate(txid) && !self.pool.contains(txid) {
                    self.requests.want_now(*txid, cx.now);
                }
            }
            self.request_certificates(txids.clone(), Destination::Validator(*voter), cx);
        }
    }

    /// The lists of the seals that a proposal whose signatures hold names: `Ok(None)` while a seal is missing, `Err` if the proposal is
    /// invalid (E-5).
    pub(super) fn lists_for(
        &mut self,
        block: &CompactBlock,
        from: From,
        cx: &mut Cx<'_>,
    ) -> Result<Option<Vec<Bitmap>>, InvalidClosing> {
        if !block.closing.closes() {
            return Ok(Some(Vec::new()));
        }
        self.compare_closing(&block.closing, cx);
        let ids: Vec<SealId> = block.closing.seals.iter().map(|seal| (seal.validator, seal.list)).collect();
        let missing: Vec<SealId> = ids.iter().filter(|id| !self.sealing.seals.contains_key(id)).copied().collect();
        if missing.is_empty() {
            let seals = ids.iter().filter_map(|id| self.sealing.seals.get(id)).map(Arc::as_ref);
            return lists_of(&self.chain.state, &block.txids, seals).map(Some).ok_or(InvalidClosing);
        }
        let before = self.sealing.wanted.len();
        self.sealing.wanted.extend(missing);
        if self.sealing.wanted.len() > before {
            self.ask_seals(from.map_or(Destination::Any, Destination::Peer), cx);
        }
        Ok(None)
    }

    /// Whether the signatures of the seals that a proposal names hold (E-5); those that are known were checked before.
    pub(super) fn are_valid_seals(&self, closing: &Closing) -> bool {
        let signer = |seal: &Arc<Seal>| (seal.voter, seal.signature);
        let named = closing.seals.iter().filter_map(|seal| self.sealing.seals.get(&(seal.validator, seal.list)));
        let known: BTreeSet<(PublicKey, Signature)> = named.map(signer).collect();
        let is_known = |check: &SignatureCheck| known.contains(&(check.key, check.signature));
        let (epoch, genesis) = (self.chain.state.epoch, &self.identity.genesis);
        closing.verify_except(epoch, self.validators(), genesis, is_known).is_ok()
    }
}

/// A closing that breaks a rule, whatever else arrives.
#[derive(Clone, Copy, Debug)]
pub(super) struct InvalidClosing;
