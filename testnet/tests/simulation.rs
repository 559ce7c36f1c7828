//! Simulated networks: what must hold holds, whatever happens.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use timecoin_testnet::sim::{Scenario, run};

fn calm(seed: u64) -> Scenario {
    Scenario {
        seed,
        validators: 4,
        byzantine: 0,
        latency_ms: (1, 5),
        loss: 0.0,
        duplication: 0.0,
        partitions: 0,
        skew_ms: 0,
        compact_blocks: 3,
        crashes: 0,
        payments: 40,
        double_spends: 0,
        faulty_ms: 4_000,
        settle_ms: 20_000,
    }
}

#[test]
fn payments_become_final_by_sampling_on_a_calm_network() {
    let report = run(&calm(1)).unwrap();
    assert_eq!(report.sampled, 40, "{report:?}");
    let median = report.finality_ms[report.finality_ms.len() / 2];
    assert!(median < 100, "{report:?}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let scenario = Scenario::from_seed(7);
    assert_eq!(run(&scenario).unwrap(), run(&scenario).unwrap());
}

#[test]
fn double_spends_end_with_one_winner() {
    let report = run(&Scenario { double_spends: 20, ..calm(2) }).unwrap();
    assert_eq!((report.sampled + report.by_block, report.frozen), (60, 0), "{report:?}");
}

#[test]
fn nothing_is_violated_under_faults() {
    let frozen: usize = (0..60)
        .map(|seed| run(&Scenario::from_seed(seed)).unwrap_or_else(|violation| panic!("{violation}")).frozen)
        .sum();
    // 360 double spends, under loss, partitions, crashes and a validator that votes for both sides.
    assert!(frozen <= 4, "{frozen} double spends are frozen");
}
