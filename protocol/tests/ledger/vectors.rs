//! Fixed inputs and what must come out of them (`SPEC.md` H-4, G-1, L-1, B-6, B-7): another
//! implementation must find the same, and so must every later version of this one. A second one, in
//! another language, has found the same.

use crate::support::{BOND, COIN, Chain, FEE, key, pay, unbonding};
use timecoin_protocol::codec::encode;
use timecoin_protocol::hash::Txid;
use timecoin_protocol::ledger::UtxoSetHash;
use timecoin_protocol::transaction::{OutPoint, Transaction, TransactionBody, Utxo};

/// Compares one line for each fact with `tests/vectors/ledger.txt`.
#[test]
fn the_golden_vectors_hold() {
    let mut lines = Vec::new();
    multiset(&mut lines);
    let mut chain = Chain::new();
    lines.push(format!("genesis hash {}", chain.genesis.hash()));
    lines.push(format!("genesis utxo_set {}", chain.state.utxo_set.commitment()));
    lines.push(format!("genesis validators {}", chain.state.validators.hash()));
    for transactions in [payments(&chain), vec![withdrawal(&chain)], Vec::new()] {
        let (block, delta) = chain.build(&transactions);
        for transaction in &block.transactions {
            lines.push(format!("transaction {}", hex::encode(encode(transaction))));
            lines.push(format!("txid {}", transaction.txid()));
        }
        assert_eq!(block.transactions, transactions);
        lines.push(format!("header {}", hex::encode(encode(&block.header))));
        lines.push(format!("coinbase {}", hex::encode(encode(&block.coinbase))));
        lines.push(format!("block {} hash {}", block.header.height, block.header.hash()));
        lines.push(format!("block {} utxo_set {}", block.header.height, block.header.utxo_set));
        chain.advance(&delta);
    }
    let found = lines.join("\n") + "\n";
    assert_eq!(found, include_str!("../vectors/ledger.txt"), "found:\n{found}");
}

fn multiset(lines: &mut Vec<String>) {
    let mut sums = UtxoSetHash::empty();
    lines.push(format!("multiset empty {}", sums.commitment()));
    let outpoint = OutPoint { txid: Txid([1; 32]), index: 2 };
    let utxo = Utxo { output: pay(3, 4), height: 5, coinbase: true };
    lines.push(format!("multiset entry {}", hex::encode(encode(&(outpoint, utxo)))));
    sums.add(&outpoint, &utxo);
    lines.push(format!("multiset first lanes {}", hex::encode(&encode(&sums)[..32])));
    lines.push(format!("multiset one {}", sums.commitment()));
    sums.add(&outpoint, &utxo);
    lines.push(format!("multiset twice {}", sums.commitment()));
}

/// A payment with a memo, and a payment of its output.
fn payments(chain: &Chain) -> Vec<Transaction> {
    let outputs = vec![pay(1, COIN / 2), pay(0, COIN / 2 - FEE)];
    let body = TransactionBody { inputs: vec![chain.coin(0)], outputs, memo: b"rent".to_vec() };
    let rent = Transaction::sign(body, &[&key(0)], &chain.genesis.hash());
    let inputs = [OutPoint { txid: rent.txid(), index: 0 }, chain.coin(2)];
    let onward = chain.sign(&inputs, &[pay(4, COIN + COIN / 2 - FEE)], &[&key(1), &key(2)]);
    vec![rent, onward]
}

fn withdrawal(chain: &Chain) -> Transaction {
    chain.sign(&[chain.bond(1)], &[unbonding(101, 2 * BOND - FEE)], &[&key(101)])
}
