//! What a poll costs beside the network: drawing the sample and counting the answers.
#![allow(missing_docs)]

use divan::{Bencher, black_box};
use rand_chacha::ChaCha12Rng;
use rand_core::SeedableRng;
use timecoin_protocol::address::Owner;
use timecoin_protocol::keys::PublicKey;
use timecoin_protocol::snow::{Snowball, Thresholds, sample, terminations};
use timecoin_protocol::validator::{Validator, ValidatorSet, Weight};

fn main() {
    divan::main();
}

fn validators(count: u16) -> ValidatorSet {
    let validator = |index: u16| {
        let mut key = [0; 32];
        key[..2].copy_from_slice(&index.to_be_bytes());
        Validator { key: PublicKey(key), weight: Weight(1_000 + u64::from(index)), payout: Owner([0; 20]) }
    };
    ValidatorSet::new((0..count).map(validator).collect())
}

#[divan::bench(args = [100, 1_000])]
fn sample_of_20(bencher: Bencher<'_, '_>, count: u16) {
    let validators = validators(count);
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    bencher.bench_local(|| sample(black_box(&validators), 20, |_| false, &mut rng));
}

#[divan::bench]
fn record_a_poll(bencher: Bencher<'_, '_>) {
    let thresholds = Thresholds::new(15, terminations(20, 15, 15, u32::MAX));
    let mut snowball = Snowball::new(0_u8);
    bencher.bench_local(|| snowball.record(0, black_box(20), &thresholds));
}

#[divan::bench]
fn derive_terminations() -> usize {
    terminations(black_box(20), 15, 15, 15).len()
}
