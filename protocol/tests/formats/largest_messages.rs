//! The largest value that the rules allow fits its message, and decodes there (N-8, W-3).

use crate::samples::{GENESIS, key, owner, validators};
use std::sync::Arc;
use timecoin_protocol::amount::Amount;
use timecoin_protocol::block::evidence::TwoPayments;
use timecoin_protocol::block::{
    Block, Closing, Commit, CommitSignature, CommittedBlock, CompactBlock, Evidence, Header, Proposal, SealSignature,
};
use timecoin_protocol::bounds::{
    BLOCK_BYTES_MAX, BLOCK_TRANSACTIONS_MAX, CLOSING_EVIDENCE_BYTES_MAX, CLOSING_LISTED_BYTES_MAX, EVIDENCE_BYTES_MAX,
    GOSSIP_BYTES_MAX, INPUTS_MAX, MEMO_BYTES_MAX, OUTPUTS_MAX, QUERY_TXIDS_MAX, REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX,
    SEAL_TXIDS_MAX, TRANSACTION_BYTES_MAX, VALIDATORS_MAX, VOTES_PER_BATCH_MAX,
};
use timecoin_protocol::codec::{Decode, Encode, decode, encode, encoded_len};
use timecoin_protocol::finality::{Phase, Seal, VoteBatch};
use timecoin_protocol::hash::{BlockHash, Hash, Txid};
use timecoin_protocol::keys::Signature;
use timecoin_protocol::transaction::{Lock, OutPoint, Output, Transaction, TransactionBody, Witness};
use timecoin_protocol::validator::{Epoch, Height, Round};
use timecoin_protocol::wire::{Answer, BlocksResponse, Opinion, Query, Vote};

fn fits<T: Encode + Decode<()>>(value: &T, max: usize) {
    let bytes = encode(value);
    assert!(bytes.len() <= max, "{} bytes, {max} allowed", bytes.len());
    assert!(decode::<T>(&bytes, max).is_ok(), "{} bytes do not decode", bytes.len());
}

fn commit_of_all() -> Commit {
    let signature = |validator| CommitSignature { validator, signature: Signature([9; 64]) };
    Commit {
        height: Height(u64::MAX),
        round: Round(u32::MAX),
        block: BlockHash([9; 32]),
        signatures: (0..VALIDATORS_MAX as u16).map(signature).collect(),
    }
}

fn closing_of_all() -> Closing {
    let seal = |validator| SealSignature { validator, list: Hash([9; 32]), signature: Signature([9; 64]) };
    let small = crate::samples::evidence()[0].clone();
    let mut evidence = vec![largest_evidence()];
    while evidence.iter().map(Evidence::bytes).sum::<usize>() + small.bytes() <= CLOSING_EVIDENCE_BYTES_MAX {
        evidence.push(small.clone());
    }
    Closing { seals: (0..VALIDATORS_MAX as u16).map(seal).collect(), evidence }
}

/// Two votes, each in the longest batch, for two of the longest transactions.
fn largest_evidence() -> Evidence {
    let body = |memo: u8| {
        let input = |index| OutPoint { txid: Txid([1; 32]), index: u32::MAX - index };
        let lock = Lock::Bond { validator: key(1).public(), owner: owner(1) };
        let mut body = TransactionBody {
            inputs: (0..INPUTS_MAX as u32).map(input).collect(),
            outputs: vec![],
            memo: vec![memo; MEMO_BYTES_MAX],
        };
        let output = Output { amount: Amount(u64::MAX), lock };
        let room = TRANSACTION_BYTES_MAX - encoded_len(&body);
        body.outputs = vec![output; room / encoded_len(&output)];
        body
    };
    let side = |body: TransactionBody| {
        let txids = vec![body.txid(); VOTES_PER_BATCH_MAX];
        (VoteBatch::sign(Epoch(u64::MAX), Phase::Commit, txids, &key(11), &GENESIS), body)
    };
    let [(one, left), (other, right)] = [side(body(1)), side(body(2))];
    Evidence::Payments(TwoPayments::of((&one, &left), (&other, &right)).unwrap())
}

fn header() -> Header {
    Header { height: Height(u64::MAX), epoch: Epoch(u64::MAX), time_ms: u64::MAX, ..crate::samples::block().header }
}

/// One output for each validator, of the largest amount.
fn coinbase() -> TransactionBody {
    let output = Output { amount: Amount(u64::MAX), lock: Lock::Address(owner(1)) };
    TransactionBody { outputs: vec![output; VALIDATORS_MAX], ..crate::samples::block().coinbase }
}

/// A transaction of as many outputs as there may be, of the kind that takes most room in memory
/// for its bytes.
fn wide_transaction() -> Transaction {
    let output = Output { amount: Amount(546), lock: Lock::Address(owner(1)) };
    let body = TransactionBody {
        inputs: vec![OutPoint { txid: Txid([1; 32]), index: 0 }],
        outputs: vec![output; OUTPUTS_MAX],
        memo: vec![],
    };
    Transaction { body, witnesses: vec![Witness { key: key(1).public(), signature: Signature([9; 64]) }] }
}

fn full_block() -> CommittedBlock {
    let transaction = wide_transaction();
    let transactions = vec![transaction.clone(); BLOCK_BYTES_MAX / encoded_len(&transaction)];
    let bits = CLOSING_LISTED_BYTES_MAX / VALIDATORS_MAX * 8;
    let block = Block {
        header: header(),
        parent_commit: Some(commit_of_all()),
        coinbase: coinbase(),
        transactions,
        closing: closing_of_all(),
        listed: vec![[bits - 1].into_iter().collect(); VALIDATORS_MAX],
    };
    CommittedBlock { block, commit: commit_of_all() }
}

#[test]
fn the_largest_proposal_fits_a_gossip_message_n_8() {
    let block = CompactBlock {
        header: header(),
        parent_commit: Some(commit_of_all()),
        coinbase: coinbase(),
        txids: vec![Txid([1; 32]); BLOCK_TRANSACTIONS_MAX],
        closing: closing_of_all(),
    };
    let proven = Some((Round(u32::MAX), commit_of_all().signatures));
    fits(&Proposal::sign(Round(u32::MAX), proven, block, &key(11), &GENESIS), GOSSIP_BYTES_MAX);
}

#[test]
fn the_largest_vote_batch_fits_a_gossip_message_n_8() {
    let txids = vec![Txid([1; 32]); VOTES_PER_BATCH_MAX];
    let batch = VoteBatch::sign(Epoch(u64::MAX), Phase::Commit, txids, &key(11), &GENESIS);
    fits(&Vote::Finality(Arc::new(batch)), GOSSIP_BYTES_MAX);
}

#[test]
fn the_largest_seal_fits_a_gossip_message_n_8() {
    let txid = |index: usize| {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&(index as u64).to_be_bytes());
        Txid(bytes)
    };
    let seal = Seal::sign(Epoch(u64::MAX), (0..SEAL_TXIDS_MAX).map(txid).collect(), &key(11), &GENESIS);
    fits(&Vote::Seal(seal), GOSSIP_BYTES_MAX);
}

#[test]
fn the_largest_evidence_fits_its_bound_x_1() {
    let evidence = largest_evidence();
    assert_eq!(evidence.verify(&GENESIS), Ok(()));
    assert!(evidence.bytes() > EVIDENCE_BYTES_MAX - 4 * 1024, "{} bytes", evidence.bytes());
    fits(&evidence, EVIDENCE_BYTES_MAX);
    fits(&Vote::Evidence(Arc::new(evidence)), GOSSIP_BYTES_MAX);
}

#[test]
fn the_largest_query_and_answer_fit_n_8() {
    fits(&Query { epoch: Epoch(u64::MAX), txids: vec![Txid([1; 32]); QUERY_TXIDS_MAX] }, REQUEST_BYTES_MAX);
    fits(&Answer { opinions: vec![Opinion::Other(Txid([1; 32])); QUERY_TXIDS_MAX] }, RESPONSE_BYTES_MAX);
    // The answer that claims most memory for its bytes.
    fits(&Answer { opinions: vec![Opinion::Unknown; QUERY_TXIDS_MAX] }, RESPONSE_BYTES_MAX);
}

#[test]
fn a_wide_transaction_is_within_its_bound_l_2() {
    fits(&wide_transaction(), TRANSACTION_BYTES_MAX);
}

#[test]
fn a_full_block_fits_a_response_n_8() {
    fits(&BlocksResponse { blocks: vec![full_block()] }, RESPONSE_BYTES_MAX);
}

/// Small blocks up to the limit of a response: the claim of the decoder stays below its bound (W-3).
#[test]
fn a_full_response_decodes_w_3() {
    let mut block = full_block();
    block.block.transactions.truncate(100);
    let count = RESPONSE_BYTES_MAX / encoded_len(&block);
    fits(&BlocksResponse { blocks: vec![block; count] }, RESPONSE_BYTES_MAX);
}

#[test]
fn a_set_of_all_validators_decodes_v_1() {
    let mut members = Vec::new();
    for index in 0..VALIDATORS_MAX as u64 {
        let mut member = validators().members()[0];
        member.key.0[..8].copy_from_slice(&index.to_be_bytes());
        members.push(member);
    }
    fits(&timecoin_protocol::validator::ValidatorSet::new(members), RESPONSE_BYTES_MAX);
}
