//! Real processes that are killed, paused and cut off: a slice of what `testnet chaos` does for
//! minutes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![cfg(unix)]

mod support;

use std::time::Duration;
use support::{all_gone, timed};
use timecoin_testnet::chaos::{Options, run};
use timecoin_testnet::cluster::ClusterOptions;

/// Longest that the whole test may take.
const PATIENCE: Duration = Duration::from_secs(400);

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_nodes_are_killed_paused_and_cut_off_under_load() {
    let directory = tempfile::tempdir().unwrap();
    let cluster = ClusterOptions {
        nodes: 4,
        directory: directory.path().to_owned(),
        base_port: None,
        program: timed().to_owned(),
        block_time_ms: 300,
        epoch_blocks: 20,
        log_level: "info".into(),
        unsafe_methods: true,
    };
    let settle = Duration::from_secs(120);
    let options = Options { seconds: 25, kills: 6, rate: 15.0, double_spends: 0.1, seed: 5, settle };
    let run = tokio::time::timeout(PATIENCE, Box::pin(run(&cluster, &options)));
    let report = run.await.expect("the run ends in time").unwrap();

    assert_eq!(report.violations, [] as [String; 0], "{report}");
    let (harm, payments) = (&report.harm, &report.payments);
    assert!(harm.kills >= 6 && harm.storms > 0 && harm.episodes > harm.storms, "{report}");
    assert!(harm.pauses + harm.cut_off > 0 && report.blocks > 20, "{report}");
    assert_eq!(payments.accepted + payments.refused, payments.planned, "{report}");
    assert!(payments.planned > 200 && payments.pairs > 5, "{report}");
    assert_eq!(
        payments.committed,
        payments.planned - payments.pairs,
        "one half of each pair, and all others\n{report}"
    );
    assert!(report.recovery.from_kill.count > 0 && report.recovery.stall.count == harm.storms, "{report}");
    all_gone(directory.path());
}
