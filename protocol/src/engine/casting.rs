//! Own Prepare and Commit votes (`SPEC.md` F-1, F-4, F-6, F-7): locks, what may be voted for, and batches.

use super::api::Effect;
use super::pool::Stage;
use super::{Cx, Engine, Ledger, Record};
use crate::bounds::{CLOSING_LISTED_BYTES_MAX, SEAL_TXIDS_MAX, VOTES_PER_BATCH_MAX};
use crate::finality::{Phase, VoteBatch};
use crate::hash::Txid;
use crate::ledger::Unavailable;
use crate::mutation::{Mutation, is_broken};
use crate::transaction::{OutPoint, Transaction};
use crate::wire::Vote;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

/// Least time between two batches of votes for each validator, in milliseconds: each batch costs
/// every other node one signature check.
const VOTE_INTERVAL_MS_PER_VALIDATOR: u64 = 1;

/// Validators for each millisecond of that time in a set so large that it is above `vote_interval`: all of them
/// together send at most 10,000 batches of each phase in a second.
const VALIDATORS_PER_VOTE_INTERVAL_MS: u64 = 10;

impl<L: Ledger> Engine<L> {
    /// What an input of `transaction` is locked to, if to another transaction (F-1).
    pub(super) fn locked_rival(&self, transaction: &Transaction, txid: &Txid) -> Option<Txid> {
        if is_broken(Mutation::VoteAgainstLock) {
            return None;
        }
        let locks = self.voting.locks();
        transaction.body.inputs.iter().find_map(|input| locks.get(input).filter(|other| *other != txid).copied())
    }

    /// Locks all inputs of a pooled transaction to it, durably; says whether that was possible.
    pub(super) fn lock_inputs(&mut self, txid: &Txid, transaction: &Transaction, cx: &mut Cx<'_>) -> bool {
        if self.locked_rival(transaction, txid).is_some() {
            return false;
        }
        let fresh: Vec<(OutPoint, Txid)> = transaction
            .body
            .inputs
            .iter()
            .filter(|input| !self.voting.locks().contains_key(input))
            .map(|input| (*input, *txid))
            .collect();
        for (outpoint, txid) in &fresh {
            self.voting.lock(*outpoint, *txid);
        }
        // What is locked is what this node prefers and says so (S-10), whoever asked for the lock.
        self.pool.prefer(txid);
        if !fresh.is_empty() && !is_broken(Mutation::LockNotDurable) {
            cx.record(Record::Locked { epoch: self.chain.state.epoch, locks: fresh });
        }
        true
    }

    /// The journal must hold the body of what is voted for, and before it those of its parents that are in no block:
    /// after a restart it enters the pool after them.
    pub(super) fn record_body(&mut self, txid: &Txid, cx: &mut Cx<'_>) {
        let mut open = vec![*txid];
        let mut family = BTreeMap::new();
        while let Some(member) = open.pop() {
            if let Some(entry) = self.pool.get(&member).filter(|entry| !entry.recorded)
                && family.insert(entry.sequence, member).is_none()
            {
                open.extend(entry.parents.iter().copied());
            }
        }
        // In the order in which they entered the pool, parents are before children.
        for member in family.values() {
            if let Some(entry) = self.pool.get_mut(member) {
                entry.recorded = true;
                cx.record(Record::Transaction(Arc::clone(&entry.transaction)));
            }
        }
    }

    /// Sampling decided for a transaction: lock its inputs and vote Prepare (F-1). Says whether
    /// that was possible.
    pub(super) fn accept(&mut self, txid: &Txid, cx: &mut Cx<'_>) -> bool {
        let backlog = self.pool.at_stage(Stage::Accepted)
            + self.pool.at_stage(Stage::Prepared)
            + self.pool.at_stage(Stage::Final);
        let Some(entry) = self.pool.get(txid) else { return false };
        let transaction = Arc::clone(&entry.transaction);
        if !self.may_vote() || backlog >= self.prepared_max() {
            return false; // E-4, P-6
        }
        self.record_body(txid, cx);
        if !self.lock_inputs(txid, &transaction, cx) {
            return false;
        }
        self.pool.set_stage(txid, Stage::Accepted);
        self.voting.prepare.push(*txid);
        self.requests.watch(*txid, cx.now);
        true
    }

    /// Most transactions in no block that this validator prepares (P-6): what honest validators can certify together
    /// is three times that at most, and the lists of that many must fit a closing block (E-5).
    fn prepared_max(&self) -> usize {
        let bits = CLOSING_LISTED_BYTES_MAX / self.validators().len().max(1) * 8;
        self.identity.tuning.backlog_max.min(bits / 3)
    }

    /// Of these, what this validator may vote Commit for: not what conflicts with an earlier one of the epoch (F-7).
    pub(super) fn claim_commits(&mut self, mut txids: Vec<Txid>) -> Vec<Txid> {
        txids.retain(|txid| {
            let inputs = self.body(txid).map(|body| body.body.inputs.clone()).unwrap_or_default();
            let claimed = &mut self.voting.claimed;
            if inputs.iter().any(|input| claimed.get(input).is_some_and(|other| other != txid)) {
                return false;
            }
            claimed.extend(inputs.into_iter().map(|input| (input, *txid)));
            self.voting.own_commits.insert(*txid);
            true
        });
        txids
    }

    /// Signs and sends the votes that wait, unless the last ones left a moment ago.
    pub(super) fn flush_votes(&mut self, cx: &mut Cx<'_>) -> Result<(), Unavailable> {
        // Counting an own Prepare may complete a certificate and so queue a Commit: same turn.
        while self.voting.deadline().is_some_and(|at| at <= cx.now) {
            let mut prepare = core::mem::take(&mut self.voting.prepare);
            let mut commit = core::mem::take(&mut self.voting.commit);
            // What was decided meanwhile needs no more votes.
            prepare.retain(|txid| self.pool.contains(txid));
            commit.retain(|txid| self.pool.contains(txid));
            let commit = self.claim_commits(commit);
            let count = prepare.len().max(commit.len());
            self.cast(Phase::Prepare, prepare, cx)?;
            self.cast(Phase::Commit, commit, cx)?;
            self.adapt_interval(count);
            self.voting.last_flush = cx.now;
        }
        Ok(())
    }

    /// Many votes at a time: wait longer for company. Few: hurry.
    fn adapt_interval(&mut self, count: usize) {
        let members = u64::try_from(self.validators().len()).unwrap_or(u64::MAX);
        let usual = self.identity.tuning.vote_interval_ms;
        let large = members / VALIDATORS_PER_VOTE_INTERVAL_MS;
        let least = members.saturating_mul(VOTE_INTERVAL_MS_PER_VALIDATOR).min(usual.max(large));
        let most = usual.max(large.saturating_mul(2));
        let now = self.voting.interval_ms.max(least);
        self.voting.interval_ms = match count {
            0..=4 => (now / 2).max(least),
            5..=15 => now,
            _ => (now * 2).clamp(1, most.max(1)),
        };
    }

    fn cast(&mut self, phase: Phase, txids: Vec<Txid>, cx: &mut Cx<'_>) -> Result<(), Unavailable> {
        for chunk in txids.chunks(VOTES_PER_BATCH_MAX) {
            let (epoch, genesis) = (self.chain.state.epoch, self.identity.genesis);
            let Some(key) = self.voting_key() else { return Ok(()) };
            let batch = Arc::new(VoteBatch::sign(epoch, phase, chunk.to_vec(), key, &genesis));
            cx.record(Record::Votes(Arc::clone(&batch)));
            cx.effect(Effect::PublishVote(Vote::Finality(Arc::clone(&batch))));
            self.count_batch(&batch, cx)?;
        }
        Ok(())
    }

    /// Queues the Commit vote for a transaction that has a prepare certificate, unless it was cast.
    pub(super) fn queue_commit(&mut self, txid: &Txid, cx: &mut Cx<'_>) {
        let Some(own) = self.own_index() else { return };
        if !self.may_vote() || self.voting.tally(txid).is_some_and(|tally| tally.has_voted(Phase::Commit, own)) {
            return;
        }
        if self.voting.own_commits.len() + self.voting.commit.len() >= SEAL_TXIDS_MAX {
            self.voting.commits_wait = true; // F-4: until blocks have taken some
            return;
        }
        self.record_body(txid, cx);
        self.voting.commit.push(*txid);
        self.requests.watch(*txid, cx.now);
    }

    /// Queues the Commit votes for which there was no room, as far as there is now.
    pub(super) fn queue_commits_that_waited(&mut self, cx: &mut Cx<'_>) {
        if !core::mem::take(&mut self.voting.commits_wait) {
            return;
        }
        let queued: BTreeSet<Txid> = self.voting.commit.iter().copied().collect();
        let prepared =
            self.pool.in_order().filter(|(txid, _)| !queued.contains(txid) && self.is_certified(txid, Phase::Prepare));
        let waiting: Vec<Txid> = prepared.map(|(txid, _)| *txid).collect();
        waiting.iter().for_each(|txid| self.queue_commit(txid, cx));
    }
}
