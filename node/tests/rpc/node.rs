//! A whole node, asked over RPC only: pay, wait, look, stop.

use crate::support::{COIN_UNITS, FEE_UNITS, address, call, genesis, http, key, owner};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use timecoin_node::node::{Node, NodeOptions};
use timecoin_node::rpc::RpcOptions;
use timecoin_node::store::{HistoryAt, create_history};
use timecoin_protocol::amount::Amount;
use timecoin_protocol::codec::encode;
use timecoin_protocol::genesis::Genesis;
use timecoin_protocol::hash::Txid;
use timecoin_protocol::transaction::{Lock, OutPoint, Output, Transaction, TransactionBody};

const PATIENCE: Duration = Duration::from_secs(60);

fn options(dir: &Path, cookie: bool) -> NodeOptions {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let at = HistoryAt { path: dir.join("validator.key.history"), key: key(1).public() };
    if !at.path.exists() {
        create_history(&at).unwrap();
    }
    NodeOptions {
        genesis: Arc::new(Genesis { time_ms: now as u64, ..genesis() }),
        data_dir: dir.join("data"),
        validator_key: Some(key(1)),
        history_file: at.path,
        node_key: libp2p::identity::Keypair::generate_ed25519(),
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
        bootstrap: Vec::new(),
        external: Vec::new(),
        rpc: Some(RpcOptions {
            listen: "127.0.0.1:0".parse().unwrap(),
            cookie: cookie.then(|| dir.join("cookie")),
            unsafe_methods: true,
            allowed_hosts: Vec::new(),
        }),
        metrics: Some("127.0.0.1:0".parse().unwrap()),
        tuning: timecoin_protocol::engine::Tuning::default(),
    }
}

async fn start(options: NodeOptions) -> Node {
    tokio::time::timeout(PATIENCE, Box::pin(Node::start(options))).await.expect("the node starts in time").unwrap()
}

fn payment(genesis: &Genesis) -> Transaction {
    let coin = OutPoint { txid: Txid(genesis.hash().0), index: 1 };
    let outputs = vec![Output { amount: Amount(COIN_UNITS - FEE_UNITS), lock: Lock::Address(owner(3)) }];
    let body = TransactionBody { inputs: vec![coin], outputs, memo: b"rent".to_vec() };
    Transaction::sign(body, &[&key(2)], &genesis.hash())
}

/// Asks again until the answer is as wanted.
async fn until(address: SocketAddr, method: &str, params: Value, wanted: impl Fn(&Value) -> bool) {
    let asked = async {
        while !call(&address, method, params.clone()).await.is_ok_and(|answer| wanted(&answer)) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| panic!("{method} never answered as wanted"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_sent_over_rpc_becomes_final_and_then_part_of_a_block() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path(), false);
    let genesis = Arc::clone(&options.genesis);
    let node = Box::pin(start(options)).await;
    let rpc = node.rpc.unwrap();
    let paid = payment(&genesis);
    let bytes = hex::encode(encode(&paid));

    assert_eq!(call(&rpc, "testmempoolaccept", json!([[bytes]])).await.unwrap()[0]["allowed"], true);
    let txid = call(&rpc, "sendrawtransaction", json!([bytes])).await.unwrap();
    assert_eq!(txid, json!(paid.txid()));
    let told = call(&rpc, "waittransactionfinality", json!([txid, 60_000])).await.unwrap();
    assert_eq!(told["final"], true, "{told}");

    let balance = call(&rpc, "getbalance", json!([address(3)])).await.unwrap();
    assert_eq!(balance["spendable"], COIN_UNITS - FEE_UNITS, "final money can be spent before its block: {balance}");
    until(rpc, "gettransaction", json!([txid]), |found| found["status"] == "committed").await;
    let balance = call(&rpc, "getbalance", json!([address(3)])).await.unwrap();
    assert_eq!((&balance["committed"], &balance["spendable"]), (&balance["final"], &json!(COIN_UNITS - FEE_UNITS)));

    let rival = call(&rpc, "sendrawtransaction", json!([bytes])).await.unwrap_err();
    assert_eq!(rival["code"], -27, "{rival}");
    let metrics = http::get(node.metrics.unwrap(), "/metrics").await.body;
    assert!(metrics.contains("timecoin_transactions_committed_total 1"), "{metrics}");
    let ready = http::get(node.metrics.unwrap(), "/readyz").await;
    assert_eq!((ready.status, ready.body.as_str()), (200, "ok\n"));
    assert!(node.stop(PATIENCE).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stopped_leaves_no_cookie_behind() {
    let dir = tempfile::tempdir().unwrap();
    let node = Box::pin(start(options(dir.path(), true))).await;
    let cookie = dir.path().join("cookie");
    assert!(cookie.exists());
    assert!(node.stop(PATIENCE).await);
    assert!(!cookie.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_over_rpc_reaches_whoever_runs_the_node() {
    let dir = tempfile::tempdir().unwrap();
    let node = Box::pin(start(options(dir.path(), false))).await;
    assert_eq!(call(&node.rpc.unwrap(), "stop", json!([])).await, Ok(json!("timed stopping")));
    tokio::time::timeout(PATIENCE, node.stop_requested()).await.unwrap();
    assert!(node.stop(PATIENCE).await);
}
