//! What a step leaves behind: records to make durable, and effects sealed until they are (`SPEC.md`
//! D-1, D-12).

use super::api::Effect;
use super::history::Silence;
use crate::block::{BlockVote, CommittedBlock, Evidence, Proposal};
use crate::codec::{Decode, Encode};
use crate::finality::{Seal, VoteBatch};
use crate::hash::{BlockHash, Txid};
use crate::ledger::{BlockDelta, UtxoSet};
use crate::transaction::{OutPoint, Transaction};
use crate::validator::{Epoch, Height, Round};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// What must be durable before the effects of the same turn leave (D-1). The journal keeps them in
/// order; [`Engine::restore`](super::Engine::restore) takes them in the same order after a restart.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Record {
    /// The body of a transaction that this node votes for.
    Transaction(Arc<Transaction>),
    /// Own votes, or votes of others that certificates rest on.
    Votes(Arc<VoteBatch>),
    /// Outpoints locked to transactions, by a Prepare vote (F-1) or by the prevote of a block (B-11).
    Locked {
        /// Epoch of the locks.
        epoch: Epoch,
        /// Each outpoint with the transaction that it is locked to.
        locks: Vec<(OutPoint, Txid)>,
    },
    /// A proposal signed by this node, or the one of a block it prevoted.
    Proposal(Arc<Proposal>),
    /// A block vote signed by this node, with its locks after it.
    BlockVote(BlockVote, crate::bft::Locks),
    /// Prevotes of a quorum for a block of the height in progress that this node locked.
    Prevotes(Height, Round, BlockHash, Vec<crate::block::CommitSignature>),
    /// The round that this node had reached at a height.
    Round(Height, Round),
    /// A decided block.
    Block(Arc<CommittedBlock>),
    /// A seal of an epoch: the own one, after which no Prepare and no Commit vote in it follows (E-4), or one that a block
    /// which was voted for names.
    Sealed(Arc<Seal>),
    /// Proof that a validator contradicted itself, until it is in a block.
    Evidence(Arc<Evidence>),
    /// This validator is silent from here on; none: it may sign again (D-15).
    Silence(Option<Silence>),
    /// What this validator voted for in an epoch and what lost against a block (D-17).
    Forgone {
        /// Which epoch.
        epoch: Epoch,
        /// What it voted for.
        txids: Vec<Txid>,
    },
}

/// Durable storage for [`Record`]s.
pub trait Journal {
    /// Why storage failed.
    type Error;
    /// Appends records; when this returns they survive a crash, all of them or (if it crashed
    /// on the way) none.
    ///
    /// # Errors
    /// Storage failed; nothing may be released, and the node must stop.
    fn append(&mut self, records: &[Record]) -> Result<(), Self::Error>;
}

/// The sealed result of one or more steps.
#[derive(Debug, Default)]
#[must_use = "a turn's messages leave only by `commit`"]
pub struct Turn {
    records: Vec<Record>,
    effects: Vec<Effect>,
}

impl Turn {
    pub(crate) fn record(&mut self, record: Record) {
        self.records.push(record);
    }

    /// Adds records before those that the turn has.
    pub(crate) fn record_first(&mut self, records: impl Iterator<Item = Record>) {
        self.records.splice(0..0, records);
    }

    pub(crate) fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Whether there is nothing to make durable.
    #[must_use]
    pub const fn is_volatile(&self) -> bool {
        self.records.is_empty()
    }

    /// Makes the records durable, then gives the effects free (D-1). This is the only way to them.
    ///
    /// # Errors
    /// Storage failed; the effects are gone, and the node must stop.
    pub fn commit<J: Journal>(self, journal: &mut J) -> Result<Vec<Effect>, J::Error> {
        if !self.records.is_empty() {
            journal.append(&self.records)?;
        }
        Ok(self.effects)
    }
}

/// A [`UtxoSet`] that takes the effect of decided blocks at once, in memory.
pub trait Ledger: UtxoSet {
    /// Puts the effect of the next block on top.
    fn push(&mut self, delta: &Arc<BlockDelta>);
    /// Height of the block that holds a transaction, if one does.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ledger::Unavailable) if storage failed.
    fn committed_at(&self, txid: &Txid) -> Result<Option<Height>, crate::ledger::Unavailable>;
}
