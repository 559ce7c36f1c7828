//! Prepare and Commit votes (`SPEC.md` F-1…F-7): what is known of an epoch's votes and locks; counting, certificates. Own
//! votes are cast in `casting`.

use super::api::{Effect, Offence, Path, RejectReason, Status, Time};
use super::pool::{Recent, Stage};
use super::{ByTxid, Cx, Engine, Kept, Ledger, PeerTag, Record, Turn};
use crate::bounds::{
    AHEAD_BATCH_VOTES_MAX, AHEAD_BATCHES_MAX, DEFERRED_VOTES_MAX, EARLY_TALLIES_MAX, EARLY_VOTES_MAX, LOSERS_MAX,
    SEAL_TXIDS_MAX, STATUS_BATCHES_BYTES_MAX, STATUS_BATCHES_MAX,
};
use crate::codec::encoded_len;
use crate::finality::{Certified, Phase, Tally, VoteBatch};
use crate::hash::Txid;
use crate::keys::Verified;
use crate::ledger::Unavailable;
use crate::mutation::{Mutation, is_broken};
use crate::transaction::{OutPoint, Transaction};
use crate::validator::{ValidatorIndex, Weight};
use crate::wire::Vote;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

/// Everything about finality votes of the current epoch.
#[derive(Clone, Debug)]
pub(super) struct Voting {
    tallies: ByTxid<Tally>,
    /// Transactions with votes but without a body, oldest first.
    early: VecDeque<(Txid, usize)>,
    /// Votes in the batches that these keep alive, a batch counted once for each.
    early_votes: usize,
    /// Outpoints that this validator locked in this epoch (F-1).
    locks: BTreeMap<OutPoint, Txid>,
    /// Transactions that this validator voted Commit for and that are in no block: what its seal lists (E-4).
    pub(super) own_commits: BTreeSet<Txid>,
    /// What these spend: no conflicting Commit vote follows (F-7).
    pub(super) claimed: BTreeMap<OutPoint, Txid>,
    /// Whether a Commit vote waits for room among these.
    pub(super) commits_wait: bool,
    pub(super) prepare: Vec<Txid>,
    pub(super) commit: Vec<Txid>,
    pub(super) last_flush: Time,
    pub(super) interval_ms: u64,
    losers: Recent<Txid, Txid>,
    /// Votes of others that are not durable yet, oldest first.
    deferred: Vec<Arc<VoteBatch>>,
    /// How many votes these batches hold.
    deferred_votes: usize,
    /// Votes of the next epoch.
    ahead: Vec<Arc<VoteBatch>>,
    ahead_votes: usize,
    /// The newest batches of each voter, as long as a tally keeps them.
    newest: BTreeMap<ValidatorIndex, VecDeque<Weak<VoteBatch>>>,
}

impl Voting {
    pub const fn new() -> Self {
        Self {
            tallies: BTreeMap::new(),
            early: VecDeque::new(),
            early_votes: 0,
            locks: BTreeMap::new(),
            own_commits: BTreeSet::new(),
            claimed: BTreeMap::new(),
            commits_wait: false,
            prepare: Vec::new(),
            commit: Vec::new(),
            last_flush: Time(0),
            interval_ms: 0,
            losers: Recent::new(LOSERS_MAX),
            deferred: Vec::new(),
            deferred_votes: 0,
            ahead: Vec::new(),
            ahead_votes: 0,
            newest: BTreeMap::new(),
        }
    }

    /// Forgets all votes and locks of the epoch (E-7). What has lost against a block has lost for good.
    pub fn end_epoch(&mut self) {
        let ended = core::mem::replace(self, Self::new());
        let Self { losers, ahead, ahead_votes, last_flush, interval_ms, .. } = ended;
        *self = Self { losers, ahead, ahead_votes, last_flush, interval_ms, ..Self::new() };
    }

    pub fn kept(&self) -> [Kept; 8] {
        let newest = self.newest.values().map(VecDeque::len).max().unwrap_or_default();
        [
            Kept::new("transactions with votes and without a body", self.early.len(), EARLY_TALLIES_MAX),
            Kept::new("votes in batches that these keep", self.early_votes, EARLY_VOTES_MAX),
            Kept::new("votes that are not durable yet", self.deferred_votes, DEFERRED_VOTES_MAX),
            Kept::new("vote batches of the next epoch", self.ahead.len(), AHEAD_BATCHES_MAX),
            Kept::new("votes in these", self.ahead_votes, AHEAD_BATCH_VOTES_MAX),
            Kept::new("newest vote batches of one validator", newest, STATUS_BATCHES_MAX),
            Kept::new("remembered losers of conflicts", self.losers.len(), LOSERS_MAX),
            Kept::new("own Commit votes for what is in no block", self.own_commits.len(), SEAL_TXIDS_MAX),
        ]
    }

    /// Transactions that this validator voted Commit for in this epoch and that are in no block.
    pub const fn own_commits(&self) -> &BTreeSet<Txid> {
        &self.own_commits
    }

    /// Keeps a batch of the next epoch, if there is room.
    fn keep_ahead(&mut self, batch: Arc<VoteBatch>) {
        let votes = self.ahead_votes + batch.txids.len();
        if self.ahead.len() < AHEAD_BATCHES_MAX && votes <= AHEAD_BATCH_VOTES_MAX {
            self.ahead_votes = votes;
            self.ahead.push(batch);
        }
    }

    /// The batches that were kept for the epoch that has begun.
    pub fn take_ahead(&mut self) -> Vec<Arc<VoteBatch>> {
        self.ahead_votes = 0;
        core::mem::take(&mut self.ahead)
    }

    fn note_newest(&mut self, voter: ValidatorIndex, batch: &Arc<VoteBatch>) {
        let newest = self.newest.entry(voter).or_default();
        newest.push_back(Arc::downgrade(batch));
        if newest.len() > STATUS_BATCHES_MAX {
            // Those whose transactions are all in blocks first: what is open shows what the voter must not contradict.
            newest.retain(|batch| batch.strong_count() > 0);
        }
        if newest.len() > STATUS_BATCHES_MAX {
            newest.pop_front();
        }
    }

    /// The newest batches of a voter that still matter, newest first, as many as fit (N-6).
    pub fn newest_of(&self, voter: ValidatorIndex) -> Vec<Arc<VoteBatch>> {
        let mut room = STATUS_BATCHES_BYTES_MAX;
        let alive = self.newest.get(&voter).into_iter().flatten().rev().filter_map(Weak::upgrade);
        let fitting = alive.map_while(|batch| {
            room = room.checked_sub(encoded_len(batch.as_ref()))?;
            Some(batch)
        });
        fitting.collect()
    }

    /// What a validator voted for, in either phase, as far as votes for it are kept.
    pub fn said_by(&self, voter: ValidatorIndex) -> BTreeSet<Txid> {
        let said = |tally: &Tally| [Phase::Prepare, Phase::Commit].iter().any(|phase| tally.has_voted(*phase, voter));
        self.tallies.iter().filter(|(_, tally)| said(tally)).map(|(txid, _)| *txid).collect()
    }

    pub fn tally(&self, txid: &Txid) -> Option<&Tally> {
        self.tallies.get(txid)
    }

    /// Who won against a transaction that lost.
    pub fn winner_over(&self, txid: &Txid) -> Option<Txid> {
        self.losers.get(txid).copied()
    }

    pub fn deadline(&self) -> Option<Time> {
        let waiting = !self.prepare.is_empty() || !self.commit.is_empty();
        waiting.then(|| self.last_flush.plus_ms(self.interval_ms))
    }

    pub const fn locks(&self) -> &BTreeMap<OutPoint, Txid> {
        &self.locks
    }

    /// Locks an outpoint (F-1): never twice to different transactions within an epoch.
    pub fn lock(&mut self, outpoint: OutPoint, txid: Txid) {
        self.locks.entry(outpoint).or_insert(txid);
    }

    /// Forgets what a committed transaction no longer needs: its votes, and locks on what it spent.
    /// The votes are kept, as those of one whose body never came, where they may yet contradict others.
    pub fn settle(&mut self, txid: &Txid, transaction: &Transaction, is_opposed: bool) {
        if is_opposed {
            self.leave_pool(*txid);
        } else {
            self.tallies.remove(txid);
        }
        self.own_commits.remove(txid);
        for input in &transaction.body.inputs {
            self.locks.remove(input);
            self.claimed.remove(input);
        }
    }

    /// A transaction leaves the pool without a block: its votes, if any, are kept like those of
    /// one whose body never came.
    pub fn leave_pool(&mut self, txid: Txid) {
        if self.tallies.contains_key(&txid) {
            self.early.push_back((txid, 0));
        }
    }

    /// Drops the votes that a restart queued: [`Engine::start`] queues those that are still due.
    pub fn clear_queues(&mut self) {
        self.prepare.clear();
        self.commit.clear();
    }

    pub fn note_loser(&mut self, txid: Txid, winner: Txid) {
        self.losers.insert(txid, winner);
    }
}

impl<L: Ledger> Engine<L> {
    /// Votes for a payment that nothing conflicts with once somebody honest has (S-18): that validator's
    /// polls were successful.
    fn follow_votes(&mut self, txid: &Txid, cx: &mut Cx<'_>) {
        let prepared = self.voting.tally(txid).map_or(Weight(0), |tally| tally.weight(Phase::Prepare));
        let Some(entry) = self.pool.get(txid).filter(|_| self.validators().has_honest(prepared)) else { return };
        let transaction = Arc::clone(&entry.transaction);
        if self.pool.conflicts(txid, &transaction).is_empty() {
            self.accept(txid, cx);
        }
    }

    pub(super) fn on_votes(
        &mut self,
        peer: PeerTag,
        votes: Vec<Verified<Vote>>,
        cx: &mut Cx<'_>,
    ) -> Result<(), Unavailable> {
        for vote in votes {
            match vote.into_inner() {
                Vote::Finality(batch) => self.on_vote_batch(Some(peer), batch, cx)?,
                Vote::Block(vote) => self.on_block_vote(Some(peer), vote, cx)?,
                Vote::Seal(seal) => self.on_seal(Some(peer), seal, cx),
                Vote::Evidence(evidence) => self.on_evidence(Some(peer), &evidence, cx),
            }
        }
        Ok(())
    }

    /// Counts a batch whose signature was checked; keeps it if it taught anything.
    pub(super) fn on_vote_batch(
        &mut self,
        peer: super::admission::From,
        batch: Arc<VoteBatch>,
        cx: &mut Cx<'_>,
    ) -> Result<(), Unavailable> {
        if !batch.has_valid_size() {
            if let Some(peer) = peer {
                cx.effect(Effect::Penalty(peer, Offence::InvalidVote));
            }
            return Ok(());
        }
        self.recognize_batch(&batch, cx)?;
        let Some(validators) = self.set_of(batch.epoch) else { return Ok(()) };
        let Some(voter) = validators.index_of(&batch.voter) else { return Ok(()) };
        if batch.epoch != self.chain.state.epoch && !is_broken(Mutation::OtherEpochsCount) {
            self.voting.keep_ahead(batch);
            return Ok(());
        }
        let counted = self.count_votes(&batch, voter, cx)?;
        for txid in &batch.txids {
            match self.pool.get(txid).map(|entry| entry.stage) {
                Some(Stage::Polling | Stage::GivenUp) => self.follow_votes(txid, cx),
                Some(_) => {}
                None if self.chain.recent_transactions.get(txid).is_some() => {}
                None => self.want(*txid, peer, cx.now.plus_ms(super::requests::GOSSIP_GRACE_MS)),
            }
        }
        // While it listens too: a Commit vote may rest on them when it is done.
        if counted && self.own_index().is_some() && self.history.silence.is_none() {
            self.voting.deferred_votes += batch.txids.len();
            self.voting.deferred.push(batch);
        }
        Ok(())
    }

    /// Makes the votes of others durable together with the next record (D-12): in time for the own
    /// Commit vote that rests on them, without a commit of their own. Those of settled transactions
    /// are needed no more.
    pub(super) fn record_deferred(&mut self, turn: &mut Turn) {
        if turn.is_volatile() && self.voting.deferred_votes < DEFERRED_VOTES_MAX {
            return;
        }
        self.voting.deferred_votes = 0;
        let deferred = core::mem::take(&mut self.voting.deferred);
        let live = |batch: &Arc<VoteBatch>| batch.txids.iter().any(|txid| self.voting.tally(txid).is_some());
        turn.record_first(deferred.into_iter().filter(live).map(Record::Votes));
    }

    /// Counts every vote of a batch, if it is a validator's (F-3); says whether any was new.
    pub(super) fn count_batch(&mut self, batch: &Arc<VoteBatch>, cx: &mut Cx<'_>) -> Result<bool, Unavailable> {
        match self.validators().index_of(&batch.voter) {
            Some(voter) => self.count_votes(batch, voter, cx),
            None => Ok(false),
        }
    }

    /// Counts every vote of a batch of validator number `voter`; says whether any was new.
    fn count_votes(
        &mut self,
        batch: &Arc<VoteBatch>,
        voter: ValidatorIndex,
        cx: &mut Cx<'_>,
    ) -> Result<bool, Unavailable> {
        let validators = Arc::clone(self.validators());
        let mut counted = false;
        for txid in &batch.txids {
            let certified = match self.voting.tallies.get_mut(txid) {
                Some(tally) => tally.count(batch, voter, &validators),
                None if self.chain.recent_transactions.get(txid).is_some() => continue,
                None => {
                    if self.pool.contains(txid) {
                        self.look_after(*txid, cx.now);
                    } else {
                        self.remember_early(*txid, batch.txids.len());
                    }
                    self.voting.tallies.entry(*txid).or_default().count(batch, voter, &validators)
                }
            };
            if certified != Certified::Ignored {
                counted = true;
                self.compare_votes(txid, batch, voter, cx); // X-3, before the loser of a conflict is dropped
            }
            if certified == Certified::Now
                || (certified == Certified::No && is_broken(Mutation::CommitWithoutCertificate))
            {
                self.on_certified(txid, batch.phase, cx)?;
            }
        }
        if counted {
            self.voting.note_newest(voter, batch);
        }
        Ok(counted)
    }

    /// Each early tally keeps the batch that it came in alive, whatever else that batch holds.
    fn remember_early(&mut self, txid: Txid, batch_votes: usize) {
        self.voting.early.push_back((txid, batch_votes));
        self.voting.early_votes += batch_votes;
        self.trim_early();
    }

    /// The oldest are forgotten first, whether they never had a body here or have left the pool.
    pub(super) fn trim_early(&mut self) {
        while (self.voting.early.len() > EARLY_TALLIES_MAX || self.voting.early_votes > EARLY_VOTES_MAX)
            && let Some((oldest, votes)) = self.voting.early.pop_front()
        {
            self.voting.early_votes -= votes;
            if !self.pool.contains(&oldest) && !self.voting.own_commits.contains(&oldest) {
                self.voting.tallies.remove(&oldest);
            }
        }
    }

    /// Votes may come before the body: what they certify takes effect when it is here.
    pub(super) fn count_early_votes(&mut self, txid: &Txid, cx: &mut Cx<'_>) -> Result<(), Unavailable> {
        for phase in [Phase::Prepare, Phase::Commit] {
            if self.is_certified(txid, phase) {
                self.on_certified(txid, phase, cx)?;
            }
        }
        Ok(())
    }

    /// Whether a certificate of `phase` is at hand.
    pub(super) fn is_certified(&self, txid: &Txid, phase: Phase) -> bool {
        self.voting.tally(txid).is_some_and(|tally| self.validators().is_quorum(tally.weight(phase)))
    }

    /// Whether a certificate of either phase is at hand. One of Commit votes is proof that honest
    /// validators hold one of Prepare votes (F-4).
    pub(super) fn has_certificate(&self, txid: &Txid) -> bool {
        self.is_certified(txid, Phase::Prepare) || self.is_certified(txid, Phase::Commit)
    }

    fn on_certified(&mut self, txid: &Txid, phase: Phase, cx: &mut Cx<'_>) -> Result<(), Unavailable> {
        let Some(stage) = self.pool.get(txid).map(|entry| entry.stage) else { return Ok(()) };
        match phase {
            Phase::Prepare if stage < Stage::Prepared => self.on_prepared(txid, cx),
            Phase::Commit if stage < Stage::Final => self.on_final(txid, Path::Sampled, cx)?,
            _ => {}
        }
        Ok(())
    }

    /// A prepare certificate is there: vote Commit (F-4), whatever this node preferred.
    fn on_prepared(&mut self, txid: &Txid, cx: &mut Cx<'_>) {
        self.pool.set_stage(txid, Stage::Prepared);
        self.pool.prefer(txid);
        cx.status(*txid, Status::Prepared);
        self.queue_commit(txid, cx);
        self.sealing.wake();
        self.wake_proposal(cx.now);
    }

    /// A finality certificate is there: conflicting transactions have lost (F-4).
    pub(super) fn on_final(&mut self, txid: &Txid, path: Path, cx: &mut Cx<'_>) -> Result<(), Unavailable> {
        self.pool.set_stage(txid, Stage::Final);
        self.sealing.wake();
        cx.status(*txid, Status::Final(path));
        self.reject_rivals(txid, cx);
        let children = self.pool.get(txid).map(|entry| entry.children.clone()).unwrap_or_default();
        self.release_children(&children, cx);
        Ok(())
    }

    pub(super) fn reject_rivals(&mut self, txid: &Txid, cx: &mut Cx<'_>) {
        let Some(transaction) = self.pool.get(txid).map(|entry| Arc::clone(&entry.transaction)) else { return };
        for rival in self.pool.conflicts(txid, &transaction) {
            self.voting.note_loser(rival, *txid);
            self.drop_family(&rival, &RejectReason::Conflict(*txid), cx);
        }
    }

    /// Vote batches that cover any of `txids`, each once.
    pub(super) fn batches_of(&self, txids: &[Txid]) -> Vec<Arc<VoteBatch>> {
        let mut found: BTreeMap<*const VoteBatch, Arc<VoteBatch>> = BTreeMap::new();
        let mut batches = Vec::new();
        for tally in txids.iter().filter_map(|txid| self.voting.tally(txid)) {
            for batch in tally.batches(Phase::Prepare).chain(tally.batches(Phase::Commit)) {
                if found.insert(Arc::as_ptr(batch), Arc::clone(batch)).is_none() {
                    batches.push(Arc::clone(batch));
                }
            }
        }
        batches
    }
}
