//! Taking transactions into the pool (`SPEC.md` P-1…P-6).

use super::api::{
    Admitted, Effect, Event, Offence, Refusal, RejectReason, Reply, ReplyTag, Source, Status, Time, Verdict,
};
use super::pool::{Entry, PollState, Stage, rate_milli};
use super::{ByTxid, Cx, Engine, Kept, Ledger, PeerTag};
use crate::bounds::{ANCESTORS_MAX, ORPHANS_MAX, SPENDS_PER_OUTPOINT_MAX};
use crate::hash::Txid;
use crate::keys::Verified;
use crate::ledger::{TransactionError, Transfer, Unavailable, check_transfer};
use crate::transaction::{OutPoint, Transaction, Utxo};
use crate::validator::Height;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// How long such a transaction is kept, in milliseconds.
const ORPHAN_MS_MAX: u64 = 30_000;

/// Transactions that wait for an input that this node does not know (P-2).
#[derive(Clone, Debug, Default)]
pub(super) struct Orphans {
    waiting: ByTxid<(Verified<Transaction>, Time)>,
    by_parent: BTreeMap<Txid, BTreeSet<Txid>>,
    order: VecDeque<Txid>,
}

impl Orphans {
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn kept(&self) -> Kept {
        Kept::new("transactions that wait for a parent", self.waiting.len().max(self.order.len()), ORPHANS_MAX)
    }

    pub fn deadline(&self) -> Option<Time> {
        let (_, since) = self.waiting.get(self.order.front()?)?;
        Some(since.plus_ms(ORPHAN_MS_MAX))
    }

    fn insert(&mut self, txid: Txid, parent: Txid, transaction: Verified<Transaction>, now: Time) {
        if self.waiting.insert(txid, (transaction, now)).is_none() {
            self.order.push_back(txid);
        }
        self.by_parent.entry(parent).or_default().insert(txid);
    }

    fn take(&mut self, txid: &Txid) -> Option<Verified<Transaction>> {
        let (transaction, _) = self.waiting.remove(txid)?;
        self.order.retain(|other| other != txid);
        self.by_parent.retain(|_, children| {
            children.remove(txid);
            !children.is_empty()
        });
        Some(transaction)
    }

    fn oldest(&self) -> Option<(Txid, Time)> {
        let txid = self.order.front()?;
        Some((*txid, self.waiting.get(txid)?.1))
    }
}

/// A transaction that may enter the pool, and what that takes.
struct Admissible {
    transfer: Transfer,
    parents: BTreeSet<Txid>,
    depth: usize,
    conflict: Option<Txid>,
    /// Cheaper transactions that must go to make room.
    evict: Vec<Txid>,
}

impl<L: Ledger> Engine<L> {
    pub(super) fn on_transactions(
        &mut self,
        source: Source,
        transactions: Vec<Verified<Transaction>>,
        cx: &mut Cx<'_>,
    ) -> Result<(), Unavailable> {
        let (mut admitted_any, mut invalid_any) = (false, false);
        for transaction in transactions {
            let result = self.admit(transaction, matches!(source, Source::Gossip(..)), cx)?;
            admitted_any |= result.is_ok();
            invalid_any |= matches!(&result, Err(Refusal::Invalid(error)) if !is_early(error));
            if let Source::Local(tag) = source {
                if let Ok(admitted) = &result
                    && let Some(entry) = self.pool.get(&admitted.txid)
                {
                    self.outbox.push(Arc::clone(&entry.transaction));
                }
                cx.effect(Effect::Reply(tag, Reply::Admission(result)));
            }
        }
        if let Source::Gossip(peer, tag) = source {
            let verdict = match (invalid_any, admitted_any) {
                (true, _) => Verdict::Reject,
                (false, true) => Verdict::Accept,
                (false, false) => Verdict::Ignore,
            };
            if invalid_any {
                cx.effect(Effect::Penalty(peer, Offence::InvalidTransaction));
            }
            cx.effect(Effect::Verdict(tag, verdict));
        }
        Ok(())
    }

    pub(super) fn on_test(
        &self,
        tag: ReplyTag,
        transaction: &Verified<Transaction>,
        cx: &mut Cx<'_>,
    ) -> Result<(), Unavailable> {
        let judged = self.judge(transaction)?.map(|admissible| admissible.admitted());
        cx.effect(Effect::Reply(tag, Reply::Admission(judged)));
        Ok(())
    }

    /// Takes a transaction into the pool, or among the orphans if `keep_orphan` and an input is
    /// unknown; then those orphans that waited for it.
    pub(super) fn admit(
        &mut self,
        transaction: Verified<Transaction>,
        keep_orphan: bool,
        cx: &mut Cx<'_>,
    ) -> Result<Result<Admitted, Refusal>, Unavailable> {
        self.keep_for_proposal(&transaction, cx.now);
        let judged = self.judge(&transaction)?;
        let admissible = match judged {
            Ok(admissible) => admissible,
            Err(refusal) => {
                self.note_refusal(transaction, &refusal, keep_orphan, cx);
                return Ok(Err(refusal));
            }
        };
        let admitted = admissible.admitted();
        self.enter(transaction, admissible, cx);
        self.retry_orphans(&admitted.txid, cx)?;
        self.count_early_votes(&admitted.txid, cx)?;
        Ok(Ok(admitted))
    }

    fn enter(&mut self, transaction: Verified<Transaction>, admissible: Admissible, cx: &mut Cx<'_>) {
        for victim in &admissible.evict {
            self.drop_family(victim, &RejectReason::Evicted, cx);
        }
        let admitted = admissible.admitted();
        let txid = admitted.txid;
        let transaction = Arc::new(transaction.into_inner());
        let ready = admissible.parents.iter().all(|parent| self.is_final(parent));
        let entry = Entry {
            transaction: Arc::clone(&transaction),
            fee: admitted.fee,
            bytes: admitted.bytes,
            sequence: 0,
            admitted_at: cx.now,
            stage: if ready { Stage::Polling } else { Stage::Waiting },
            parents: admissible.parents,
            children: BTreeSet::new(),
            depth: admissible.depth,
            poll: PollState::default(),
            offers: 0,
            offer_from: cx.now,
            recorded: false,
        };
        self.pool.insert(txid, entry);
        self.requests.no_longer_wanted(&txid);
        cx.effect(Effect::Event(Event::Admitted { transaction, admitted, at: cx.now }));
        self.announce_contest(&txid, cx);
        if self.voting.tally(&txid).is_some() {
            self.look_after(txid, cx.now);
        }
        if ready {
            self.sampling.schedule(txid, cx.now);
        }
    }

    /// A conflict changes the status of both sides, unless one has a certificate.
    fn announce_contest(&mut self, txid: &Txid, cx: &mut Cx<'_>) {
        let Some(entry) = self.pool.get(txid) else { return };
        for rival in self.pool.conflicts(txid, &entry.transaction) {
            if self.pool.get(&rival).is_some_and(|rival| rival.stage < Stage::Prepared) {
                cx.status(rival, Status::Contested(*txid));
            }
            cx.status(*txid, Status::Contested(rival));
            self.watch_rivals(txid, &rival, cx);
        }
    }

    fn is_final(&self, txid: &Txid) -> bool {
        self.pool.get(txid).is_none_or(|entry| entry.stage == Stage::Final)
    }

    /// Whether a transaction may enter the pool; changes nothing.
    fn judge(&self, transaction: &Transaction) -> Result<Result<Admissible, Refusal>, Unavailable> {
        let txid = transaction.txid();
        if self.pool.contains(&txid) {
            return Ok(Err(Refusal::Known));
        }
        let inputs = match self.resolve_inputs(&txid, transaction)? {
            Ok(inputs) => inputs,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let next_height = self.chain.state.height.next();
        let unbonding = self.identity.params.unbonding_blocks;
        let find = |outpoint: &OutPoint| Ok(inputs.get(outpoint).copied());
        let transfer = match check_transfer(transaction, next_height, unbonding, find)? {
            Ok(transfer) => transfer,
            Err(error) => return Ok(Err(Refusal::Invalid(error))),
        };
        Ok(self.judge_place(transaction, transfer))
    }

    /// Finds the outputs that a transaction spends, in the UTXO set or made by the pool.
    fn resolve_inputs(
        &self,
        txid: &Txid,
        transaction: &Transaction,
    ) -> Result<Result<BTreeMap<OutPoint, Utxo>, Refusal>, Unavailable> {
        let mut found = BTreeMap::new();
        // The form check refuses long lists; here they are only not followed to the end.
        for input in transaction.body.inputs.iter().take(crate::bounds::INPUTS_MAX) {
            let utxo = match self.pool.output(input) {
                Some(utxo) => Some(utxo),
                None => self.chain.ledger.utxo(input)?,
            };
            match utxo {
                Some(utxo) => found.insert(*input, utxo),
                None => return Ok(Err(self.missing(txid, *input)?)),
            };
        }
        Ok(Ok(found))
    }

    /// Why an input is not there.
    fn missing(&self, txid: &Txid, input: OutPoint) -> Result<Refusal, Unavailable> {
        if let Some(height) = self.chain.ledger.committed_at(txid)? {
            return Ok(Refusal::Committed(height));
        }
        Ok(match self.chain.recent_spends.get(&input) {
            Some(by) => Refusal::SpentByFinal { outpoint: input, by: *by },
            None => Refusal::MissingInput(input),
        })
    }

    /// Rules of the pool: conflicts (P-3), chains (P-4), room (P-5).
    fn judge_place(&self, transaction: &Transaction, transfer: Transfer) -> Result<Admissible, Refusal> {
        for input in &transaction.body.inputs {
            let spenders = self.pool.spenders(input);
            let final_one = spenders.iter().find(|other| self.pool.get(other).is_some_and(|e| e.stage == Stage::Final));
            if let Some(by) = final_one {
                return Err(Refusal::SpentByFinal { outpoint: *input, by: *by });
            }
            // At most one spend of an outpoint ever gets a certificate: that one is always kept.
            if spenders.len() >= SPENDS_PER_OUTPOINT_MAX && !self.has_certificate(&transfer.txid) {
                return Err(Refusal::TooManyConflicts(*input));
            }
        }
        let parents: BTreeSet<Txid> =
            transaction.body.inputs.iter().map(|input| input.txid).filter(|txid| self.pool.contains(txid)).collect();
        let unfinished = |txid: &Txid| self.pool.get(txid).filter(|e| e.stage != Stage::Final).map_or(0, |e| e.depth);
        let depth = parents.iter().map(unfinished).max().unwrap_or_default() + 1;
        if depth > ANCESTORS_MAX {
            return Err(Refusal::ChainTooLong { max: ANCESTORS_MAX });
        }
        let conflict = self.pool.conflicts(&transfer.txid, transaction).first().copied();
        let evict = self.room_for(&transfer, &parents)?;
        Ok(Admissible { transfer, parents, depth, conflict, evict })
    }

    /// What must go to make room (P-5): the cheapest, if it pays less than the newcomer and is
    /// none of its ancestors.
    fn room_for(&self, transfer: &Transfer, parents: &BTreeSet<Txid>) -> Result<Vec<Txid>, Refusal> {
        let tuning = &self.identity.tuning;
        let full = self.pool.len() >= tuning.pool_transactions_max
            || self.pool.bytes() + transfer.bytes > tuning.pool_bytes_max;
        if !full {
            return Ok(Vec::new());
        }
        let Some((cheapest_milli, victim)) = self.pool.cheapest() else {
            return Err(Refusal::PoolFull { needed_milli: u64::MAX });
        };
        let family = self.pool.family(&victim);
        if rate_milli(transfer.fee, transfer.bytes) <= cheapest_milli
            || family.iter().any(|txid| parents.contains(txid) || self.pool.is_voted(txid))
        {
            return Err(Refusal::PoolFull { needed_milli: cheapest_milli });
        }
        Ok(alloc::vec![victim])
    }

    /// Remembers what a refusal teaches: an orphan to keep, a loser to report.
    fn note_refusal(
        &mut self,
        transaction: Verified<Transaction>,
        refusal: &Refusal,
        keep_orphan: bool,
        cx: &mut Cx<'_>,
    ) {
        if matches!(refusal, Refusal::SpentByFinal { .. } | Refusal::TooManyConflicts(_)) {
            self.watch_refused(&transaction, cx);
        }
        match refusal {
            Refusal::SpentByFinal { by, .. } => {
                cx.status(transaction.txid(), Status::Rejected(RejectReason::Conflict(*by)));
            }
            Refusal::MissingInput(outpoint) if keep_orphan => {
                let txid = transaction.txid();
                self.orphans.insert(txid, outpoint.txid, transaction, cx.now);
                self.want(outpoint.txid, None, cx.now);
                if self.orphans.len() > ORPHANS_MAX
                    && let Some((oldest, _)) = self.orphans.oldest()
                {
                    self.orphans.take(&oldest);
                }
            }
            _ => {}
        }
    }

    /// Judges the orphans again that waited for `parent`.
    pub(super) fn retry_orphans(&mut self, parent: &Txid, cx: &mut Cx<'_>) -> Result<(), Unavailable> {
        let Some(children) = self.orphans.by_parent.remove(parent) else { return Ok(()) };
        for child in children {
            if let Some(transaction) = self.orphans.take(&child) {
                // A refusal is final for an orphan whose parent is here, unless another is missing.
                let _ = self.admit(transaction, true, cx)?;
            }
        }
        Ok(())
    }

    pub(super) fn expire_orphans(&mut self, cx: &mut Cx<'_>) {
        while let Some((txid, since)) = self.orphans.oldest()
            && since.plus_ms(ORPHAN_MS_MAX) <= cx.now
        {
            self.orphans.take(&txid);
            cx.status(txid, Status::Rejected(RejectReason::Expired));
        }
    }

    /// Takes a transaction and all its descendants out of the pool, with the reason; descendants
    /// are told which ancestor it was.
    pub(super) fn drop_family(&mut self, txid: &Txid, reason: &RejectReason, cx: &mut Cx<'_>) {
        for member in self.pool.family(txid) {
            self.pool.remove(&member);
            self.note_forgone(&member);
            self.voting.leave_pool(member);
            let why = if member == *txid { reason.clone() } else { RejectReason::Ancestor(*txid) };
            cx.status(member, Status::Rejected(why));
        }
    }

    /// Wakes those of `children` whose parents are all final now: they can be sampled.
    pub(super) fn release_children(&mut self, children: &BTreeSet<Txid>, cx: &mut Cx<'_>) {
        for child in children {
            let ready = self
                .pool
                .get(child)
                .is_some_and(|entry| entry.stage == Stage::Waiting && entry.parents.iter().all(|p| self.is_final(p)));
            if ready {
                self.pool.set_stage(child, Stage::Polling);
                self.sampling.schedule(*child, cx.now);
            }
        }
    }

    /// Whether the body of a transaction is at hand for a peer that asks.
    pub(super) fn body(&self, txid: &Txid) -> Option<Arc<Transaction>> {
        self.pool.get(txid).map(|entry| Arc::clone(&entry.transaction)).or_else(|| self.rounds.body(txid))
    }

    /// Height of the block after the tip.
    pub(super) fn next_height(&self) -> Height {
        self.chain.state.height.next()
    }
}

impl Admissible {
    fn admitted(&self) -> Admitted {
        Admitted {
            txid: self.transfer.txid,
            fee: self.transfer.fee,
            bytes: self.transfer.bytes,
            conflict: self.conflict,
        }
    }
}

/// Whether a transaction may be valid on a node with more blocks (L-9): nobody is to blame for it.
const fn is_early(error: &TransactionError) -> bool {
    matches!(error, TransactionError::Unbonding { .. } | TransactionError::UnbondingUncommitted { .. })
}

/// The peer that a message came from, where there is one.
pub(super) type From = Option<PeerTag>;
