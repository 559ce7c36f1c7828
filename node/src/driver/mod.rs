//! The driver: one thread that owns the engine, and what lies around it.
//!
//! ```text
//! swarm ─► intake ─► verifiers ─► Lanes<Checked> ─► driver thread: step* ─ finish ─ commit ─ release ─► swarm
//!            │  └── queries, status requests ──────►      │                                        └► view
//!            ├─► block server (storage only)              └ consensus.rs          release.rs, readers.rs
//!            └─► directory ◄─ presence (announces, dials)
//! ```
//!
//! A turn takes the inputs that wait, up to a bound, and makes all that they changed durable with
//! one commit; only then anything leaves (`SPEC.md` D-1). The thread waits for inputs and for the
//! disk, and for nothing else.

pub mod clock;
pub mod consensus;
pub mod directory;
pub mod intake;
pub mod presence;
pub mod release;
pub mod tags;

pub mod blocks;
mod known_peers;
mod level;
mod listeners;
mod outbox;
mod readers;
mod rebroadcast;

pub use known_peers::KnownPeers;
pub use level::Level;
pub use listeners::Listeners;
pub use outbox::Outbox;
pub use readers::Readers;
pub use rebroadcast::Rebroadcast;

use crate::bounds::{
    DRIVER_BULK_BYTES_MAX, DRIVER_INPUTS_MAX, DRIVER_URGENT_BYTES_MAX, TURN_BULK_BYTES_MAX, TURN_INPUTS_MAX,
};
use crate::verify::Checked;
use crate::verify::lanes::{Lanes, Limits, Portion, Taken};
use clock::Clock;
use consensus::{Consensus, TurnError};
use release::Release;
use std::sync::Arc;
use timecoin_protocol::engine::{Effect, Input, RequestId, Response, Source, Time};
use timecoin_protocol::finality::Certificate;
use timecoin_protocol::hash::Txid;
use tokio::sync::oneshot;

/// The driver's queue, with its bounds.
#[must_use]
pub fn queue() -> Arc<Lanes<Checked>> {
    Arc::new(Lanes::new(
        Limits { items: DRIVER_INPUTS_MAX, bytes: DRIVER_URGENT_BYTES_MAX },
        Limits { items: DRIVER_INPUTS_MAX, bytes: DRIVER_BULK_BYTES_MAX },
    ))
}

/// A caller that wants a certificate: answered after the commit, since a certificate may hold a
/// vote of this very turn.
type CertificateCall = (Txid, oneshot::Sender<Option<Certificate>>);

/// The one owner of consensus. Runs on a thread of its own.
#[derive(Debug)]
pub struct Driver {
    consensus: Consensus,
    queue: Arc<Lanes<Checked>>,
    release: Release,
    clock: Clock,
    level: Level,
    /// Requests that could not be sent; the next turn tells the engine.
    failed: Vec<RequestId>,
}

impl Driver {
    /// A driver over restored consensus.
    #[must_use]
    pub fn new(consensus: Consensus, queue: Arc<Lanes<Checked>>, release: Release, clock: Clock) -> Self {
        Self { consensus, queue, release, clock, level: Level::default(), failed: Vec::new() }
    }

    /// Takes turns until the queue is closed, then closes storage.
    ///
    /// # Errors
    /// Storage failed: nothing of the turn in progress left the node.
    pub fn run(mut self) -> Result<(), TurnError> {
        let now = self.clock.now();
        let effects = self.consensus.start(now)?;
        self.release(now, effects);
        while let Some(items) = self.wait() {
            self.turn(items)?;
        }
        Ok(self.consensus.close()?)
    }

    /// Waits for inputs or for a deadline; nothing once the queue is closed.
    fn wait(&self) -> Option<Vec<Checked>> {
        let all =
            Portion { urgent: TURN_INPUTS_MAX, urgent_bytes: usize::MAX, bulk_bytes: TURN_BULK_BYTES_MAX, takers: 1 };
        let until = match self.deadline() {
            _ if !self.failed.is_empty() => Some(self.clock.instant(Time(0))),
            deadline => deadline.map(|time| self.clock.instant(time)),
        };
        match self.queue.take(&[all], until) {
            Taken::Items(items) => Some(items),
            Taken::Nothing => Some(Vec::new()),
            Taken::Closed => None,
        }
    }

    fn deadline(&self) -> Option<Time> {
        [self.consensus.engine().deadline(), self.release.deadline()].into_iter().flatten().min()
    }

    fn turn(&mut self, items: Vec<Checked>) -> Result<(), TurnError> {
        let now = self.clock.now();
        let mut inputs: Vec<Input> = self.failed.drain(..).map(Input::Failed).collect();
        let mut certificates = Vec::new();
        for item in items {
            inputs.extend(self.input(item, &mut certificates));
        }
        let effects = self.consensus.turn(now, inputs)?;
        self.release(now, effects);
        self.answer(certificates);
        Ok(())
    }

    fn input(&mut self, item: Checked, certificates: &mut Vec<CertificateCall>) -> Option<Input> {
        match item {
            Checked::Input(input) => {
                if let Input::Answered(_, peer, Response::Status(status)) = &input {
                    self.level.note(*peer, status.tip);
                }
                Some(input)
            }
            Checked::Local { transaction, test_only, admission } => {
                let tag = self.release.callers.add(admission);
                Some(if test_only {
                    Input::Test(tag, transaction)
                } else {
                    Input::Transactions(Source::Local(tag), vec![transaction])
                })
            }
            Checked::Certificate(txid, reply) => {
                certificates.push((txid, reply));
                None
            }
        }
    }

    fn release(&mut self, now: Time, effects: Vec<Effect>) {
        self.release.readers.refresh(now, &self.consensus, &self.level);
        self.failed = self.release.perform(now, effects);
    }

    fn answer(&self, certificates: Vec<CertificateCall>) {
        for (txid, reply) in certificates {
            let _ = reply.send(self.consensus.engine().certificate(&txid));
        }
    }
}
