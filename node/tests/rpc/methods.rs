//! What the methods say about a chain of real blocks in real storage, and about the pool.

use crate::support::http::PATIENCE;
use crate::support::{COIN_UNITS, COINS, FEE_UNITS, Node, address, call, key};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use timecoin_node::view::{Call, SubmitError};
use timecoin_protocol::amount::Amount;
use timecoin_protocol::block::EvidenceKind;
use timecoin_protocol::codec::{decode, encode};
use timecoin_protocol::engine::{Admitted, Path, Refusal, Status};
use timecoin_protocol::hash::Txid;
use timecoin_protocol::ledger::Offender;
use timecoin_protocol::transaction::{OutPoint, Transaction};
use timecoin_protocol::validator::Height;

const PAID: u64 = 400_000;
const CHANGE: u64 = COIN_UNITS - PAID - FEE_UNITS;

/// A payment of 400,000 units from key 2 to key 3, out of the first coin.
fn payment(node: &Node) -> Transaction {
    node.payment(2, &[node.coin(0)], &[(3, PAID), (2, CHANGE)])
}

fn hex_of(transaction: &Transaction) -> String {
    hex::encode(encode(transaction))
}

#[tokio::test]
async fn genesis_is_shown_as_what_it_is() {
    let node = Node::new();
    let server = node.serve().await;
    let info = call(&server, "getblockchaininfo", json!([])).await.unwrap();
    assert_eq!(
        (&info["blocks"], &info["chain"], &info["initialblockdownload"]),
        (&json!(0), &json!("devnet"), &json!(false))
    );
    assert_eq!(info["supply"], 1_000 * 100_000_000_u64 + u64::from(COINS) * COIN_UNITS);
    let block = call(&server, "getblock", json!([0])).await.unwrap();
    assert_eq!((&block["genesis"], &block["hash"]), (&json!(true), &json!(node.view.genesis_hash)));
    assert_eq!((&block["confirmations"], &block["nextblockhash"]), (&json!(1), &Value::Null));
}

#[tokio::test]
async fn a_block_is_found_by_height_and_by_hash_in_every_verbosity() {
    let mut node = Node::new();
    let server = node.serve().await;
    let paid = payment(&node);
    let first = node.commit(std::slice::from_ref(&paid));
    let second = node.commit(&[]);
    let hash = json!(first.commit.block);
    assert_eq!(call(&server, "getblockcount", json!([])).await, Ok(json!(2)));
    assert_eq!(call(&server, "getblockhash", json!([1])).await, Ok(hash.clone()));
    assert_eq!(call(&server, "getbestblockhash", json!([])).await, Ok(json!(second.commit.block)));

    let block = call(&server, "getblock", json!({"block": hash})).await.unwrap();
    assert_eq!(block["tx"], json!([first.block.coinbase.txid(), paid.txid()]));
    assert_eq!((&block["confirmations"], &block["nextblockhash"]), (&json!(2), &json!(second.commit.block)));
    assert_eq!(block["previousblockhash"], json!(node.view.genesis_hash));

    let whole = call(&server, "getblock", json!([1, 2])).await.unwrap();
    assert_eq!(whole["tx"][1]["vout"][0]["amount"], PAID);
    assert_eq!(whole["tx"][0]["vin"], json!([{"coinbase": "0100000000000000"}]));
    let bytes = call(&server, "getblock", json!([1, 0])).await.unwrap();
    assert_eq!(bytes, json!(hex::encode(encode(first.as_ref()))));
    let header = call(&server, "getblockheader", json!([hash, false])).await.unwrap();
    assert_eq!(header, json!(hex::encode(encode(&first.block.header))));
}

#[tokio::test]
async fn a_height_above_the_tip_is_out_of_range_and_an_unknown_hash_is_not_found() {
    let node = Node::new();
    let server = node.serve().await;
    assert_eq!(call(&server, "getblock", json!([1])).await.unwrap_err()["code"], -8);
    assert_eq!(call(&server, "getblock", json!(["11".repeat(32)])).await.unwrap_err()["code"], -5);
}

#[tokio::test]
async fn a_committed_transaction_says_what_it_spent_and_where_it_is() {
    let mut node = Node::new();
    let server = node.serve().await;
    let paid = payment(&node);
    let block = node.commit(std::slice::from_ref(&paid));
    let found = call(&server, "gettransaction", json!([paid.txid()])).await.unwrap();
    assert_eq!((&found["vin"][0]["amount"], &found["vin"][0]["address"]), (&json!(COIN_UNITS), &json!(address(2))));
    assert_eq!(
        (&found["fee"], &found["status"], &found["height"]),
        (&json!(FEE_UNITS), &json!("committed"), &json!(1))
    );
    assert_eq!((&found["blockhash"], &found["final"]), (&json!(block.commit.block), &json!(true)));
    let raw = call(&server, "getrawtransaction", json!([paid.txid()])).await.unwrap();
    assert_eq!(raw, json!(hex_of(&paid)));
    let unknown = call(&server, "gettransaction", json!(["22".repeat(32)])).await.unwrap_err();
    assert_eq!((&unknown["code"], &unknown["data"]["reason"]), (&json!(-5), &json!("unknown-transaction")));
}

#[tokio::test]
async fn what_is_built_and_signed_is_what_was_asked_for() {
    let node = Node::new();
    let server = node.serve().await;
    let coin = node.coin(0);
    let validator = key(9).public();
    let params = json!({
        "inputs": [{"txid": coin.txid, "vout": coin.index}],
        "outputs": [{address(3): 5_000}, {"amount": 7_000, "bond": {"validator": validator, "owner": address(2)}}],
        "memo": "rent",
    });
    let made = call(&server, "createrawtransaction", params).await.unwrap();
    let bytes = hex::decode(made.as_str().unwrap()).unwrap();
    let transaction: Transaction = decode(&bytes, 16_384).unwrap();
    assert_eq!((transaction.body.inputs.as_slice(), transaction.witnesses.len()), ([coin].as_slice(), 0));
    let shown = call(&server, "decoderawtransaction", json!([made])).await.unwrap();
    assert_eq!((&shown["memo_text"], &shown["vout"][0]["address"]), (&json!("rent"), &json!(address(3))));
    assert_eq!(shown["vout"][1]["lock"], json!({"type": "bond", "address": address(2), "validator": validator}));
}

#[tokio::test]
async fn amounts_that_are_not_whole_units_are_refused() {
    let node = Node::new();
    let server = node.serve().await;
    let error = call(&server, "createrawtransaction", json!([[], {address(3): 0.5}])).await.unwrap_err();
    assert_eq!(error["code"], -32602);
    assert!(error["message"].as_str().unwrap().contains("whole number of units"), "{error}");
    let foreign = "time1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq";
    let error = call(&server, "createrawtransaction", json!([[], {foreign: 5}])).await.unwrap_err();
    assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(-5), &json!("address-checksum")));
}

#[tokio::test]
async fn bytes_that_are_no_transaction_cannot_be_decoded() {
    let node = Node::new();
    let server = node.serve().await;
    let mut bytes = encode(&payment(&node));
    bytes.push(0);
    for method in ["decoderawtransaction", "sendrawtransaction"] {
        let error = call(&server, method, json!([hex::encode(&bytes)])).await.unwrap_err();
        assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(-22), &json!("not-canonical")));
    }
}

/// Answers calls to the driver: each transaction gets the next of `answers`.
fn drive(node: &mut Node, answers: Vec<Result<(), SubmitError>>) -> tokio::task::JoinHandle<()> {
    let (_, mut calls) = tokio::sync::mpsc::channel(1);
    std::mem::swap(&mut calls, &mut node.calls);
    tokio::spawn(async move {
        for answer in answers {
            let (Call::Submit(transaction, reply) | Call::Test(transaction, reply)) =
                tokio::time::timeout(PATIENCE, calls.recv()).await.expect("a call").unwrap()
            else {
                panic!("not a submission");
            };
            let admitted = Admitted { txid: transaction.txid(), fee: Amount(FEE_UNITS), bytes: 300, conflict: None };
            reply.send(answer.map(|()| admitted)).unwrap();
        }
    })
}

#[tokio::test]
async fn sending_answers_with_the_txid_also_the_second_time() {
    let mut node = Node::new();
    let server = node.serve().await;
    let driver = drive(&mut node, vec![Ok(()), Err(SubmitError::Refused(Refusal::Known))]);
    let paid = payment(&node);
    for _ in 0..2 {
        assert_eq!(call(&server, "sendrawtransaction", json!([hex_of(&paid)])).await, Ok(json!(paid.txid())));
    }
    tokio::time::timeout(PATIENCE, driver).await.expect("all calls came").unwrap();
}

#[tokio::test]
async fn a_refusal_has_bitcoins_code_a_reason_and_a_hint() {
    let mut node = Node::new();
    let server = node.serve().await;
    let by = Txid([9; 32]);
    let spent = SubmitError::Refused(Refusal::SpentByFinal { outpoint: node.coin(0), by });
    let driver = drive(&mut node, vec![Err(spent), Err(SubmitError::Signature)]);
    let hex = hex_of(&payment(&node));
    let error = call(&server, "sendrawtransaction", json!([hex])).await.unwrap_err();
    assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(-26), &json!("spent-by-final")));
    assert_eq!(error["data"]["conflict"], json!(by));
    assert!(error["data"]["hint"].is_string());
    let error = call(&server, "sendrawtransaction", json!([hex])).await.unwrap_err();
    assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(-26), &json!("bad-signature")));
    tokio::time::timeout(PATIENCE, driver).await.expect("all calls came").unwrap();
}

#[tokio::test]
async fn a_test_says_what_would_happen_to_each_transaction() {
    let mut node = Node::new();
    let server = node.serve().await;
    let missing = SubmitError::Refused(Refusal::MissingInput(node.coin(0)));
    let driver = drive(&mut node, vec![Ok(()), Err(missing)]);
    let paid = payment(&node);
    let verdicts = call(&server, "testmempoolaccept", json!([[hex_of(&paid), hex_of(&paid)]])).await.unwrap();
    assert_eq!(
        verdicts[0],
        json!({"txid": paid.txid(), "allowed": true, "fee": FEE_UNITS, "size": 300, "conflict": null})
    );
    assert_eq!((&verdicts[1]["allowed"], &verdicts[1]["reject-reason"]), (&json!(false), &json!("missing-input")));
    tokio::time::timeout(PATIENCE, driver).await.expect("all calls came").unwrap();
}

/// Status and amount of what `listunspent` lists.
async fn unspent(server: &timecoin_node::rpc::RpcServer, number: u8) -> Vec<(String, u64)> {
    let list = call(server, "listunspent", json!([address(number)])).await.unwrap();
    let mut found: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["status"].as_str().unwrap().to_owned(), entry["amount"].as_u64().unwrap()))
        .collect();
    found.sort();
    found
}

#[tokio::test]
async fn unspent_outputs_follow_a_payment_from_pending_to_final_to_committed() {
    let mut node = Node::new();
    let server = node.serve().await;
    let coins = |count: u32| vec![("committed".to_owned(), COIN_UNITS); count as usize];
    assert_eq!(unspent(&server, 2).await, coins(COINS));

    let paid = payment(&node);
    let txid = node.admit(&paid, Status::Pending);
    assert_eq!(unspent(&server, 2).await, coins(COINS - 1), "a coin that the pool spends is not listed");
    assert_eq!(unspent(&server, 3).await, []);

    node.set_status(txid, Status::Final(Path::Sampled));
    assert_eq!(unspent(&server, 3).await, [("final".to_owned(), PAID)]);
    let mut expected = coins(COINS - 1);
    expected.push(("final".to_owned(), CHANGE));
    assert_eq!(unspent(&server, 2).await, expected);

    node.commit(std::slice::from_ref(&paid));
    assert_eq!(unspent(&server, 3).await, [("committed".to_owned(), PAID)]);
}

#[tokio::test]
async fn pages_of_unspent_outputs_join_without_gap_or_overlap() {
    let node = Node::new();
    let server = node.serve().await;
    let paid = payment(&node);
    node.admit(&paid, Status::Final(Path::Sampled));
    let (mut seen, mut after) = (Vec::new(), Value::Null);
    loop {
        let page = call(&server, "listunspent", json!([address(2), {"limit": 2, "after": after}])).await.unwrap();
        let page = page.as_array().unwrap().clone();
        for entry in &page {
            seen.push((entry["txid"].as_str().unwrap().to_owned(), entry["vout"].as_u64().unwrap()));
        }
        let Some(last) = page.last().filter(|_| page.len() == 2) else { break };
        after = json!(format!("{}:{}", last["txid"].as_str().unwrap(), last["vout"]));
    }
    assert_eq!(seen.len(), COINS as usize, "four coins and the change");
    assert!(seen.is_sorted() && seen.windows(2).all(|pair| pair[0] != pair[1]), "{seen:?}");
}

#[tokio::test]
async fn a_balance_tells_spendable_final_and_pending_money_apart() {
    let mut node = Node::new();
    let server = node.serve().await;
    let all = COIN_UNITS * u64::from(COINS);
    let paid = payment(&node);
    let txid = node.admit(&paid, Status::Pending);
    let mine = call(&server, "getbalance", json!([address(2)])).await.unwrap();
    assert_eq!((&mine["committed"], &mine["final"]), (&json!(all), &json!(all)));
    assert_eq!((&mine["spendable"], &mine["pending"]), (&json!(all - COIN_UNITS), &json!(CHANGE)));

    node.set_status(txid, Status::Final(Path::Sampled));
    let mine = call(&server, "getbalance", json!([address(2)])).await.unwrap();
    let left = all - PAID - FEE_UNITS;
    assert_eq!((&mine["committed"], &mine["final"], &mine["spendable"]), (&json!(all), &json!(left), &json!(left)));

    node.commit(std::slice::from_ref(&paid));
    let mine = call(&server, "getbalance", json!([address(2)])).await.unwrap();
    assert_eq!((&mine["committed"], &mine["final"], &mine["spendable"]), (&json!(left), &json!(left), &json!(left)));
    let validator = call(&server, "getbalance", json!([address(1)])).await.unwrap();
    assert_eq!(validator["bonded"], 1_000 * 100_000_000_u64);
}

#[tokio::test]
async fn one_output_is_null_once_it_is_spent() {
    let node = Node::new();
    let server = node.serve().await;
    let OutPoint { txid, index } = node.coin(0);
    let found = call(&server, "gettxout", json!([txid, index])).await.unwrap();
    assert_eq!((&found["amount"], &found["confirmations"]), (&json!(COIN_UNITS), &json!(1)));
    let paid = payment(&node);
    node.admit(&paid, Status::Pending);
    assert_eq!(call(&server, "gettxout", json!([txid, index])).await, Ok(Value::Null));
    let without_pool = call(&server, "gettxout", json!([txid, index, false])).await.unwrap();
    assert_eq!(without_pool["amount"], COIN_UNITS);
    let made = call(&server, "gettxout", json!([paid.txid(), 0])).await.unwrap();
    assert_eq!((&made["amount"], &made["status"]), (&json!(PAID), &json!("pending")));
}

#[tokio::test]
async fn the_history_of_an_address_is_newest_first_and_in_pages() {
    let mut node = Node::new();
    let server = node.serve().await;
    let sent: Vec<_> = (0..3).map(|n| node.payment(2, &[node.coin(n)], &[(3, COIN_UNITS - FEE_UNITS)])).collect();
    node.commit(&sent[..1]);
    node.commit(&sent[1..2]);
    node.admit(&sent[2], Status::Pending);
    let page = call(&server, "getaddresshistory", json!([address(2), 1])).await.unwrap();
    assert_eq!((&page["pool"][0]["txid"], &page["pool"][0]["status"]), (&json!(sent[2].txid()), &json!("pending")));
    let entry = &page["transactions"][0];
    assert_eq!((&entry["txid"], &entry["height"]), (&json!(sent[1].txid()), &json!(2)));
    assert_eq!((&entry["spent"], &entry["net"]), (&json!(COIN_UNITS), &json!(-1_000_000)));
    let next = call(&server, "getaddresshistory", json!([address(2), 1, page["next"]])).await.unwrap();
    assert_eq!((&next["transactions"][0]["txid"], &next["pool"]), (&json!(sent[0].txid()), &json!([])));
}

#[tokio::test]
async fn the_pool_is_listed_with_fees_status_and_parents() {
    let node = Node::new();
    let server = node.serve().await;
    let parent = payment(&node);
    let change = OutPoint { txid: parent.txid(), index: 1 };
    let child = node.payment(2, &[change], &[(3, CHANGE - FEE_UNITS)]);
    node.admit(&parent, Status::Final(Path::Sampled));
    node.admit(&child, Status::Contested(Txid([9; 32])));
    let entry = call(&server, "getmempoolentry", json!([child.txid()])).await.unwrap();
    assert_eq!((&entry["depends"], &entry["fee"]), (&json!([parent.txid()]), &json!(FEE_UNITS)));
    assert_eq!((&entry["status"], &entry["conflict"]), (&json!("contested"), &json!("09".repeat(32))));
    let all = call(&server, "getrawmempool", json!([true])).await.unwrap();
    assert_eq!(all[parent.txid().to_string()]["path"], "sampled");
    assert_eq!(call(&server, "getrawmempool", json!([])).await.unwrap().as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn validators_are_listed_with_weight_tier_and_share() {
    let mut node = Node::new();
    let server = node.serve().await;
    node.commit(&[]);
    let list = call(&server, "masternodelist", json!([])).await.unwrap();
    assert_eq!((&list[0]["key"], &list[0]["tier"]), (&json!(key(1).public()), &json!("bronze")));
    assert_eq!((&list[0]["share_ppm"], &list[0]["payout"]), (&json!(1_000_000), &json!(address(1))));
    assert_eq!((&list[0]["status"], &list[0]["offender"]), (&json!("active"), &Value::Null));
    // it is shown while its evidence is in no block yet; X-7: and with the block when it is.
    node.view.accused.insert(key(1).public(), EvidenceKind::DoublePrepare);
    let list = call(&server, "masternodelist", json!([])).await.unwrap();
    assert_eq!(list[0]["offender"], json!({"kind": "double_prepare", "height": null}));
    let mut state = node.view.state.load().as_ref().clone();
    let offender = Offender { kind: EvidenceKind::DoubleSeal, height: Height(1) };
    state.offenders = [(key(1).public(), offender)].into_iter().collect::<BTreeMap<_, _>>().into();
    let before = node.view.state.swap(Arc::new(state));
    let list = call(&server, "masternodelist", json!([])).await.unwrap();
    assert_eq!(list[0]["offender"], json!({"kind": "double_seal", "height": 1}));
    assert_eq!(list[0]["status"], "removed");
    node.view.state.store(before);
    let own = call(&server, "masternodestatus", json!([])).await.unwrap();
    assert_eq!((&own["active"], &own["signed_last_block"]), (&json!(true), &json!(true)));
    let consensus = call(&server, "getconsensusinfo", json!([])).await.unwrap();
    assert_eq!((&consensus["height"], &consensus["proposer"]), (&json!(2), &json!(key(1).public())));
}

#[tokio::test]
async fn an_address_of_another_network_is_told_apart_from_a_typing_mistake() {
    let node = Node::new();
    let server = node.serve().await;
    let valid = call(&server, "validateaddress", json!([address(2)])).await.unwrap();
    assert_eq!((&valid["isvalid"], &valid["network"]), (&json!(true), &json!("devnet")));
    let owner = crate::support::owner(2);
    let foreign = timecoin_protocol::address::address_text(&owner, timecoin_protocol::address::NetworkKind::Mainnet);
    let refused = call(&server, "validateaddress", json!([foreign])).await.unwrap();
    assert_eq!((&refused["isvalid"], &refused["reason"]), (&json!(false), &json!("address-network")));
    let typo = call(&server, "validateaddress", json!([address(2).replace('q', "p")])).await.unwrap();
    assert_eq!(typo["reason"], "address-checksum");
}

#[tokio::test]
async fn the_set_of_unspent_outputs_is_what_the_last_header_commits_to() {
    let mut node = Node::new();
    let server = node.serve().await;
    let block = node.commit(&[]);
    let set = call(&server, "gettxoutsetinfo", json!([])).await.unwrap();
    assert_eq!((&set["utxo_set"], &set["height"]), (&json!(block.block.header.utxo_set), &json!(1)));
    assert_eq!(set["txouts"], u64::from(COINS) + 2);
}
