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
        epoch_blocks: 3,
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
    assert_eq!(report.sampled + report.by_block, 60, "{report:?}");
}

#[test]
fn nothing_is_violated_under_faults() {
    // 360 double spends, under loss, partitions, crashes and a validator that votes for both sides: all are settled.
    // A run that does not end two epochs is a violation as well.
    let reports = (0..60).map(|seed| run(&Scenario::from_seed(seed)).unwrap_or_else(|violation| panic!("{violation}")));
    assert!(reports.map(|report| report.seals).sum::<u64>() > 400);
}

/// E-5: nobody else is needed to close its epochs.
#[test]
fn a_single_validator_closes_its_epochs() {
    let report = run(&Scenario { validators: 1, double_spends: 5, ..calm(3) }).unwrap();
    assert!(report.epochs >= 2 && report.sampled + report.by_block == 45, "{report:?}");
}

/// E-7, E-9. Epochs so short that many payments meet the end of one.
#[test]
fn payments_are_settled_across_the_ends_of_short_epochs() {
    let report = run(&Scenario { validators: 5, epoch_blocks: 2, double_spends: 20, ..calm(4) }).unwrap();
    assert!(report.epochs >= 3 && report.sampled + report.by_block == 60, "{report:?}");
}
