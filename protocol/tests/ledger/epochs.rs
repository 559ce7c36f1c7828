//! Epochs in the ledger: which block may close one, and who votes in the next ones. Rules: B-5, B-6, E-1, E-5, E-6.

use crate::support::{BOND, Chain, FEE, VALIDATORS, bond, genesis, key, pay, unbonding, validator_key};
use std::collections::BTreeSet;
use std::sync::Arc;
use timecoin_protocol::block::{Block, CommitError, EvidenceKind};
use timecoin_protocol::finality::Seal;
use timecoin_protocol::genesis::GenesisError;
use timecoin_protocol::hash::Txid;
use timecoin_protocol::keys::{PublicKey, SecretKey};
use timecoin_protocol::ledger::{BlockError, ClosingError, Offender};
use timecoin_protocol::transaction::Transaction;
use timecoin_protocol::validator::{Epoch, Height};

/// Epochs of four blocks: the third ends them, the fourth may close them.
fn chain() -> Chain {
    let mut genesis = genesis();
    genesis.params.epoch_blocks = 4;
    genesis.outputs.push(pay(0, 2 * BOND));
    Chain::of(genesis)
}

/// A chain whose next block may close the first epoch.
fn sealing() -> Chain {
    let mut chain = chain();
    (0..3).for_each(|_| _ = chain.grow(&[]));
    chain
}

fn validator_keys(chain: &Chain) -> Vec<SecretKey> {
    let all: Vec<_> = (0..VALIDATORS + 1).map(validator_key).collect();
    let of = |public: PublicKey| all.iter().position(|key| key.public() == public).unwrap();
    chain.state.validators.members().iter().map(|member| validator_key(of(member.key) as u8)).collect()
}

/// Seals of all validators, each with these transactions.
fn seals(chain: &Chain, txids: &[Txid]) -> Vec<Arc<Seal>> {
    let seal = |key: SecretKey| Seal::sign(chain.state.epoch, txids.to_vec(), &key, &chain.genesis.hash());
    validator_keys(chain).into_iter().map(seal).map(Arc::new).collect()
}

/// Ordinary blocks until the epoch can be closed, then the block that closes it.
fn next_epoch(chain: &mut Chain, transactions: &[Transaction]) {
    let ended = chain.state.epoch;
    chain.grow(transactions);
    while !chain.state.is_sealing(&chain.genesis.params) {
        chain.grow(&[]);
    }
    chain.seals = seals(chain, &[]);
    chain.grow(&[]);
    chain.seals.clear();
    assert_eq!(chain.state.epoch, ended.next());
}

fn refusal(change: impl FnOnce(&mut Block)) -> BlockError {
    let mut chain = sealing();
    let listed = chain.payment(0, 1);
    chain.seals = seals(&chain, &[listed.txid()]);
    let (mut block, _) = chain.build(&[listed]);
    assert!(chain.judge(&block).is_ok());
    change(&mut block);
    block.header.closing = block.closing.hash();
    chain.judge(&block).unwrap_err()
}

#[test]
fn an_epoch_has_at_least_two_blocks_g_3() {
    let mut genesis = genesis();
    genesis.params.epoch_blocks = 1;
    assert_eq!(genesis.check(), Err(GenesisError::EpochTooShort(1)));
}

#[test]
fn seals_of_a_quorum_close_the_epoch_e_5() {
    let mut chain = sealing();
    chain.seals = seals(&chain, &[]);
    let (block, delta) = chain.build(&[]);
    assert!(block.closing.closes());
    assert_eq!(chain.judge(&block), Ok(delta.clone()));
    assert_eq!((delta.state.epoch, delta.state.epoch_start), (Epoch(1), Height(5)));
}

#[test]
fn without_seals_the_epoch_goes_on_e_1() {
    let mut chain = sealing();
    (0..5).for_each(|_| _ = chain.grow(&[]));
    assert_eq!((chain.state.epoch, chain.state.epoch_start), (Epoch(0), Height(1)));
    next_epoch(&mut chain, &[]);
    assert_eq!(chain.state.epoch_start, Height(11));
}

#[test]
fn an_epoch_is_not_closed_early_e_5() {
    let mut chain = chain();
    chain.grow(&[]);
    chain.grow(&[]);
    chain.seals = seals(&chain, &[]);
    assert!(!chain.build(&[]).0.closing.closes(), "nobody builds such a block");
    let mut ready = sealing();
    ready.seals = seals(&ready, &[]);
    let (donor, _) = ready.build(&[]);
    let (mut block, _) = chain.build(&[]);
    (block.closing, block.listed) = (donor.closing, donor.listed);
    block.header.closing = block.closing.hash();
    let early = BlockError::Closing(ClosingError::Early { first: Height(4) });
    assert_eq!(chain.judge(&block), Err(early));
}

#[test]
fn the_header_names_the_closing_e_5() {
    let mut chain = sealing();
    chain.seals = seals(&chain, &[]);
    let (mut block, _) = chain.build(&[]);
    block.closing.seals.pop();
    assert!(matches!(chain.judge(&block), Err(BlockError::ClosingHash { .. })));
}

#[test]
fn fewer_seals_than_a_quorum_close_nothing_e_5() {
    let mut chain = sealing();
    let all = seals(&chain, &[]);
    // The weights are 1, 2 and 3 bonds: the two lightest are no quorum.
    let heaviest = chain.state.validators.members().iter().max_by_key(|member| member.weight).unwrap().key;
    chain.seals = all.iter().filter(|seal| seal.voter != heaviest).cloned().collect();
    assert!(!chain.build(&[]).0.closing.closes());
    let error = refusal(|block| {
        block.closing.seals.truncate(1);
        block.listed.truncate(1);
    });
    assert!(matches!(error, BlockError::Closing(ClosingError::Seals(CommitError::NoQuorum { .. }))), "{error:?}");
}

#[test]
fn seals_are_in_order_and_of_distinct_validators_e_5() {
    let swapped = refusal(|block| {
        block.closing.seals.swap(0, 1);
        block.listed.swap(0, 1);
    });
    let twice = refusal(|block| block.closing.seals[1] = block.closing.seals[0].clone());
    let nobody = refusal(|block| block.closing.seals.last_mut().unwrap().validator = 77);
    assert_eq!(swapped, BlockError::Closing(ClosingError::Seals(CommitError::Order)));
    assert_eq!(twice, BlockError::Closing(ClosingError::Seals(CommitError::Order)));
    assert_eq!(nobody, BlockError::Closing(ClosingError::Seals(CommitError::NotValidator(77))));
}

#[test]
fn a_list_is_the_one_that_was_sealed_e_5() {
    let less = refusal(|block| block.listed[0] = [].into_iter().collect());
    let beyond = refusal(|block| block.listed[0] = [0, 1].into_iter().collect());
    let missing = refusal(|block| _ = block.listed.pop());
    assert!(matches!(less, BlockError::Closing(ClosingError::List(_))), "{less:?}");
    assert!(matches!(beyond, BlockError::Closing(ClosingError::List(_))), "{beyond:?}");
    assert!(matches!(missing, BlockError::Closing(ClosingError::ListCount { .. })), "{missing:?}");
    let superfluous = {
        let chain = sealing();
        let (mut block, _) = chain.build(&[]);
        block.listed.push([].into_iter().collect());
        chain.judge(&block).unwrap_err()
    };
    assert!(matches!(superfluous, BlockError::Closing(ClosingError::ListCount { lists: 1, seals: 0 })));
}

#[test]
fn the_lists_of_a_closing_block_have_a_bound_e_5() {
    let error = refusal(|block| block.listed[0] = [8 * 4 * 1024 * 1024].into_iter().collect());
    assert!(matches!(error, BlockError::Closing(ClosingError::ListBytes(_))), "{error:?}");
}

#[test]
fn what_is_listed_is_in_the_block_or_in_one_since_sealing_e_5() {
    let mut chain = sealing();
    let (first, second) = (chain.payment(0, 1), chain.payment(1, 2));
    chain.seals = seals(&chain, &[first.txid(), second.txid()]);
    let (block, delta) = chain.build(std::slice::from_ref(&first));
    assert!(!block.closing.closes(), "the second one is missing");
    assert_eq!(*delta.state.sealed_txids, [first.txid()]);
    chain.advance(&delta);
    let (block, delta) = chain.build(std::slice::from_ref(&second));
    assert!(block.closing.closes());
    assert_eq!(block.listed[0].numbers().collect::<Vec<_>>(), [0, 1], "those of the block come first");
    assert_eq!(chain.judge(&block), Ok(delta.clone()));
    assert!(delta.state.sealed_txids.is_empty());
}

#[test]
fn what_was_in_a_block_before_sealing_cannot_be_listed_e_5() {
    let mut chain = chain();
    let old = chain.payment(0, 1);
    chain.grow(std::slice::from_ref(&old));
    chain.grow(&[]);
    chain.grow(&[]);
    chain.seals = seals(&chain, &[old.txid()]);
    assert!(!chain.build(&[]).0.closing.closes());
}

/// The fourth validator's bond, made from the large coin of owner 0.
fn bonding(chain: &Chain) -> Transaction {
    let newcomer = validator_key(VALIDATORS);
    chain.sign(&[chain.bond(VALIDATORS)], &[bond(0, newcomer.public(), 2 * BOND - FEE)], &[&key(0), &newcomer])
}

#[test]
fn who_bonds_in_an_epoch_votes_from_the_one_after_the_next_e_6() {
    let mut chain = chain();
    let (newcomer, made) = (validator_key(VALIDATORS).public(), bonding(&chain));
    let members = |chain: &Chain| chain.state.validators.index_of(&newcomer).is_some();
    next_epoch(&mut chain, &[made]);
    assert!(!members(&chain) && chain.state.is_validator(&newcomer), "epoch 1");
    next_epoch(&mut chain, &[]);
    assert!(members(&chain), "epoch 2");
    assert_eq!(chain.state.validators.weight_of(&newcomer).0, 2 * BOND - FEE);
}

#[test]
fn who_withdraws_a_bond_votes_to_the_end_of_the_next_epoch_e_6() {
    let mut chain = chain();
    let leaver = validator_key(0).public();
    let leave = chain.sign(&[chain.bond(0)], &[unbonding(100, BOND - FEE)], &[&key(100)]);
    let before = chain.state.validators.weight_of(&leaver);
    next_epoch(&mut chain, &[leave]);
    assert_eq!(chain.state.validators.weight_of(&leaver), before);
    next_epoch(&mut chain, &[]);
    assert_eq!(chain.state.validators.weight_of(&leaver).0, 0);
    assert_eq!(chain.state.validators.len(), usize::from(VALIDATORS) - 1);
}

#[test]
fn the_header_of_a_closing_block_names_the_set_of_the_next_epoch_b_5() {
    let mut chain = chain();
    let made = bonding(&chain);
    next_epoch(&mut chain, &[made]);
    (0..3).for_each(|_| _ = chain.grow(&[]));
    let (ordinary, _) = chain.build(&[]);
    chain.seals = seals(&chain, &[]);
    let (mut closing, delta) = chain.build(&[]);
    assert_eq!(ordinary.header.next_validators, chain.state.validators.hash());
    assert_eq!(closing.header.next_validators, delta.state.validators.hash());
    assert_ne!(ordinary.header.next_validators, closing.header.next_validators);
    closing.header.next_validators = ordinary.header.next_validators;
    assert!(matches!(chain.judge(&closing), Err(BlockError::NextValidators { .. })));
}

#[test]
fn the_first_block_of_an_epoch_pays_those_who_decided_the_last_of_the_old_one_b_6() {
    let mut chain = chain();
    let made = bonding(&chain);
    next_epoch(&mut chain, &[made]);
    let old = Arc::clone(&chain.state.validators);
    next_epoch(&mut chain, &[]);
    assert_ne!(chain.state.validators, old);
    assert_eq!((chain.state.signers.epoch, &chain.state.signers.validators), (Epoch(1), &old));
    let (block, _) = chain.build_with(&[], &[0, 2]);
    let paid: BTreeSet<_> = block.coinbase.outputs.iter().map(|output| *output.lock.owner()).collect();
    let due: BTreeSet<_> = [0, 2].map(|index| old.at(index).unwrap().payout).into_iter().collect();
    assert_eq!(paid, due);
}

#[test]
fn without_any_bond_the_last_validators_stay_e_6() {
    let mut chain = chain();
    let leave: Vec<_> = (0..VALIDATORS)
        .map(|n| {
            let units = BOND * (u64::from(n) + 1) - FEE;
            chain.sign(&[chain.bond(n)], &[unbonding(100 + n, units)], &[&key(100 + n)])
        })
        .collect();
    let before = Arc::clone(&chain.state.validators);
    next_epoch(&mut chain, &leave);
    assert!(chain.state.bonds.is_empty());
    (0..2).for_each(|_| next_epoch(&mut chain, &[]));
    assert_eq!(chain.state.validators, before);
}

/// Why and when somebody lost its vote.
const EARLIER: Offender = Offender { kind: EvidenceKind::DoublePrevote, height: Height(0) };

#[test]
fn an_offender_has_no_vote_from_the_next_epoch_on_e_6() {
    let mut chain = chain();
    let offender = validator_key(0).public();
    chain.state.offenders = Arc::new([(offender, EARLIER)].into_iter().collect());
    for _ in 0..3 {
        next_epoch(&mut chain, &[]);
        assert_eq!(chain.state.validators.weight_of(&offender).0, 0, "epoch {}", chain.state.epoch);
        assert_eq!(chain.state.validators.len(), usize::from(VALIDATORS) - 1);
    }
}

#[test]
fn offenders_keep_their_vote_if_nobody_else_is_left_e_6() {
    let mut chain = chain();
    let before = Arc::clone(&chain.state.validators);
    chain.state.offenders = Arc::new((0..VALIDATORS).map(|n| (validator_key(n).public(), EARLIER)).collect());
    (0..3).for_each(|_| next_epoch(&mut chain, &[]));
    assert_eq!(chain.state.validators, before);
}
