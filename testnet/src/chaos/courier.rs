//! Brings payments to nodes that may be gone: like a wallet that wants to be paid out, a courier
//! asks the next node when one does not answer, and tries until a node takes the payment or says
//! why it never will.

use super::fleet::Doors;
use crate::load::board::Board;
use crate::load::sign::Signed;
use crate::rpc::{CallError, NodeClient, Params};
use serde::de::IgnoredAny;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Longest that a node may take to answer before the next one is asked.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
/// Pause before another attempt.
const PAUSE: Duration = Duration::from_millis(100);
/// Payments on the way at once; further ones wait.
const COURIERS_MAX: usize = 2_048;
/// How often nodes may not know a coin before it counts as spent by somebody else: a node that has
/// just come back may not know the newest payments.
const UNKNOWN_COIN_MAX: u32 = 50;

/// What the couriers do and count.
#[derive(Debug)]
pub struct Couriers {
    board: Arc<Board>,
    doors: Doors,
    params: Vec<Params>,
    /// Attempts beyond the first of each payment.
    again: AtomicU64,
}

/// What a node's answer means.
enum Answer {
    Taken,
    Never(String),
    NotNow { coin_unknown: bool },
}

impl Couriers {
    pub fn new(board: Arc<Board>, doors: Doors, signed: &[Signed]) -> Arc<Self> {
        let params = signed.iter().map(|one| one.params.clone()).collect();
        Arc::new(Self { board, doors, params, again: AtomicU64::new(0) })
    }

    /// How often a payment had to be sent again.
    pub fn again(&self) -> u64 {
        self.again.load(Ordering::Relaxed)
    }

    /// Sends everything at its planned moment, and returns when each payment was taken or refused.
    pub async fn run(self: Arc<Self>) {
        let (mut couriers, slots) = (JoinSet::new(), Arc::new(Semaphore::new(COURIERS_MAX)));
        for (index, payment) in self.board.plan.payments.iter().enumerate() {
            tokio::time::sleep_until(self.board.instant(payment.due_us).into()).await;
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
            let this = Arc::clone(&self);
            couriers.spawn(async move {
                this.deliver(index).await;
                drop(slot);
            });
            while couriers.try_join_next().is_some() {}
        }
        while couriers.join_next().await.is_some() {}
    }

    /// Brings one payment to a node, the planned one first; it is taken or refused when this returns.
    pub async fn deliver(&self, index: usize) {
        let (Some(payment), Some(record)) = (self.board.plan.payments.get(index), self.board.records.get(index)) else {
            return;
        };
        record.sent.set(self.board.now_us());
        let mut unknown = 0;
        for attempt in 0.. {
            if attempt > 0 {
                self.again.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(PAUSE).await;
            }
            match self.offer(index, payment.node + attempt).await {
                Answer::Taken => return record.accepted.set(self.board.now_us()),
                // Set once: the first reason stays.
                Answer::Never(reason) => return drop(record.refusal.set(reason)),
                Answer::NotNow { coin_unknown } => unknown += u32::from(coin_unknown),
            }
            if unknown > UNKNOWN_COIN_MAX {
                return drop(record.refusal.set("missing-input".to_owned()));
            }
        }
    }

    async fn offer(&self, index: usize, node: usize) -> Answer {
        let not_now = Answer::NotNow { coin_unknown: false };
        let door = self.doors.get(node % self.doors.len().max(1));
        let Some(client) = door.and_then(|door| door.borrow().clone()) else { return not_now };
        let Some(params) = self.params.get(index) else { return not_now };
        match tokio::time::timeout(ANSWER_TIMEOUT, send(&client, params.clone())).await {
            Ok(answer) => answer,
            Err(_) => not_now,
        }
    }
}

async fn send(client: &NodeClient, params: Params) -> Answer {
    match client.call_prepared::<IgnoredAny>("sendrawtransaction", params).await {
        Ok(_) => Answer::Taken,
        Err(CallError::Refused { reason, .. }) => match reason.as_str() {
            // It came with another courier, or with gossip, and is in a block by now.
            "committed" => Answer::Taken,
            "missing-input" => Answer::NotNow { coin_unknown: true },
            "busy" | "pool-full" | "chain-too-long" | "syncing" | "stopping" => Answer::NotNow { coin_unknown: false },
            _ => Answer::Never(reason),
        },
        Err(_) => Answer::NotNow { coin_unknown: false },
    }
}
