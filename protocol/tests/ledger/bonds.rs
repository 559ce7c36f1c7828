//! How a validator comes and goes (`SPEC.md` L-7…L-9).

use crate::support::{BOND, COIN, Chain, FEE, UNBONDING_BLOCKS, bond, key, pay, unbonding, validator_key};
use timecoin_protocol::bounds::BOND_UNITS_MIN;
use timecoin_protocol::hash::Txid;
use timecoin_protocol::ledger::{HEIGHT_UNCOMMITTED, TransactionError, check_transfer};
use timecoin_protocol::transaction::{OutPoint, Transaction, Utxo};
use timecoin_protocol::validator::Height;

fn outpoint(n: u32) -> OutPoint {
    OutPoint { txid: Txid([7; 32]), index: n }
}

fn refusal(chain: &Chain, transaction: &Transaction) -> TransactionError {
    chain.check(transaction).unwrap_err()
}

/// Gives `key(0)` enough for two bonds, at `outpoint(0)`.
fn bonded(chain: &mut Chain) {
    let rich = Utxo { output: pay(0, 2 * BOND + COIN), height: 0, coinbase: false };
    chain.utxos.insert(outpoint(0), rich);
}

/// L-7
#[test]
fn nobody_bonds_for_a_validator_that_does_not_agree() {
    let mut chain = Chain::new();
    bonded(&mut chain);
    let validator = validator_key(9);
    let outputs = [pay(0, COIN - FEE), bond(0, validator.public(), 2 * BOND)];
    let hijack = chain.sign(&[outpoint(0)], &outputs, &[&key(0)]);
    let error = TransactionError::ValidatorWitnessMissing { output: 1, validator: validator.public() };
    assert_eq!(refusal(&chain, &hijack), error);
    let agreed = chain.sign(&[outpoint(0)], &outputs, &[&key(0), &validator]);
    assert!(chain.check(&agreed).is_ok());
}

/// L-7
#[test]
fn an_owner_may_be_its_own_validator() {
    let mut chain = Chain::new();
    bonded(&mut chain);
    let outputs = [pay(0, COIN - FEE), bond(0, key(0).public(), 2 * BOND)];
    assert!(chain.check(&chain.sign(&[outpoint(0)], &outputs, &[&key(0)])).is_ok());
}

/// L-8
#[test]
fn a_bond_below_the_lowest_tier_is_refused() {
    let mut chain = Chain::new();
    bonded(&mut chain);
    let validator = validator_key(9);
    let with = |units| chain.sign(&[outpoint(0)], &[bond(0, validator.public(), units)], &[&key(0), &validator]);
    assert!(chain.check(&with(BOND_UNITS_MIN)).is_ok());
    let error = TransactionError::BondTooSmall { output: 0, found: BOND_UNITS_MIN - 1 };
    assert_eq!(refusal(&chain, &with(BOND_UNITS_MIN - 1)), error);
}

/// L-9
#[test]
fn a_bond_becomes_unbonding_outputs() {
    let chain = Chain::new();
    let outputs = [unbonding(100, BOND), unbonding(5, 2 * BOND - FEE)];
    let leave = chain.sign(&[chain.bond(0), chain.bond(1)], &outputs, &[&key(100), &key(101)]);
    assert!(chain.check(&leave).is_ok());
}

/// L-9
#[test]
fn a_bond_becomes_nothing_but_unbonding_outputs() {
    let chain = Chain::new();
    let with = |output| chain.sign(&[chain.bond(1)], &[unbonding(101, BOND / 2), output], &[&key(101)]);
    for wrong in [pay(100, BOND / 2), bond(101, key(101).public(), BOND)] {
        assert_eq!(refusal(&chain, &with(wrong)), TransactionError::WithdrawalOutput { output: 1 });
    }
}

/// L-9
#[test]
fn a_bond_is_not_spent_along_with_other_money() {
    let chain = Chain::new();
    let mixed = chain.sign(&[chain.bond(0), chain.coin(0)], &[unbonding(100, BOND)], &[&key(100), &key(0)]);
    assert_eq!(refusal(&chain, &mixed), TransactionError::WithdrawalInput { input: 1 });
}

/// L-9
#[test]
fn only_a_withdrawal_makes_unbonding_outputs() {
    let chain = Chain::new();
    let odd = chain.sign(&[chain.coin(0)], &[pay(0, COIN / 2), unbonding(0, COIN / 4)], &[&key(0)]);
    assert_eq!(refusal(&chain, &odd), TransactionError::UnbondingWithoutBond { output: 1 });
}

fn unbonding_at(height: u64) -> (Chain, Transaction) {
    let mut chain = Chain::new();
    chain.utxos.insert(outpoint(0), Utxo { output: unbonding(0, COIN), height, coinbase: false });
    let spend = chain.sign(&[outpoint(0)], &[pay(0, COIN - FEE)], &[&key(0)]);
    (chain, spend)
}

/// L-9
#[test]
fn an_unbonding_output_waits() {
    let (chain, spend) = unbonding_at(10);
    let until = Height(10 + UNBONDING_BLOCKS);
    let next = Height(until.0 - 1);
    assert_eq!(chain.check_at(&spend, next), Err(TransactionError::Unbonding { input: 0, until, next }));
    assert!(chain.check_at(&spend, until).is_ok());
}

/// L-9
#[test]
fn an_unbonding_output_waits_until_it_is_in_a_block() {
    let error = Err(TransactionError::UnbondingUncommitted { input: 0 });
    for next in [1, 100, u64::MAX] {
        let (chain, spend) = unbonding_at(HEIGHT_UNCOMMITTED);
        assert_eq!(chain.check_at(&spend, Height(next)), error);
    }
    let (chain, spend) = unbonding_at(10);
    let same_block = check_transfer(&spend, Height(10), 0, |outpoint| Ok(chain.utxos.get(outpoint).copied()));
    assert_eq!(same_block.unwrap(), error, "even if the unbonding time is zero");
}

/// L-9
#[test]
fn an_unbonding_time_beyond_all_heights_does_not_overflow() {
    let (chain, spend) = unbonding_at(10);
    let checked = check_transfer(&spend, Height(11), u64::MAX, |outpoint| Ok(chain.utxos.get(outpoint).copied()));
    let until = Height(u64::MAX);
    assert_eq!(checked.unwrap(), Err(TransactionError::Unbonding { input: 0, until, next: Height(11) }));
}

/// L-9
#[test]
fn an_unbonding_output_cannot_be_spent_in_the_block_that_makes_it() {
    let mut genesis = crate::support::genesis();
    genesis.params.unbonding_blocks = 0;
    let mut chain = Chain::of(genesis);
    let leave = chain.sign(&[chain.bond(0)], &[unbonding(1, BOND - FEE)], &[&key(100)]);
    let left = OutPoint { txid: leave.txid(), index: 0 };
    let spend = chain.sign(&[left], &[pay(2, BOND - 2 * FEE)], &[&key(1)]);
    assert_eq!(chain.build(&[leave.clone(), spend.clone()]).0.transactions.len(), 1);
    chain.grow(&[leave]);
    assert!(chain.check(&spend).is_ok());
}

/// L-9
#[test]
fn collateral_comes_back_after_the_unbonding_time() {
    let mut chain = Chain::new();
    let leave = chain.sign(&[chain.bond(0)], &[unbonding(1, BOND - FEE)], &[&key(100)]);
    let left = OutPoint { txid: leave.txid(), index: 0 };
    let spend = chain.sign(&[left], &[pay(2, BOND - 2 * FEE)], &[&key(1)]);
    chain.grow(&[leave]);
    for _ in 1..UNBONDING_BLOCKS {
        assert_eq!(chain.grow(std::slice::from_ref(&spend)).txids, []);
    }
    assert_eq!(chain.grow(std::slice::from_ref(&spend)).txids, [spend.txid()]);
}
