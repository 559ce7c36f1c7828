//! Sends at the planned moments, whatever the answers do: an open loop. A payment that cannot leave
//! in time is late by its own clock, never left out.

use super::board::Board;
use super::plan::Source;
use super::sign::Signed;
use crate::rpc::{CALLS_IN_FLIGHT_MAX, CallError, NodeClient, Params};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use serde::de::IgnoredAny;
use std::collections::HashMap;
use std::sync::Arc;

/// Reason of a payment that was not sent because the one that it builds on was not accepted.
pub const PARENT_REFUSED: &str = "parent-not-accepted";

/// One node's share of a run.
pub struct Sender {
    client: Arc<NodeClient>,
    board: Arc<Board>,
    /// Index and parameters, in order of time; taken when they are sent.
    queue: std::iter::Peekable<std::vec::IntoIter<(usize, Params)>>,
    /// Payments that are due and wait until the node has accepted what they build on.
    waiting: HashMap<usize, (usize, Params)>,
}

impl Sender {
    /// The payments of a plan that go to `node`.
    pub fn new(client: Arc<NodeClient>, board: Arc<Board>, node: usize, signed: &[Signed]) -> Self {
        let payments = board.plan.payments.iter().zip(signed).enumerate();
        let own = payments.filter(|(_, (payment, _))| payment.node == node);
        let queue: Vec<_> = own.map(|(index, (_, one))| (index, one.params.clone())).collect();
        Self { client, board, queue: queue.into_iter().peekable(), waiting: HashMap::new() }
    }

    /// Sends all of it, and returns when every call is answered.
    pub async fn run(mut self) {
        let mut in_flight = FuturesUnordered::new();
        loop {
            while let Some((index, params)) = self.next_due(in_flight.len()) {
                in_flight.push(self.send(index, params));
            }
            let due = self.queue.peek().map(|(index, _)| *index).map(|index| self.due(index));
            tokio::select! {
                biased;
                Some((index, result)) = in_flight.next() => {
                    if let Some((child, params)) = self.answered(index, result) {
                        in_flight.push(self.send(child, params));
                    }
                }
                () = wait_until(due), if due.is_some() && in_flight.len() < CALLS_IN_FLIGHT_MAX => {}
                else => return,
            }
        }
    }

    fn due(&self, index: usize) -> std::time::Instant {
        self.board.instant(self.board.plan.payments.get(index).map_or(0, |payment| payment.due_us))
    }

    /// The next payment that is due and may leave.
    fn next_due(&mut self, in_flight: usize) -> Option<(usize, Params)> {
        if in_flight >= CALLS_IN_FLIGHT_MAX {
            return None;
        }
        let now = std::time::Instant::now();
        loop {
            let next = self.queue.peek().map(|(index, _)| *index)?;
            if self.due(next) > now {
                return None;
            }
            let (index, params) = self.queue.next()?;
            match self.parent(index) {
                Some(parent) if self.is_refused(parent) => self.skip(index),
                Some(parent) if !self.is_accepted(parent) => {
                    self.waiting.insert(parent, (index, params));
                }
                _ => return Some((index, params)),
            }
        }
    }

    fn parent(&self, index: usize) -> Option<usize> {
        match self.board.plan.payments.get(index)?.source {
            Source::ChangeOf(parent) => Some(parent),
            Source::Coin(_) => None,
        }
    }

    fn is_accepted(&self, index: usize) -> bool {
        self.board.records.get(index).is_some_and(|record| record.accepted.at_us().is_some())
    }

    fn is_refused(&self, index: usize) -> bool {
        let record = self.board.records.get(index);
        record.is_some_and(|record| record.refusal.get().is_some() || record.failure.get().is_some())
    }

    fn skip(&self, index: usize) {
        if let Some(record) = self.board.records.get(index) {
            // Set once only: a payment is skipped or answered.
            let _ = record.refusal.set(PARENT_REFUSED.to_owned());
        }
    }

    fn send(
        &self,
        index: usize,
        params: Params,
    ) -> impl Future<Output = (usize, Result<IgnoredAny, CallError>)> + use<> {
        let client = self.client.clone();
        if let Some(record) = self.board.records.get(index) {
            record.sent.set(self.board.now_us());
        }
        async move { (index, client.call_prepared("sendrawtransaction", params).await) }
    }

    /// Notes an answer; gives the payment that waited for it.
    fn answered(&mut self, index: usize, result: Result<IgnoredAny, CallError>) -> Option<(usize, Params)> {
        let record = self.board.records.get(index)?;
        match result {
            Ok(_) => record.accepted.set(self.board.now_us()),
            // Set once only: each payment is sent once.
            Err(CallError::Refused { reason, .. }) => drop(record.refusal.set(reason)),
            Err(error) => drop(record.failure.set(error)),
        }
        let (mut child, params) = self.waiting.remove(&index)?;
        if self.is_accepted(index) {
            return Some((child, params));
        }
        // The whole chain behind it falls.
        self.skip(child);
        while let Some((next, _)) = self.waiting.remove(&child) {
            self.skip(next);
            child = next;
        }
        None
    }
}

async fn wait_until(due: Option<std::time::Instant>) {
    if let Some(due) = due {
        tokio::time::sleep_until(due.into()).await;
    }
}
