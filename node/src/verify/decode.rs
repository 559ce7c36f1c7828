//! From bytes to values within their bounds, still unverified (`SPEC.md` W-2, N-2).

use crate::bounds::ANNOUNCEMENT_BYTES_MAX;
use crate::network::Protocol;
use timecoin_protocol::block::{CommittedBlock, Proposal};
use timecoin_protocol::bounds::{
    EVIDENCE_BYTES_MAX, GOSSIP_BYTES_MAX, GOSSIP_TRANSACTIONS_MAX, REQUEST_BLOCKS_MAX, REQUEST_TRANSACTIONS_MAX,
    RESPONSE_BYTES_MAX, SEAL_TXIDS_MAX, STATUS_BATCHES_MAX, STATUS_PROPOSALS_MAX, TRANSACTION_BYTES_MAX,
    VOTES_BUNDLE_BYTES_TARGET, VOTES_PER_BATCH_MAX,
};
use timecoin_protocol::codec::{decode, encoded_len};
use timecoin_protocol::finality::{Seal, VoteBatch};
use timecoin_protocol::transaction::Transaction;
use timecoin_protocol::wire::{
    Announcement, BlocksResponse, CertificatesResponse, StatusResponse, Topic, TransactionBatch, TransactionsResponse,
    Vote, VoteBundle,
};

/// Largest encoded vote, in bytes: a full seal with its header.
const VOTE_BYTES_MAX: usize = SEAL_TXIDS_MAX * 32 + 256;

const _: () = assert!(VOTES_PER_BATCH_MAX <= SEAL_TXIDS_MAX && EVIDENCE_BYTES_MAX < VOTE_BYTES_MAX);
const _: () = assert!(VOTES_BUNDLE_BYTES_TARGET + VOTE_BYTES_MAX + 16 <= GOSSIP_BYTES_MAX, "a bundle fits a message");

/// The bytes are not what their topic or protocol carries; whoever sent them is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// A decoded gossip message.
#[derive(Debug)]
pub enum Gossiped {
    Transactions(Vec<Transaction>),
    Votes(Vec<Vote>),
    Proposal(Box<Proposal>),
    Announcement(Announcement),
}

/// A decoded answer that carries signatures.
#[derive(Debug)]
pub enum Answered {
    Transactions(Vec<Transaction>),
    Certificates(Vec<VoteBatch>),
    Blocks(Vec<CommittedBlock>),
    Status(Box<StatusResponse>),
}

fn ensure(holds: bool) -> Result<(), Malformed> {
    if holds { Ok(()) } else { Err(Malformed) }
}

fn transactions_fit(transactions: &[Transaction]) -> bool {
    transactions.iter().all(|transaction| encoded_len(transaction) <= TRANSACTION_BYTES_MAX)
}

fn vote_fits(vote: &Vote) -> bool {
    match vote {
        Vote::Finality(batch) => batch.has_valid_size(),
        Vote::Seal(seal) => seal.has_valid_form(),
        Vote::Evidence(evidence) => evidence.check().is_ok(),
        Vote::Block(_) => true,
    }
}

/// Decodes a gossip message (W-2) and checks the bounds of its topic (N-2).
pub fn gossip(topic: Topic, bytes: &[u8]) -> Result<Gossiped, Malformed> {
    match topic {
        Topic::Transactions => {
            let TransactionBatch { transactions } = decode(bytes, GOSSIP_BYTES_MAX).map_err(|_| Malformed)?;
            ensure((1..=GOSSIP_TRANSACTIONS_MAX).contains(&transactions.len()))?;
            ensure(transactions_fit(&transactions))?;
            Ok(Gossiped::Transactions(transactions))
        }
        Topic::Votes => {
            let VoteBundle { votes } = decode(bytes, GOSSIP_BYTES_MAX).map_err(|_| Malformed)?;
            let (_, but_last) = votes.split_last().ok_or(Malformed)?;
            ensure(but_last.iter().map(encoded_len).sum::<usize>() < VOTES_BUNDLE_BYTES_TARGET)?;
            ensure(votes.iter().all(vote_fits))?;
            Ok(Gossiped::Votes(votes))
        }
        Topic::Blocks => Ok(Gossiped::Proposal(Box::new(decode(bytes, GOSSIP_BYTES_MAX).map_err(|_| Malformed)?))),
        Topic::Masternodes => {
            let announcement: Announcement = decode(bytes, ANNOUNCEMENT_BYTES_MAX).map_err(|_| Malformed)?;
            ensure(announcement.has_valid_size())?;
            Ok(Gossiped::Announcement(announcement))
        }
    }
}

/// Decodes an answer (W-2) and checks the bounds of its protocol. Answers to queries carry no
/// signatures and never come here.
pub fn answer(protocol: Protocol, bytes: &[u8]) -> Result<Answered, Malformed> {
    match protocol {
        Protocol::Query => Err(Malformed),
        Protocol::Transactions => {
            let TransactionsResponse { transactions } = decode(bytes, RESPONSE_BYTES_MAX).map_err(|_| Malformed)?;
            ensure(transactions.len() <= REQUEST_TRANSACTIONS_MAX && transactions_fit(&transactions))?;
            Ok(Answered::Transactions(transactions))
        }
        Protocol::Certificates => {
            let CertificatesResponse { batches } = decode(bytes, RESPONSE_BYTES_MAX).map_err(|_| Malformed)?;
            ensure(batches.iter().all(VoteBatch::has_valid_size))?;
            Ok(Answered::Certificates(batches))
        }
        Protocol::Blocks => {
            let BlocksResponse { blocks } = decode(bytes, RESPONSE_BYTES_MAX).map_err(|_| Malformed)?;
            ensure(blocks.len() <= REQUEST_BLOCKS_MAX)?;
            Ok(Answered::Blocks(blocks))
        }
        Protocol::Status => {
            let status: StatusResponse = decode(bytes, RESPONSE_BYTES_MAX).map_err(|_| Malformed)?;
            ensure(status.proposals.len() <= STATUS_PROPOSALS_MAX && status.batches.len() <= STATUS_BATCHES_MAX)?;
            ensure(status.batches.iter().all(|batch| batch.has_valid_size()))?;
            ensure(status.seals.iter().all(Seal::has_valid_form))?;
            ensure(status.evidence.iter().all(|evidence| evidence.check().is_ok()))?;
            Ok(Answered::Status(Box::new(status)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use timecoin_protocol::codec::encode;
    use timecoin_protocol::finality::Phase;
    use timecoin_protocol::hash::{GenesisHash, Txid};
    use timecoin_protocol::keys::SecretKey;
    use timecoin_protocol::transaction::TransactionBody;
    use timecoin_protocol::validator::Epoch;

    fn empty_batch_of_votes() -> Vote {
        let key = SecretKey::from_seed(&[1; 32]);
        let batch = VoteBatch::sign(Epoch(0), Phase::Prepare, Vec::new(), &key, &GenesisHash([0; 32]));
        Vote::Finality(Arc::new(batch))
    }

    fn bundle(vote: Vote) -> Vec<u8> {
        encode(&VoteBundle { votes: vec![vote] })
    }

    #[test]
    fn a_bundle_of_no_votes_is_malformed_n_36() {
        assert_eq!(gossip(Topic::Votes, &encode(&VoteBundle { votes: Vec::new() })).unwrap_err(), Malformed);
    }

    /// Else one message of a megabyte holds ten thousand signatures, and each costs a check.
    #[test]
    fn a_bundle_that_is_full_before_its_last_vote_is_malformed_n_36() {
        let key = SecretKey::from_seed(&[1; 32]);
        let txids = (0..VOTES_PER_BATCH_MAX).map(|_| Txid([7; 32])).collect();
        let large = VoteBatch::sign(Epoch(0), Phase::Prepare, txids, &key, &GenesisHash([0; 32]));
        let large = Vote::Finality(Arc::new(large));
        assert!(encoded_len(&large) > VOTES_BUNDLE_BYTES_TARGET);
        let small = Vote::Seal(Seal::sign(Epoch(0), Vec::new(), &key, &GenesisHash([0; 32])));
        let judged = |votes: Vec<Vote>| gossip(Topic::Votes, &encode(&VoteBundle { votes }));
        assert!(judged(vec![small.clone(), large.clone()]).is_ok());
        assert_eq!(judged(vec![large, small.clone()]).unwrap_err(), Malformed);
        let fit = VOTES_BUNDLE_BYTES_TARGET.div_ceil(encoded_len(&small));
        assert!(judged(vec![small.clone(); fit]).is_ok());
        assert_eq!(judged(vec![small; fit + 1]).unwrap_err(), Malformed);
    }

    #[test]
    fn gossip_of_no_transactions_is_malformed() {
        let empty = encode(&TransactionBatch { transactions: Vec::new() });
        assert_eq!(gossip(Topic::Transactions, &empty).unwrap_err(), Malformed);
    }

    #[test]
    fn a_vote_batch_without_votes_is_malformed_wherever_it_comes_from() {
        assert_eq!(gossip(Topic::Votes, &bundle(empty_batch_of_votes())).unwrap_err(), Malformed);
        let Vote::Finality(batch) = empty_batch_of_votes() else { unreachable!() };
        let response = encode(&CertificatesResponse { batches: vec![batch.as_ref().clone()] });
        assert_eq!(answer(Protocol::Certificates, &response).unwrap_err(), Malformed);
    }

    #[test]
    fn a_seal_whose_list_is_not_sorted_is_malformed_e_4() {
        let txids = vec![Txid([1; 32]), Txid([2; 32])];
        let mut seal = Seal::sign(Epoch(0), txids, &SecretKey::from_seed(&[1; 32]), &GenesisHash([0; 32]));
        assert!(gossip(Topic::Votes, &bundle(Vote::Seal(seal.clone()))).is_ok());
        seal.txids.reverse();
        assert_eq!(gossip(Topic::Votes, &bundle(Vote::Seal(seal))).unwrap_err(), Malformed);
    }

    #[test]
    fn a_transaction_above_its_size_is_malformed() {
        let body = TransactionBody { inputs: Vec::new(), outputs: Vec::new(), memo: vec![0; TRANSACTION_BYTES_MAX] };
        let batch = TransactionBatch { transactions: vec![Transaction { body, witnesses: Vec::new() }] };
        assert_eq!(gossip(Topic::Transactions, &encode(&batch)).unwrap_err(), Malformed);
    }

    #[test]
    fn bytes_after_the_end_are_malformed() {
        let mut bytes = encode(&BlocksResponse { blocks: Vec::new() });
        assert!(answer(Protocol::Blocks, &bytes).is_ok());
        bytes.push(0);
        assert_eq!(answer(Protocol::Blocks, &bytes).unwrap_err(), Malformed);
    }
}
