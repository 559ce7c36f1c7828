//! The floor under everything: signature checks, alone and in batches.
#![allow(missing_docs)]

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use timecoin_protocol::keys::{SecretKey, SignatureCheck, verify, verify_batch, verify_groups};

fn main() {
    divan::main();
}

/// Honest signatures of distinct keys.
fn checks(count: u32) -> Vec<SignatureCheck> {
    let check = |index: u32| {
        let mut digest = [0; 32];
        digest[..4].copy_from_slice(&index.to_be_bytes());
        let key = SecretKey::from_seed(&digest);
        SignatureCheck { key: key.public(), digest, signature: key.sign(&digest) }
    };
    (0..count).map(check).collect()
}

#[divan::bench]
fn sign(bencher: Bencher<'_, '_>) {
    let key = SecretKey::from_seed(&[1; 32]);
    bencher.bench_local(|| key.sign(black_box(&[2; 32])));
}

#[divan::bench]
fn verify_single(bencher: Bencher<'_, '_>) {
    let key = SecretKey::from_seed(&[1; 32]);
    let check = SignatureCheck { key: key.public(), digest: [2; 32], signature: key.sign(&[2; 32]) };
    bencher.bench_local(|| verify(black_box(&check)));
}

#[divan::bench(args = [4, 16, 64, 256])]
fn verify_a_batch_of(bencher: Bencher<'_, '_>, count: u32) {
    let checks = checks(count);
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    bencher.counter(ItemsCount::new(count)).bench_local(|| verify_batch(black_box(&checks), &mut rng));
}

/// Messages of one signature each, of which the last is bad: what a sender of bad signatures makes a node do.
#[divan::bench(args = [64, 256])]
fn find_one_culprit_among(bencher: Bencher<'_, '_>, count: u32) {
    let mut checks = checks(count);
    if let Some(last) = checks.last_mut() {
        last.signature.0[0] ^= 1;
    }
    let messages: Vec<_> = checks.chunks(1).collect();
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    bencher.counter(ItemsCount::new(count)).bench_local(|| verify_groups(black_box(&messages), &mut rng));
}

/// One message of so many signatures, of which the last is bad.
#[divan::bench(args = [64, 256])]
fn refuse_a_message_of(bencher: Bencher<'_, '_>, count: u32) {
    let mut checks = checks(count);
    if let Some(last) = checks.last_mut() {
        last.signature.0[0] ^= 1;
    }
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    bencher.counter(ItemsCount::new(count)).bench_local(|| verify_groups(black_box(&[&checks]), &mut rng));
}
