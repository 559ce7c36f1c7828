//! The vote history of a validator (`SPEC.md` D-15…D-17): a validator signs only what its history lets it, and is silent
//! while that may not be all that its key ever said.

use super::api::{Effect, Event, Time};
use super::listening::Listening;
use super::{Cx, Engine, Ledger, Record};
use crate::block::{BlockPhase, BlockVote, CommittedBlock, Proposal};
use crate::bounds::HISTORY_MARGIN_MS;
use crate::codec::{Decode, Encode};
use crate::finality::{Seal, VoteBatch};
use crate::hash::Txid;
use crate::keys::PublicKey;
use crate::ledger::Unavailable;
use crate::validator::{Epoch, Weight};
use alloc::collections::BTreeSet;

/// How much later a silence must end, in milliseconds, before that is worth a record: a key that is used twice is
/// heard with every message.
const EXTENSION_MS_MIN: u64 = 1_000;

/// Why a validator is silent (D-15).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub enum Cause {
    /// There was no history for the key.
    Missing,
    /// The history is a copy, or was restored, and not by export and import.
    Copied,
    /// The blocks are newer than the history: that is an old one.
    OlderThanBlocks,
    /// The history is newer than the blocks: its votes are of heights that are not here yet.
    NewerThanBlocks,
    /// A message signed with the key came that the history does not have (D-17).
    OwnSignature,
}

/// A validator signs nothing until an epoch begins that is later than `after_epoch`, by a closing block that is dated
/// later than `after_ms` (D-15).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Silence {
    /// Why.
    pub cause: Cause,
    /// The last epoch in which the key may have voted, as far as it is known by number.
    pub after_epoch: Epoch,
    /// The moment before which the key may have voted in any epoch that had begun, with the margin for clocks; in
    /// milliseconds since 1970 UTC.
    pub after_ms: u64,
}

/// What whoever opened a validator's history knows of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// What is wrong with it; none if the records are all that the key ever signed, as far as one can tell.
    pub doubt: Option<Cause>,
    /// The last epoch that it says the key voted in.
    pub voted: Option<Epoch>,
    /// Whether the validator asks others before it signs anything (D-18). Without it, a history that is an old image
    /// of a whole machine is not found out.
    pub listens: bool,
}

/// Whether a node signs, and if not, why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Voice {
    /// It has no validator key.
    #[default]
    Follows,
    /// It signs, in the epochs in which it is a validator.
    Speaks,
    /// It asks others what they know of its signatures (D-18).
    Listens {
        /// Weight that answered, with its own.
        heard: Weight,
        /// Weight of all validators.
        total: Weight,
    },
    /// It signs nothing (D-15).
    Silent(Silence),
}

/// What keeps this validator from signing.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    /// What was known when it was opened, until the node starts.
    past: Past,
    pub(super) silence: Option<Silence>,
    pub(super) listening: Option<Listening>,
    /// What this validator voted for in this epoch and what has lost since: its votes are in no other record any more.
    forgone: BTreeSet<Txid>,
}

impl History {
    pub fn new(past: Past) -> Self {
        let listening = past.listens.then(Listening::default);
        Self { past, listening, ..Self::default() }
    }

    /// Whether anything may be signed now.
    pub const fn may_sign(&self) -> bool {
        self.silence.is_none() && self.listening.is_none()
    }

    pub fn deadline(&self) -> Option<Time> {
        self.listening.as_ref().filter(|_| self.silence.is_none()).map(Listening::deadline)
    }

    pub fn restore_silence(&mut self, silence: Option<Silence>) {
        self.silence = silence;
    }

    pub fn restore_forgone(&mut self, txids: impl IntoIterator<Item = Txid>) {
        self.forgone.extend(txids);
    }

    pub fn end_epoch(&mut self) {
        self.forgone.clear();
        if let Some(listening) = &mut self.listening {
            listening.end_epoch();
        }
    }

    /// Whether own messages of `epoch` are no news: the history was there when they were signed, only the blocks are not.
    fn expects(&self, epoch: Epoch) -> bool {
        let newer = self.silence.filter(|silence| silence.cause == Cause::NewerThanBlocks);
        newer.is_some_and(|silence| epoch <= silence.after_epoch)
    }

    /// Records that a restart needs (D-4).
    pub fn live_records(&self, epoch: Epoch) -> impl Iterator<Item = Record> {
        let silence = self.silence.map(|silence| Record::Silence(Some(silence)));
        let txids = (!self.forgone.is_empty()).then(|| self.forgone.iter().copied().collect());
        silence.into_iter().chain(txids.map(|txids| Record::Forgone { epoch, txids }))
    }
}

impl<L: Ledger> Engine<L> {
    /// Whether this node signs, and if not, why.
    #[must_use]
    pub fn voice(&self) -> Voice {
        if self.identity.key.is_none() {
            return Voice::Follows;
        }
        match (self.history.silence, &self.history.listening) {
            (Some(silence), _) => Voice::Silent(silence),
            (None, Some(listening)) => {
                Voice::Listens { heard: self.heard_weight(listening), total: self.validators().total() }
            }
            (None, None) => Voice::Speaks,
        }
    }

    fn tell_voice(&self, cx: &mut Cx<'_>) {
        cx.effect(Effect::Event(Event::Voice(self.voice())));
    }

    /// What was found when the history was opened takes effect (D-15, D-16); before anything is said.
    pub(super) fn open_history(&mut self, cx: &mut Cx<'_>) {
        if self.identity.key.is_none() {
            self.history = History::default();
            return;
        }
        let told = self.history.past.doubt.take().is_some_and(|doubt| {
            let voted = self.history.past.voted.unwrap_or_default();
            self.begin_silence(doubt, voted, cx)
        });
        if !told {
            self.tell_voice(cx);
        }
    }

    /// D-15. A silence that is on only grows. Says whether operators were told of it.
    fn begin_silence(&mut self, cause: Cause, epoch: Epoch, cx: &mut Cx<'_>) -> bool {
        // A clock that is behind must not make it shorter: the chain's own time is a lower bound.
        let now_ms = cx.now.millis().max(self.chain.state.time_ms);
        // D-16: a history newer than the blocks knows its last epoch by number.
        let until_ms = if cause == Cause::NewerThanBlocks { 0 } else { now_ms.saturating_add(HISTORY_MARGIN_MS) };
        let before = self.history.silence;
        let silence = Silence {
            // What is not whole does not become so by having the newer votes.
            cause: before.filter(|_| cause == Cause::NewerThanBlocks).map_or(cause, |before| before.cause),
            after_epoch: before.map_or(epoch, |before| before.after_epoch.max(epoch)).max(self.chain.state.epoch),
            after_ms: before.map_or(until_ms, |before| before.after_ms.max(until_ms)),
        };
        let extends = |before: Silence| {
            silence.after_epoch > before.after_epoch
                || silence.after_ms > before.after_ms.saturating_add(EXTENSION_MS_MIN)
        };
        if cause == Cause::OwnSignature && !before.is_none_or(extends) {
            return false;
        }
        self.history.silence = Some(silence);
        // It ends with an epoch that begins after this moment, in which the key signed nothing: if the own clock is right. So
        // others are asked when it ends, whatever began it (D-18).
        self.history.listening = self.history.past.listens.then(Listening::default);
        self.rounds.agreement.follow();
        self.voting.clear_queues();
        cx.record(Record::Silence(Some(silence)));
        let is_news = before.is_none_or(|before| before.cause != silence.cause);
        if is_news {
            self.tell_voice(cx);
        }
        is_news
    }

    /// An epoch has begun by a closing block dated `closed_ms`: a silence may be over (D-15).
    pub(super) fn end_silence_if_due(&mut self, closed_ms: u64, cx: &mut Cx<'_>) {
        let epoch = self.chain.state.epoch;
        let over = |silence: &mut Silence| epoch > silence.after_epoch && closed_ms > silence.after_ms;
        if self.history.silence.take_if(over).is_some() {
            cx.record(Record::Silence(None));
            self.tell_voice(cx);
        }
    }

    /// A transaction leaves the pool without a block: what this validator said of it is not forgotten (D-17).
    pub(super) fn note_forgone(&mut self, txid: &Txid) {
        let Some(own) = self.own_index() else { return };
        let said = |phase| self.voting.tally(txid).is_some_and(|tally| tally.has_voted(phase, own));
        if said(crate::finality::Phase::Prepare) || said(crate::finality::Phase::Commit) {
            self.history.forgone.insert(*txid);
        }
    }

    fn is_own(&self, key: &PublicKey) -> bool {
        self.identity.public.as_ref() == Some(key)
    }

    /// D-17: a message of the own key, of `epoch`, that the history does not have.
    fn on_unknown_signature(&mut self, epoch: Epoch, cx: &mut Cx<'_>) {
        if !self.history.expects(epoch) {
            self.begin_silence(Cause::OwnSignature, epoch, cx);
        }
    }

    /// Looks for a batch of the own key among what this validator said.
    pub(super) fn recognize_batch(&mut self, batch: &VoteBatch, cx: &mut Cx<'_>) -> Result<(), Unavailable> {
        let now = self.chain.state.epoch;
        if !self.is_own(&batch.voter) || batch.epoch < now {
            return Ok(());
        }
        let own = self.own_index();
        for txid in &batch.txids {
            let said = |own| self.voting.tally(txid).is_some_and(|tally| tally.has_voted(batch.phase, own));
            let known = batch.epoch == now
                && (own.is_some_and(said)
                    || self.history.forgone.contains(txid)
                    || self.chain.recent_transactions.get(txid).is_some()
                    || self.chain.ledger.committed_at(txid)?.is_some());
            if !known {
                self.on_unknown_signature(batch.epoch, cx);
                return Ok(());
            }
        }
        Ok(())
    }

    /// Likewise for a prevote or precommit.
    pub(super) fn recognize_block_vote(&mut self, vote: &BlockVote, cx: &mut Cx<'_>) {
        if !self.is_own(&vote.voter) || vote.height < self.rounds.height() || vote.epoch < self.chain.state.epoch {
            return;
        }
        if !self.rounds.has_vote(vote) {
            self.on_unknown_signature(vote.epoch, cx);
        }
    }

    /// Likewise for a proposal.
    pub(super) fn recognize_proposal(&mut self, proposal: &Proposal, cx: &mut Cx<'_>) {
        let header = &proposal.block.header;
        if !self.is_own(&proposal.proposer)
            || header.height < self.rounds.height()
            || header.epoch < self.chain.state.epoch
        {
            return;
        }
        let hash = header.hash();
        let restored = &self.rounds.restored.proposals;
        let known = header.height == self.rounds.height()
            && (self.rounds.candidates.get(&proposal.round).is_some_and(|candidate| candidate.hash == hash)
                || restored.iter().any(|own| own.round == proposal.round && own.block.header.hash() == hash));
        if !known {
            self.on_unknown_signature(header.epoch, cx);
        }
    }

    /// Likewise for a seal.
    pub(super) fn recognize_seal(&mut self, seal: &Seal, cx: &mut Cx<'_>) {
        if !self.is_own(&seal.voter) || seal.epoch < self.chain.state.epoch {
            return;
        }
        if self.sealing.own().is_none_or(|own| own.as_ref() != seal) {
            self.on_unknown_signature(seal.epoch, cx);
        }
    }

    /// Likewise for the own precommit in the commit of a block that others decided. While silent, one that is older than
    /// the silence says nothing new.
    pub(super) fn recognize_commit(&mut self, block: &CommittedBlock, cx: &mut Cx<'_>) {
        let Some(own) = self.own_index() else { return };
        let commit = &block.commit;
        let Some(entry) = commit.signatures.iter().find(|entry| entry.validator == own) else { return };
        if self.history.silence.is_some_and(|silence| block.block.header.time_ms <= silence.after_ms) {
            return;
        }
        let Some(voter) = self.identity.public else { return };
        let epoch = self.chain.state.epoch;
        let vote = BlockVote {
            epoch,
            height: commit.height,
            round: commit.round,
            phase: BlockPhase::Precommit,
            block: Some(commit.block),
            voter,
            signature: entry.signature,
        };
        if !self.rounds.has_vote(&vote) {
            self.on_unknown_signature(epoch, cx);
        }
    }
}
