//! Every decoder (`SPEC.md` W-1…W-3). The first byte says which; the rest is what a stranger sent or
//! a disk gave back. What decodes must encode to the same bytes, and everything that is done with a
//! message before its signatures are known must end well.

use crate::network::network;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use timecoin_protocol::bitmap::Bitmap;
use timecoin_protocol::block::{
    Block, BlockVote, Closing, Commit, CommitSignature, CommittedBlock, CompactBlock, Evidence, Header, Proposal,
};
use timecoin_protocol::bounds::{EVIDENCE_BYTES_MAX, GOSSIP_BYTES_MAX, VALIDATORS_MAX};
use timecoin_protocol::codec::{Decode, DecodeError, Encode, decode, encode, encoded_len};
use timecoin_protocol::engine::Record;
use timecoin_protocol::finality::{Certificate, Seal, VoteBatch};
use timecoin_protocol::genesis::Genesis;
use timecoin_protocol::hash::{MerklePath, Txid, merkle_root};
use timecoin_protocol::keys::{Signed, verify, verify_batch};
use timecoin_protocol::ledger::{ChainState, apply_block, check_form, check_transfer, genesis_state};
use timecoin_protocol::transaction::{OutPoint, Output, Transaction, TransactionBody, Utxo};
use timecoin_protocol::validator::{Height, Round, Validator, ValidatorSet};
use timecoin_protocol::wire::{
    Announcement, Answer, BlocksRequest, BlocksResponse, CertificatesRequest, CertificatesResponse, Query,
    StatusRequest, StatusResponse, TransactionBatch, TransactionsRequest, TransactionsResponse, Vote, VoteBundle,
};

/// Signatures of one message that are checked; more of them only take time.
const SIGNATURES_MAX: usize = 6;

/// A type under its name, and what is tried with bytes: whether they are a value of it.
pub type Decoder = (&'static str, fn(&[u8]) -> bool);

/// All decoders. The corpus names them by position: new ones go to the end.
pub const DECODERS: [Decoder; 41] = [
    ("OutPoint", is::<OutPoint>),
    ("Output", is::<Output>),
    ("Utxo", is::<Utxo>),
    ("TransactionBody", is::<TransactionBody>),
    ("Transaction", |bytes| use_of(bytes, transaction)),
    ("TransactionBatch", |bytes| {
        use_of(bytes, |batch: TransactionBatch| batch.transactions.iter().for_each(signatures))
    }),
    ("VoteBatch", |bytes| use_of(bytes, vote_batch)),
    ("MerklePath", |bytes| use_of(bytes, merkle_path)),
    ("Certificate", |bytes| use_of(bytes, certificate)),
    ("BlockVote", |bytes| use_of(bytes, |vote: BlockVote| signatures(&vote))),
    ("Vote", |bytes| use_of(bytes, |vote: Vote| signatures(&vote))),
    ("Validator", is::<Validator>),
    ("ValidatorSet", |bytes| use_of(bytes, validators)),
    ("Header", is::<Header>),
    ("Commit", |bytes| use_of(bytes, commit)),
    ("Block", |bytes| use_of(bytes, block)),
    ("CompactBlock", |bytes| use_of(bytes, compact_block)),
    ("CommittedBlock", |bytes| use_of(bytes, |block: CommittedBlock| signatures(&block))),
    ("Proposal", |bytes| use_of(bytes, |proposal: Proposal| signatures(&proposal))),
    ("Announcement", |bytes| use_of(bytes, announcement)),
    ("Query", is::<Query>),
    ("Answer", is::<Answer>),
    ("TransactionsRequest", is::<TransactionsRequest>),
    ("TransactionsResponse", |bytes| {
        use_of(bytes, |answer: TransactionsResponse| answer.transactions.iter().for_each(signatures))
    }),
    ("CertificatesRequest", is::<CertificatesRequest>),
    ("CertificatesResponse", |bytes| {
        use_of(bytes, |answer: CertificatesResponse| answer.batches.into_iter().for_each(vote_batch))
    }),
    ("BlocksRequest", is::<BlocksRequest>),
    ("BlocksResponse", |bytes| use_of(bytes, |answer: BlocksResponse| answer.blocks.iter().for_each(signatures))),
    ("StatusRequest", is::<StatusRequest>),
    ("StatusResponse", |bytes| use_of(bytes, |status: StatusResponse| signatures(&status))),
    ("Record", is::<Record>),
    ("list of Record", is::<Vec<Record>>),
    ("ChainState", is::<ChainState>),
    ("Genesis", |bytes| use_of(bytes, genesis)),
    ("CommitSignature", is::<CommitSignature>),
    ("list of OutPoint", is::<Vec<OutPoint>>),
    ("Seal", |bytes| use_of(bytes, |seal: Seal| signatures(&seal))),
    ("Closing", is::<Closing>),
    ("Bitmap", is::<Bitmap>),
    ("Evidence", |bytes| use_of(bytes, evidence)),
    ("VoteBundle", |bytes| use_of(bytes, |bundle: VoteBundle| bundle.votes.iter().for_each(signatures))),
];

/// Hands bytes to the decoder that the first of them names.
pub fn run(bytes: &[u8]) {
    let _ = judge(bytes);
}

/// Whether the rest of the bytes is a value of the type that the first names.
#[must_use]
pub fn judge(bytes: &[u8]) -> bool {
    let Some((which, rest)) = bytes.split_first() else { return false };
    let (_, decoder) = DECODERS[usize::from(*which) % DECODERS.len()];
    decoder(rest)
}

/// W-2: bytes are a value in its one form, or refused.
fn canonical<T: Encode + Decode<()>>(bytes: &[u8]) -> Option<T> {
    if let Some(max) = bytes.len().checked_sub(1) {
        let short = decode::<T>(bytes, max).map(drop);
        assert_eq!(short, Err(DecodeError::TooLong { len: bytes.len(), max }), "W-3");
    }
    let value: T = decode(bytes, GOSSIP_BYTES_MAX).ok()?;
    assert!(encode(&value) == bytes, "a value has two encodings");
    assert_eq!(encoded_len(&value), bytes.len());
    Some(value)
}

fn is<T: Encode + Decode<()>>(bytes: &[u8]) -> bool {
    canonical::<T>(bytes).is_some()
}

fn use_of<T: Encode + Decode<()>>(bytes: &[u8], and_then: impl FnOnce(T)) -> bool {
    canonical(bytes).map(and_then).is_some()
}

/// K-3: a batch says of all signatures what is said of each alone.
fn signatures(message: &impl Signed) {
    let mut checks = Vec::new();
    message.signature_checks(&network().hash, &mut checks);
    checks.truncate(SIGNATURES_MAX);
    let alone = checks.iter().all(verify);
    assert_eq!(verify_batch(&checks, &mut ChaCha12Rng::seed_from_u64(1)), alone);
}

fn transaction(transaction: Transaction) {
    signatures(&transaction);
    let form = check_form(&transaction);
    let lookup = |outpoint: &OutPoint| Ok(network().utxos.get(outpoint).copied());
    let valid = check_transfer(&transaction, Height(1), 1, lookup).expect("memory does not fail");
    assert!(form.is_ok() || valid.is_err(), "a transaction without form is valid");
}

/// F-5: each vote of a batch can be cut out as a proof.
fn vote_batch(batch: VoteBatch) {
    signatures(&batch);
    if let Some(txid) = batch.txids.last() {
        let vote = batch.cut_out(txid).expect("a vote of the batch");
        assert_eq!(vote.path.root(txid), Some(merkle_root(&batch.txids)));
    }
}

/// H-3: no path with siblings to spare leads anywhere.
fn merkle_path(path: MerklePath) {
    let leads = path.root(&Txid([1; 32])).is_some();
    assert!(!leads || (path.index < path.leaves && path.siblings.len() <= 32));
}

fn certificate(certificate: Certificate) {
    let holds = certificate.verify(&network().state.validators, &network().hash).is_ok();
    assert!(!holds, "nobody has signed a certificate for this network");
}

/// nobody has signed contradictions in this network, and what has the form of evidence is within its bound.
fn evidence(evidence: Evidence) {
    signatures(&evidence);
    assert!(evidence.check().is_err() || evidence.bytes() <= EVIDENCE_BYTES_MAX);
    assert!(evidence.verify(&network().hash).is_err(), "nobody has contradicted itself in this network");
}

fn commit(commit: Commit) {
    let network = network();
    let holds = commit.verify(network.state.epoch, &network.state.validators, &network.hash).is_ok();
    assert!(!holds, "nobody has signed a commit for this network");
}

/// V-1, V-2: whatever was sent, a set is one.
fn validators(set: ValidatorSet) {
    let members = set.members();
    assert!(members.is_sorted_by(|left, right| left.key < right.key) && members.len() <= VALIDATORS_MAX);
    let total: u128 = members.iter().map(|member| u128::from(member.weight.0)).sum();
    assert!(members.iter().all(|member| member.weight.0 > 0));
    assert_eq!(total, u128::from(set.total().0));
    let quorum = u128::from(set.quorum().0);
    assert!(quorum * 3 > total * 2 && (quorum - 1) * 3 <= total * 2, "a quorum is just above two thirds");
    assert_eq!(set.proposer(Height(7), Round(3)).is_some(), !set.is_empty());
}

/// On top of genesis no block of a stranger is valid: its coinbase and hashes would have to fit.
fn block(block: Block) {
    let network = network();
    let judged = apply_block(&network.state, &network.genesis.params, &network.utxos, &block);
    if let Ok(delta) = judged.expect("memory does not fail") {
        assert_eq!(delta.state.hash, block.header.hash());
    }
}

/// B-2: only what the header commits to matches it.
fn compact_block(mut block: CompactBlock) {
    let matches = block.matches_header();
    block.coinbase.memo.push(0);
    assert!(!(matches && block.matches_header()), "two coinbases match one header");
}

fn announcement(announcement: Announcement) {
    if announcement.has_valid_size() {
        signatures(&announcement);
    }
}

fn genesis(genesis: Genesis) {
    let checked = genesis.check();
    assert_eq!(genesis_state(&genesis).map(|state| state.supply), checked);
}
