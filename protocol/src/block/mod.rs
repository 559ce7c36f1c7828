//! Blocks, proposals and block votes (`SPEC.md` B-1…B-3), and evidence against those who sign contradictions.

mod closing;
mod commit;
pub mod evidence;
mod proposal;
mod vote;

pub use closing::{Closing, SealSignature};
pub use commit::{Commit, CommitError, CommitSignature};
pub use evidence::{Evidence, EvidenceError, EvidenceKind};
pub use proposal::Proposal;
pub use vote::{BlockPhase, BlockVote};

use crate::bitmap::Bitmap;
use crate::codec::{Decode, Encode};
use crate::hash::{BlockHash, Domain, GenesisHash, Hash, MerkleRoot, Txid, hash_of, merkle_root};
use crate::keys::{PublicKey, SignatureCheck, Signed};
use crate::transaction::{Transaction, TransactionBody};
use crate::validator::{Epoch, Height};
use alloc::vec::Vec;

/// What a block commits to (B-1); its hash is the block's hash.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
pub struct Header {
    /// Hash of the block below; the genesis hash at height 1.
    pub parent: BlockHash,
    /// Height of this block.
    pub height: Height,
    /// Epoch that this block belongs to.
    pub epoch: Epoch,
    /// When it was proposed, in milliseconds since 1970 UTC.
    pub time_ms: u64,
    /// Who proposed it.
    pub proposer: PublicKey,
    /// Merkle root over the coinbase's txid and then those of the transfers.
    pub transactions_root: MerkleRoot,
    /// Commitment to the UTXO set after this block.
    pub utxo_set: Hash,
    /// Commitment to the validator set of the next height.
    pub next_validators: Hash,
    /// Commitment to the commit of the block below; zeros at height 1.
    pub parent_commit: Hash,
    /// Commitment to what closes the epoch; zeros in an ordinary block (E-5).
    pub closing: Hash,
}

impl Header {
    /// The block's hash.
    #[must_use]
    pub fn hash(&self) -> BlockHash {
        BlockHash(hash_of(Domain::Block, self))
    }
}

/// A whole block (B-2).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Block {
    /// What it commits to.
    pub header: Header,
    /// The commit of the block below; none at height 1.
    pub parent_commit: Option<Commit>,
    /// The reward transaction; every node computes the same one.
    pub coinbase: TransactionBody,
    /// Transfers; each may spend outputs of those before it.
    pub transactions: Vec<Transaction>,
    /// What closes the epoch; nothing in an ordinary block.
    pub closing: Closing,
    /// For each seal, in order, what it lists: numbers count the transfers of this block, then those of the
    /// blocks before it since sealing began (E-5).
    pub listed: Vec<Bitmap>,
}

impl Block {
    /// The Merkle root that the header must carry.
    #[must_use]
    pub fn transactions_root(coinbase: &TransactionBody, txids: &[Txid]) -> MerkleRoot {
        let mut leaves = Vec::with_capacity(txids.len() + 1);
        leaves.push(coinbase.txid());
        leaves.extend_from_slice(txids);
        merkle_root(&leaves)
    }
}

/// A block with txids in the place of transfers, as it is proposed (B-2).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CompactBlock {
    /// What it commits to.
    pub header: Header,
    /// The commit of the block below; none at height 1.
    pub parent_commit: Option<Commit>,
    /// The reward transaction.
    pub coinbase: TransactionBody,
    /// The transfers.
    pub txids: Vec<Txid>,
    /// What closes the epoch. The lists of its seals are known from the seals themselves.
    pub closing: Closing,
}

impl CompactBlock {
    /// Whether coinbase, txids, seals and parent commit are those that the header commits to (B-2).
    ///
    /// A proposer signs the header alone. Where the rest does not match, whoever sent the message
    /// is to blame, not the proposer, and the message must not take the place of the proposal.
    #[must_use]
    pub fn matches_header(&self) -> bool {
        let parent_commit = self.parent_commit.as_ref().map_or(Hash([0; 32]), Commit::hash);
        parent_commit == self.header.parent_commit
            && self.closing.hash() == self.header.closing
            && Block::transactions_root(&self.coinbase, &self.txids) == self.header.transactions_root
    }
}

/// A block and the proof that it was decided.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CommittedBlock {
    /// The block.
    pub block: Block,
    /// A quorum's precommits for it.
    pub commit: Commit,
}

/// Covers the witnesses of all transfers and the evidence; the commit is checked against the validator set by
/// [`Commit::verify`].
impl Signed for CommittedBlock {
    fn signature_checks(&self, genesis: &GenesisHash, checks: &mut Vec<SignatureCheck>) {
        for transaction in &self.block.transactions {
            transaction.signature_checks(genesis, checks);
        }
        for evidence in &self.block.closing.evidence {
            evidence.signature_checks(genesis, checks);
        }
    }
}

#[cfg(test)]
mod tests {
    //! Rules: B-1, B-2.

    use super::*;
    use crate::keys::Signature;
    use crate::validator::Round;
    use alloc::vec;

    fn block() -> CompactBlock {
        let coinbase = TransactionBody { inputs: vec![], outputs: vec![], memo: vec![1] };
        let txids = vec![Txid([1; 32]), Txid([2; 32])];
        let commit = Commit { height: Height(4), round: Round(0), block: BlockHash([9; 32]), signatures: vec![] };
        let header = Header {
            parent: BlockHash([9; 32]),
            height: Height(5),
            epoch: Epoch(0),
            time_ms: 1,
            proposer: PublicKey([3; 32]),
            transactions_root: Block::transactions_root(&coinbase, &txids),
            utxo_set: Hash([4; 32]),
            next_validators: Hash([5; 32]),
            parent_commit: commit.hash(),
            closing: Hash([0; 32]),
        };
        CompactBlock { header, parent_commit: Some(commit), coinbase, txids, closing: Closing::default() }
    }

    #[test]
    fn the_root_is_over_the_coinbase_and_then_the_transfers_b_1() {
        let CompactBlock { header, coinbase, txids, .. } = block();
        assert_eq!(header.transactions_root, merkle_root(&[coinbase.txid(), txids[0], txids[1]]));
    }

    #[test]
    fn a_block_whose_parts_are_not_those_of_its_header_is_noticed_b_2() {
        let honest = block();
        assert!(honest.matches_header());
        let mut other_coinbase = honest.clone();
        other_coinbase.coinbase.memo = vec![2];
        let mut swapped = honest.clone();
        swapped.txids.swap(0, 1);
        let mut no_commit = honest.clone();
        no_commit.parent_commit = None;
        let mut sealed = honest.clone();
        let seal = SealSignature { validator: 0, list: Hash([0; 32]), signature: Signature([0; 64]) };
        sealed.closing.seals.push(seal);
        for wrong in [other_coinbase, swapped, no_commit, sealed] {
            assert!(!wrong.matches_header(), "{wrong:?}");
        }
    }

    #[test]
    fn a_first_block_names_no_commit_b_1() {
        let mut first = block();
        first.parent_commit = None;
        first.header.parent_commit = Hash([0; 32]);
        assert!(first.matches_header());
    }

    #[test]
    fn every_field_of_a_header_changes_its_hash_b_1() {
        let Header { parent, height, epoch, time_ms, proposer, .. } = block().header;
        let same = || block().header;
        let others = [
            Header { parent: BlockHash([0; 32]), ..same() },
            Header { height: height.next(), ..same() },
            Header { epoch: epoch.next(), ..same() },
            Header { time_ms: time_ms + 1, ..same() },
            Header { proposer: PublicKey([0; 32]), ..same() },
            Header { transactions_root: MerkleRoot(parent.0), ..same() },
            Header { utxo_set: Hash(proposer.0), ..same() },
            Header { next_validators: Hash(parent.0), ..same() },
            Header { parent_commit: Hash(parent.0), ..same() },
            Header { closing: Hash(parent.0), ..same() },
        ];
        for other in others {
            assert_ne!(other.hash(), same().hash(), "{other:?}");
        }
    }
}
