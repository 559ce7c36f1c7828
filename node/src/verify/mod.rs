//! Verifiers: a few threads that decode what peers sent and check every signature, before the
//! driver sees it and off the async threads.
//!
//! ```text
//! Job ──► Lanes<Job> ──► worker: decode ─► verify_all, one batch for each kind ──► Lanes<Checked>
//!                                │                                                 announcements
//!                                └─► verdicts and penalties for what is malformed or forged
//! ```
//!
//! A worker takes what waits, up to a bound, and never waits for a batch to fill: a message that
//! is alone is checked at once. Consensus messages have a lane of their own ([`lanes`]) and a
//! worker of their own, so a flood of transactions delays only transactions.

pub mod cache;
pub mod lanes;
pub mod seen;

mod decode;
mod judge;

pub use judge::Outlets;

use crate::bounds::{
    VERIFY_BULK_BYTES_MAX, VERIFY_BULK_MAX, VERIFY_TAKE_BYTES_MAX, VERIFY_TAKE_MAX, VERIFY_THREADS_MAX,
    VERIFY_URGENT_BYTES_MAX, VERIFY_URGENT_MAX,
};
use crate::failure::Failure;
use crate::network::{GossipId, Protocol};
use crate::view::SubmitError;
use lanes::{Lane, Lanes, Limits, Portion, Taken};
use libp2p::PeerId;
use std::sync::Arc;
use std::thread::JoinHandle;
use timecoin_protocol::codec::encoded_len;
use timecoin_protocol::engine::{Admitted, Input, PeerTag, RequestId};
use timecoin_protocol::finality::Certificate;
use timecoin_protocol::hash::Txid;
use timecoin_protocol::keys::Verified;
use timecoin_protocol::transaction::Transaction;
use timecoin_protocol::wire::Topic;
use tokio::sync::oneshot;

/// A peer, by both of its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct From {
    /// For commands to the network.
    pub peer: PeerId,
    /// For inputs to the engine.
    pub tag: PeerTag,
}

/// Where the answer to a local transaction goes.
pub type Admission = oneshot::Sender<Result<Admitted, SubmitError>>;

/// Something to decode and check.
#[derive(Debug)]
pub enum Job {
    /// A gossiped message; gets exactly one verdict.
    Gossip {
        /// For the verdict.
        id: GossipId,
        /// Who sent it.
        from: From,
        /// Decides what it decodes to.
        topic: Topic,
        /// Content.
        bytes: Vec<u8>,
    },
    /// The answer to a request of the engine; ends in `Input::Answered` or `Input::Failed`.
    Answer {
        /// The request.
        request: RequestId,
        /// Who answered.
        from: From,
        /// Decides what it decodes to.
        protocol: Protocol,
        /// Content.
        bytes: Vec<u8>,
    },
    /// A transaction of a local caller.
    Local {
        /// The transaction.
        transaction: Transaction,
        /// Whether it is only to be tested.
        test_only: bool,
        /// Where the answer goes.
        admission: Admission,
    },
}

impl Job {
    /// The class of this job. Answers were asked for, so strangers cannot make a flood of them.
    #[must_use]
    pub const fn lane(&self) -> Lane {
        match self {
            Self::Gossip { topic: Topic::Votes | Topic::Blocks, .. } | Self::Answer { .. } => Lane::Urgent,
            Self::Gossip { topic: Topic::Transactions | Topic::Masternodes, .. } | Self::Local { .. } => Lane::Bulk,
        }
    }

    /// Its size, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Gossip { bytes, .. } | Self::Answer { bytes, .. } => bytes.len(),
            Self::Local { transaction, .. } => encoded_len(transaction),
        }
    }
}

/// What the driver is handed: decoded, within bounds, every signature checked.
#[derive(Debug)]
pub enum Checked {
    /// For the engine as it is.
    Input(Input),
    /// A transaction of a local caller, to be admitted or only tested.
    Local {
        /// The transaction.
        transaction: Verified<Transaction>,
        /// Whether it is only to be tested.
        test_only: bool,
        /// Where the answer goes.
        admission: Admission,
    },
    /// A local caller wants the best certificate of a transaction.
    Certificate(Txid, oneshot::Sender<Option<Certificate>>),
}

/// The running verifiers.
#[derive(Debug)]
pub struct Verifiers {
    jobs: Arc<Lanes<Job>>,
    threads: Vec<JoinHandle<()>>,
}

/// The queue of verifiers, with its bounds.
#[must_use]
pub fn queue() -> Arc<Lanes<Job>> {
    Arc::new(Lanes::new(
        Limits { items: VERIFY_URGENT_MAX, bytes: VERIFY_URGENT_BYTES_MAX },
        Limits { items: VERIFY_BULK_MAX, bytes: VERIFY_BULK_BYTES_MAX },
    ))
}

impl Verifiers {
    /// Starts one worker for each core that takes everything, and one for consensus messages alone.
    /// A worker that panics is reported to `failure`.
    ///
    /// # Errors
    /// The system starts no more threads.
    pub fn start(jobs: Arc<Lanes<Job>>, outlets: &Arc<Outlets>, failure: &Failure) -> std::io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from).min(VERIFY_THREADS_MAX);
        let mut verifiers = Self { jobs, threads: Vec::with_capacity(cores + 1) };
        for number in 0..=cores {
            let worker = Worker {
                jobs: Arc::clone(&verifiers.jobs),
                outlets: Arc::clone(outlets),
                takers: cores + 1,
                takes_bulk: number > 0,
            };
            let failure = failure.clone();
            let thread = std::thread::Builder::new()
                .name(format!("verify-{number}"))
                .spawn(move || failure.watch_thread("a verifier", || worker.run()))?;
            verifiers.threads.push(thread);
        }
        Ok(verifiers)
    }

    /// Drops what waits and ends the workers, after the batches in progress. Blocks the thread; the
    /// driver's queue must be closed or be emptied meanwhile.
    pub fn stop(self) {
        self.jobs.close();
        for thread in self.threads {
            // A panic was reported by the worker itself.
            let _ = thread.join();
        }
    }
}

/// One thread of the pool.
struct Worker {
    jobs: Arc<Lanes<Job>>,
    outlets: Arc<Outlets>,
    takers: usize,
    takes_bulk: bool,
}

impl Worker {
    fn run(&self) {
        let urgent = Portion {
            urgent: VERIFY_TAKE_MAX,
            urgent_bytes: VERIFY_TAKE_BYTES_MAX,
            bulk_bytes: 0,
            takers: self.takers,
        };
        let bulk = Portion { urgent: 0, urgent_bytes: 0, bulk_bytes: VERIFY_TAKE_BYTES_MAX, takers: 1 };
        // Mixed workers alternate what they prefer, so that neither lane starves.
        let mut choices = if self.takes_bulk { vec![urgent, bulk] } else { vec![urgent] };
        while let Taken::Items(jobs) = self.jobs.take(&choices, None) {
            judge::process(jobs, &self.outlets);
            choices.reverse();
        }
    }
}
