//! Messages between nodes (`SPEC.md` N-1…N-8): gossip topics and request-response protocols.

use crate::bitmap::Bitmap;
use crate::block::{BlockVote, CommittedBlock, Evidence, Proposal};
use crate::bounds::{ANNOUNCED_ADDRESS_BYTES_MAX, ANNOUNCED_ADDRESSES_MAX, PEER_ID_BYTES_MAX};
use crate::codec::{Decode, Encode};
use crate::finality::{Seal, VoteBatch};
use crate::hash::{BlockHash, Domain, GenesisHash, Txid, signing_digest};
use crate::keys::{PublicKey, SecretKey, Signature, SignatureCheck, Signed};
use crate::transaction::Transaction;
use crate::validator::{Epoch, Height, Round};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Version in all protocol names and topics.
pub const PROTOCOL_VERSION: u32 = 1;

/// A gossip topic. Its full name is `/timecoin/<version>/<genesis hash>/<name>` (N-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// [`TransactionBatch`].
    Transactions,
    /// [`VoteBundle`].
    Votes,
    /// [`Proposal`]s.
    Blocks,
    /// [`Announcement`]s.
    Masternodes,
}

impl Topic {
    /// All topics.
    pub const ALL: [Self; 4] = [Self::Transactions, Self::Votes, Self::Blocks, Self::Masternodes];

    /// The last part of the topic's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Transactions => "transactions",
            Self::Votes => "votes",
            Self::Blocks => "blocks",
            Self::Masternodes => "masternodes",
        }
    }
}

/// On [`Topic::Transactions`]: 1 to `GOSSIP_TRANSACTIONS_MAX` transactions (N-3).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct TransactionBatch {
    /// The transactions; parents before children.
    pub transactions: Vec<Transaction>,
}

/// On [`Topic::Votes`]: at least one vote (N-36).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct VoteBundle {
    /// Votes of any validators, each once.
    pub votes: Vec<Vote>,
}

/// One vote of a [`VoteBundle`] (N-2).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Vote {
    /// Prepare or Commit votes for transactions.
    Finality(Arc<VoteBatch>),
    /// A prevote or precommit.
    Block(BlockVote),
    /// The end of a validator's votes in an epoch (E-4).
    Seal(Seal),
    /// Proof that a validator contradicted itself.
    Evidence(Arc<Evidence>),
}

impl Signed for Vote {
    fn signature_checks(&self, genesis: &GenesisHash, checks: &mut Vec<SignatureCheck>) {
        match self {
            Self::Finality(batch) => batch.signature_checks(genesis, checks),
            Self::Block(vote) => vote.signature_checks(genesis, checks),
            Self::Seal(seal) => seal.signature_checks(genesis, checks),
            Self::Evidence(evidence) => evidence.signature_checks(genesis, checks),
        }
    }
}

/// On [`Topic::Masternodes`]: where a validator can be reached, signed with its validator key (N-4).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Announcement {
    /// The validator.
    pub validator: PublicKey,
    /// The peer id of its node, as the bytes of libp2p's multihash.
    pub peer_id: Vec<u8>,
    /// Its listening addresses, as the bytes of multiaddrs.
    pub addresses: Vec<Vec<u8>>,
    /// When it was signed, in milliseconds since 1970 UTC; the latest wins.
    pub time_ms: u64,
    /// Signature of `validator`.
    pub signature: Signature,
}

/// What the signature of an [`Announcement`] covers.
#[derive(Encode)]
struct SignedAnnouncement<'a> {
    peer_id: &'a [u8],
    addresses: &'a [Vec<u8>],
    time_ms: u64,
}

impl Announcement {
    /// Signs an announcement.
    #[must_use]
    pub fn sign(
        peer_id: Vec<u8>,
        addresses: Vec<Vec<u8>>,
        time_ms: u64,
        key: &SecretKey,
        genesis: &GenesisHash,
    ) -> Self {
        let mut announcement =
            Self { validator: key.public(), peer_id, addresses, time_ms, signature: Signature([0; 64]) };
        announcement.signature = key.sign(&announcement.digest(genesis));
        announcement
    }

    fn digest(&self, genesis: &GenesisHash) -> [u8; 32] {
        let signed = SignedAnnouncement { peer_id: &self.peer_id, addresses: &self.addresses, time_ms: self.time_ms };
        signing_digest(Domain::Announcement, genesis, &signed)
    }

    /// Whether the numbers and lengths are within bounds (N-4).
    #[must_use]
    pub fn has_valid_size(&self) -> bool {
        self.peer_id.len() <= PEER_ID_BYTES_MAX
            && self.addresses.len() <= ANNOUNCED_ADDRESSES_MAX
            && self.addresses.iter().all(|address| address.len() <= ANNOUNCED_ADDRESS_BYTES_MAX)
    }
}

impl Signed for Announcement {
    fn signature_checks(&self, genesis: &GenesisHash, checks: &mut Vec<SignatureCheck>) {
        checks.push(SignatureCheck { key: self.validator, digest: self.digest(genesis), signature: self.signature });
    }
}

/// Protocol `query`: what do you prefer? (S-1)
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Query {
    /// Epoch of the asker.
    pub epoch: Epoch,
    /// Up to `QUERY_TXIDS_MAX` transactions.
    pub txids: Vec<Txid>,
}

/// What a validator thinks of one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Opinion {
    /// Never heard of it, or not yet able to judge it.
    Unknown,
    /// Would vote for it, or already did.
    Preferred,
    /// Prefers this conflicting transaction.
    Other(Txid),
    /// Breaks a rule that does not depend on other transactions in flight.
    Invalid,
}

/// Answer to a [`Query`]: one opinion for each txid, in order.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Answer {
    /// The opinions.
    pub opinions: Vec<Opinion>,
}

/// Protocol `transactions`: bodies by txid, up to `REQUEST_TRANSACTIONS_MAX` (N-5).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct TransactionsRequest {
    /// Which.
    pub txids: Vec<Txid>,
}

/// Those of the asked transactions that the peer has, in the order asked, as many as fit.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct TransactionsResponse {
    /// The transactions.
    pub transactions: Vec<Transaction>,
}

/// Protocol `certificates`: the votes that the peer holds for up to
/// `REQUEST_CERTIFICATES_MAX` transactions of the current epoch (N-5).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CertificatesRequest {
    /// Which.
    pub txids: Vec<Txid>,
}

/// Vote batches that cover the asked transactions, each once, as many as fit.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CertificatesResponse {
    /// The batches.
    pub batches: Vec<VoteBatch>,
}

/// Protocol `blocks`: committed blocks from a height upwards (N-5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct BlocksRequest {
    /// First height wanted.
    pub from: Height,
    /// How many, up to `REQUEST_BLOCKS_MAX`.
    pub count: u32,
}

/// Consecutive blocks from the height asked for, as many as fit; empty if the peer has none.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct BlocksResponse {
    /// The blocks.
    pub blocks: Vec<CommittedBlock>,
}

/// Protocol `status`: where are you, and what do you know of the height I work on? (N-6)
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct StatusRequest {
    /// The asker's last committed height.
    pub tip: Height,
    /// The asker's round at `tip + 1`.
    pub round: Round,
    /// The validators, by index, whose seals of the epoch the asker has.
    pub seals: Bitmap,
    /// Against whom the asker has evidence: positions in the validator set of this epoch, then in that of the next.
    pub evidence: Bitmap,
    /// Ask for what the peer holds of the signatures of this validator instead (D-18).
    pub voter: Option<PublicKey>,
}

/// Answer to a [`StatusRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct StatusResponse {
    /// The peer's last committed height.
    pub tip: Height,
    /// Hash of that block.
    pub hash: BlockHash,
    /// Its epoch.
    pub epoch: Epoch,
    /// If both work on the same height: proposals the peer holds for it, from the asker's round on.
    pub proposals: Vec<Proposal>,
    /// Likewise block votes; all rounds.
    pub votes: Vec<BlockVote>,
    /// Likewise seals of the epoch that the asker lacks, as many as fit `STATUS_SEALS_BYTES_MAX`.
    pub seals: Vec<Seal>,
    /// Likewise evidence that the asker lacks, as much as fits `STATUS_EVIDENCE_BYTES_MAX`.
    pub evidence: Vec<Evidence>,
    /// If a voter was asked for: its newest vote batches of the epoch, as many as fit `STATUS_BATCHES_BYTES_MAX`.
    pub batches: Vec<Arc<VoteBatch>>,
}

/// All of them must hold, or the response is worth nothing (N-7).
impl Signed for StatusResponse {
    fn signature_checks(&self, genesis: &GenesisHash, checks: &mut Vec<SignatureCheck>) {
        for proposal in &self.proposals {
            proposal.signature_checks(genesis, checks);
        }
        for vote in &self.votes {
            vote.signature_checks(genesis, checks);
        }
        for seal in &self.seals {
            seal.signature_checks(genesis, checks);
        }
        for evidence in &self.evidence {
            evidence.signature_checks(genesis, checks);
        }
        for batch in &self.batches {
            batch.signature_checks(genesis, checks);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn announcement(peer_id: usize, addresses: Vec<usize>) -> Announcement {
        let addresses = addresses.into_iter().map(|len| vec![4; len]).collect();
        let key = SecretKey::from_seed(&[1; 32]);
        Announcement::sign(vec![0; peer_id], addresses, 5, &key, &GenesisHash([7; 32]))
    }

    #[test]
    fn an_announcement_has_bounds_n_4() {
        assert!(announcement(64, vec![128; 8]).has_valid_size());
        assert!(announcement(0, vec![]).has_valid_size());
        assert!(!announcement(65, vec![]).has_valid_size());
        assert!(!announcement(38, vec![1; 9]).has_valid_size());
        assert!(!announcement(38, vec![10, 129]).has_valid_size());
    }

    #[test]
    fn topics_have_names_of_their_own_n_1() {
        assert_eq!(Topic::ALL.map(Topic::name), ["transactions", "votes", "blocks", "masternodes"]);
    }
}
