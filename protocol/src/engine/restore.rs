//! Going on after a restart (`SPEC.md` D-4, D-5, D-12, D-13): the journal's records, in order, bring back every
//! lock, vote and certificate that a message may have carried away.

use super::api::{Admitted, Effect, Event, Path, Status, Time};
use super::pool::Stage;
use super::{Cx, Engine, Ledger, Record, Turn};
use crate::bft::{Agreement, Event as RoundEvent, Locks};
use crate::block::{BlockVote, CommittedBlock, Proposal};
use crate::finality::{Phase, VoteBatch};
use crate::hash::Txid;
use crate::keys::Verified;
use crate::ledger::{Unavailable, apply_block};
use crate::validator::Round;
use crate::wire::Vote;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Own part in the agreement on the height in progress, from the journal.
#[derive(Clone, Debug, Default)]
pub(super) struct RestoredRounds {
    pub votes: Vec<BlockVote>,
    pub proposals: Vec<Arc<Proposal>>,
    pub locks: Locks,
    pub round: Round,
}

impl<L: Ledger> Engine<L> {
    /// Takes one record of the journal. Records must come in the order in which they were appended,
    /// before [`start`](Self::start); blocks at or below the state's height are passed over.
    ///
    /// # Errors
    /// Storage failed, or the journal holds a block that does not fit.
    pub fn restore(&mut self, record: Record) -> Result<(), Unavailable> {
        let mut turn = Turn::default(); // what restoring "sends" was sent long ago
        let cx = &mut Cx { now: Time(0), turn: &mut turn };
        match record {
            Record::Transaction(transaction) => self.restore_transaction(&transaction, cx),
            Record::Votes(batch) => self.restore_votes(&batch, cx),
            Record::Sealed(seal) => {
                if seal.epoch == self.chain.state.epoch {
                    match self.validators().index_of(&seal.voter) {
                        Some(index) if self.identity.public != Some(seal.voter) => {
                            self.sealing.restore_other(seal, index);
                        }
                        index => self.sealing.restore(seal, index),
                    }
                }
                Ok(())
            }
            Record::Evidence(evidence) => {
                self.evidence.hold(evidence, &self.chain.state);
                Ok(())
            }
            Record::Locked { epoch, locks } => {
                if epoch == self.chain.state.epoch {
                    locks.into_iter().for_each(|(outpoint, txid)| self.voting.lock(outpoint, txid));
                }
                Ok(())
            }
            Record::Proposal(proposal) => {
                if proposal.block.header.height == self.next_height() {
                    self.rounds.restored.proposals.push(proposal);
                }
                Ok(())
            }
            Record::BlockVote(vote, locks) => {
                if vote.height == self.next_height() {
                    let restored = &mut self.rounds.restored;
                    restored.votes.push(vote);
                    restored.locks = locks;
                    restored.round = restored.round.max(vote.round);
                }
                Ok(())
            }
            Record::Prevotes(height, round, block, proof) => {
                if height == self.next_height() {
                    self.rounds.proofs.insert((round, block), proof);
                }
                Ok(())
            }
            Record::Round(height, round) => {
                if height == self.next_height() {
                    self.rounds.restored.round = self.rounds.restored.round.max(round);
                }
                Ok(())
            }
            Record::Block(block) => self.restore_block(block, cx),
            Record::Silence(silence) => {
                self.history.restore_silence(silence);
                Ok(())
            }
            Record::Forgone { epoch, txids } => {
                if epoch == self.chain.state.epoch {
                    self.history.restore_forgone(txids);
                }
                Ok(())
            }
        }
    }

    fn restore_transaction(
        &mut self,
        transaction: &Arc<crate::transaction::Transaction>,
        cx: &mut Cx<'_>,
    ) -> Result<(), Unavailable> {
        let txid = transaction.txid();
        let admitted = self.admit(Verified::by_own_hand(transaction.as_ref().clone()), false, cx)?;
        // It is known already if it was voted for in an epoch that ended and again in the next one.
        if let Some(entry) = self.pool.get_mut(&txid) {
            entry.recorded = true;
        } else if admitted.is_err() {
            // In a block already, or needed only by a proposal.
            self.rounds.keep_body(txid, Arc::clone(transaction));
        }
        Ok(())
    }

    /// Votes of an epoch that ended say nothing any more (E-7).
    fn restore_votes(&mut self, batch: &Arc<VoteBatch>, cx: &mut Cx<'_>) -> Result<(), Unavailable> {
        if batch.epoch != self.chain.state.epoch {
            return Ok(());
        }
        self.count_batch(batch, cx)?;
        if self.identity.public == Some(batch.voter) {
            match batch.phase {
                Phase::Prepare => batch.txids.iter().for_each(|txid| self.restore_accepted(txid)),
                Phase::Commit => {
                    // A batch outlives those of its transactions that are in blocks: a seal must not list them (E-4).
                    let mut open = Vec::with_capacity(batch.txids.len());
                    for txid in &batch.txids {
                        if self.chain.ledger.committed_at(txid)?.is_none() {
                            open.push(*txid);
                        }
                    }
                    self.claim_commits(open);
                }
            }
        }
        Ok(())
    }

    /// A transaction that this validator voted Prepare for: its locks have records of their own.
    fn restore_accepted(&mut self, txid: &Txid) {
        if self.pool.get(txid).is_some_and(|entry| entry.stage < Stage::Accepted) {
            self.pool.set_stage(txid, Stage::Accepted);
        }
    }

    fn restore_block(&mut self, block: Arc<CommittedBlock>, cx: &mut Cx<'_>) -> Result<(), Unavailable> {
        if block.block.header.height <= self.chain.state.height {
            return Ok(());
        }
        let judged = apply_block(&self.chain.state, &self.identity.params, &self.chain.ledger, &block.block)?;
        let delta = judged.map_err(|_| Unavailable)?;
        self.commit_block(block, Arc::new(delta), cx)
    }

    /// Begins to work after everything was restored.
    ///
    /// # Errors
    /// Storage failed.
    pub fn start(&mut self, now: Time) -> Result<Turn, Unavailable> {
        let mut turn = Turn::default();
        let cx = &mut Cx { now, turn: &mut turn };
        self.open_history(cx);
        self.resume_height(cx)?;
        self.voting.clear_queues();
        if let Some(seal) = self.sealing.own() {
            cx.effect(Effect::PublishVote(Vote::Seal(seal.as_ref().clone())));
        }
        self.evidence.held().for_each(|evidence| Self::announce_evidence(evidence, cx));
        self.sealing.wake();
        let locked: BTreeSet<Txid> = self.voting.locks().values().copied().collect();
        locked.iter().for_each(|txid| self.pool.prefer(txid)); // S-10
        let pooled: Vec<(Txid, Stage)> = self.pool.in_order().map(|(txid, entry)| (*txid, entry.stage)).collect();
        for (txid, stage) in pooled {
            if let Some(entry) = self.pool.get_mut(&txid) {
                entry.admitted_at = now;
                entry.offer_from = now;
            }
            self.announce_restored(&txid, cx);
            if stage >= Stage::Accepted && stage < Stage::Final {
                self.requests.watch(txid, now);
            }
        }
        self.queue_commits_due(cx);
        Ok(turn)
    }

    /// F-4: what is final by Commit votes alone has no certificate that a Commit may rest on.
    fn queue_commits_due(&mut self, cx: &mut Cx<'_>) {
        let pooled: Vec<Txid> = self.pool.in_order().map(|(txid, _)| *txid).collect();
        for txid in pooled.iter().filter(|txid| self.is_certified(txid, Phase::Prepare)).collect::<Vec<_>>() {
            self.queue_commit(txid, cx);
        }
    }

    /// Whoever listens does not poll: what came meanwhile is polled about now.
    fn poll_what_waits(&mut self, now: Time) {
        let waits = |entry: &super::pool::Entry| {
            matches!(entry.stage, Stage::Polling | Stage::GivenUp) && entry.poll.in_flight == 0
        };
        let waiting: Vec<Txid> =
            self.pool.in_order().filter(|(_, entry)| waits(entry)).map(|(txid, _)| *txid).collect();
        for txid in waiting {
            self.sampling.schedule(txid, now);
        }
    }

    /// Others were heard (D-18): from here on this validator signs. The agreement begins anew with all that came
    /// meanwhile, and with what the journal gave back.
    pub(super) fn take_part(&mut self, cx: &mut Cx<'_>) -> Result<(), Unavailable> {
        self.queue_commits_due(cx);
        self.poll_what_waits(cx.now);
        if self.rounds.decided.is_some() {
            return Ok(()); // nothing is left to say at this height
        }
        let (height, started) = (self.rounds.height(), self.rounds.started);
        // What it followed meanwhile is where the others are.
        self.rounds.restored.round = self.rounds.restored.round.max(self.rounds.round());
        let others: Vec<BlockVote> =
            self.rounds.all_votes().filter(|vote| Some(vote.voter) != self.identity.public).copied().collect();
        for candidate in self.rounds.candidates.values_mut() {
            candidate.settled = false;
        }
        self.rounds.clear_timeouts();
        self.rounds.started = false;
        self.rejoin(others, cx)?;
        if self.rounds.height() == height && started && !self.rounds.started {
            self.rounds.started = true;
            self.advance(RoundEvent::Start, cx)?;
        }
        if self.rounds.height() == height { self.judge_candidates(cx) } else { Ok(()) }
    }

    /// Readers learn of a restored transaction as of a new one.
    fn announce_restored(&self, txid: &Txid, cx: &mut Cx<'_>) {
        let Some(entry) = self.pool.get(txid) else { return };
        let conflict = self.pool.conflicts(txid, &entry.transaction).first().copied();
        let admitted = Admitted { txid: *txid, fee: entry.fee, bytes: entry.bytes, conflict };
        let (transaction, at) = (Arc::clone(&entry.transaction), cx.now);
        cx.effect(Effect::Event(Event::Admitted { transaction, admitted, at }));
        match entry.stage {
            Stage::Final => cx.status(*txid, Status::Final(Path::Sampled)),
            Stage::Prepared => cx.status(*txid, Status::Prepared),
            _ => {}
        }
    }

    /// Takes up the height in progress where this validator left it; one that listens first (D-18) only follows
    /// it until then.
    fn resume_height(&mut self, cx: &mut Cx<'_>) -> Result<(), Unavailable> {
        let due_ms = self.chain.state.time_ms.saturating_add(self.identity.params.block_interval_ms);
        self.rounds.start_at = cx.now.max(Time(due_ms.saturating_mul(1_000)));
        if !self.history.may_sign() && self.history.silence.is_none() {
            return Ok(());
        }
        self.rejoin(Vec::new(), cx)
    }

    /// Agreement on the height in progress, with what the journal gave back and the votes of others that are here.
    fn rejoin(&mut self, others: Vec<BlockVote>, cx: &mut Cx<'_>) -> Result<(), Unavailable> {
        let restored = core::mem::take(&mut self.rounds.restored);
        let height = self.rounds.height();
        let is_new = restored.votes.is_empty() && restored.proposals.is_empty();
        let validators = Arc::clone(self.validators());
        self.rounds.agreement =
            Agreement::resume(height, validators, self.voting_index(), restored.round, restored.locks);
        for ((round, block), proof) in self.rounds.proofs.clone() {
            let voters = proof.iter().map(|entry| entry.validator).collect();
            self.advance(RoundEvent::PrevoteProof { round, block, voters }, cx)?;
        }
        for vote in restored.votes {
            if let Some(index) = self.validators().index_of(&vote.voter) {
                self.rounds.keep_vote(index, vote);
                let event = RoundEvent::Vote { round: vote.round, phase: vote.phase, block: vote.block, voter: index };
                self.advance(event, cx)?;
            }
        }
        for vote in others {
            if let Some(index) = self.validators().index_of(&vote.voter).filter(|_| self.rounds.height() == height) {
                let event = RoundEvent::Vote { round: vote.round, phase: vote.phase, block: vote.block, voter: index };
                self.advance(event, cx)?;
            }
        }
        if is_new {
            return Ok(());
        }
        // Own proposals come before the start, so that none is made twice. And what was voted for comes before what was heard
        // since: a faulty proposer says two things in a round, and who is locked on a block must have it.
        self.rounds.started = true;
        let rounds = restored.proposals.iter().map(|proposal| proposal.round);
        let heard: Vec<_> = rounds.filter_map(|round| self.rounds.candidates.remove(&round)).collect();
        let heard = heard.into_iter().map(|candidate| (candidate.from, candidate.proposal));
        for (from, proposal) in restored.proposals.into_iter().map(|proposal| (None, proposal)).chain(heard) {
            if self.rounds.height() == height {
                self.take_candidate(from, proposal, cx)?;
            }
        }
        self.advance(RoundEvent::Start, cx)
    }

    /// Every record that a restart would still need; the journal may forget all others (D-4).
    #[must_use]
    pub fn live_records(&self) -> Vec<Record> {
        let epoch = self.chain.state.epoch;
        let mut records = Vec::new();
        let locks: Vec<_> = self.voting.locks().iter().map(|(outpoint, txid)| (*outpoint, *txid)).collect();
        if !locks.is_empty() {
            records.push(Record::Locked { epoch, locks });
        }
        // What was voted for is never left out (D-13), whatever became of its body; a seal must list it, too (E-4).
        let said = self.own_index().map(|own| self.voting.said_by(own)).unwrap_or_default();
        let recorded = self.pool.in_order().filter(|(txid, entry)| entry.recorded || said.contains(txid));
        let mut txids = said.clone();
        for (txid, entry) in recorded {
            txids.insert(*txid);
            records.push(Record::Transaction(Arc::clone(&entry.transaction)));
        }
        txids.extend(self.voting.own_commits());
        let txids: Vec<Txid> = txids.into_iter().collect();
        records.extend(self.batches_of(&txids).into_iter().map(Record::Votes));
        records.extend(self.sealing.durable().cloned().map(Record::Sealed));
        records.extend(self.evidence.held().cloned().map(Record::Evidence));
        records.extend(self.history.live_records(epoch));
        records.extend(self.live_round_records());
        records
    }

    fn live_round_records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        let Some(public) = self.identity.public else { return records };
        // While the validator listens (D-18) its own part is what the journal gave back, and the agreement only follows.
        let restored = &self.rounds.restored;
        let waits = !restored.votes.is_empty() || !restored.proposals.is_empty();
        let locks = if waits { restored.locks } else { self.rounds.agreement.locks() };
        let own_votes = self.rounds.all_votes().filter(|vote| vote.voter == public && !restored.votes.contains(vote));
        let votes: Vec<Record> = own_votes.chain(&restored.votes).map(|vote| Record::BlockVote(*vote, locks)).collect();
        let proposals: Vec<_> = restored
            .proposals
            .iter()
            .chain(self.rounds.candidates.values().map(|candidate| &candidate.proposal))
            .collect();
        if votes.is_empty() && proposals.iter().all(|proposal| proposal.proposer != public) {
            return records;
        }
        let mut seen = BTreeSet::new();
        for proposal in proposals {
            for txid in &proposal.block.txids {
                if !self.pool.contains(txid)
                    && seen.insert(*txid)
                    && let Some(body) = self.rounds.body(txid)
                {
                    records.push(Record::Transaction(body));
                }
            }
            records.push(Record::Proposal(Arc::clone(proposal)));
        }
        let height = self.rounds.height();
        let valid = locks.valid;
        let proofs = self.rounds.proofs.keys().chain(valid.iter());
        records.extend(
            proofs.map(|(round, block)| Record::Prevotes(height, *round, *block, self.rounds.proof_of(*round, *block))),
        );
        records.extend(votes);
        records.push(Record::Round(self.rounds.height(), self.rounds.round().max(restored.round)));
        records
    }
}
