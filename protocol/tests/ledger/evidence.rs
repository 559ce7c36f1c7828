//! Evidence in closing blocks: whom it takes the vote, and which is refused. Rules, E-6.

use crate::support::{BOND, Chain, FEE, VALIDATORS, genesis, key, unbonding, validator_key};
use std::sync::Arc;
use timecoin_protocol::block::evidence::TwoBlockVotes;
use timecoin_protocol::block::{Block, BlockPhase, BlockVote, Evidence, EvidenceError, EvidenceKind};
use timecoin_protocol::bounds::{CLOSING_EVIDENCE_BYTES_MAX, CLOSING_EVIDENCE_MAX};
use timecoin_protocol::codec::{decode, encode};
use timecoin_protocol::finality::Seal;
use timecoin_protocol::hash::BlockHash;
use timecoin_protocol::keys::SecretKey;
use timecoin_protocol::ledger::{BlockError, ChainState, ClosingError, Offender};
use timecoin_protocol::validator::{Epoch, Height, Round};

/// A chain whose next block closes the first epoch, and takes this evidence along.
fn sealing(evidence: Vec<Evidence>) -> Chain {
    let mut genesis = genesis();
    genesis.params.epoch_blocks = 4;
    let mut chain = Chain::of(genesis);
    (0..3).for_each(|_| _ = chain.grow(&[]));
    chain.seals = seals(&chain);
    chain.evidence = evidence.into_iter().map(Arc::new).collect();
    chain
}

fn seals(chain: &Chain) -> Vec<Arc<Seal>> {
    let keys = (0..VALIDATORS).map(validator_key);
    keys.map(|key| Arc::new(Seal::sign(chain.state.epoch, vec![], &key, &chain.genesis.hash()))).collect()
}

/// Ordinary blocks, and one that closes the epoch.
fn next_epoch(chain: &mut Chain) {
    while !chain.state.is_sealing(&chain.genesis.params) {
        chain.grow(&[]);
    }
    chain.seals = seals(chain);
    chain.grow(&[]);
    chain.seals.clear();
}

/// Two prevotes at height 1; the ledger does not look at signatures.
fn double_prevote(who: &SecretKey, byte: u8) -> Evidence {
    let hash = genesis().hash();
    let vote =
        |block| BlockVote::sign(Epoch(0), Height(1), Round(u32::from(byte)), BlockPhase::Prevote, block, who, &hash);
    Evidence::BlockVotes(TwoBlockVotes::of(&vote(None), &vote(Some(BlockHash([byte; 32])))).unwrap())
}

/// What is said of the closing block after a change to it.
fn refusal(evidence: Vec<Evidence>, change: impl FnOnce(&mut Block)) -> BlockError {
    let chain = sealing(evidence);
    let (mut block, _) = chain.build(&[]);
    assert!(chain.judge(&block).is_ok());
    change(&mut block);
    block.header.closing = block.closing.hash();
    // All the rest is as if the evidence were good.
    if let Err(BlockError::NextValidators { expected, .. }) = chain.judge(&block) {
        block.header.next_validators = expected;
    }
    chain.judge(&block).unwrap_err()
}

fn in_order() -> Vec<Evidence> {
    let mut both = [0, 1].map(|n| double_prevote(&validator_key(n), 1)).to_vec();
    both.sort_by_key(Evidence::offender);
    both
}

#[test]
fn evidence_takes_the_offender_the_vote_from_the_next_epoch_on_x_7() {
    let offender = validator_key(0).public();
    let mut chain = sealing(vec![double_prevote(&validator_key(0), 1)]);
    let (block, delta) = chain.build(&[]);
    assert_eq!(chain.judge(&block), Ok(delta.clone()));
    assert_eq!(block.header.next_validators, delta.state.validators.hash(), "the header says so");
    let expected = Offender { kind: EvidenceKind::DoublePrevote, height: Height(4) };
    assert_eq!(delta.state.offenders.get(&offender), Some(&expected));
    assert!(chain.state.validators.index_of(&offender).is_some(), "it votes to the end of the epoch");
    chain.advance(&delta);
    chain.evidence.clear();
    for _ in 0..3 {
        let state = &chain.state;
        for set in [&state.validators, &state.next_validators, &state.set_of_next_epoch()] {
            assert_eq!(set.index_of(&offender), None, "epoch {}", state.epoch);
            assert_eq!(set.len(), usize::from(VALIDATORS) - 1);
        }
        next_epoch(&mut chain);
    }
}

/// A checkpoint is the state in its encoding: after a restart the offender is still one.
#[test]
fn a_checkpoint_keeps_the_offenders_x_7() {
    let mut chain = sealing(vec![double_prevote(&validator_key(0), 1)]);
    chain.grow(&[]);
    let bytes = encode(&chain.state);
    assert_eq!(decode::<ChainState>(&bytes, bytes.len()).as_ref(), Ok(&chain.state));
    assert!(!chain.state.offenders.is_empty());
}

#[test]
fn an_offender_can_withdraw_its_bond_x_7() {
    let mut chain = sealing(vec![double_prevote(&validator_key(0), 1)]);
    chain.grow(&[]);
    (chain.evidence, chain.seals) = (vec![], vec![]);
    let leave = chain.sign(&[chain.bond(0)], &[unbonding(100, BOND - FEE)], &[&key(100)]);
    chain.grow(&[leave]);
    assert_eq!(chain.state.bonds.len(), usize::from(VALIDATORS) - 1);
}

#[test]
fn the_last_validators_keep_their_vote_whatever_they_did_e_6() {
    let all: Vec<_> = (0..VALIDATORS).map(|n| double_prevote(&validator_key(n), 1)).collect();
    let mut chain = sealing(all);
    let before = Arc::clone(&chain.state.validators);
    let (block, _) = chain.build(&[]);
    assert_eq!(block.closing.evidence.len(), usize::from(VALIDATORS));
    chain.grow(&[]);
    chain.evidence.clear();
    (0..2).for_each(|_| next_epoch(&mut chain));
    assert_eq!(chain.state.validators, before);
    assert_eq!(chain.state.offenders.len(), usize::from(VALIDATORS));
}

#[test]
fn an_ordinary_block_with_evidence_is_refused_x_6() {
    let mut chain = sealing(vec![double_prevote(&validator_key(0), 1)]);
    chain.seals.clear();
    let (mut block, _) = chain.build(&[]);
    assert!(block.closing.is_empty(), "nobody builds such a block");
    block.closing.evidence = vec![double_prevote(&validator_key(0), 1)];
    assert!(!block.closing.is_empty() && !block.closing.closes());
    block.header.closing = block.closing.hash();
    assert_eq!(chain.judge(&block), Err(BlockError::Closing(ClosingError::EvidenceWithoutSeals)));
}

#[test]
fn the_header_commits_to_the_evidence_x_6() {
    let chain = sealing(vec![double_prevote(&validator_key(0), 1)]);
    let (mut block, _) = chain.build(&[]);
    block.closing.evidence.clear();
    assert!(matches!(chain.judge(&block), Err(BlockError::ClosingHash { .. })));
    block.header.closing = block.closing.hash();
    assert!(matches!(chain.judge(&block), Err(BlockError::NextValidators { .. })), "nor can it be left out");
}

#[test]
fn evidence_that_proves_nothing_is_refused_x_6() {
    let error = refusal(in_order(), |block| {
        let Evidence::BlockVotes(votes) = &mut block.closing.evidence[0] else { panic!("two prevotes") };
        votes.sides.swap(0, 1);
    });
    let expected = ClosingError::Evidence(in_order()[0].offender(), EvidenceError::Order);
    assert_eq!(error, BlockError::Closing(expected));
}

#[test]
fn evidence_is_sorted_by_offender_each_once_x_6() {
    let swapped = refusal(in_order(), |block| block.closing.evidence.swap(0, 1));
    let twice = refusal(in_order(), |block| block.closing.evidence[1] = block.closing.evidence[0].clone());
    assert_eq!(swapped, BlockError::Closing(ClosingError::EvidenceOrder));
    assert_eq!(twice, BlockError::Closing(ClosingError::EvidenceOrder));
}

#[test]
fn only_a_validator_with_a_vote_to_lose_can_be_accused_x_6() {
    let stranger = SecretKey::from_seed(&[0xee; 32]);
    let error = refusal(vec![], |block| block.closing.evidence = vec![double_prevote(&stranger, 1)]);
    assert_eq!(error, BlockError::Closing(ClosingError::NotAccusable(stranger.public())));

    let mut chain = sealing(vec![double_prevote(&validator_key(0), 1)]);
    chain.grow(&[]);
    next_epoch(&mut chain);
    chain.evidence = vec![Arc::new(double_prevote(&validator_key(0), 2)), Arc::new(double_prevote(&stranger, 1))];
    while !chain.state.is_sealing(&chain.genesis.params) {
        chain.grow(&[]);
    }
    chain.seals = seals(&chain);
    let (block, _) = chain.build(&[]);
    assert!(block.closing.closes() && block.closing.evidence.is_empty(), "nobody includes it again");
    assert_eq!(chain.state.offenders.values().map(|offender| offender.height).collect::<Vec<_>>(), [Height(4)]);
}

#[test]
fn a_block_has_a_bounded_number_and_size_of_evidence_x_6() {
    let many: Vec<Evidence> = (0..300_u16)
        .map(|n| {
            let mut seed = [0xdd; 32];
            seed[..2].copy_from_slice(&n.to_le_bytes());
            double_prevote(&SecretKey::from_seed(&seed), 1)
        })
        .collect();
    let count = refusal(vec![], |block| block.closing.evidence = many[..=CLOSING_EVIDENCE_MAX].to_vec());
    assert_eq!(count, BlockError::Closing(ClosingError::EvidenceCount(CLOSING_EVIDENCE_MAX + 1)));
    let large = large_evidence();
    let bytes = large.bytes() * 3;
    assert!(bytes > CLOSING_EVIDENCE_BYTES_MAX);
    let error = refusal(vec![], |block| block.closing.evidence = vec![large; 3]);
    assert_eq!(error, BlockError::Closing(ClosingError::EvidenceBytes(bytes)));
}

/// Votes for two payments with memos that no transaction could have.
fn large_evidence() -> Evidence {
    use timecoin_protocol::block::evidence::{PaymentSide, TwoPayments};
    use timecoin_protocol::finality::{Phase, VoteBatch};
    let (voter, chain) = (validator_key(0), Chain::new());
    let mut body = chain.payment(0, 1).body;
    body.memo = vec![0; 14_000];
    let batch = VoteBatch::sign(Epoch(0), Phase::Prepare, vec![body.txid()], &voter, &chain.genesis.hash());
    let path = batch.cut_out(&body.txid()).unwrap().path;
    let side = PaymentSide { body, path, signature: batch.signature };
    let sides = [side.clone(), side];
    Evidence::Payments(TwoPayments { voter: voter.public(), epoch: Epoch(0), phase: Phase::Prepare, sides })
}
