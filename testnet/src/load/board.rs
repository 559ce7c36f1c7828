//! What happened to each payment of a run, and when. Written by many tasks, read at the end: times
//! are atomics that are set once.

use super::plan::Plan;
use super::sign::Signed;
use crate::rpc::{CallError, Standing, Word};
use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use timecoin_protocol::hash::Txid;

/// Of so many payments one is watched at a second node.
const REMOTE_SAMPLE: usize = 16;

/// A moment of a run in microseconds from its start; it is set once.
#[derive(Debug)]
pub struct Moment(AtomicU64);

impl Moment {
    const UNSET: u64 = u64::MAX;

    const fn unset() -> Self {
        Self(AtomicU64::new(Self::UNSET))
    }

    /// Sets it, unless it is set.
    pub fn set(&self, at_us: u64) {
        // The first one wins; who comes later has nothing to say.
        let _ = self.0.compare_exchange(Self::UNSET, at_us, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// It, if it has come.
    pub fn at_us(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|at_us| *at_us != Self::UNSET)
    }
}

/// What happened to one payment.
#[derive(Debug)]
pub struct Record {
    /// It was handed to the node's socket.
    pub sent: Moment,
    /// The node took it.
    pub accepted: Moment,
    /// The node that it was sent to said that it is final.
    pub finished: Moment,
    /// The same of a second node, for some payments.
    pub remote: Moment,
    /// It is in a block, by the node that it was sent to.
    pub committed: Moment,
    /// The node did not take it, or rejected it later: the reason.
    pub refusal: OnceLock<String>,
    /// The call failed, so that nobody knows whether the node took it.
    pub failure: OnceLock<CallError>,
}

impl Record {
    const fn new() -> Self {
        Self {
            sent: Moment::unset(),
            accepted: Moment::unset(),
            finished: Moment::unset(),
            remote: Moment::unset(),
            committed: Moment::unset(),
            refusal: OnceLock::new(),
            failure: OnceLock::new(),
        }
    }

    /// Whether something is still to come: it was accepted, but is neither in a block nor rejected.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.accepted.at_us().is_some() && self.committed.at_us().is_none() && self.refusal.get().is_none()
    }
}

/// Everything that is known of a run while it lasts.
#[derive(Debug)]
pub struct Board {
    /// What was planned.
    pub plan: Plan,
    /// One for each payment.
    pub records: Vec<Record>,
    /// Ids of the payments.
    pub txids: Vec<Txid>,
    /// Subscriptions that ended before the run did.
    pub gaps: AtomicU64,
    index_of: HashMap<Txid, usize>,
    /// When each half of each pair became final at each node.
    halves: Vec<Moment>,
    nodes: usize,
    start: OnceLock<Instant>,
}

impl Board {
    /// A board for payments that nobody has sent yet.
    #[must_use]
    pub fn new(plan: Plan, signed: &[Signed], nodes: usize) -> Self {
        let txids: Vec<Txid> = signed.iter().map(|one| one.txid).collect();
        Self {
            records: txids.iter().map(|_| Record::new()).collect(),
            index_of: txids.iter().enumerate().map(|(index, txid)| (*txid, index)).collect(),
            halves: (0..plan.pairs.len() * 2 * nodes).map(|_| Moment::unset()).collect(),
            gaps: AtomicU64::new(0),
            start: OnceLock::new(),
            plan,
            txids,
            nodes,
        }
    }

    /// Begins now: moments count from here. The first call counts.
    pub fn begin(&self) {
        self.start.get_or_init(Instant::now);
    }

    /// Microseconds since the start; 0 before it.
    #[must_use]
    pub fn now_us(&self) -> u64 {
        self.start.get().map_or(0, |start| u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// The moment on the clock.
    #[must_use]
    pub fn instant(&self, at_us: u64) -> Instant {
        *self.start.get_or_init(Instant::now) + Duration::from_micros(at_us)
    }

    /// When a half (0 or 1) of a pair became final at a node.
    #[must_use]
    pub fn half_final_us(&self, pair: usize, half: usize, node: usize) -> Option<u64> {
        self.halves.get((pair * 2 + half) * self.nodes + node).and_then(Moment::at_us)
    }

    /// When the pair was settled: one half is final at every node. `None` while it is not.
    #[must_use]
    pub fn settled_us(&self, pair: usize) -> Option<u64> {
        let final_us = |node| (0..2).filter_map(|half| self.half_final_us(pair, half, node)).min();
        (0..self.nodes).map(final_us).try_fold(0, |latest, at_us| Some(latest.max(at_us?)))
    }

    /// The ids that are watched at a node: payments sent to it, a sample of those sent to the node
    /// before, and all double spends.
    #[must_use]
    pub fn watched_at(&self, node: usize) -> Vec<Txid> {
        let payments = self.plan.payments.iter().zip(&self.txids).enumerate();
        let watched = payments.filter(|(index, (payment, _))| {
            payment.pair.is_some() || payment.node == node || self.remote_of(*index) == Some(node)
        });
        watched.map(|(_, (_, txid))| *txid).collect()
    }

    /// The second node at which a payment is watched, if it is.
    fn remote_of(&self, index: usize) -> Option<usize> {
        let payment = self.plan.payments.get(index)?;
        let sampled = self.nodes > 1 && payment.pair.is_none() && index.is_multiple_of(REMOTE_SAMPLE);
        sampled.then(|| (payment.node + 1) % self.nodes)
    }

    /// Notes what a node says of a payment, at a moment.
    pub fn note(&self, node: usize, standing: &Standing, at_us: u64) {
        let Some(index) = self.index_of.get(&standing.txid) else { return };
        let (Some(payment), Some(record)) = (self.plan.payments.get(*index), self.records.get(*index)) else { return };
        if standing.status.is_final() {
            if let Some(pair) = payment.pair {
                let half = usize::from(self.plan.pairs.get(pair).is_some_and(|[_, second]| second == index));
                if let Some(moment) = self.halves.get((pair * 2 + half) * self.nodes + node) {
                    moment.set(at_us);
                }
            }
            if payment.node == node {
                record.finished.set(at_us);
            } else {
                record.remote.set(at_us);
            }
        }
        if payment.node != node {
            return;
        }
        match standing.status {
            Word::Committed => record.committed.set(at_us),
            Word::Rejected => {
                // A second reason adds nothing to the first.
                let _ = record.refusal.set(standing.reason.clone().unwrap_or_else(|| "rejected".to_owned()));
            }
            _ => {}
        }
    }

    /// How many accepted payments are neither in a block nor rejected.
    #[must_use]
    pub fn open(&self) -> usize {
        self.records.iter().filter(|record| record.is_open()).count()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::load::plan::{Payment, Source};
    use crate::rpc::Params;

    /// A board of payments with the ids 0, 1, 2… at these nodes; `pairs` names both halves.
    pub fn board(nodes: usize, at: &[usize], pairs: &[[usize; 2]]) -> Board {
        let pair_of = |index: usize| pairs.iter().position(|pair| pair.contains(&index));
        let payment = |(index, node): (usize, &usize)| Payment {
            due_us: 1_000 * index as u64,
            node: *node,
            source: Source::Coin(index),
            payer: 0,
            payee: 0,
            pair: pair_of(index),
        };
        let plan =
            Plan { payments: at.iter().enumerate().map(payment).collect(), coins: at.len(), pairs: pairs.to_vec() };
        let signed: Vec<Signed> = (0..at.len())
            .map(|index| Signed { txid: txid(index), params: Params::from_text("[]".into()).unwrap() })
            .collect();
        Board::new(plan, &signed, nodes)
    }

    /// The id of payment `index`.
    pub fn txid(index: usize) -> Txid {
        Txid([index as u8; 32])
    }

    pub fn says(index: usize, status: Word) -> Standing {
        Standing { txid: txid(index), status, reason: None }
    }

    #[test]
    fn the_first_news_of_finality_counts() {
        let board = board(2, &[0, 1], &[]);
        board.note(0, &says(0, Word::Prepared), 5);
        assert_eq!(board.records[0].finished.at_us(), None);
        board.note(0, &says(0, Word::Final), 7);
        board.note(0, &says(0, Word::Committed), 9);
        assert_eq!((board.records[0].finished.at_us(), board.records[0].committed.at_us()), (Some(7), Some(9)));
    }

    #[test]
    fn what_another_node_says_is_remote_finality() {
        let board = board(2, &[0], &[]);
        board.note(1, &says(0, Word::Final), 7);
        board.note(1, &says(0, Word::Rejected), 8);
        let record = &board.records[0];
        assert_eq!((record.finished.at_us(), record.remote.at_us(), record.refusal.get()), (None, Some(7), None));
    }

    #[test]
    fn a_pair_is_settled_when_one_half_is_final_at_every_node() {
        let board = board(2, &[0, 1], &[[0, 1]]);
        board.note(0, &says(1, Word::Final), 7);
        assert_eq!(board.settled_us(0), None);
        board.note(1, &says(1, Word::Final), 12);
        assert_eq!(board.settled_us(0), Some(12));
        assert_eq!((board.half_final_us(0, 1, 1), board.half_final_us(0, 0, 1)), (Some(12), None));
    }

    #[test]
    fn each_node_is_asked_for_its_own_payments_all_pairs_and_a_sample() {
        let board = board(3, &[0, 1, 2, 0, 1], &[[1, 2]]);
        assert_eq!(board.watched_at(0), [txid(0), txid(1), txid(2), txid(3)]);
        assert_eq!(board.watched_at(1), [txid(0), txid(1), txid(2), txid(4)], "payment 0 is in the sample");
        assert_eq!(board.watched_at(2), [txid(1), txid(2)]);
    }

    #[test]
    fn a_payment_is_open_from_acceptance_to_its_block_or_rejection() {
        let board = board(1, &[0, 0, 0], &[]);
        assert_eq!(board.open(), 0);
        board.records.iter().for_each(|record| record.accepted.set(1));
        board.note(0, &says(0, Word::Committed), 2);
        board.note(0, &says(1, Word::Rejected), 2);
        board.note(0, &says(2, Word::Final), 2);
        assert_eq!(board.open(), 1);
    }
}
