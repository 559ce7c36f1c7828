//! Simulated networks: what must hold holds, whatever happens.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use timecoin_testnet::sim::seeds::run_all;
use timecoin_testnet::sim::{DiskFaults, Fault, Invariant, NetworkFaults, Scenario, run};

#[test]
fn payments_become_final_by_sampling_on_a_calm_network() {
    let report = run(&Scenario::calm(1)).unwrap();
    assert_eq!(report.sampled, 40, "{report:?}");
    assert!(report.finality(50) < 100, "{report:?}");
}

#[test]
fn the_same_seed_gives_the_same_run_byte_for_byte() {
    for seed in [7, 8, 9] {
        let scenario = Scenario::from_seed(seed);
        let (one, other) = (run(&scenario).unwrap(), run(&scenario).unwrap());
        assert_eq!(one.trace, other.trace, "seed {seed}");
        assert_eq!(one, other);
    }
    assert_ne!(run(&Scenario::calm(1)).unwrap().trace, run(&Scenario::calm(2)).unwrap().trace);
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let all = |threads| run_all(0..4, threads, Scenario::from_seed, |_| {});
    assert_eq!(all(1), all(3));
}

#[test]
fn double_spends_end_with_one_winner_and_what_rests_on_it_ends_with_it() {
    let report = run(&Scenario { double_spends: 20, chain_max: 4, ..Scenario::calm(2) }).unwrap();
    assert!(report.sampled + report.by_block >= 60, "{report:?}");
}

#[test]
fn nothing_is_violated_under_faults() {
    let outcome = run_all(0..60, 2, Scenario::from_seed, |_| {});
    assert!(outcome.violations.is_empty(), "{:#?}", outcome.violations);
    let report = outcome.report;
    // 360 double spends, under faults of every kind and validators that lie: all are settled. A run that
    // does not end two epochs is a violation as well.
    assert!(report.seals > 400, "{report}");
    // Some that join are up and vote.
    assert!(report.joiners_precommits > 100, "{report}");
    // those who contradict themselves are found out, most of them before the run ends, and lose their vote.
    assert!(report.caught * 4 > report.contradicted * 3 && report.removed * 4 > report.caught * 3, "{report}");
    let faults = [
        Fault::Lost,
        Fault::Twice,
        Fault::Late,
        Fault::Partition,
        Fault::OneWay,
        Fault::Flapping,
        Fault::PowerLost,
        Fault::PowerLostAtStart,
        Fault::Killed,
        Fault::KilledSending,
        Fault::Stopped,
        Fault::StoppedQuiet,
        Fault::DiskFull,
        Fault::DiskSlow,
        Fault::OldLedger,
        Fault::OldImage,
        Fault::OldMachine,
        Fault::HistoryLost,
        Fault::Silence,
        Fault::Lie,
        Fault::Compaction,
        Fault::Checkpoint,
    ];
    for fault in faults {
        assert!(report.count(fault) > 0, "no {fault:?} in these runs\n{report}");
    }
    let invariants = [
        Invariant::OneWinner,
        Invariant::FinalStays,
        Invariant::Agreement,
        Invariant::Supply,
        Invariant::OneSpend,
        Invariant::OneSeal,
        Invariant::OneVote,
        Invariant::Durable,
        Invariant::Remembered,
        Invariant::NeverBack,
        Invariant::Bounds,
        Invariant::LiveLog,
        Invariant::Members,
        Invariant::OnlyLiarsAccused,
        Invariant::Settled,
    ];
    for invariant in invariants {
        assert!(report.checked(invariant) > 0, "{invariant:?} was never checked\n{report}");
    }
}

/// D-4. What a node leaves when it is told to stop is what was live, also while it listens (D-18) or is silent (D-15).
#[test]
fn nodes_that_stop_cleanly_at_any_moment_go_on_where_they_were() {
    let calm = Scenario::calm(6);
    let disks = DiskFaults { stops: 16, set_backs: 3, ..calm.disks.clone() };
    let report = run(&Scenario { weights: vec![1; 5], disks, double_spends: 6, ..calm }).unwrap();
    assert!(report.count(Fault::Stopped) > 3 && report.count(Fault::StoppedQuiet) > 0, "{report}");
}

/// E-7, E-9. The second half of a double spend comes when the first is final, or in a block of an epoch that ended.
#[test]
fn a_second_half_that_comes_an_epoch_later_has_lost() {
    for epoch_blocks in [2, 4] {
        let late = Scenario { double_spends: 20, late_half_ms: 10_000, epoch_blocks, ..Scenario::calm(7) };
        let report = run(&late).unwrap();
        assert!(report.epochs >= 3 && report.sampled + report.by_block >= 60, "{report}");
    }
}

/// What no node survives must show: otherwise the checks see nothing.
#[test]
fn a_disk_that_says_that_it_synced_and_did_not_is_caught() {
    let calm = Scenario::calm(3);
    let disks = DiskFaults { forgets_syncs: true, ..calm.disks.clone() };
    let violation = run(&Scenario { disks, ..calm }).unwrap_err();
    assert!(violation.what.contains("no sync made durable"), "{violation}");
}

/// D-15 to D-18: validators that forgot votes contradict them unless they are silent, and the checks see it.
#[test]
fn validators_that_believe_any_history_contradict_themselves() {
    let trusting = |seed| {
        let drawn = Scenario::from_seed(seed);
        let disks = DiskFaults { set_backs: 12, believes_all: true, ..drawn.disks.clone() };
        Scenario { disks, weights: vec![1; 7], byzantine: 0, double_spends: 20, epoch_blocks: 6, ..drawn }
    };
    let contradictory = |violation: &timecoin_testnet::sim::Violation| {
        let kinds = ["voted twice", "voted Prepare", "voted Commit", "sealed epoch", "proposed", "after its seal"];
        kinds.iter().any(|kind| violation.what.contains(kind))
    };
    let mut violations = (0..30).filter_map(|seed| run(&trusting(seed)).err());
    assert!(violations.any(|violation| contradictory(&violation)), "30 runs, and nobody contradicts a forgotten vote");
    for seed in 0..6 {
        let scenario = trusting(seed);
        let disks = DiskFaults { believes_all: false, ..scenario.disks.clone() };
        run(&Scenario { disks, ..scenario }).unwrap();
    }
}

/// Answers from the other side of the world take longer than the 100 ms that a node waits at first.
/// Once it never waited longer, since no answer ever came in time to be measured: every payment was
/// left to blocks (S-15).
#[test]
fn slow_disks_and_far_regions_delay_payments_and_nothing_else() {
    let calm = Scenario::calm(4);
    let network = NetworkFaults { regions: 10, ..calm.network.clone() };
    let disks = DiskFaults { sync_us: 20_000, ..calm.disks.clone() };
    let near = run(&calm).unwrap();
    let far = run(&Scenario { network, disks, ..calm }).unwrap();
    assert!(far.finality(50) > near.finality(50) + 100, "{far}\n{near}");
    // A few meet the end of an epoch, and are settled by a block.
    assert!(far.sampled >= 30 && far.sampled + far.by_block == 40, "{far}");
}

/// E-5: nobody else is needed to close its epochs.
#[test]
fn a_single_validator_closes_its_epochs() {
    let report = run(&Scenario { weights: vec![1], double_spends: 5, ..Scenario::calm(3) }).unwrap();
    assert!(report.epochs >= 2 && report.sampled + report.by_block == 45, "{report}");
}

/// E-7, E-9. Epochs so short that many payments, and chains on top of double spends, meet the end of one.
#[test]
fn payments_are_settled_across_the_ends_of_short_epochs() {
    let short = Scenario { weights: vec![1; 5], epoch_blocks: 2, double_spends: 20, chain_max: 4, ..Scenario::calm(4) };
    let report = run(&short).unwrap();
    assert!(report.epochs >= 3 && report.sampled + report.by_block >= 60, "{report}");
}

/// E-6. The last of the money can be spent after the unbonding time.
#[test]
fn a_validator_joins_and_another_one_leaves_and_gets_its_money() {
    let scenario = Scenario { weights: vec![2, 3, 1, 1, 1, 2], joiners: 1, leavers: 1, ..Scenario::calm(5) };
    let report = run(&scenario).unwrap();
    assert!(report.epochs >= 2 && report.joiners_precommits > 0, "{report}");
    // The payments, a bond, its withdrawal, and what was withdrawn.
    assert_eq!(report.sampled + report.by_block, 40 + 3, "{report}");
}

/// E-9. Of epochs of two blocks only the first one may have what has no certificate. It came before the time after which
/// blocks take over, which began anew with each epoch; and where answers take long, an epoch is too short for sampling. So a
/// double spend stayed open for more than a minute after everything had healed, with a validator that withheld its votes, and
/// (the second one) with no liar at all but eight validators on two continents.
#[test]
fn double_spends_end_in_the_shortest_epochs_with_a_liar_and_slow_answers() {
    let liar = Scenario {
        weights: vec![3, 1, 4, 1],
        byzantine: 1,
        network: NetworkFaults {
            regions: 10,
            loss: 0.0,
            duplication: 0.02,
            late: 0.0,
            partitions: 3,
            skew_ms: 50,
            drift_ppm: 50,
        },
        disks: DiskFaults { sync_us: 1_000, crashes: 2, full: 1, tidy_blocks: 1, ..Scenario::calm(20).disks },
        epoch_blocks: 2,
        payments: 32,
        double_spends: 6,
        chain_max: 4,
        faulty_ms: 8_000,
        settle_ms: 60_000,
        ..Scenario::calm(20)
    };
    let calm = Scenario::calm(268);
    let far = Scenario {
        seed: 268,
        weights: vec![1; 8],
        leavers: 1,
        byzantine: 0,
        network: NetworkFaults { regions: 2, partitions: 1, ..calm.network },
        disks: DiskFaults { sync_us: 6_000, crashes: 1, full: 1, slow: 1, ..calm.disks },
        ..liar.clone()
    };
    for scenario in [liar, far] {
        let report = run(&scenario).unwrap();
        assert!(report.epochs >= 2, "{report}");
    }
}
