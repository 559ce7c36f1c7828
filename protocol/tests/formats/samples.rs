//! One value of every wire type, made from fixed seeds.

use std::sync::Arc;
use timecoin_protocol::address::Owner;
use timecoin_protocol::amount::Amount;
use timecoin_protocol::bitmap::Bitmap;
use timecoin_protocol::block::evidence::{TwoBlockVotes, TwoPayments, TwoProposals, TwoSeals};
use timecoin_protocol::block::{
    Block, BlockPhase, BlockVote, Closing, Commit, CommitSignature, CommittedBlock, CompactBlock, Evidence, Header,
    Proposal, SealSignature,
};
use timecoin_protocol::codec::{Decode, DecodeError, Encode, decode, encode};
use timecoin_protocol::finality::{Certificate, Phase, Seal, VoteBatch};
use timecoin_protocol::hash::{BlockHash, GenesisHash, Hash, Txid};
use timecoin_protocol::keys::SecretKey;
use timecoin_protocol::transaction::{Lock, OutPoint, Output, Transaction, TransactionBody, Utxo};
use timecoin_protocol::validator::{Epoch, Height, Round, Validator, ValidatorSet, Weight};
use timecoin_protocol::wire::{
    Announcement, Answer, BlocksRequest, BlocksResponse, CertificatesRequest, CertificatesResponse, Opinion, Query,
    StatusRequest, StatusResponse, TransactionBatch, TransactionsRequest, TransactionsResponse, Vote, VoteBundle,
};

/// The network of all samples.
pub const GENESIS: GenesisHash = GenesisHash([0x67; 32]);

/// More than any sample has.
pub const BYTES_MAX: usize = 1 << 20;

/// A value under its name, as bytes and with the decoder of its type.
pub struct Sample {
    /// Type, and what is particular of the value.
    pub name: &'static str,
    /// Its encoding.
    pub bytes: Vec<u8>,
    /// Decodes bytes as the type and encodes the result.
    pub reencode: fn(&[u8]) -> Result<Vec<u8>, DecodeError>,
}

fn sample<T: Encode + Decode<()>>(name: &'static str, value: &T) -> Sample {
    Sample { name, bytes: encode(value), reencode: |bytes| decode::<T>(bytes, BYTES_MAX).map(|value| encode(&value)) }
}

/// The secret key of seed `[index; 32]`.
pub fn key(index: u8) -> SecretKey {
    SecretKey::from_seed(&[index; 32])
}

/// The owner of key `index`.
pub fn owner(index: u8) -> Owner {
    Owner::from(&key(index).public())
}

/// A payment of two inputs of distinct owners and two outputs.
pub fn payment() -> Transaction {
    let input = |byte: u8, index| OutPoint { txid: Txid([byte; 32]), index };
    let output = |units, index| Output { amount: Amount(units), lock: Lock::Address(owner(index)) };
    let body = TransactionBody {
        inputs: vec![input(0xa1, 0), input(0xa2, 300)],
        outputs: vec![output(150_000_000, 3), output(4_999_000, 1)],
        memo: b"thanks".to_vec(),
    };
    Transaction::sign(body, &[&key(1), &key(2)], &GENESIS)
}

/// A transaction that makes a bond.
pub fn bonding() -> Transaction {
    let bond = Lock::Bond { validator: key(11).public(), owner: owner(1) };
    let body = TransactionBody {
        inputs: vec![OutPoint { txid: payment().txid(), index: 1 }],
        outputs: vec![Output { amount: Amount(100_000_000_000), lock: bond }],
        memo: vec![],
    };
    Transaction::sign(body, &[&key(1)], &GENESIS)
}

/// Keys 11 to 14, in order of the public key, which is their order in [`validators`].
pub fn validator_keys() -> Vec<SecretKey> {
    let mut keys: Vec<_> = (11..=14).map(key).collect();
    keys.sort_by_key(SecretKey::public);
    keys
}

/// The set of [`validator_keys`], with weights of 1,000, 2,000, 3,000 and 4,000 TIME.
pub fn validators() -> ValidatorSet {
    let member = |(thousands, key): (u64, &SecretKey)| Validator {
        key: key.public(),
        weight: Weight(thousands * 100_000_000_000),
        payout: Owner::from(&key.public()),
    };
    ValidatorSet::new((1..).zip(&validator_keys()).map(member).collect())
}

/// The commit of block `block` at height 4 by the last three validators.
pub fn commit(block: BlockHash) -> Commit {
    let precommit = |position: u16| {
        let key = &validator_keys()[usize::from(position)];
        let phase = BlockPhase::Precommit;
        let vote = BlockVote::sign(Epoch(1), Height(4), Round(0), phase, Some(block), key, &GENESIS);
        CommitSignature { validator: position, signature: vote.signature }
    };
    Commit { height: Height(4), round: Round(0), block, signatures: (1..4).map(precommit).collect() }
}

/// A seal of epoch 1 that lists the payment and another transaction.
pub fn seal(voter: &SecretKey) -> Seal {
    Seal::sign(Epoch(1), vec![payment().txid(), Txid([0xd1; 32])], voter, &GENESIS)
}

/// The closing of [`block`] by the last three validators: each listed the payment, as their bitmaps say.
pub fn closing() -> (Closing, Vec<Bitmap>) {
    let seal = |position: u16| {
        let seal = Seal::sign(Epoch(1), vec![payment().txid()], &validator_keys()[usize::from(position)], &GENESIS);
        SealSignature { validator: position, list: seal.list(), signature: seal.signature }
    };
    let evidence = vec![evidence()[0].clone()];
    (Closing { seals: (1..4).map(seal).collect(), evidence }, vec![[0].into_iter().collect(); 3])
}

/// A second payment of the first output that [`payment`] spends.
pub fn double_spend() -> Transaction {
    let payment = payment().body;
    let body = TransactionBody { inputs: payment.inputs[..1].to_vec(), memo: b"again".to_vec(), ..payment };
    Transaction::sign(body, &[&key(1)], &GENESIS)
}

/// Key 13 contradicts itself in each way that there is.
pub fn evidence() -> Vec<Evidence> {
    let voter = key(13);
    let votes = [None, Some(BlockHash([0xb5; 32]))].map(|block| block_vote(BlockPhase::Prevote, block));
    let precommits = [0xb6, 0xb5].map(|byte| block_vote(BlockPhase::Precommit, Some(BlockHash([byte; 32]))));
    let proposals = [None, Some(Round(1))].map(|valid_round| {
        let valid = valid_round.map(|round| (round, Vec::new()));
        Proposal::sign(Round(3), valid, compact_block(), &voter, &GENESIS)
    });
    let payments = |phase| {
        let other = VoteBatch::sign(Epoch(1), phase, vec![double_spend().txid()], &voter, &GENESIS);
        TwoPayments::of((&vote_batch(phase, &voter), &payment().body), (&other, &double_spend().body)).unwrap()
    };
    let seals = [seal(&voter), Seal::sign(Epoch(1), vec![], &voter, &GENESIS)];
    vec![
        Evidence::BlockVotes(TwoBlockVotes::of(&votes[0], &votes[1]).unwrap()),
        Evidence::BlockVotes(TwoBlockVotes::of(&precommits[0], &precommits[1]).unwrap()),
        Evidence::Proposals(TwoProposals::of(&proposals[0], &proposals[1]).unwrap()),
        Evidence::Payments(payments(Phase::Prepare)),
        Evidence::Payments(payments(Phase::Commit)),
        Evidence::Seals(TwoSeals::of(&seals[0], &seals[1]).unwrap()),
    ]
}

/// [`block`] as one that closes its epoch.
pub fn closing_block() -> Block {
    let (closing, listed) = closing();
    let block = block();
    Block { header: Header { closing: closing.hash(), ..block.header }, closing, listed, ..block }
}

/// A block at height 5 with two transactions.
pub fn block() -> Block {
    let transactions = vec![payment(), bonding()];
    let reward = Output { amount: Amount(10_000_002_000), lock: Lock::Address(owner(12)) };
    let coinbase = TransactionBody {
        inputs: vec![OutPoint { txid: Txid([0; 32]), index: u32::MAX }],
        outputs: vec![reward],
        memo: 5_u64.to_le_bytes().to_vec(),
    };
    let parent = BlockHash([0xb4; 32]);
    let parent_commit = commit(parent);
    let txids: Vec<_> = transactions.iter().map(Transaction::txid).collect();
    let header = Header {
        parent,
        height: Height(5),
        epoch: Epoch(1),
        time_ms: 1_767_225_600_000,
        proposer: key(12).public(),
        transactions_root: Block::transactions_root(&coinbase, &txids),
        utxo_set: Hash([0xc1; 32]),
        next_validators: validators().hash(),
        parent_commit: parent_commit.hash(),
        closing: Hash([0; 32]),
    };
    let (closing, listed) = (Closing::default(), Vec::new());
    Block { header, parent_commit: Some(parent_commit), coinbase, transactions, closing, listed }
}

/// [`block`] as it is proposed.
pub fn compact_block() -> CompactBlock {
    compact(block())
}

fn compact(block: Block) -> CompactBlock {
    let Block { header, parent_commit, coinbase, transactions, closing, .. } = block;
    let txids = transactions.iter().map(Transaction::txid).collect();
    CompactBlock { header, parent_commit, coinbase, txids, closing }
}

/// Votes of key `voter` for three transactions, the payment in the middle.
pub fn vote_batch(phase: Phase, voter: &SecretKey) -> VoteBatch {
    let txids = vec![Txid([0xd1; 32]), payment().txid(), Txid([0xd3; 32])];
    VoteBatch::sign(Epoch(1), phase, txids, voter, &GENESIS)
}

/// The prepare certificate of the payment by the last three validators.
pub fn certificate() -> Certificate {
    let txid = payment().txid();
    let vote = |key: &SecretKey| vote_batch(Phase::Prepare, key).cut_out(&txid).unwrap();
    let votes = validator_keys().iter().skip(1).map(vote).collect();
    Certificate { epoch: Epoch(1), phase: Phase::Prepare, txid, votes }
}

/// A prevote for nothing.
pub fn nil_prevote() -> BlockVote {
    block_vote(BlockPhase::Prevote, None)
}

/// A precommit for a block.
pub fn precommit() -> BlockVote {
    block_vote(BlockPhase::Precommit, Some(BlockHash([0xb5; 32])))
}

fn block_vote(phase: BlockPhase, block: Option<BlockHash>) -> BlockVote {
    BlockVote::sign(Epoch(1), Height(5), Round(2), phase, block, &key(13), &GENESIS)
}

/// A proposal of [`compact_block`].
pub fn proposal(round: u32, valid_round: Option<Round>) -> Proposal {
    Proposal::sign(Round(round), valid_round.map(|valid| (valid, Vec::new())), compact_block(), &key(12), &GENESIS)
}

/// An announcement of two addresses.
pub fn announcement() -> Announcement {
    let addresses = vec![vec![4, 127, 0, 0, 1, 6, 0x1f, 0x90], vec![]];
    Announcement::sign(vec![0x00, 0x24, 8, 1], addresses, 1_767_225_600_000, &key(14), &GENESIS)
}

/// One or more values of every type that crosses the network or is hashed.
pub fn samples() -> Vec<Sample> {
    let mut all = ledger_samples();
    all.extend(vote_samples());
    all.extend(block_samples());
    all.extend(message_samples());
    all
}

fn ledger_samples() -> Vec<Sample> {
    let unbonding = Output { amount: Amount(u64::MAX), lock: Lock::Unbonding(owner(4)) };
    vec![
        sample("OutPoint", &OutPoint { txid: Txid([0xa1; 32]), index: 300 }),
        sample("Output: address", &payment().body.outputs[0]),
        sample("Output: bond", &bonding().body.outputs[0]),
        sample("Output: unbonding", &unbonding),
        sample("Utxo", &Utxo { output: unbonding, height: 70_000, coinbase: true }),
        sample("TransactionBody", &payment().body),
        sample("Transaction: payment", &payment()),
        sample("Transaction: bond", &bonding()),
        sample("TransactionBatch", &TransactionBatch { transactions: vec![payment(), bonding()] }),
    ]
}

fn vote_samples() -> Vec<Sample> {
    let prepare = vote_batch(Phase::Prepare, &key(11));
    let commit = vote_batch(Phase::Commit, &key(12));
    vec![
        sample("VoteBatch: prepare", &prepare),
        sample("VoteBatch: commit", &commit),
        sample("MerklePath", &certificate().votes[0].path),
        sample("Certificate", &certificate()),
        sample("BlockVote: prevote nil", &nil_prevote()),
        sample("BlockVote: precommit", &precommit()),
        sample("Vote: finality", &Vote::Finality(Arc::new(prepare))),
        sample("Vote: block", &Vote::Block(precommit())),
        sample("Seal", &seal(&key(11))),
        sample("Vote: seal", &Vote::Seal(seal(&key(11)))),
        sample("Evidence: prevotes", &evidence()[0]),
        sample("Evidence: precommits", &evidence()[1]),
        sample("Evidence: proposals", &evidence()[2]),
        sample("Evidence: prepare votes", &evidence()[3]),
        sample("Evidence: commit votes", &evidence()[4]),
        sample("Evidence: seals", &evidence()[5]),
        sample("Vote: evidence", &Vote::Evidence(Arc::new(evidence()[3].clone()))),
        sample("VoteBundle", &VoteBundle { votes: vec![Vote::Block(precommit()), Vote::Block(nil_prevote())] }),
    ]
}

fn block_samples() -> Vec<Sample> {
    let hash = block().header.hash();
    vec![
        sample("Validator", &validators().members()[0]),
        sample("ValidatorSet", &validators()),
        sample("Header", &block().header),
        sample("Commit", &commit(hash)),
        sample("Block", &block()),
        sample("CompactBlock", &compact_block()),
        sample("Closing", &closing().0),
        sample("Block: closing", &closing_block()),
        sample("CompactBlock: closing", &compact(closing_block())),
        sample("CommittedBlock", &CommittedBlock { block: block(), commit: commit(hash) }),
        sample("Proposal: first", &proposal(0, None)),
        sample("Proposal: again", &proposal(3, Some(Round(1)))),
    ]
}

fn message_samples() -> Vec<Sample> {
    let txids = vec![Txid([0xd1; 32]), payment().txid()];
    let hash = block().header.hash();
    let opinions = vec![Opinion::Unknown, Opinion::Preferred, Opinion::Other(payment().txid()), Opinion::Invalid];
    let status = StatusResponse {
        tip: Height(4),
        hash: BlockHash([0xb4; 32]),
        epoch: Epoch(1),
        proposals: vec![proposal(0, None)],
        votes: vec![block_vote(BlockPhase::Prevote, Some(hash)), block_vote(BlockPhase::Precommit, None)],
        seals: vec![seal(&key(11)), seal(&key(12))],
        evidence: vec![evidence()[0].clone()],
        batches: vec![vote_batch(Phase::Prepare, &key(11)).into()],
    };
    let committed = CommittedBlock { block: block(), commit: commit(hash) };
    vec![
        sample("Announcement", &announcement()),
        sample("Query", &Query { epoch: Epoch(1), txids: txids.clone() }),
        sample("Answer", &Answer { opinions }),
        sample("TransactionsRequest", &TransactionsRequest { txids: txids.clone() }),
        sample("TransactionsResponse", &TransactionsResponse { transactions: vec![payment()] }),
        sample("CertificatesRequest", &CertificatesRequest { txids }),
        sample("CertificatesResponse", &CertificatesResponse { batches: vec![vote_batch(Phase::Commit, &key(11))] }),
        sample("BlocksRequest", &BlocksRequest { from: Height(250), count: 128 }),
        sample("BlocksResponse", &BlocksResponse { blocks: vec![committed] }),
        sample(
            "StatusRequest",
            &StatusRequest {
                tip: Height(4),
                round: Round(0),
                seals: [0, 9].into_iter().collect(),
                evidence: [3].into_iter().collect(),
                voter: Some(key(1).public()),
            },
        ),
        sample("StatusResponse", &status),
    ]
}
