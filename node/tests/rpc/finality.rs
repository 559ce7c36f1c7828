//! Waiting for finality, and subscriptions.

use crate::support::http::PATIENCE;
use crate::support::{COIN_UNITS, FEE_UNITS, Node, address, call};
use jsonrpsee::client_transport::ws::WsTransportClientBuilder;
use jsonrpsee::core::client::{
    ClientT, Error, ReceivedMessage, Subscription, SubscriptionClientT, TransportReceiverT, TransportSenderT,
};
use jsonrpsee::core::params::ArrayParams;
use jsonrpsee::rpc_params;
use jsonrpsee::ws_client::{WsClient, WsClientBuilder};
use serde_json::{Value, json};
use timecoin_node::rpc::RpcServer;
use timecoin_node::view::{Call, Outcome};
use timecoin_protocol::engine::{Path, RejectReason, Status};
use timecoin_protocol::finality::{Certificate, Phase, VoteBatch};
use timecoin_protocol::hash::Txid;
use timecoin_protocol::transaction::Transaction;
use timecoin_protocol::validator::Epoch;

fn payment(node: &Node, coin: u32) -> Transaction {
    node.payment(2, &[node.coin(coin)], &[(3, COIN_UNITS - FEE_UNITS)])
}

async fn connect(server: &RpcServer) -> WsClient {
    WsClientBuilder::default().build(format!("ws://{}", server.address)).await.unwrap()
}

async fn subscribe(client: &WsClient, subject: &str, params: ArrayParams) -> Subscription<Value> {
    client.subscribe(&format!("subscribe{subject}"), params, &format!("unsubscribe{subject}")).await.unwrap()
}

/// Waits for something that must come.
async fn soon<T>(what: &str, wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("no {what} within {PATIENCE:?}"))
}

async fn next(subscription: &mut Subscription<Value>) -> Value {
    soon("news", subscription.next()).await.unwrap().unwrap()
}

#[tokio::test]
async fn who_waits_is_told_when_the_payment_is_final() {
    let node = Node::new();
    let server = node.serve().await;
    let txid = node.admit(&payment(&node, 0), Status::Pending);
    let client = connect(&server).await;
    // Both requests are on one connection, in order: when the second is answered, the first waits.
    let waiting = client.request::<Value, _>("waittransactionfinality", rpc_params![txid, 10_000]);
    let status = async {
        let before: Value = client.request("gettransactionfinality", rpc_params![txid]).await.unwrap();
        assert_eq!((&before["status"], &before["final"]), (&json!("pending"), &json!(false)));
        node.set_status(txid, Status::Final(Path::Sampled));
    };
    let (told, ()) = tokio::join!(waiting, status);
    let told = told.unwrap();
    assert_eq!(
        (&told["status"], &told["path"], &told["finality_ms"]),
        (&json!("final"), &json!("sampled"), &json!(250))
    );
}

#[tokio::test]
async fn who_waits_for_what_is_already_decided_is_answered_at_once() {
    let mut node = Node::new();
    let server = node.serve().await;
    let committed = payment(&node, 0);
    node.commit(std::slice::from_ref(&committed));
    let told = call(&server, "waittransactionfinality", json!([committed.txid(), 0])).await.unwrap();
    assert_eq!((&told["status"], &told["height"]), (&json!("committed"), &json!(1)));

    let lost = Txid([5; 32]);
    let status = Status::Rejected(RejectReason::Conflict(committed.txid()));
    node.view.outcomes.insert(lost, Outcome::new(status));
    let told = call(&server, "waittransactionfinality", json!([lost])).await.unwrap();
    assert_eq!((&told["status"], &told["reason"]), (&json!("rejected"), &json!("conflict")));
    assert_eq!(told["conflict"], json!(committed.txid()));
}

#[tokio::test]
async fn thousands_wait_and_all_are_told() {
    const CLIENTS: usize = 3_000;
    let node = Node::new();
    let server = node.serve().await;
    let txids: Vec<Txid> = (0..5).map(|coin| node.admit(&payment(&node, coin), Status::Pending)).collect();
    let client = connect(&server).await;
    let waiting = (0..CLIENTS).map(|number| {
        let txid = txids[number % txids.len()];
        client.request::<Value, _>("waittransactionfinality", rpc_params![txid, 60_000])
    });
    let finish = async {
        client.request::<Value, _>("uptime", rpc_params![]).await.unwrap();
        for txid in &txids {
            node.set_status(*txid, Status::Final(Path::Sampled));
        }
    };
    let (told, ()) = tokio::join!(futures::future::join_all(waiting), finish);
    assert!(told.iter().all(|told| told.as_ref().unwrap()["status"] == "final"));
}

#[tokio::test]
async fn a_wait_that_takes_too_long_ends_with_the_status_so_far() {
    let node = Node::new();
    let server = node.serve().await;
    let txid = node.admit(&payment(&node, 0), Status::Pending);
    let error = call(&server, "waittransactionfinality", json!([txid, 20])).await.unwrap_err();
    assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(-1), &json!("timeout")));
    assert_eq!(error["data"]["status"], "pending");
    let error = call(&server, "waittransactionfinality", json!(["33".repeat(32), 20])).await.unwrap_err();
    assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(-5), &json!("unknown-transaction")));
    let error = call(&server, "waittransactionfinality", json!([txid, 600_001])).await.unwrap_err();
    assert_eq!(error["code"], -8);
}

#[tokio::test]
async fn who_waits_is_told_that_the_node_stops() {
    let node = Node::new();
    let server = node.serve().await;
    let txid = node.admit(&payment(&node, 0), Status::Pending);
    let wait = call(&server, "waittransactionfinality", json!([txid, 60_000]));
    let stop = async {
        call(&server, "uptime", json!([])).await.unwrap();
        node.stop.cancel();
    };
    let (told, ()) = tokio::join!(wait, stop);
    assert_eq!(told.unwrap_err()["code"], -28);
    soon("end", server.ended()).await;
}

#[tokio::test]
async fn a_final_payment_is_proved_by_votes_and_a_committed_one_by_its_block() {
    let mut node = Node::new();
    let server = node.serve().await;
    let paid = payment(&node, 0);
    let txid = node.admit(&paid, Status::Final(Path::Sampled));
    let key = crate::support::key(1);
    let genesis = node.view.genesis_hash;
    let batch = VoteBatch::sign(Epoch(0), Phase::Commit, vec![Txid([8; 32]), txid], &key, &genesis);
    let votes = vec![batch.cut_out(&txid).unwrap()];
    let certificate = Certificate { epoch: Epoch(0), phase: Phase::Commit, txid, votes };
    let driver = async {
        let Some(Call::Certificate(_, reply)) = soon("call", node.calls.recv()).await else { panic!("not asked for") };
        reply.send(Some(certificate)).unwrap();
    };
    let (found, ()) = tokio::join!(call(&server, "gettransactionfinality", json!([txid, true])), driver);
    let proof: Certificate = serde_json::from_value(found.unwrap()["proof"]["certificate"].clone()).unwrap();
    assert_eq!(proof.verify(&node.view.state.load().validators, &genesis), Ok(()));

    let block = node.commit(&[paid]);
    let found = call(&server, "gettransactionfinality", json!({"txid": txid, "proof": true})).await.unwrap();
    let path: timecoin_protocol::hash::MerklePath = serde_json::from_value(found["proof"]["path"].clone()).unwrap();
    assert_eq!(path.root(&txid), Some(block.block.header.transactions_root));
}

#[tokio::test]
async fn each_block_is_told_to_subscribers() {
    let mut node = Node::new();
    let server = node.serve().await;
    let client = connect(&server).await;
    let mut blocks = subscribe(&client, "blocks", rpc_params![]).await;
    let paid = payment(&node, 0);
    let block = node.commit(&[paid]);
    let told = next(&mut blocks).await;
    assert_eq!((&told["hash"], &told["height"]), (&json!(block.commit.block), &json!(1)));
    assert_eq!((&told["nTx"], &told["fees"]), (&json!(2), &json!(FEE_UNITS)));
}

#[tokio::test]
async fn a_finality_subscription_can_be_limited_to_some_transactions() {
    let node = Node::new();
    let server = node.serve().await;
    let client = connect(&server).await;
    let wanted = node.admit(&payment(&node, 0), Status::Pending);
    let other = node.admit(&payment(&node, 1), Status::Pending);
    let mut finality = subscribe(&client, "finality", rpc_params![vec![wanted]]).await;
    node.set_status(other, Status::Final(Path::Sampled));
    node.set_status(wanted, Status::Prepared);
    node.set_status(wanted, Status::Final(Path::Sampled));
    assert_eq!(next(&mut finality).await["status"], "prepared");
    let told = next(&mut finality).await;
    assert_eq!((&told["txid"], &told["status"]), (&json!(wanted), &json!("final")));
}

#[tokio::test]
async fn an_address_subscription_follows_a_payment_to_its_block() {
    let mut node = Node::new();
    let server = node.serve().await;
    let client = connect(&server).await;
    let mut receiver = subscribe(&client, "address", rpc_params![address(3)]).await;
    let mut stranger = subscribe(&client, "address", rpc_params![address(4)]).await;
    let paid = payment(&node, 0);
    let txid = node.admit(&paid, Status::Pending);
    node.set_status(txid, Status::Final(Path::Sampled));
    node.commit(std::slice::from_ref(&paid));
    let received = json!(COIN_UNITS - FEE_UNITS);
    let told = next(&mut receiver).await;
    assert_eq!((&told["txid"], &told["status"], &told["received"]), (&json!(txid), &json!("pending"), &received));
    assert_eq!(next(&mut receiver).await["status"], "final");
    let told = next(&mut receiver).await;
    assert_eq!((&told["status"], &told["height"], &told["spends"]), (&json!("committed"), &json!(1), &json!(false)));
    node.commit(&[node.payment(2, &[node.coin(1)], &[(4, COIN_UNITS - FEE_UNITS)])]);
    assert_eq!(next(&mut stranger).await["height"], 2, "what was paid to others was not told");
}

#[tokio::test]
async fn a_subscriber_that_falls_behind_is_closed_and_told_why() {
    let node = Node::new();
    let server = node.serve().await;
    let url = format!("ws://{}", server.address).parse().unwrap();
    let (mut sender, mut receiver) = WsTransportClientBuilder::default().build(url).await.unwrap();
    sender.send(r#"{"jsonrpc":"2.0","id":1,"method":"subscribefinality"}"#.to_owned()).await.unwrap();
    let ReceivedMessage::Text(accepted) = soon("answer", receiver.receive()).await.unwrap() else {
        panic!("not a text")
    };
    assert!(accepted.contains("\"result\""), "{accepted}");
    // One thread runs everything here: the subscription sees none of this until the test waits.
    for number in 0..=timecoin_node::bounds::NEWS_MAX as u64 + 1_000 {
        let mut txid = [0; 32];
        txid[..8].copy_from_slice(&number.to_le_bytes());
        node.set_status(Txid(txid), Status::Prepared);
    }
    let ReceivedMessage::Text(last) = soon("last word", receiver.receive()).await.unwrap() else {
        panic!("not a text")
    };
    let last: Value = serde_json::from_str(&last).unwrap();
    let error = &last["params"]["error"];
    assert_eq!((&last["method"], &error["data"]["reason"]), (&json!("finality"), &json!("lagged")));
    assert!(error["data"]["missed"].as_u64().unwrap() >= 1_000, "{error}");
}

#[tokio::test]
async fn a_wrong_address_is_refused_instead_of_subscribed() {
    let node = Node::new();
    let server = node.serve().await;
    let client = connect(&server).await;
    let refused =
        client.subscribe::<Value, _>("subscribeaddress", rpc_params!["dtime1typo"], "unsubscribeaddress").await;
    let Err(Error::Call(error)) = refused else { panic!("{refused:?}") };
    assert_eq!(error.code(), -5);
}
