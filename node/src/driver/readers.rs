//! Keeps what readers see up to date: the pool, outcomes, numbers and news, in the order in which
//! things happened, and only once they are durable.

use super::consensus::Consensus;
use super::level::Level;
use crate::bounds::{GAUGES_INTERVAL_MS, OUTCOMES_MAX, REPUTATIONS_INTERVAL_MS};
use crate::view::{News, Outcome, PoolEntry, View};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use timecoin_protocol::engine::{Admitted, Event, Status, Time, Voice};
use timecoin_protocol::hash::Txid;
use timecoin_protocol::transaction::Transaction;

/// The only writer of the view's pool, outcomes, state and numbers.
#[derive(Debug)]
pub struct Readers {
    view: Arc<View>,
    /// Outcomes in the order in which they came, to forget the oldest.
    finished: VecDeque<Txid>,
    /// What became final by the last piece of news.
    just_final: Option<(Txid, Outcome)>,
    gauges_at: Time,
    reputations_at: Time,
}

impl Readers {
    /// Writes into `view`.
    #[must_use]
    pub const fn new(view: Arc<View>) -> Self {
        Self { view, finished: VecDeque::new(), just_final: None, gauges_at: Time(0), reputations_at: Time(0) }
    }

    /// Shows where consensus stands. Called before the news of the same turn, so that whoever
    /// hears of a block finds it.
    pub fn refresh(&mut self, now: Time, consensus: &Consensus, level: &Level) {
        let (shown, state) = (self.view.state.load(), consensus.engine().chain_state());
        let moved = shown.hash != state.hash;
        if moved {
            self.view.state.store(Arc::new(state.clone()));
            self.view.accused.retain(|validator, _| state.is_accusable(validator));
        }
        if moved || now >= self.gauges_at {
            self.gauges_at = now.plus_ms(GAUGES_INTERVAL_MS);
            self.view.gauges.store(Arc::new(consensus.engine().gauges()));
            if moved || now >= self.reputations_at {
                self.reputations_at = now.plus_ms(REPUTATIONS_INTERVAL_MS);
                self.view.reputations.store(Arc::new(consensus.engine().reputations(now)));
            }
            let alone = state.validators.len() == 1 && self.is_member(state.validators.members().first());
            self.view.synced.store(level.is_level(state.height, alone), Ordering::Relaxed);
        }
    }

    fn is_member(&self, member: Option<&timecoin_protocol::validator::Validator>) -> bool {
        member.is_some_and(|member| self.view.validator == Some(member.key))
    }

    /// Takes one piece of news.
    pub fn tell(&mut self, event: Event) {
        match event {
            Event::Admitted { transaction, admitted, at } => self.admitted(transaction, admitted, at),
            Event::Status { txid, status, at } => self.status(txid, status, at),
            Event::Block { block, delta } => {
                tracing::info!(
                    height = delta.state.height.0,
                    hash = %delta.state.hash,
                    transactions = delta.txids.len(),
                    "block committed"
                );
                self.view.publish(News::Block(block, delta));
            }
            Event::Evidence(evidence) => {
                let (validator, kind) = (evidence.offender(), evidence.kind());
                let epoch = evidence.epoch();
                tracing::warn!(%validator, %kind, %epoch, "a validator signed messages that contradict each other");
                self.view.accused.insert(validator, kind);
                self.view.publish(News::Evidence(kind));
            }
            Event::Epoch { epoch, start } => tracing::info!(%epoch, %start, "epoch began"),
            Event::FinalityLost { txid, epoch } => {
                tracing::error!(%txid, %epoch, "a final transaction is in no block: a third of the weight is faulty");
                self.view.publish(News::FinalityLost);
            }
            Event::Voice(voice) => self.voice(&voice),
            Event::Round { height, round } => tracing::debug!(%height, %round, "round"),
            Event::Poll { transactions, successful, micros } => {
                self.view.publish(News::Poll { transactions, successful, micros });
            }
        }
    }

    /// Whether this validator signs: an operator must see it when it does not.
    fn voice(&mut self, voice: &Voice) {
        match (crate::voice::reason(voice), voice) {
            (Some(reason), Voice::Silent(_)) => tracing::warn!(reason, "this validator is silent: it signs nothing"),
            (Some(reason), _) => tracing::info!(reason, "this validator listens before it signs anything"),
            (None, _) => tracing::info!("this validator may sign from here on"),
        }
        self.gauges_at = Time(0);
    }

    fn admitted(&self, transaction: Arc<Transaction>, admitted: Admitted, at: Time) {
        let status = admitted.conflict.map_or(Status::Pending, Status::Contested);
        let entry = PoolEntry {
            transaction: Arc::clone(&transaction),
            admitted: admitted.clone(),
            admitted_at: at,
            status,
            final_at: None,
        };
        self.view.pool.insert(admitted.txid, entry);
        self.view.publish(News::Admitted(transaction, admitted));
    }

    fn status(&mut self, txid: Txid, status: Status, at: Time) {
        // A block makes transactions final and committed at once, also such as were never in the pool.
        let just_final = self.just_final.take_if(|(other, _)| *other == txid).map(|(_, outcome)| outcome);
        let mut known = self.view.pool.get(&txid).map(|entry| entry.outcome()).or(just_final);
        if let Status::Final(path) = status {
            let outcome = known.get_or_insert_with(|| Outcome::new(status.clone()));
            outcome.final_at.get_or_insert(at);
            outcome.path.get_or_insert(path);
            self.just_final = Some((txid, outcome.clone()));
        }
        let (admitted_at, final_at, path) =
            known.map_or((None, None, None), |known| (known.admitted_at, known.final_at, known.path));
        match status {
            Status::Committed(_) | Status::Rejected(_) => {
                // First there, then gone here: a reader finds it in one of them at any moment.
                self.finish(txid, Outcome { status: status.clone(), admitted_at, final_at, path });
                self.view.pool.remove(&txid);
            }
            Status::Pending | Status::Contested(_) | Status::Prepared | Status::Final(_) => {
                if let Some(mut entry) = self.view.pool.get_mut(&txid) {
                    entry.status = status.clone();
                    entry.final_at = final_at;
                }
            }
        }
        self.view.publish(News::Status { txid, status, at, admitted_at });
    }

    fn finish(&mut self, txid: Txid, outcome: Outcome) {
        if self.view.outcomes.insert(txid, outcome).is_some() {
            return;
        }
        self.finished.push_back(txid);
        if self.finished.len() > OUTCOMES_MAX
            && let Some(oldest) = self.finished.pop_front()
        {
            self.view.outcomes.remove(&oldest);
        }
    }
}
