//! Real processes: a cluster that is started, loaded, checked and stopped, and the ways in which the
//! program ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;
use support::{Process, TESTNET, is_running, testnet, timed};
use timecoin_testnet::cluster::{Cluster, ClusterOptions};
use timecoin_testnet::endpoints::Endpoints;
use timecoin_testnet::load::{Connections, Shape, run};

/// Longest that the load may take to settle.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_under_load_finishes_every_payment_and_settles_every_double_spend() {
    let directory = tempfile::tempdir().unwrap();
    let options = ClusterOptions {
        nodes: 4,
        directory: directory.path().to_owned(),
        base_port: None,
        program: timed().to_owned(),
        block_time_ms: 500,
        epoch_blocks: 10,
        log_level: "info".into(),
        unsafe_methods: false,
    };
    let cluster = Cluster::start(&options).await.unwrap();
    let endpoints = cluster.endpoints().clone();
    let connections = Connections::open(&endpoints).await.unwrap();
    let shape = Shape { rate: 50.0, seconds: 3, nodes: 4, accounts: 20, double_spends: 0.1, chains: 0.3, seed: 11 };
    let report = run(&connections, &endpoints, &shape, PATIENCE).await.unwrap();

    assert_eq!(report.violations, [] as [String; 0], "{report}");
    let (counts, pairs) = (&report.counts, &report.double_spends);
    assert!(counts.sent > 100 && counts.chained > 0 && pairs.pairs > 0, "{report}");
    assert_eq!((counts.accepted, counts.rejected_unopposed), (counts.sent, 0), "{report}");
    assert_eq!(counts.committed, counts.sent - pairs.pairs, "one half of each pair, and all others\n{report}");
    assert_eq!((pairs.settled, pairs.unsettled), (pairs.pairs, 0), "{report}");
    let unopposed = counts.sent - 2 * pairs.pairs;
    assert_eq!(report.latencies.finality.count, unopposed);
    assert!(report.latencies.remote_finality.count > 0 && report.latencies.finality.p50_ms > 0.0, "{report}");
    assert!(report.blocks.transactions_max > 0 && report.pool.max > 0, "{report}");
    assert_eq!(report.processes.len(), 5, "four nodes and the generator");
    assert!(cluster.stop().await, "every node ends as asked");
}

#[test]
fn up_writes_its_endpoints_and_stops_every_node_when_it_is_told_to() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("endpoints.json");
    let mut command = Command::new(TESTNET);
    command.args(["up", "--nodes", "3", "--block-time", "200", "--dir"]).arg(directory.path());
    let mut up = Process::start(command.arg("--timed").arg(timed()));
    // The last line that it prints when all nodes are ready.
    while !up.line().expect("up ended by itself").contains("Ctrl-C") {}
    let endpoints = Endpoints::read(&file).unwrap();
    let pids: Vec<u32> = endpoints.nodes.iter().map(|node| node.pid.unwrap()).collect();
    assert!(pids.len() == 3 && pids.iter().all(|pid| is_running(*pid)));

    up.signal("-TERM");
    assert_eq!(up.wait().code(), Some(0));
    assert!(!pids.iter().any(|pid| is_running(*pid)));
    assert!(directory.path().join("node-3/node.log").exists());

    let load = testnet(&["load", "--endpoints", file.to_str().unwrap(), "--seconds", "1"]);
    assert_eq!(load.status.code(), Some(5), "the nodes are gone");
    assert!(String::from_utf8_lossy(&load.stderr).contains("no node answers"));
}

#[test]
fn a_node_that_cannot_start_is_named_with_its_own_words() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    // The second port of node 1 is that of its RPC.
    let base_port = (taken.local_addr().unwrap().port() - 1).to_string();
    let up = testnet(&["up", "--nodes", "2", "--base-port", &base_port, "--timed", timed().to_str().unwrap()]);
    let message = String::from_utf8_lossy(&up.stderr);
    assert_eq!(up.status.code(), Some(1), "{message}");
    assert!(message.contains("node 1 ended by itself") && message.contains("in use"), "{message}");
}

#[test]
fn a_wrong_command_line_ends_with_code_2() {
    for line in [
        &["load", "--rate", "0"][..],
        &["load", "--double-spends", "2"],
        &["load", "--endpoints", "/nowhere/endpoints.json"],
        &["load", "--rate", "5000", "--seconds", "3600"],
        &["up", "--nodes", "0"],
        &["up", "--timed", "/nowhere/timed"],
        &["fly"],
    ] {
        let output = testnet(line);
        assert_eq!(output.status.code(), Some(2), "{line:?}");
        assert!(!output.stderr.is_empty(), "{line:?}");
    }
}
