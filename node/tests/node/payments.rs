//! Four validators in one process: payments become final and committed, alike everywhere.

use crate::cluster::{Cluster, outcome, within};
use timecoin_protocol::engine::{RejectReason, Status};

#[tokio::test(flavor = "multi_thread")]
async fn payments_become_final_on_all_nodes_and_are_committed_in_the_same_block() {
    let mut cluster = Cluster::start(4).await;
    let mut txids = Vec::new();
    for coin in 0..8 {
        let payment = cluster.payment(coin, "pay");
        txids.push(payment.txid());
        cluster.submit(coin % 4, payment).await;
    }
    for txid in &txids {
        cluster.everywhere(*txid, "final", |status| matches!(status, Status::Final(_) | Status::Committed(_))).await;
    }
    for txid in txids {
        cluster.committed(txid).await;
    }
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_double_spend_at_two_nodes_one_at_most_becomes_final_and_the_same_everywhere() {
    let mut cluster = Cluster::start(4).await;
    cluster.connected().await;
    let pair = [cluster.payment(0, "to you"), cluster.payment(0, "to me")];
    let txids = [pair[0].txid(), pair[1].txid()];
    let [left, right] = pair;
    let (first, second) = (cluster.node(0).view.clone(), cluster.node(1).view.clone());
    let both = async { tokio::join!(first.submit(left, false), second.submit(right, false)) };
    let (left, right) = tokio::time::timeout(crate::cluster::PATIENCE, both).await.expect("both nodes answer");
    drop((first, second));
    assert!(left.is_ok() || right.is_ok(), "{left:?} {right:?}");
    let winner = within("one of them to be committed", async || {
        let mut committed = Vec::new();
        for txid in txids {
            let outcome = outcome(cluster.node(0), txid).await;
            if outcome.is_some_and(|outcome| matches!(outcome.status, Status::Committed(_))) {
                committed.push(txid);
            }
        }
        assert!(committed.len() < 2, "both are in blocks");
        committed.pop()
    })
    .await;
    cluster.committed(winner).await;
    let loser = txids.into_iter().find(|txid| *txid != winner).unwrap();
    for index in cluster.running() {
        let outcome = outcome(cluster.node(index), loser).await;
        let status = outcome.map(|outcome| outcome.status);
        assert!(
            matches!(&status, None | Some(Status::Rejected(RejectReason::Conflict(_)))),
            "node {index} says of the loser: {status:?}"
        );
    }
    cluster.stop_all().await;
}
