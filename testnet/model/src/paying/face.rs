//! What can be seen of a validator: what it said, what it told its users, and what it did wrong.

use super::message::{About, Message};
use std::collections::{BTreeMap, BTreeSet};
use timecoin_protocol::finality::Phase;
use timecoin_protocol::hash::{BlockHash, Txid};
use timecoin_protocol::keys::PublicKey;

/// Something that an honest validator must not do, whatever others say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Misdeed {
    /// Voted for both payments in one phase of an epoch (F-1, F-7).
    VotedForBoth,
    /// Said something before its records were durable (D-1).
    NotDurable,
    /// Voted Prepare or Commit after its seal (E-4).
    VotedAfterSeal,
    /// Its seal does not list what it voted Commit for (E-4), or it made two.
    WrongSeal,
    /// Voted Commit without the votes of a prepare certificate on its disk (F-4, D-12).
    CommittedUncertified,
    /// Voted for or took a closing block without seals of a quorum (E-5).
    ClosedWithoutQuorum,
    /// Lost something final with its epoch (E-8).
    FinalityLost,
    /// Holds a certificate that proves nothing (F-3, F-5).
    WrongCertificate,
    /// Voted twice in a round and phase.
    BlockVotedTwice,
    /// Proposed twice in a round.
    ProposedTwice,
    /// Prevoted a new block above round 0 that holds what has no certificate (B-11).
    PrevotedUncertified,
    /// Believes evidence that proves nothing.
    WrongEvidence,
    /// Its storage failed, or what it wrote cannot be taken back in.
    Failed,
}

/// What a node has told its users.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct News {
    /// Payments with a prepare certificate, by epoch.
    pub prepared: BTreeSet<(u64, usize)>,
    /// Final payments, and by a certificate or not.
    pub finals: BTreeSet<(usize, bool)>,
    /// Payments in blocks.
    pub committed: BTreeSet<usize>,
    /// The kinds of the blocks of its chain.
    pub blocks: BTreeMap<u64, BlockHash>,
    /// The epoch in which it cast a Prepare or Commit vote after it had died, if it did.
    pub voted_again: Option<u64>,
}

/// All of a validator that promises are about, and what others can hear of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Face {
    /// All that has left it.
    pub said: BTreeSet<Message>,
    /// What it told its users.
    pub news: News,
    /// The epoch that it is in.
    pub epoch: u64,
    /// How often it died.
    pub crashes: u8,
    /// Against whom it has found evidence.
    pub accused: BTreeSet<PublicKey>,
    /// What it did wrong.
    pub misdeeds: BTreeSet<Misdeed>,
}

impl Face {
    /// What it said it votes for in a phase of an epoch.
    pub fn voted(&self, epoch: u64, of: Phase) -> BTreeSet<Txid> {
        let batches = self.said.iter().filter_map(|message| match &message.about {
            About::Finality(at, phase, txids) if (*at, *phase) == (epoch, of) => Some(txids),
            _ => None,
        });
        batches.flatten().copied().collect()
    }

    /// Whether it has sealed an epoch.
    pub fn sealed(&self, epoch: u64) -> bool {
        self.said.iter().any(|message| message.about == About::Seal(epoch))
    }

    /// Whether it did this.
    pub fn did(&self, misdeed: Misdeed) -> bool {
        self.misdeeds.contains(&misdeed)
    }
}
