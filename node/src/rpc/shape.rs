//! How transactions, outputs and blocks look in JSON. Pure functions over data.

use serde_json::{Map, Value, json};
use timecoin_protocol::address::{NetworkKind, address_text};
use timecoin_protocol::block::{CommittedBlock, Header};
use timecoin_protocol::codec::{encode, encoded_len};
use timecoin_protocol::transaction::{Lock, Output, Transaction};

/// Adds the fields of `more` to the object `to`.
pub fn extend(to: &mut Value, more: Value) {
    if let (Value::Object(to), Value::Object(more)) = (to, more) {
        to.extend(more);
    }
}

/// The lock of an output: `type` is "address", "bond" or "unbonding"; `address` is who owns it.
#[must_use]
pub fn lock(lock: &Lock, network: NetworkKind) -> Value {
    let address = address_text(lock.owner(), network);
    match lock {
        Lock::Address(_) => json!({"type": "address", "address": address}),
        Lock::Bond { validator, .. } => json!({"type": "bond", "address": address, "validator": validator}),
        Lock::Unbonding(_) => json!({"type": "unbonding", "address": address}),
    }
}

/// An output: amount in units, owner's address, lock.
#[must_use]
pub fn output(output: &Output, network: NetworkKind) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("amount".to_owned(), json!(output.amount));
    fields.insert("address".to_owned(), json!(address_text(output.lock.owner(), network)));
    fields.insert("lock".to_owned(), lock(&output.lock, network));
    fields
}

/// A transaction. A coinbase has one input that shows its memo instead of an outpoint.
#[must_use]
pub fn transaction(transaction: &Transaction, network: NetworkKind, coinbase: bool) -> Value {
    let body = &transaction.body;
    let vin: Vec<Value> = if coinbase {
        vec![json!({"coinbase": hex::encode(&body.memo)})]
    } else {
        body.inputs.iter().map(|input| json!({"txid": input.txid, "vout": input.index})).collect()
    };
    let vout: Vec<Value> = (0_u32..)
        .zip(&body.outputs)
        .map(|(n, made)| {
            let mut fields = output(made, network);
            fields.insert("n".to_owned(), json!(n));
            Value::Object(fields)
        })
        .collect();
    json!({
        "txid": transaction.txid(),
        "size": encoded_len(transaction),
        "vin": vin,
        "vout": vout,
        "memo": hex::encode(&body.memo),
        "memo_text": if coinbase { None } else { memo_text(&body.memo) },
        "witnesses": transaction.witnesses,
        "hex": hex::encode(encode(transaction)),
    })
}

/// A memo as text, if it is printable text.
fn memo_text(memo: &[u8]) -> Option<&str> {
    std::str::from_utf8(memo).ok().filter(|text| !text.is_empty() && !text.chars().any(char::is_control))
}

/// A header, without its place in the chain.
#[must_use]
pub fn header(header: &Header) -> Value {
    json!({
        "hash": header.hash(),
        "height": header.height,
        "epoch": header.epoch,
        "time": header.time_ms / 1_000,
        "time_ms": header.time_ms,
        "proposer": header.proposer,
        "previousblockhash": header.parent,
        "merkleroot": header.transactions_root,
        "utxo_set": header.utxo_set,
        "next_validators": header.next_validators,
        "parent_commit": header.parent_commit,
    })
}

/// A block's header fields with counts and the commit's round; transactions as txids, or whole.
#[must_use]
pub fn block(committed: &CommittedBlock, network: NetworkKind, whole_transactions: bool) -> Value {
    let block = &committed.block;
    let coinbase = Transaction { body: block.coinbase.clone(), witnesses: Vec::new() };
    let one = |transfer: &Transaction, is_coinbase| {
        if whole_transactions { transaction(transfer, network, is_coinbase) } else { json!(transfer.txid()) }
    };
    let mut tx = vec![one(&coinbase, true)];
    tx.extend(block.transactions.iter().map(|transfer| one(transfer, false)));
    let mut shape = header(&block.header);
    extend(
        &mut shape,
        json!({
            "round": committed.commit.round,
            "commit_signatures": committed.commit.signatures.len(),
            "size": encoded_len(committed),
            "nTx": tx.len(),
            "tx": tx,
        }),
    );
    shape
}

#[cfg(test)]
mod tests {
    use super::*;
    use timecoin_protocol::address::Owner;
    use timecoin_protocol::amount::Amount;
    use timecoin_protocol::hash::Txid;
    use timecoin_protocol::keys::PublicKey;
    use timecoin_protocol::transaction::{OutPoint, TransactionBody};

    fn sample(memo: &[u8]) -> Transaction {
        let owner = Owner([1; 20]);
        let outputs = vec![
            Output { amount: Amount(u64::MAX), lock: Lock::Address(owner) },
            Output { amount: Amount(5), lock: Lock::Bond { validator: PublicKey([2; 32]), owner } },
        ];
        let inputs = vec![OutPoint { txid: Txid([3; 32]), index: 4 }];
        Transaction { body: TransactionBody { inputs, outputs, memo: memo.to_vec() }, witnesses: Vec::new() }
    }

    #[test]
    fn a_transaction_shows_integer_units_addresses_and_its_canonical_bytes() {
        let shape = transaction(&sample(b"rent"), NetworkKind::Devnet, false);
        let address = address_text(&Owner([1; 20]), NetworkKind::Devnet);
        assert_eq!(shape["vin"], json!([{"txid": "03".repeat(32), "vout": 4}]));
        assert_eq!(
            shape["vout"],
            json!([
                {"n": 0, "amount": u64::MAX, "address": address, "lock": {"type": "address", "address": address}},
                {"n": 1, "amount": 5, "address": address,
                 "lock": {"type": "bond", "address": address, "validator": "02".repeat(32)}},
            ])
        );
        assert_eq!((&shape["memo"], &shape["memo_text"]), (&json!("72656e74"), &json!("rent")));
        assert_eq!(shape["hex"], hex::encode(encode(&sample(b"rent"))));
        assert_eq!(shape["size"].as_u64().unwrap() * 2, shape["hex"].as_str().unwrap().len() as u64);
    }

    #[test]
    fn a_memo_that_is_not_printable_is_shown_as_bytes_only() {
        let shape = transaction(&sample(b"\x1b[2J"), NetworkKind::Devnet, false);
        assert_eq!((&shape["memo"], &shape["memo_text"]), (&json!("1b5b324a"), &Value::Null));
    }

    #[test]
    fn a_coinbase_shows_its_memo_in_the_place_of_an_outpoint() {
        let shape = transaction(&sample(&7_u64.to_le_bytes()), NetworkKind::Devnet, true);
        assert_eq!(shape["vin"], json!([{"coinbase": "0700000000000000"}]));
    }
}
