//! Decided blocks (`SPEC.md` B-14): what they do to chain, pool, votes and locks.

use super::api::{Destination, Effect, Event, Fallback, Path, RejectReason, Request, Status, Time};
use super::pool::Stage;
use super::requests::Purpose;
use super::rounds::Rounds;
use super::{Cx, Engine, Ledger, Record};
use crate::block::{BlockPhase, Commit, CommitSignature, CommittedBlock};
use crate::hash::{BlockHash, Txid};
use crate::keys::PublicKey;
use crate::ledger::{BlockDelta, Unavailable};
use crate::transaction::Transaction;
use crate::validator::Round;
use crate::wire::BlocksRequest;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Pause before the body of a decided block is asked for again, in milliseconds.
const DECIDED_RETRY_MS: u64 = 250;

impl<L: Ledger> Engine<L> {
    /// Commits the decided block if it is at hand; else asks for it.
    pub(super) fn try_commit(&mut self, cx: &mut Cx<'_>) -> Result<(), Unavailable> {
        let Some((round, hash)) = self.rounds.decided else { return Ok(()) };
        let Some((block, delta)) = self.rounds.blocks.get(&hash).cloned() else {
            self.fetch_decided(cx);
            return Ok(());
        };
        let commit = self.commit_of(round, hash);
        let weight = self.validators().weight_at(commit.signatures.iter().map(|entry| entry.validator));
        if !self.validators().is_quorum(weight) {
            // A block goes on the chain with a commit that convinces others (B-3), or not at all.
            self.fetch_decided(cx);
            return Ok(());
        }
        let committed = CommittedBlock { block: block.as_ref().clone(), commit };
        self.commit_block(Arc::new(committed), delta, cx)
    }

    fn fetch_decided(&mut self, cx: &mut Cx<'_>) {
        let id = self.requests.next(Purpose::Blocks);
        let request = BlocksRequest { from: self.next_height(), count: 1 };
        cx.effect(Effect::Request(id, Destination::Any, Request::Blocks(request)));
        self.rounds.rejudge_at = Some(cx.now.plus_ms(DECIDED_RETRY_MS));
    }

    fn commit_of(&self, round: Round, hash: BlockHash) -> Commit {
        let precommits = self.rounds.votes_of(round, BlockPhase::Precommit);
        let signatures: Vec<CommitSignature> = precommits
            .filter(|(_, vote)| vote.block == Some(hash))
            .map(|(validator, vote)| CommitSignature { validator, signature: vote.signature })
            .collect();
        Commit { height: self.rounds.height(), round, block: hash, signatures }
    }

    /// Puts a decided and judged block on the chain and begins the next height.
    pub(super) fn commit_block(
        &mut self,
        block: Arc<CommittedBlock>,
        delta: Arc<BlockDelta>,
        cx: &mut Cx<'_>,
    ) -> Result<(), Unavailable> {
        self.compare_commit(&block.commit, cx); // X-3, while its height is in progress
        cx.record(Record::Block(Arc::clone(&block)));
        cx.effect(Effect::Event(Event::Block { block: Arc::clone(&block), delta: Arc::clone(&delta) }));
        self.chain.ledger.push(&delta);
        self.note_participation(&block.commit);
        let ended = self.chain.state.epoch;
        if self.chain.state.is_sealing(&self.identity.params) {
            self.sealing.note_block(&delta.txids);
        }
        self.chain.state = delta.state.clone();
        self.chain.last_commit = Some(block.commit.clone());
        self.evidence.note_block(&self.chain.state);
        let mut settled = Vec::with_capacity(delta.txids.len());
        for (txid, transaction) in delta.txids.iter().zip(&block.block.transactions) {
            settled.push(*txid);
            self.settle_transaction(txid, transaction, cx);
        }
        let changed = self.chain.state.epoch != ended;
        if changed {
            self.change_epoch(ended, cx); // before anything is counted by the new set
            self.end_silence_if_due(block.block.header.time_ms, cx);
        }
        for txid in &settled {
            self.retry_orphans(txid, cx)?;
        }
        self.queue_commits_that_waited(cx);
        if changed {
            for batch in self.voting.take_ahead() {
                self.on_vote_batch(None, batch, cx)?;
            }
        }
        self.begin_height(cx)
    }

    /// Who took part in deciding the block (S-17); called while its validators are the current ones.
    fn note_participation(&mut self, commit: &Commit) {
        let validators = Arc::clone(self.validators());
        let signers = commit.signatures.iter().filter_map(|entry| validators.at(entry.validator));
        let signed: Vec<PublicKey> = signers.map(|member| member.key).collect();
        self.sampling.reputations.note_block(&validators, &signed);
    }

    /// Why a block, and no finality certificate, makes a pooled transaction final.
    fn fallback(&self, txid: &Txid, transaction: &Transaction) -> Fallback {
        match self.pool.get(txid) {
            None => Fallback::Unseen,
            Some(entry) if entry.stage >= Stage::Prepared => Fallback::Certified,
            Some(_) if !self.pool.conflicts(txid, transaction).is_empty() => Fallback::Contested,
            Some(_) => Fallback::Silent,
        }
    }

    /// A transaction is in a block: whatever conflicts with it has lost, whatever spends it goes on.
    fn settle_transaction(&mut self, txid: &Txid, transaction: &Transaction, cx: &mut Cx<'_>) {
        let height = self.chain.state.height;
        let fallback = self.fallback(txid, transaction);
        for rival in self.pool.conflicts(txid, transaction) {
            self.voting.note_loser(rival, *txid);
            self.drop_family(&rival, &RejectReason::Conflict(*txid), cx);
        }
        let entry = self.pool.remove(txid);
        if entry.as_ref().is_none_or(|entry| entry.stage < Stage::Final) {
            cx.status(*txid, Status::Final(Path::Block(fallback)));
        }
        cx.status(*txid, Status::Committed(height));
        self.voting.settle(txid, transaction, self.evidence.is_opposed(txid));
        self.requests.no_longer_wanted(txid);
        self.chain.recent_transactions.insert(*txid, height);
        for input in &transaction.body.inputs {
            self.chain.recent_spends.insert(*input, *txid);
        }
        if let Some(entry) = entry {
            self.release_children(&entry.children, cx);
        }
    }

    /// Starts agreement on the next height, with what arrived for it already.
    pub(super) fn begin_height(&mut self, cx: &mut Cx<'_>) -> Result<(), Unavailable> {
        let ahead = self.rounds.take_ahead();
        let own = self.identity.public.as_ref().filter(|_| self.history.may_sign());
        self.rounds = Rounds::new(&self.chain.state, own);
        let due_ms = self.chain.state.time_ms.saturating_add(self.identity.params.block_interval_ms);
        self.rounds.start_at = cx.now.max(Time(due_ms.saturating_mul(1_000)));
        cx.effect(Effect::Event(Event::Round { height: self.rounds.height(), round: Round(0) }));
        for proposal in ahead.proposals.into_values() {
            self.on_proposal(None, proposal, cx)?;
        }
        for vote in ahead.votes.into_values() {
            self.on_block_vote(None, vote, cx)?;
        }
        Ok(())
    }
}
