//! The pool: transactions that are not yet in a block, who spends what, and who came first
//! (`SPEC.md` P-1…P-6).

use crate::amount::Amount;
use crate::hash::Txid;
use crate::snow::Confidence;
use crate::transaction::{OutPoint, Transaction, Utxo};
use crate::validator::Height;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::api::Time;

/// How far a transaction has come at this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// An ancestor in the pool is not final yet.
    Waiting,
    /// Being sampled.
    Polling,
    /// Sampling gave up; left to blocks (S-14).
    GivenUp,
    /// Inputs locked, Prepare vote queued or sent.
    Accepted,
    /// A prepare certificate exists.
    Prepared,
    /// A finality certificate exists.
    Final,
}

/// Sampling state of one transaction.
#[derive(Clone, Debug, Default)]
pub(super) struct PollState {
    /// Counters of the (alpha, beta) pairs.
    pub confidence: Confidence,
    /// Successful polls; those of an unopposed payment need not be in a row (S-12).
    pub successes: u32,
    /// Polls so far.
    pub rounds: u32,
    /// Polls about it that are on the way.
    pub in_flight: u32,
    /// Whether an epoch ended with it and a conflict undecided, and this node has not offered it since: a block goes
    /// first (E-9).
    pub left_open: bool,
}

/// A transaction in the pool.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub transaction: Arc<Transaction>,
    pub fee: Amount,
    pub bytes: usize,
    /// Position in the order of admission; parents come before their children.
    pub sequence: u64,
    pub admitted_at: Time,
    pub stage: Stage,
    /// Ancestors in the pool that it spends from directly.
    pub parents: BTreeSet<Txid>,
    pub children: BTreeSet<Txid>,
    /// Number of unfinished transactions in the longest chain that ends here.
    pub depth: usize,
    pub poll: PollState,
    /// How often this node offered it in a block without a certificate, and since when it waits
    /// for the next time (B-11).
    pub offers: u32,
    pub offer_from: Time,
    /// Whether the journal has its body.
    pub recorded: bool,
}

impl Entry {
    /// Fee rate, in thousandths of a unit for each byte.
    pub fn rate_milli(&self) -> u64 {
        rate_milli(self.fee, self.bytes)
    }
}

/// Fee rate, in thousandths of a unit for each byte.
pub(super) fn rate_milli(fee: Amount, bytes: usize) -> u64 {
    let bytes = u128::try_from(bytes.max(1)).unwrap_or(u128::MAX);
    u64::try_from(u128::from(fee.units()) * 1_000 / bytes).unwrap_or(u64::MAX)
}

/// All transactions that are not yet in a block.
#[derive(Clone, Debug, Default)]
pub(super) struct Pool {
    entries: BTreeMap<Txid, Entry>,
    order: BTreeMap<u64, Txid>,
    /// Spenders of each outpoint; the first is the preferred one (S-11).
    spends: BTreeMap<OutPoint, Vec<Txid>>,
    /// What may be evicted, cheapest and then youngest first (P-5).
    evictable: BTreeSet<(u64, core::cmp::Reverse<u64>, Txid)>,
    bytes: usize,
    next_sequence: u64,
    /// Number of entries at each stage.
    stages: BTreeMap<Stage, usize>,
    /// Number of outpoints with more than one spender.
    contested: usize,
}

impl Pool {
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn get(&self, txid: &Txid) -> Option<&Entry> {
        self.entries.get(txid)
    }

    pub fn get_mut(&mut self, txid: &Txid) -> Option<&mut Entry> {
        self.entries.get_mut(txid)
    }

    pub fn contains(&self, txid: &Txid) -> bool {
        self.entries.contains_key(txid)
    }

    /// Entries in order of admission: parents before children.
    pub fn in_order(&self) -> impl Iterator<Item = (&Txid, &Entry)> {
        self.order.values().filter_map(|txid| self.entries.get_key_value(txid))
    }

    /// The output of a pooled transaction, as an entry that is in no block yet (L-9).
    pub fn output(&self, outpoint: &OutPoint) -> Option<Utxo> {
        let entry = self.entries.get(&outpoint.txid)?;
        let output = entry.transaction.body.outputs.get(usize::try_from(outpoint.index).ok()?)?;
        Some(Utxo { output: *output, height: u64::MAX, coinbase: false })
    }

    /// Who spends `outpoint`, the preferred one first.
    pub fn spenders(&self, outpoint: &OutPoint) -> &[Txid] {
        self.spends.get(outpoint).map_or(&[], Vec::as_slice)
    }

    /// Transactions that spend an input of `transaction`, other than `txid` itself; each once.
    pub fn conflicts(&self, txid: &Txid, transaction: &Transaction) -> BTreeSet<Txid> {
        let spenders = transaction.body.inputs.iter().flat_map(|input| self.spenders(input));
        spenders.filter(|other| *other != txid).copied().collect()
    }

    /// Whether both are here and spend an outpoint together.
    pub fn is_conflict(&self, txid: &Txid, other: &Txid) -> bool {
        let Some(entry) = self.entries.get(txid).filter(|_| txid != other) else { return false };
        entry.transaction.body.inputs.iter().any(|input| self.spenders(input).contains(other))
    }

    /// Whether another transaction in the pool spends an input of `txid`.
    pub fn is_contested(&self, txid: &Txid) -> bool {
        let entry = self.entries.get(txid);
        entry.is_some_and(|entry| entry.transaction.body.inputs.iter().any(|input| self.spenders(input).len() > 1))
    }

    /// Whether `txid` is preferred on each of its inputs (S-11).
    pub fn is_preferred(&self, txid: &Txid) -> bool {
        self.rival(txid).is_none()
    }

    /// The transaction that is preferred over `txid` on one of its inputs.
    pub fn rival(&self, txid: &Txid) -> Option<Txid> {
        let entry = self.entries.get(txid)?;
        let first = |input| self.spenders(input).first().filter(|first| *first != txid).copied();
        entry.transaction.body.inputs.iter().find_map(first)
    }

    /// Makes `txid` the preferred one on each of its inputs (S-11).
    pub fn prefer(&mut self, txid: &Txid) {
        let Some(entry) = self.entries.get(txid) else { return };
        for input in &entry.transaction.body.inputs {
            if let Some(spenders) = self.spends.get_mut(input)
                && let Some(at) = spenders.iter().position(|other| other == txid)
                && let Some(head) = spenders.get_mut(..=at)
            {
                head.rotate_right(1);
            }
        }
    }

    /// Adds a transaction that was judged admissible; gives its place in the order.
    pub fn insert(&mut self, txid: Txid, mut entry: Entry) {
        entry.sequence = self.next_sequence;
        self.next_sequence += 1;
        for input in &entry.transaction.body.inputs {
            let spenders = self.spends.entry(*input).or_default();
            spenders.push(txid);
            self.contested += usize::from(spenders.len() == 2);
        }
        for parent in &entry.parents {
            if let Some(parent) = self.entries.get_mut(parent) {
                parent.children.insert(txid);
            }
        }
        self.bytes += entry.bytes;
        *self.stages.entry(entry.stage).or_default() += 1;
        self.order.insert(entry.sequence, txid);
        if entry.stage <= Stage::GivenUp {
            self.evictable.insert(Self::eviction_key(&txid, &entry));
        }
        self.entries.insert(txid, entry);
    }

    fn eviction_key(txid: &Txid, entry: &Entry) -> (u64, core::cmp::Reverse<u64>, Txid) {
        (entry.rate_milli(), core::cmp::Reverse(entry.sequence), *txid)
    }

    /// This node puts a transaction without a certificate into its block.
    pub fn note_offer(&mut self, txid: &Txid, now: Time) {
        if let Some(entry) = self.entries.get_mut(txid) {
            entry.offers = entry.offers.saturating_add(1);
            entry.offer_from = now;
            entry.poll.left_open = false;
        }
    }

    /// Moves a transaction to a stage; one that this node voted for is never evicted (P-5).
    pub fn set_stage(&mut self, txid: &Txid, stage: Stage) {
        let Some(entry) = self.entries.get_mut(txid) else { return };
        let before = core::mem::replace(&mut entry.stage, stage);
        *self.stages.entry(stage).or_default() += 1;
        if let Some(count) = self.stages.get_mut(&before) {
            *count -= 1;
        }
        let key = Self::eviction_key(txid, entry);
        if stage > Stage::GivenUp {
            self.evictable.remove(&key);
        } else {
            self.evictable.insert(key); // its votes may have ended with an epoch (E-7)
        }
    }

    /// Whether this node voted for a transaction, or a quorum did.
    pub fn is_voted(&self, txid: &Txid) -> bool {
        self.entries.get(txid).is_some_and(|entry| entry.stage > Stage::GivenUp)
    }

    /// Takes a transaction out. Its children stay, without it as a parent.
    pub fn remove(&mut self, txid: &Txid) -> Option<Entry> {
        let entry = self.entries.remove(txid)?;
        self.order.remove(&entry.sequence);
        self.evictable.remove(&Self::eviction_key(txid, &entry));
        self.bytes = self.bytes.saturating_sub(entry.bytes);
        if let Some(count) = self.stages.get_mut(&entry.stage) {
            *count -= 1;
        }
        for input in &entry.transaction.body.inputs {
            if let Some(spenders) = self.spends.get_mut(input) {
                self.contested -= usize::from(spenders.len() == 2);
                spenders.retain(|other| other != txid);
                if spenders.is_empty() {
                    self.spends.remove(input);
                }
            }
        }
        for parent in &entry.parents {
            if let Some(parent) = self.entries.get_mut(parent) {
                parent.children.remove(txid);
            }
        }
        for child in &entry.children {
            if let Some(child) = self.entries.get_mut(child) {
                child.parents.remove(txid);
            }
        }
        Some(entry)
    }

    /// `txid` and all that descends from it, children before their parents.
    pub fn family(&self, txid: &Txid) -> Vec<Txid> {
        let mut members = BTreeMap::new();
        let mut todo = alloc::vec![*txid];
        while let Some(next) = todo.pop() {
            if let Some(entry) = self.entries.get(&next)
                && members.insert(entry.sequence, next).is_none()
            {
                todo.extend(entry.children.iter().copied());
            }
        }
        members.into_values().rev().collect()
    }

    /// What eviction would take next, with its fee rate (P-5).
    pub fn cheapest(&self) -> Option<(u64, Txid)> {
        self.evictable.first().map(|(rate, _, txid)| (*rate, *txid))
    }

    /// Number of entries at `stage`.
    pub fn at_stage(&self, stage: Stage) -> usize {
        self.stages.get(&stage).copied().unwrap_or_default()
    }

    /// Number of outpoints that two transactions in the pool spend.
    pub const fn contested(&self) -> usize {
        self.contested
    }
}

/// A bounded memory of the latest values.
#[derive(Clone, Debug)]
pub(super) struct Recent<K, V> {
    values: BTreeMap<K, V>,
    order: alloc::collections::VecDeque<K>,
    max: usize,
}

impl<K: Ord + Copy, V> Recent<K, V> {
    /// Remembers up to `max` values; the oldest is forgotten first.
    pub const fn new(max: usize) -> Self {
        Self { values: BTreeMap::new(), order: alloc::collections::VecDeque::new(), max }
    }

    pub fn insert(&mut self, key: K, value: V) {
        if self.values.insert(key, value).is_none() {
            self.order.push_back(key);
        }
        while self.values.len() > self.max
            && let Some(oldest) = self.order.pop_front()
        {
            self.values.remove(&oldest);
        }
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        self.values.get(key)
    }

    pub fn len(&self) -> usize {
        self.values.len().max(self.order.len())
    }
}

/// Spenders of outpoints in recent blocks.
pub(super) type RecentSpends = Recent<OutPoint, Txid>;
/// Heights of transactions in recent blocks.
pub(super) type RecentTransactions = Recent<Txid, Height>;
