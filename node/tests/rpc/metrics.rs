//! Metrics and health over HTTP.

use crate::support::http::get;
use crate::support::{COIN_UNITS, FEE_UNITS, Node};
use prometheus_client::registry::Registry;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use timecoin_node::metrics;
use timecoin_protocol::engine::{Gauges, Path, Status};

async fn serve(node: &Node) -> SocketAddr {
    let mut registry = Registry::default();
    metrics::register(&mut registry, &node.view);
    let listen = "127.0.0.1:0".parse().unwrap();
    metrics::serve(listen, registry, Arc::clone(&node.view), node.stop.clone()).await.unwrap()
}

/// Reads the metrics until they contain `line`.
async fn until(address: SocketAddr, line: &str) {
    loop {
        let response = get(address, "/metrics").await;
        if response.body.lines().any(|found| found == line) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn numbers_of_the_view_are_metrics() {
    let mut node = Node::new();
    let address = serve(&node).await;
    node.commit(&[]);
    node.view.overload.gossip.count();
    node.view.gauges.store(Arc::new(Gauges { pool_transactions: 3, pool_bytes: 900, round: 2, ..Gauges::default() }));
    let response = get(address, "/metrics").await;
    let kind = response.header("content-type").unwrap();
    assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"), "{kind}");
    for line in [
        "timecoin_block_height 1",
        "timecoin_pool_transactions 3",
        "timecoin_pool_bytes 900",
        "timecoin_round 2",
        "timecoin_synced 1",
        "timecoin_peers 0",
        "timecoin_dropped_gossip_total 1",
        "process_start_time_seconds 0",
    ] {
        assert!(response.body.lines().any(|found| found == line), "{line} is missing in\n{}", response.body);
    }
    assert!(response.body.contains("timecoin_build_info{version="), "{}", response.body);
    assert!(response.body.ends_with("# EOF\n"));
}

#[tokio::test]
async fn what_happens_is_counted() {
    let mut node = Node::new();
    let address = serve(&node).await;
    let paid = node.payment(2, &[node.coin(0)], &[(3, COIN_UNITS - FEE_UNITS)]);
    let txid = node.admit(&paid, Status::Pending);
    node.set_status(txid, Status::Final(Path::Sampled));
    node.commit(&[paid]);
    for line in [
        "timecoin_transactions_admitted_total 1",
        "timecoin_transactions_final_total{path=\"sampled\"} 1",
        "timecoin_transaction_finality_seconds_bucket{le=\"0.25\"} 1",
        "timecoin_transactions_committed_total 1",
        "timecoin_fees_units_total 1000",
        "timecoin_block_transactions_count 1",
    ] {
        tokio::time::timeout(std::time::Duration::from_secs(120), until(address, line)).await.expect(line);
    }
}

#[tokio::test]
async fn a_node_that_is_behind_is_alive_but_not_ready() {
    let node = Node::new();
    let address = serve(&node).await;
    node.view.synced.store(false, Ordering::Relaxed);
    assert_eq!(get(address, "/livez").await.status, 200);
    let ready = get(address, "/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(ready.body.contains("sync: catching up"), "{}", ready.body);
}

#[tokio::test]
async fn the_verbose_report_has_a_line_for_each_check() {
    let node = Node::new();
    let address = serve(&node).await;
    let report = get(address, "/healthz?verbose").await;
    let marks: Vec<&str> = report.body.lines().map(|line| line.split(':').next().unwrap()).collect();
    // Genesis is of 1970: the tip is too old. The only validator needs no peers.
    assert_eq!(marks, ["[+] database", "[+] sync", "[!] tip", "[+] peers"]);
    assert_eq!(report.status, 503);
}
