//! What goes into the engine and what comes out.
//!
//! A step may change memory at once, but nothing it decided leaves the node before it is durable:
//! effects come out sealed in a [`Turn`](super::Turn), and only [`Turn::commit`](super::Turn::commit) opens it, after the journal
//! has the records they depend on (`SPEC.md` D-1).

use crate::amount::Amount;
use crate::block::{CommittedBlock, Evidence, Proposal};
use crate::finality::VoteBatch;
use crate::hash::Txid;
use crate::keys::{PublicKey, Verified};
use crate::ledger::{BlockDelta, TransactionError};
use crate::transaction::{OutPoint, Transaction};
use crate::validator::{Epoch, Height, Round};
use crate::wire::{
    Answer, BlocksRequest, CertificatesRequest, Query, StatusRequest, StatusResponse, TransactionsRequest, Vote,
};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A moment: microseconds since 1970 UTC by the node's clock, never going back within a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub u64);

impl Time {
    /// This moment, `millis` milliseconds later.
    #[must_use]
    pub const fn plus_ms(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis.saturating_mul(1_000)))
    }

    /// Milliseconds since 1970 UTC.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0 / 1_000
    }

    /// Microseconds since `earlier`; zero if that is later.
    #[must_use]
    pub const fn micros_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A connected peer, as the shell numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerTag(pub u64);
/// A request that the engine made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);
/// Someone who waits for a reply: a peer's request, or a local caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplyTag(pub u64);
/// A gossiped message that waits for a verdict before it is forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GossipTag(pub u64);

/// Where transactions came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// This node's own users: answered with [`Reply::Admission`], then gossiped.
    Local(ReplyTag),
    /// A gossiped batch: answered with [`Effect::Verdict`].
    Gossip(PeerTag, GossipTag),
}

/// What the shell hands in. Signatures were checked before; sizes too.
#[derive(Debug)]
pub enum Input {
    /// New transactions. From [`Source::Local`]: exactly one.
    Transactions(Source, Vec<Verified<Transaction>>),
    /// Would this transaction be admitted? Answered with [`Reply::Admission`]; nothing changes.
    Test(ReplyTag, Verified<Transaction>),
    /// Gossiped votes.
    Votes(PeerTag, Vec<Verified<Vote>>),
    /// A gossiped proposal.
    Proposal(PeerTag, Box<Verified<Proposal>>),
    /// A peer's request.
    Asked(PeerTag, ReplyTag, Ask),
    /// The answer to a [`Effect::Request`].
    Answered(RequestId, PeerTag, Response),
    /// A request that failed, timed out, or whose answer was malformed.
    Failed(RequestId),
    /// Time has passed: the deadline of an earlier step, or nothing in particular.
    Wake,
}

/// A peer's request, as far as the engine answers it. (Blocks are answered from storage.)
#[derive(Clone, Debug)]
pub enum Ask {
    /// Opinions.
    Query(Query),
    /// Bodies.
    Transactions(TransactionsRequest),
    /// Votes.
    Certificates(CertificatesRequest),
    /// Where are you.
    Status(StatusRequest),
}

/// A checked answer from a peer.
#[derive(Debug)]
pub enum Response {
    /// Opinions.
    Query(Answer),
    /// Bodies.
    Transactions(Vec<Verified<Transaction>>),
    /// Votes.
    Certificates(Vec<Verified<VoteBatch>>),
    /// Blocks; the witnesses of their transactions are checked, their commits not yet.
    Blocks(Vec<Verified<CommittedBlock>>),
    /// Where the peer is.
    Status(Verified<StatusResponse>),
}

/// To whom a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The node of this validator.
    Validator(PublicKey),
    /// This peer.
    Peer(PeerTag),
    /// Any connected peer; another one each time.
    Any,
}

/// A request to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Opinions.
    Query(Arc<Query>),
    /// Bodies.
    Transactions(TransactionsRequest),
    /// Votes.
    Certificates(CertificatesRequest),
    /// Blocks.
    Blocks(BlocksRequest),
    /// Where are you.
    Status(StatusRequest),
}

/// What a peer did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offence {
    /// Sent a transaction that breaks a rule.
    InvalidTransaction,
    /// Sent a vote or proposal that no honest node sends.
    InvalidVote,
    /// Sent blocks that are not what the network decided.
    InvalidBlock,
    /// Answered something else than was asked.
    InvalidAnswer,
}

/// What is to be done with a gossiped message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Forward it.
    Accept,
    /// Do not forward it; nobody is to blame.
    Ignore,
    /// Do not forward it, and score the sender down.
    Reject,
}

/// Why a transaction was not admitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It breaks a ledger rule.
    #[error(transparent)]
    Invalid(#[from] TransactionError),
    /// It spends outputs that this node does not know (yet).
    #[error("input {0} is not known or already spent")]
    MissingInput(OutPoint),
    /// A conflicting transaction is final or in a block.
    #[error("input {outpoint} is spent by transaction {by}, which is final")]
    SpentByFinal {
        /// The contested output.
        outpoint: OutPoint,
        /// Who spends it.
        by: Txid,
    },
    /// As many conflicting transactions as are kept exist already (P-3).
    #[error("input {0} has two conflicting spends already")]
    TooManyConflicts(OutPoint),
    /// Too long a chain of unconfirmed ancestors.
    #[error("the chain of unfinished ancestors is longer than {max}")]
    ChainTooLong {
        /// Longest chain allowed.
        max: usize,
    },
    /// The pool is full of transactions that pay more.
    #[error("the pool is full; a fee rate above {needed_milli} thousandths of a unit for each byte is needed")]
    PoolFull {
        /// Fee rate to beat, in thousandths of a unit for each byte.
        needed_milli: u64,
    },
    /// It is in the pool already.
    #[error("already known")]
    Known,
    /// It is in a block already.
    #[error("already in block {0}")]
    Committed(Height),
}

/// A transaction that was (or would be) admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Its id.
    pub txid: Txid,
    /// Its fee.
    pub fee: Amount,
    /// Its encoded size, in bytes.
    pub bytes: usize,
    /// A conflicting transaction in the pool, if there is one.
    pub conflict: Option<Txid>,
}

/// A reply to a peer or to a local caller.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Opinions.
    Query(Answer),
    /// Bodies.
    Transactions(Vec<Arc<Transaction>>),
    /// Votes.
    Certificates(Vec<Arc<VoteBatch>>),
    /// Where this node is.
    Status(StatusResponse),
    /// Whether a local transaction was admitted.
    Admission(Result<Admitted, Refusal>),
}

/// How a transaction became final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Path {
    /// By sampling and a finality certificate.
    Sampled,
    /// By a block that carried it without one, and why it came to that.
    Block(Fallback),
}

/// Why a transaction became final by a block and not by a finality certificate, as this node saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fallback {
    /// It had a prepare certificate: the block was faster than the Commit votes.
    Certified,
    /// A conflicting transaction was known, or a validator preferred one: sampling was slow to settle it.
    Contested,
    /// Nobody opposed it, but too few validators answered or voted.
    Silent,
    /// This node first heard of it from the block.
    Unseen,
}

/// Why a transaction will never be final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RejectReason {
    /// A conflicting transaction is final or in a block.
    Conflict(Txid),
    /// An ancestor was rejected.
    Ancestor(Txid),
    /// Pushed out of a full pool by transactions that pay more. It may be sent again.
    Evicted,
    /// Waited too long for an input that nobody knows. It may be sent again.
    Expired,
    /// It broke a rule when its inputs became known.
    Invalid(TransactionError),
}

/// Where a transaction stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// In the pool, not yet voted for by this node.
    Pending,
    /// In the pool with a conflicting transaction.
    Contested(Txid),
    /// A quorum prepared it: conflicting ones cannot become final in this epoch. It may be undecided again in the next.
    Prepared,
    /// Final: no one can undo it.
    Final(Path),
    /// In a block.
    Committed(Height),
    /// Will not become final.
    Rejected(RejectReason),
}

/// News for RPC, metrics and logs.
#[derive(Clone, Debug)]
pub enum Event {
    /// A transaction entered the pool.
    Admitted {
        /// The transaction.
        transaction: Arc<Transaction>,
        /// What is known of it.
        admitted: Admitted,
        /// When.
        at: Time,
    },
    /// A transaction's status changed. `Committed` and `Rejected` take it out of the pool.
    Status {
        /// Which.
        txid: Txid,
        /// Its new status.
        status: Status,
        /// When.
        at: Time,
    },
    /// A block was decided and applied.
    Block {
        /// The block and its commit.
        block: Arc<CommittedBlock>,
        /// Its effect.
        delta: Arc<BlockDelta>,
    },
    /// An epoch began (E-7).
    Epoch {
        /// Which.
        epoch: Epoch,
        /// Height of its first block.
        start: Height,
    },
    /// A final transaction is in no block although its epoch ended: more than a third of the weight is faulty (E-8).
    FinalityLost {
        /// Which.
        txid: Txid,
        /// The epoch in which it was final.
        epoch: Epoch,
    },
    /// Block agreement moved on.
    Round {
        /// Height in progress.
        height: Height,
        /// Its round.
        round: Round,
    },
    /// A validator signed two messages that contradict each other. Comes once for each such validator that has a vote
    /// to lose, and again after a restart.
    Evidence(Arc<Evidence>),
    /// This validator became silent, listens, or may sign again (D-15, D-18).
    Voice(super::Voice),
    /// A poll ended.
    Poll {
        /// Transactions polled about.
        transactions: usize,
        /// How many of them got an alpha majority.
        successful: usize,
        /// From first query to last answer, in microseconds.
        micros: u64,
    },
}

/// What a step wants done in the world.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Gossip transactions.
    PublishTransactions(Vec<Arc<Transaction>>),
    /// Gossip a vote.
    PublishVote(Vote),
    /// Gossip a proposal.
    PublishProposal(Arc<Proposal>),
    /// Ask a peer.
    Request(RequestId, Destination, Request),
    /// Answer a peer or a caller.
    Reply(ReplyTag, Reply),
    /// Forward a gossiped message, or not.
    Verdict(GossipTag, Verdict),
    /// Score a peer down.
    Penalty(PeerTag, Offence),
    /// News.
    Event(Event),
}
