//! What validators say to all others.

use timecoin_protocol::block::{BlockPhase, Proposal};
use timecoin_protocol::codec::{decode, encode};
use timecoin_protocol::engine::{Input, PeerTag};
use timecoin_protocol::finality::{Phase, Seal};
use timecoin_protocol::hash::{BlockHash, Txid};
use timecoin_protocol::keys::{PublicKey, Verified};
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
    /// A vote or seal of validator `by`.
    pub fn vote(by: usize, vote: &Vote) -> Self {
        let about = match vote {
            Vote::Finality(batch) => About::Finality(batch.epoch.0, batch.phase, batch.txids.clone()),
            Vote::Block(vote) => About::Block(vote.height.0, vote.round.0, vote.phase, vote.block),
            Vote::Seal(seal) => About::Seal(seal.epoch.0),
            Vote::Evidence(evidence) => About::Evidence(evidence.offender()),
        };
        Self { about, by, bytes: encode(vote) }
    }

    /// A proposal of validator `by`.
    pub fn proposal(by: usize, proposal: &Proposal) -> Self {
        let header = &proposal.block.header;
        Self { about: About::Proposal(header.height.0, proposal.round.0, header.hash()), by, bytes: encode(proposal) }
    }

    /// What a receiver is handed; its signature was checked.
    pub fn input(&self) -> Option<Input> {
        let peer = PeerTag(u64::try_from(self.by).ok()?);
        if matches!(self.about, About::Proposal(..)) {
            let proposal = decode(&self.bytes, MESSAGE_BYTES_MAX).ok()?;
            return Some(Input::Proposal(peer, Box::new(Verified::by_own_hand(proposal))));
        }
        let vote: Vote = decode(&self.bytes, MESSAGE_BYTES_MAX).ok()?;
        Some(Input::Votes(peer, vec![Verified::by_own_hand(vote)]))
    }

    /// The proposal, if it is one.
    pub fn proposed(&self) -> Option<Proposal> {
        matches!(self.about, About::Proposal(..)).then(|| decode(&self.bytes, MESSAGE_BYTES_MAX).ok())?
    }

    /// The seal, if it is one.
    pub fn seal(&self) -> Option<Seal> {
        match decode(&self.bytes, MESSAGE_BYTES_MAX).ok()? {
            Vote::Seal(seal) if matches!(self.about, About::Seal(_)) => Some(seal),
            _ => None,
        }
    }
}
