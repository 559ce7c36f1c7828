//! What encoding and hashing cost beside a signature check.
#![allow(missing_docs)]

use divan::{Bencher, black_box};
use timecoin_protocol::address::Owner;
use timecoin_protocol::amount::Amount;
use timecoin_protocol::bounds::TRANSACTION_BYTES_MAX;
use timecoin_protocol::codec::{decode, encode, encoded_len};
use timecoin_protocol::hash::{GenesisHash, Txid, merkle_path, merkle_root};
use timecoin_protocol::keys::SecretKey;
use timecoin_protocol::transaction::{Lock, OutPoint, Output, Transaction, TransactionBody};

fn main() {
    divan::main();
}

/// A payment of two inputs of distinct owners and two outputs.
fn payment() -> Transaction {
    let keys = [1, 2].map(|seed| SecretKey::from_seed(&[seed; 32]));
    let output = |units| Output { amount: Amount(units), lock: Lock::Address(Owner([7; 20])) };
    let body = TransactionBody {
        inputs: (0..2).map(|index| OutPoint { txid: Txid([index as u8; 32]), index }).collect(),
        outputs: vec![output(150_000_000), output(4_999_000)],
        memo: vec![],
    };
    Transaction::sign(body, &[&keys[0], &keys[1]], &GenesisHash([1; 32]))
}

#[divan::bench]
fn encode_a_payment(bencher: Bencher<'_, '_>) {
    let payment = payment();
    bencher.bench_local(|| encode(black_box(&payment)));
}

#[divan::bench]
fn measure_a_payment(bencher: Bencher<'_, '_>) {
    let payment = payment();
    bencher.bench_local(|| encoded_len(black_box(&payment)));
}

#[divan::bench]
fn decode_a_payment(bencher: Bencher<'_, '_>) {
    let bytes = encode(&payment());
    bencher.bench_local(|| decode::<Transaction>(black_box(&bytes), TRANSACTION_BYTES_MAX));
}

#[divan::bench]
fn txid_of_a_payment(bencher: Bencher<'_, '_>) {
    let payment = payment();
    bencher.bench_local(|| black_box(&payment).txid());
}

fn txids(count: u32) -> Vec<Txid> {
    let txid = |index: u32| {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&index.to_be_bytes());
        Txid(bytes)
    };
    (0..count).map(txid).collect()
}

#[divan::bench(args = [1_000, 10_000])]
fn merkle_root_of(bencher: Bencher<'_, '_>, count: u32) {
    let txids = txids(count);
    bencher.bench_local(|| merkle_root(black_box(&txids)));
}

#[divan::bench(args = [1_000])]
fn merkle_path_among(bencher: Bencher<'_, '_>, count: u32) {
    let txids = txids(count);
    bencher.bench_local(|| merkle_path(black_box(&txids), 500));
}
