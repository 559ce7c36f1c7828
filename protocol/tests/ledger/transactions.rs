//! One test for each rule of a single transaction (`SPEC.md` L-1…L-6) and each way to break it.

use crate::support::{COIN, Chain, FEE, key, owner, pay};
use timecoin_protocol::amount::Amount;
use timecoin_protocol::bounds::{
    DUST_UNITS, FEE_UNITS_MIN, INPUTS_MAX, MEMO_BYTES_MAX, OUTPUTS_MAX, TRANSACTION_BYTES_MAX,
};
use timecoin_protocol::codec::encode;
use timecoin_protocol::hash::Txid;
use timecoin_protocol::ledger::{
    COINBASE_INPUT, HEIGHT_UNCOMMITTED, TransactionError, check_form, check_transfer, fee_min,
};
use timecoin_protocol::transaction::{OutPoint, Transaction, TransactionBody, Utxo};
use timecoin_protocol::validator::Height;

fn outpoint(n: u32) -> OutPoint {
    OutPoint { txid: Txid([7; 32]), index: n }
}

fn refusal(chain: &Chain, transaction: &Transaction) -> TransactionError {
    chain.check(transaction).unwrap_err()
}

/// L-1
#[test]
fn witnesses_do_not_change_the_txid() {
    let chain = Chain::new();
    let signed = chain.payment(0, 1);
    let mut forged = signed.clone();
    forged.witnesses[0].signature.0[0] ^= 1;
    assert_eq!(forged.txid(), signed.txid());
    let mut other = signed.body.clone();
    other.memo.push(0);
    assert_ne!(other.txid(), signed.txid());
}

#[test]
fn a_payment_is_valid_and_its_fee_and_size_are_known() {
    let chain = Chain::new();
    let payment = chain.payment(0, 1);
    let transfer = chain.check(&payment).unwrap();
    assert_eq!(transfer.txid, payment.txid());
    assert_eq!(transfer.fee, Amount(FEE));
    assert_eq!(transfer.bytes, encode(&payment).len());
    assert_eq!(transfer.spent, [(chain.coin(0), chain.utxos[&chain.coin(0)])]);
}

/// L-2
#[test]
fn a_transaction_without_inputs_is_refused() {
    let chain = Chain::new();
    let empty = chain.sign(&[], &[pay(1, COIN)], &[]);
    assert_eq!(check_form(&empty), Err(TransactionError::InputCount(0)));
}

/// L-2
#[test]
fn one_input_too_many_is_refused() {
    let chain = Chain::new();
    let inputs: Vec<_> = (0..=INPUTS_MAX as u32).map(outpoint).collect();
    let most = chain.sign(&inputs[1..], &[pay(1, COIN)], &[&key(0)]);
    assert_eq!(check_form(&most), Ok(()));
    let more = chain.sign(&inputs, &[pay(1, COIN)], &[&key(0)]);
    assert_eq!(check_form(&more), Err(TransactionError::InputCount(INPUTS_MAX + 1)));
}

/// L-2
#[test]
fn the_number_of_outputs_is_bounded() {
    let chain = Chain::new();
    let with = |count: usize| chain.sign(&[chain.coin(0)], &vec![pay(1, DUST_UNITS); count], &[&key(0)]);
    assert_eq!(refusal(&chain, &with(0)), TransactionError::OutputCount(0));
    assert!(chain.check(&with(OUTPUTS_MAX)).is_ok());
    assert_eq!(refusal(&chain, &with(OUTPUTS_MAX + 1)), TransactionError::OutputCount(OUTPUTS_MAX + 1));
}

/// L-2
#[test]
fn a_memo_longer_than_its_bound_is_refused() {
    let chain = Chain::new();
    let with = |bytes: usize| {
        let body =
            TransactionBody { inputs: vec![chain.coin(0)], outputs: vec![pay(1, COIN - FEE)], memo: vec![b'm'; bytes] };
        Transaction::sign(body, &[&key(0)], &chain.genesis.hash())
    };
    assert!(chain.check(&with(MEMO_BYTES_MAX)).is_ok());
    assert_eq!(refusal(&chain, &with(MEMO_BYTES_MAX + 1)), TransactionError::MemoTooLong(MEMO_BYTES_MAX + 1));
}

/// L-2
#[test]
fn a_transaction_larger_than_its_bound_is_refused() {
    let chain = Chain::new();
    let inputs: Vec<_> = (0..INPUTS_MAX as u32).map(outpoint).collect();
    let outputs = vec![pay(1, COIN); OUTPUTS_MAX];
    let keys: Vec<_> = (0..16).map(key).collect();
    let large = chain.sign(&inputs, &outputs, &keys.iter().collect::<Vec<_>>());
    let bytes = encode(&large).len();
    assert!(bytes > TRANSACTION_BYTES_MAX);
    assert_eq!(check_form(&large), Err(TransactionError::TooLong(bytes)));
}

/// L-2
#[test]
fn the_input_of_a_coinbase_is_refused() {
    let chain = Chain::new();
    let forged = chain.sign(&[chain.coin(0), COINBASE_INPUT], &[pay(1, COIN)], &[&key(0)]);
    assert_eq!(refusal(&chain, &forged), TransactionError::CoinbaseInput { input: 1 });
}

/// L-2
#[test]
fn spending_an_output_twice_in_one_transaction_is_refused() {
    let chain = Chain::new();
    let inputs = [chain.coin(0), chain.coin(1), chain.coin(0)];
    let twice = chain.sign(&inputs, &[pay(1, 3 * COIN - FEE)], &[&key(0), &key(1)]);
    assert_eq!(refusal(&chain, &twice), TransactionError::RepeatedInput(chain.coin(0)));
}

/// L-3
#[test]
fn outputs_that_overflow_together_are_refused() {
    let chain = Chain::new();
    let huge = chain.sign(&[chain.coin(0)], &[pay(1, u64::MAX), pay(1, DUST_UNITS)], &[&key(0)]);
    assert_eq!(refusal(&chain, &huge), TransactionError::AmountOverflow);
}

/// L-3
#[test]
fn inputs_that_overflow_together_are_refused() {
    let mut chain = Chain::new();
    chain.utxos.insert(outpoint(0), Utxo { output: pay(0, u64::MAX), height: 0, coinbase: false });
    let huge = chain.sign(&[chain.coin(0), outpoint(0)], &[pay(1, COIN)], &[&key(0)]);
    assert_eq!(refusal(&chain, &huge), TransactionError::AmountOverflow);
}

/// L-4
#[test]
fn dust_is_refused() {
    let chain = Chain::new();
    let with = |units| chain.sign(&[chain.coin(0)], &[pay(1, COIN / 2), pay(1, units)], &[&key(0)]);
    assert!(chain.check(&with(DUST_UNITS)).is_ok());
    let error = TransactionError::Dust { output: 1, found: DUST_UNITS - 1 };
    assert_eq!(refusal(&chain, &with(DUST_UNITS - 1)), error);
}

/// L-5
#[test]
fn spending_more_than_there_is_is_refused() {
    let chain = Chain::new();
    let greedy = chain.sign(&[chain.coin(0)], &[pay(1, COIN + 1)], &[&key(0)]);
    let error = TransactionError::OutputsAboveInputs { inputs: Amount(COIN), outputs: Amount(COIN + 1) };
    assert_eq!(refusal(&chain, &greedy), error);
}

/// L-5
#[test]
fn a_small_transaction_pays_the_flat_fee() {
    let chain = Chain::new();
    let with = |fee: u64| chain.sign(&[chain.coin(0)], &[pay(1, COIN - fee)], &[&key(0)]);
    assert!(chain.check(&with(FEE_UNITS_MIN)).is_ok());
    let cheap = with(FEE_UNITS_MIN - 1);
    let bytes = encode(&cheap).len();
    let error = TransactionError::FeeTooLow { found: Amount(FEE_UNITS_MIN - 1), needed: Amount(FEE_UNITS_MIN), bytes };
    assert_eq!(refusal(&chain, &cheap), error);
}

/// L-5
#[test]
fn a_large_transaction_pays_for_its_bytes() {
    let chain = Chain::new();
    let with = |fee: u64| {
        let mut outputs = vec![pay(1, DUST_UNITS); 99];
        outputs.push(pay(2, COIN - 99 * DUST_UNITS - fee));
        chain.sign(&[chain.coin(0)], &outputs, &[&key(0)])
    };
    let bytes = encode(&with(FEE)).len();
    assert!(bytes as u64 > FEE_UNITS_MIN);
    assert_eq!(fee_min(bytes), Amount(bytes as u64));
    assert!(chain.check(&with(bytes as u64)).is_ok());
    let (found, needed) = (Amount(bytes as u64 - 1), Amount(bytes as u64));
    assert_eq!(refusal(&chain, &with(found.0)), TransactionError::FeeTooLow { found, needed, bytes });
}

/// L-6
#[test]
fn every_owner_must_sign_once() {
    let chain = Chain::new();
    let inputs = [chain.coin(0), chain.coin(1), chain.coin(2)];
    let outputs = [pay(3, 3 * COIN - FEE)];
    assert!(chain.check(&chain.sign(&inputs, &outputs, &[&key(0), &key(1), &key(2)])).is_ok());
    let missing = chain.sign(&inputs, &outputs, &[&key(0), &key(2)]);
    assert_eq!(refusal(&chain, &missing), TransactionError::WitnessMissing { input: 1, owner: owner(1) });
}

/// L-6
#[test]
fn one_signature_is_enough_for_all_inputs_of_an_owner() {
    let mut chain = Chain::new();
    chain.utxos.insert(outpoint(0), Utxo { output: pay(0, COIN), height: 0, coinbase: false });
    let both = chain.sign(&[chain.coin(0), outpoint(0)], &[pay(1, 2 * COIN - FEE)], &[&key(0)]);
    assert_eq!(chain.check(&both).unwrap().spent.len(), 2);
}

/// L-6
#[test]
fn a_signature_that_nobody_needs_is_refused() {
    let chain = Chain::new();
    let guest = chain.sign(&[chain.coin(0)], &[pay(1, COIN - FEE)], &[&key(0), &key(1)]);
    assert_eq!(refusal(&chain, &guest), TransactionError::WitnessSuperfluous(key(1).public()));
}

/// L-6
#[test]
fn witnesses_out_of_order_or_repeated_are_refused() {
    let chain = Chain::new();
    let good = chain.sign(&[chain.coin(0), chain.coin(1)], &[pay(2, 2 * COIN - FEE)], &[&key(0), &key(1)]);
    let mut swapped = good.clone();
    swapped.witnesses.reverse();
    assert_eq!(refusal(&chain, &swapped), TransactionError::WitnessOrder(swapped.witnesses[1].key));
    let mut repeated = good.clone();
    repeated.witnesses.insert(1, good.witnesses[0]);
    assert_eq!(refusal(&chain, &repeated), TransactionError::WitnessOrder(good.witnesses[0].key));
}

#[test]
fn money_that_is_final_but_not_in_a_block_can_be_spent() {
    let mut chain = Chain::new();
    chain.utxos.get_mut(&chain.coin(0)).unwrap().height = HEIGHT_UNCOMMITTED;
    assert!(chain.check(&chain.payment(0, 1)).is_ok());
}

#[test]
fn an_unknown_input_is_named() {
    let chain = Chain::new();
    let orphan = chain.sign(&[chain.coin(0), outpoint(9)], &[pay(1, COIN)], &[&key(0)]);
    assert_eq!(refusal(&chain, &orphan), TransactionError::MissingInput(outpoint(9)));
}

#[test]
fn a_failure_of_storage_is_not_blamed_on_the_transaction() {
    let chain = Chain::new();
    let failed = check_transfer(&chain.payment(0, 1), Height(1), 0, |_| Err(timecoin_protocol::ledger::Unavailable));
    assert_eq!(failed, Err(timecoin_protocol::ledger::Unavailable));
}

#[test]
fn refusals_say_what_was_found_and_what_is_needed() {
    let error = TransactionError::FeeTooLow { found: Amount(999), needed: Amount(1_000), bytes: 200 };
    assert_eq!(error.to_string(), "the fee is 999 units, at least 1000 are needed for 200 bytes");
    let error = TransactionError::Dust { output: 2, found: 545 };
    assert_eq!(error.to_string(), "output 2 holds 545 units, at least 546 are needed");
    assert_eq!(error.code(), "dust");
    let error = TransactionError::InputCount(300);
    assert_eq!(error.to_string(), "300 inputs; there must be 1 to 256");
}
