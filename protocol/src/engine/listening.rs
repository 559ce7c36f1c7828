//! A start listens first (`SPEC.md` D-18): before a validator signs anything, validators that with it make a quorum say
//! what they hold of its signatures. So an old image of a whole machine, its history with it, is found out.

use super::api::{Destination, Effect, Event, Request, Time};
use super::requests::Purpose;
use super::{Cx, Engine, Ledger, PeerTag};
use crate::block::{BlockPhase, BlockVote};
use crate::keys::PublicKey;
use crate::ledger::Unavailable;
use crate::validator::{ValidatorIndex, Weight};
use crate::wire::{StatusRequest, StatusResponse};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// Pause between two rounds of questions, in milliseconds.
const LISTEN_INTERVAL_MS: u64 = 250;
/// After this long a question that nothing was heard of is asked again, in milliseconds: longer than any request takes (N-14).
const LISTEN_PATIENCE_MS: u64 = 12_000;
/// Pause after an answer that did not count, or none, in milliseconds: a peer answers more questions than that (N-16).
const LISTEN_AGAIN_MS: u64 = 500;
/// Most validators that are asked in one of them; the largest sets are heard within a few seconds.
const LISTEN_ASKED_MAX: usize = 64;

/// Who was asked and who answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Listening {
    answered: BTreeSet<PublicKey>,
    /// Who is not asked before a moment: a question is on the way, or the last answer did not count.
    not_before: BTreeMap<PublicKey, Time>,
    next_at: Time,
    /// Where in the set the next round of questions begins.
    next_asked: usize,
}

impl Listening {
    pub const fn deadline(&self) -> Time {
        self.next_at
    }

    /// What others hold of an epoch that has just begun was not asked yet.
    pub fn end_epoch(&mut self) {
        self.answered.clear();
        self.next_at = Time(0);
    }

    /// A question failed, or its answer did not count: the validator may be asked again soon.
    pub fn ask_again(&mut self, validator: PublicKey, now: Time) {
        self.not_before.insert(validator, now.plus_ms(LISTEN_AGAIN_MS));
    }
}

impl<L: Ledger> Engine<L> {
    /// Weight of those who answered, with the own one.
    pub(super) fn heard_weight(&self, listening: &Listening) -> Weight {
        let own = self.identity.public.as_ref().filter(|own| !listening.answered.contains(own));
        let weights = listening.answered.iter().chain(own).map(|key| self.validators().weight_of(key).0);
        Weight(weights.fold(0, u64::saturating_add))
    }

    /// Asks those who have not answered, or begins to take part once a quorum has.
    pub(super) fn run_listening(&mut self, cx: &mut Cx<'_>) -> Result<(), Unavailable> {
        let Some(listening) = self.history.listening.as_ref().filter(|_| self.history.silence.is_none()) else {
            return Ok(());
        };
        if self.validators().is_quorum(self.heard_weight(listening)) {
            self.history.listening = None;
            cx.effect(Effect::Event(Event::Voice(self.voice())));
            return self.take_part(cx);
        }
        if cx.now >= listening.next_at {
            self.ask_for_own(cx);
        }
        Ok(())
    }

    fn ask_for_own(&mut self, cx: &mut Cx<'_>) {
        let (Some(own), Some(listening)) = (self.identity.public, &self.history.listening) else { return };
        let members = self.chain.state.validators.members();
        let open: Vec<PublicKey> = members
            .iter()
            .map(|member| member.key)
            .filter(|key| *key != own && !listening.answered.contains(key))
            .filter(|key| listening.not_before.get(key).is_none_or(|moment| *moment <= cx.now))
            .collect();
        let first = listening.next_asked.checked_rem(open.len()).unwrap_or_default();
        let chosen: Vec<PublicKey> =
            open.iter().cycle().skip(first).take(open.len().min(LISTEN_ASKED_MAX)).copied().collect();
        let request = StatusRequest { voter: Some(own), ..self.status_request() };
        for key in &chosen {
            let id = self.requests.next(Purpose::Listen(*key));
            cx.effect(Effect::Request(id, Destination::Validator(*key), Request::Status(request.clone())));
        }
        if let Some(listening) = &mut self.history.listening {
            let again = cx.now.plus_ms(LISTEN_PATIENCE_MS);
            listening.not_before.extend(chosen.into_iter().map(|key| (key, again)));
            listening.next_asked = first.saturating_add(LISTEN_ASKED_MAX);
            listening.next_at = cx.now.plus_ms(LISTEN_INTERVAL_MS);
        }
    }

    /// A validator says what it holds of this node's signatures. Handing that in is what finds an unknown one (D-17).
    pub(super) fn on_heard(
        &mut self,
        validator: &PublicKey,
        peer: PeerTag,
        status: StatusResponse,
        cx: &mut Cx<'_>,
    ) -> Result<(), Unavailable> {
        // It speaks of the epoch in progress, and of no block that is not here: or it is asked again.
        let epoch = status.epoch;
        let counts = epoch == self.chain.state.epoch && status.tip <= self.chain.state.height;
        self.behind(status.tip, peer, cx);
        for batch in status.batches {
            self.on_vote_batch(Some(peer), batch, cx)?;
        }
        for seal in status.seals {
            self.on_seal(Some(peer), seal, cx);
        }
        for proposal in status.proposals {
            self.on_proposal(Some(peer), proposal, cx)?;
        }
        for vote in status.votes {
            self.on_block_vote(Some(peer), vote, cx)?;
        }
        if let Some(listening) = &mut self.history.listening {
            // What came may have ended the epoch that it was about.
            if counts && epoch == self.chain.state.epoch {
                listening.answered.insert(*validator);
            } else {
                listening.ask_again(*validator, cx.now);
            }
        }
        Ok(())
    }

    /// What this node holds of the signatures of `voter`, as much as fits (N-6).
    pub(super) fn status_about(&self, voter: &PublicKey) -> StatusResponse {
        let index = self.validators().index_of(voter);
        let seals = index.map(|index| self.own_seals_of(index)).unwrap_or_default();
        let batches = index.map(|index| self.voting.newest_of(index)).unwrap_or_default();
        let (proposals, mut votes) = self.rounds.held_of(voter);
        let proven = index.into_iter().flat_map(|index| self.proven_prevotes(index));
        votes.extend(proven.filter(|vote| !self.rounds.has_vote(vote)).collect::<Vec<_>>());
        StatusResponse {
            tip: self.chain.state.height,
            hash: self.chain.state.hash,
            epoch: self.chain.state.epoch,
            proposals,
            votes,
            seals,
            evidence: Vec::new(),
            batches,
        }
    }

    /// Prevotes of a validator that are here only as a part of proofs.
    fn proven_prevotes(&self, of: ValidatorIndex) -> impl Iterator<Item = BlockVote> {
        let (height, epoch) = (self.rounds.height(), self.chain.state.epoch);
        let voter = self.validators().at(of).map(|member| member.key);
        self.rounds.proofs.iter().flat_map(move |((round, block), proof)| {
            let entry = proof.iter().find(|entry| entry.validator == of).zip(voter);
            entry.map(|(entry, voter)| BlockVote {
                epoch,
                height,
                round: *round,
                phase: BlockPhase::Prevote,
                block: Some(*block),
                voter,
                signature: entry.signature,
            })
        })
    }
}
