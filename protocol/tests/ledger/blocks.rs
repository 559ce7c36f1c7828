//! One test for each rule of a block (`SPEC.md` B-4, B-6, B-7, B-9) and each way to break it.

use crate::support::{COIN, Chain, FEE, key, pay, refusal_of_third, rewards, third};
use std::sync::Arc;
use timecoin_protocol::address::Owner;
use timecoin_protocol::amount::Amount;
use timecoin_protocol::bounds::{BLOCK_BYTES_MAX, BLOCK_TRANSACTIONS_MAX};
use timecoin_protocol::codec::{decode, encode, encoded_len};
use timecoin_protocol::hash::Txid;
use timecoin_protocol::keys::Signature;
use timecoin_protocol::ledger::{
    BlockError, BlockParts, ChainState, TransactionError, Unavailable, UtxoSet, apply_block, build_block,
};
use timecoin_protocol::transaction::{Lock, OutPoint, Output, Transaction, TransactionBody, Utxo, Witness};

/// B-7
#[test]
fn a_block_moves_money_and_pays_the_validators() {
    let mut chain = Chain::new();
    let (before, count) = (chain.total(), chain.state.utxo_count);
    let payment = chain.payment(0, 1);
    let delta = chain.grow(std::slice::from_ref(&payment));
    assert_eq!(delta.txids, [payment.txid()]);
    assert_eq!(delta.fees.units(), FEE);
    assert_eq!(delta.spent.len(), 1);
    assert_eq!(delta.created.len(), 1 + 3, "a payment and three rewards");
    let paid = OutPoint { txid: payment.txid(), index: 0 };
    assert_eq!(chain.utxos[&paid], Utxo { output: pay(1, COIN - FEE), height: 1, coinbase: false });
    assert_eq!(chain.state.utxo_count, count + 3);
    assert_eq!(chain.state.supply.units(), before.units() + crate::support::REWARD);
    assert_eq!(chain.state.supply, chain.total());
    assert_eq!(chain.state.utxo_set, chain.utxo_set_from_scratch());
}

/// B-7
#[test]
fn outputs_made_and_spent_by_one_block_never_touch_the_utxo_set() {
    let mut chain = Chain::new();
    let parent = chain.payment(0, 1);
    let middle = OutPoint { txid: parent.txid(), index: 0 };
    let child = chain.sign(&[middle], &[pay(2, COIN - 2 * FEE)], &[&key(1)]);
    let delta = chain.grow(&[parent, child.clone()]);
    assert_eq!(delta.ephemeral, [(middle, Utxo { output: pay(1, COIN - FEE), height: 1, coinbase: false })]);
    assert!(delta.created.iter().all(|(outpoint, _)| *outpoint != middle));
    assert!(delta.spent.iter().all(|(outpoint, _)| *outpoint != middle));
    assert_eq!(delta.created[0].0.txid, child.txid());
    assert_eq!(chain.state.utxo_set, chain.utxo_set_from_scratch());
    assert_eq!(chain.state.utxo_count, chain.utxos.len() as u64);
}

/// B-7
#[test]
fn a_child_before_its_parent_makes_a_block_invalid() {
    let chain = Chain::new();
    let parent = chain.payment(0, 1);
    let middle = OutPoint { txid: parent.txid(), index: 0 };
    let child = chain.sign(&[middle], &[pay(2, COIN - 2 * FEE)], &[&key(1)]);
    let (mut block, _) = chain.build(&[parent, child.clone()]);
    block.transactions.reverse();
    let error = BlockError::Transaction { txid: child.txid(), error: TransactionError::MissingInput(middle) };
    assert_eq!(chain.judge(&block), Err(error));
}

/// B-7
#[test]
fn a_double_spend_inside_a_block_names_both_transactions() {
    let chain = Chain::new();
    let (first, second) = (chain.payment(0, 1), chain.payment(0, 2));
    let (mut block, _) = chain.build(std::slice::from_ref(&first));
    block.transactions.push(second.clone());
    let error = BlockError::DoubleSpend { txid: second.txid(), outpoint: chain.coin(0), by: first.txid() };
    assert_eq!(chain.judge(&block), Err(error));
}

/// B-7
#[test]
fn a_transaction_twice_in_a_block_is_a_double_spend() {
    let chain = Chain::new();
    let payment = chain.payment(0, 1);
    let (mut block, _) = chain.build(std::slice::from_ref(&payment));
    block.transactions.push(payment.clone());
    let error = BlockError::DoubleSpend { txid: payment.txid(), outpoint: chain.coin(0), by: payment.txid() };
    assert_eq!(chain.judge(&block), Err(error));
}

/// B-7
#[test]
fn an_invalid_transaction_makes_a_block_invalid() {
    let chain = Chain::new();
    let (mut block, _) = chain.build(&[]);
    let theft = chain.sign(&[chain.coin(0)], &[pay(1, COIN - FEE)], &[&key(1)]);
    block.transactions.push(theft.clone());
    let error = TransactionError::WitnessMissing { input: 0, owner: crate::support::owner(0) };
    assert_eq!(chain.judge(&block), Err(BlockError::Transaction { txid: theft.txid(), error }));
}

/// B-4
#[test]
fn a_block_with_too_many_transactions_is_refused() {
    let (chain, mut block) = third();
    let one = block.transactions[0].clone();
    block.transactions = vec![one; BLOCK_TRANSACTIONS_MAX + 1];
    assert_eq!(chain.judge(&block), Err(BlockError::TooManyTransactions(BLOCK_TRANSACTIONS_MAX + 1)));
}

/// More transactions of almost the largest size than fit a block. Each has many inputs of
/// different owners; their signatures are blank, because the ledger does not look at them.
fn large_transactions() -> (Chain, Vec<Transaction>) {
    let mut chain = Chain::new();
    let mut witnesses: Vec<_> =
        (0..120).map(|n| Witness { key: key(n).public(), signature: Signature([0; 64]) }).collect();
    witnesses.sort_by_key(|witness| witness.key);
    let transactions = (0..560_u32).map(|index| {
        let inputs: Vec<_> = (0..120).map(|n| OutPoint { txid: Txid([n; 32]), index }).collect();
        for (input, witness) in inputs.iter().zip(&witnesses) {
            let output = Output { amount: Amount(COIN), lock: Lock::Address(Owner::from(&witness.key)) };
            chain.utxos.insert(*input, Utxo { output, height: 0, coinbase: false });
        }
        let body = TransactionBody { inputs, outputs: vec![pay(0, COIN)], memo: Vec::new() };
        Transaction { body, witnesses: witnesses.clone() }
    });
    let transactions = transactions.collect();
    (chain, transactions)
}

/// B-4, B-9
#[test]
fn a_block_with_too_many_bytes_is_refused_and_never_built() {
    let (chain, candidates) = large_transactions();
    let (mut block, _) = chain.build(&candidates);
    let bytes: usize = block.transactions.iter().map(encoded_len).sum();
    let left_out = &candidates[block.transactions.len()];
    assert!(bytes <= BLOCK_BYTES_MAX && bytes + encoded_len(left_out) > BLOCK_BYTES_MAX);
    block.transactions.push(left_out.clone());
    assert_eq!(chain.judge(&block), Err(BlockError::TooManyBytes(bytes + encoded_len(left_out))));
}

/// B-9
#[test]
fn a_small_transaction_still_fits_where_a_large_one_does_not() {
    let (chain, mut candidates) = large_transactions();
    let small = chain.payment(5, 6);
    candidates.push(small.clone());
    let (block, _) = chain.build(&candidates);
    assert!(block.transactions.len() < candidates.len() - 1);
    assert_eq!(block.transactions.last(), Some(&small));
    assert!(chain.judge(&block).is_ok());
}

/// B-9
#[test]
fn a_proposer_whose_clock_is_behind_takes_the_next_millisecond() {
    let chain = Chain::new();
    let proposer = chain.state.validators.members()[0].key;
    let (block, _) =
        build_block(&chain.state, &chain.genesis.params, &chain.utxos, 0, proposer, BlockParts::default()).unwrap();
    assert_eq!(block.header.time_ms, chain.state.time_ms + 1);
    assert!(chain.judge(&block).is_ok());
}

/// B-6
#[test]
fn a_proposer_cannot_pay_itself_more() {
    let expected = third().1.coinbase.txid();
    let error = refusal_of_third(|block| block.coinbase.outputs[0].amount.0 += 1);
    assert!(matches!(error, BlockError::Coinbase { expected: due, found } if due == expected && found != due));
}

/// B-6
#[test]
fn the_coinbase_of_a_block_cannot_be_spent_inside_it() {
    let chain = Chain::new();
    let (mut block, delta) = chain.build(&[]);
    let reward = OutPoint { txid: delta.coinbase, index: 0 };
    let early = chain.sign(&[reward], &[pay(1, rewards(&delta)[0] - FEE)], &[&key(100)]);
    block.transactions.push(early.clone());
    let error = BlockError::Transaction { txid: early.txid(), error: TransactionError::MissingInput(reward) };
    assert_eq!(chain.judge(&block), Err(error));
}

/// B-7
#[test]
fn a_reward_can_be_spent_in_the_next_block() {
    let mut chain = Chain::new();
    let delta = chain.grow(&[]);
    let (reward, utxo) = *delta.created.iter().find(|(_, utxo)| utxo.output.lock == pay(100, 1).lock).unwrap();
    assert!(utxo.coinbase);
    let spend = chain.sign(&[reward], &[pay(1, utxo.output.amount.units() - FEE)], &[&key(100)]);
    assert_eq!(chain.grow(std::slice::from_ref(&spend)).txids, [spend.txid()]);
}

/// B-9
#[test]
fn what_breaks_a_rule_is_left_out_of_a_built_block() {
    let chain = Chain::new();
    let good = [chain.payment(0, 1), chain.payment(1, 2)];
    let double = chain.payment(0, 3);
    let theft = chain.sign(&[chain.coin(4)], &[pay(1, COIN - FEE)], &[&key(1)]);
    let (block, delta) = chain.build(&[good[0].clone(), double, theft, good[1].clone()]);
    assert_eq!(block.transactions, good);
    assert_eq!(chain.judge(&block), Ok(delta));
}

struct Broken;

impl UtxoSet for Broken {
    fn utxo(&self, _: &OutPoint) -> Result<Option<Utxo>, Unavailable> {
        Err(Unavailable)
    }
}

#[test]
fn a_failure_of_storage_is_not_blamed_on_the_block() {
    let (chain, block) = third();
    assert_eq!(apply_block(&chain.state, &chain.genesis.params, &Broken, &block), Err(Unavailable));
    let transactions = [Arc::new(chain.payment(2, 3))];
    let proposer = block.header.proposer;
    let built = build_block(
        &chain.state,
        &chain.genesis.params,
        &Broken,
        0,
        proposer,
        BlockParts { transactions: &transactions, ..BlockParts::default() },
    );
    assert_eq!(built.unwrap_err(), Unavailable);
}

#[test]
fn a_chain_state_survives_its_encoding() {
    let (chain, _) = third();
    let bytes = encode(&chain.state);
    assert_eq!(decode::<ChainState>(&bytes, bytes.len()).as_ref(), Ok(&chain.state));
}
