//! What validators say to all others.

use super::kinds::Kinds;
use super::signed;
use timecoin_protocol::block::{BlockPhase, Proposal};
use timecoin_protocol::codec::{decode, encode};
use timecoin_protocol::engine::{Input, PeerTag};
use timecoin_protocol::finality::{Phase, Seal};
use timecoin_protocol::hash::{BlockHash, Txid};
use timecoin_protocol::keys::{PublicKey, Verified};
use timecoin_protocol::validator::{Epoch, Height, Round};
use timecoin_protocol::wire::Vote;

/// More bytes than any message of the model has.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// What a message is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum About {
    /// Prepare or Commit votes of an epoch.
    Finality(u64, Phase, Vec<Txid>),
    /// A vote of a height and round.
    Block(u64, u32, BlockPhase, Option<BlockHash>),
    /// A seal of an epoch.
    Seal(u64),
    /// Evidence against a validator.
    Evidence(PublicKey),
    /// A proposal of a height and round.
    Proposal(u64, u32, BlockHash),
}

/// Something signed: who signed it, what it is about, and its bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Message {
    /// What it is about.
    pub about: About,
    /// Position of who signed it.
    pub by: usize,
    bytes: Vec<u8>,
}

impl Message {
    /// A vote or seal of validator `by`; a vote for a block is one for its kind.
    pub fn vote(by: usize, vote: &Vote, kinds: &Kinds) -> Self {
        let about = match vote {
            Vote::Finality(batch) => About::Finality(batch.epoch.0, batch.phase, batch.txids.clone()),
            Vote::Block(vote) => {
                let about =
                    About::Block(vote.height.0, vote.round.0, vote.phase, vote.block.map(|block| kinds.of(block)));
                return Self { about, by, bytes: Vec::new() };
            }
            Vote::Seal(seal) => About::Seal(seal.epoch.0),
            Vote::Evidence(evidence) => About::Evidence(evidence.offender()),
        };
        Self { about, by, bytes: encode(vote) }
    }

    /// A proposal of validator `by`, of a kind of blocks.
    pub fn proposal(by: usize, proposal: &Proposal, kinds: &Kinds) -> Self {
        let (height, kind) = (proposal.block.header.height.0, kinds.note(proposal));
        Self { about: About::Proposal(height, proposal.round.0, kind), by, bytes: Vec::new() }
    }

    /// What a receiver in `epoch` is handed of a vote or seal, where `block` is the one that it knows of the kind; its
    /// signature was checked.
    pub fn input(&self, epoch: Epoch, block: Option<BlockHash>) -> Option<Input> {
        let peer = PeerTag(u64::try_from(self.by).ok()?);
        let vote = match self.about {
            About::Block(height, round, phase, _) => {
                Vote::Block(signed::block_vote(self.by, (epoch, Height(height), Round(round), phase, block)))
            }
            About::Proposal(..) => return None,
            _ => decode(&self.bytes, MESSAGE_BYTES_MAX).ok()?,
        };
        Some(Input::Votes(peer, vec![Verified::by_own_hand(vote)]))
    }

    /// The seal, if it is one.
    pub fn seal(&self) -> Option<Seal> {
        match decode(&self.bytes, MESSAGE_BYTES_MAX).ok()? {
            Vote::Seal(seal) if matches!(self.about, About::Seal(_)) => Some(seal),
            _ => None,
        }
    }
}
