//! Nodes that stop, fall and come back go on where they were, and find one another again (N-34, N-35).

use crate::cluster::{Cluster, PATIENCE, within};
use std::sync::atomic::Ordering;
use timecoin_protocol::engine::Status;
use timecoin_protocol::validator::Height;

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_stopped_catches_up_and_votes_on() {
    let mut cluster = Cluster::start(4).await;
    cluster.reaches(3, Height(1)).await;
    cluster.stop(3).await;
    let missed = cluster.payment(0, "while you were away");
    let txid = missed.txid();
    cluster.submit(0, missed).await;
    let height = cluster.committed(txid).await;

    cluster.restart(3).await;
    cluster.reaches(3, height).await;
    assert_eq!(cluster.committed(txid).await, height);
    // Three of four are a quorum, so with another one away its vote is needed.
    cluster.stop(1).await;
    let payment = cluster.payment(1, "welcome back");
    let txid = payment.txid();
    cluster.submit(0, payment).await;
    cluster.committed(txid).await;
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_all_fall_at_once_come_back_with_what_was_final() {
    let mut cluster = Cluster::start(4).await;
    cluster.connected().await;
    let payment = cluster.payment(0, "before the fall");
    let txid = payment.txid();
    cluster.submit(2, payment).await;
    let is_final = |status: &Status| matches!(status, Status::Final(_) | Status::Committed(_));
    cluster.everywhere(txid, "final", is_final).await;
    for index in cluster.running() {
        cluster.drop_node(index);
    }
    for index in 0..4 {
        cluster.restart(index).await;
    }
    let height = cluster.committed(txid).await;
    cluster.reaches(0, Height(height.0 + 2)).await;
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_syncs_says_so_and_takes_payments() {
    let mut cluster = Cluster::start(4).await;
    cluster.reaches(0, Height(3)).await;
    let follower = cluster.add_follower().await;
    cluster.reaches(follower, Height(3)).await;
    within("the follower to be level", async || {
        cluster.node(follower).view.synced.load(Ordering::Relaxed).then_some(())
    })
    .await;
    let payment = cluster.payment(0, "through a follower");
    let txid = payment.txid();
    cluster.submit(follower, payment).await;
    cluster.committed(txid).await;
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_of_one_validator_goes_on_alone_and_its_directory_is_free_after_a_stop() {
    let mut cluster = Cluster::start(1).await;
    for round in 0..2 {
        let payment = cluster.payment(round, "alone");
        let txid = payment.txid();
        cluster.submit(0, payment).await;
        cluster.committed(txid).await;
        assert!(cluster.node(0).view.synced.load(Ordering::Relaxed));
        cluster.stop(0).await;
        let dir = cluster.dir(0).to_owned();
        let genesis = std::sync::Arc::clone(&cluster.genesis);
        let opened = tokio::task::spawn_blocking(move || timecoin_node::store::Store::open(&dir, &genesis).map(drop));
        tokio::time::timeout(PATIENCE, opened).await.unwrap().unwrap().unwrap();
        cluster.restart(0).await;
    }
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_made_while_nobody_was_there_arrives_later() {
    let mut cluster = Cluster::start(4).await;
    let follower = cluster.add_follower().await;
    cluster.reaches(follower, Height(1)).await;
    for index in 0..4 {
        cluster.stop(index).await;
    }
    within("the follower to be alone", async || cluster.node(follower).view.peers.load().is_empty().then_some(()))
        .await;
    let payment = cluster.payment(0, "into the void");
    let txid = payment.txid();
    cluster.submit(follower, payment).await;
    for index in 0..4 {
        cluster.restart(index).await;
    }
    cluster.committed(txid).await;
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_has_been_in_the_network_finds_it_again_without_bootstrap_peers() {
    let mut cluster = Cluster::start(4).await;
    cluster.reaches(3, Height(1)).await;
    within("node 3 to know the others", async || (cluster.node(3).view.masternodes.len() == 4).then_some(())).await;
    cluster.stop(3).await;
    cluster.restart_on_its_own(3).await;
    let height = cluster.node(0).view.state.load().height;
    cluster.reaches(3, Height(height.0 + 2)).await;
    cluster.stop_all().await;
}
