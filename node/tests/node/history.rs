//! Validators whose data or vote history are lost sign nothing until they cannot contradict themselves (`SPEC.md` D-15, D-16).

use crate::cluster::{Cluster, within};
use std::collections::BTreeSet;
use timecoin_protocol::engine::{Cause, Silence, Voice};
use timecoin_protocol::validator::{Epoch, Height};

/// Blocks of an epoch: a few seconds.
const EPOCH_BLOCKS: u64 = 6;

fn voice(cluster: &Cluster, index: usize) -> Voice {
    cluster.node(index).view.gauges.load().voice
}

async fn silence(cluster: &Cluster, index: usize) -> Silence {
    within("the validator to be silent", async || match voice(cluster, index) {
        Voice::Silent(silence) => Some(silence),
        _ => None,
    })
    .await
}

async fn speaks(cluster: &Cluster, index: usize) -> Epoch {
    within("the validator to sign again", async || {
        (voice(cluster, index) == Voice::Speaks).then(|| cluster.node(index).view.state.load().epoch)
    })
    .await
}

/// Heights, up to its last block, whose commit has the precommit of validator `index`.
fn signed(cluster: &Cluster, index: usize, from: Height) -> BTreeSet<Height> {
    let view = &cluster.node(0).view;
    let key = crate::cluster::validator_key(index).public();
    let own = view.state.load().validators.index_of(&key).unwrap();
    let last = view.state.load().height;
    let has_signed = |height: &Height| {
        let block = view.chain.block(*height).unwrap().unwrap();
        block.commit.signatures.iter().any(|entry| entry.validator == own)
    };
    (from.0..=last.0).map(Height).filter(has_signed).collect()
}

/// Waits for a commit from height `from` on that has the precommit of validator `index`. A commit holds the first
/// precommits that are a quorum: of four validators the slowest is missing from one after another, as one is that has
/// just come back.
async fn signs(cluster: &Cluster, index: usize, from: Height) -> BTreeSet<Height> {
    within("a commit with the validator's precommit", async || {
        Some(signed(cluster, index, from)).filter(|signed| !signed.is_empty())
    })
    .await
}

/// A block of `epoch` or of a later one; none below it.
fn is_of(cluster: &Cluster, height: Height, epoch: Epoch) -> bool {
    cluster.node(0).view.chain.block(height).unwrap().unwrap().block.header.epoch >= epoch
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_whose_data_are_wiped_syncs_and_votes_again_after_its_last_epoch_d_16() {
    let mut cluster = Cluster::start_with_epochs(4, EPOCH_BLOCKS).await;
    cluster.reaches(3, Height(EPOCH_BLOCKS + 2)).await;
    cluster.stop(3).await;
    let last = cluster.node(0).view.state.load().height;
    std::fs::remove_dir_all(cluster.dir(3)).unwrap();

    cluster.restart(3).await;
    let silence = silence(&cluster, 3).await;
    assert_eq!((silence.cause, silence.after_ms), (Cause::NewerThanBlocks, 0));
    assert!(silence.after_epoch >= Epoch(1));
    let epoch = speaks(&cluster, 3).await;
    assert!(epoch > silence.after_epoch);
    let signed = signs(&cluster, 3, Height(last.0 + 2)).await;
    assert!(signed.iter().all(|height| is_of(&cluster, *height, silence.after_epoch.next())));
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_whose_history_is_lost_waits_for_an_epoch_that_began_afterwards_d_15_d_16() {
    let mut cluster = Cluster::start_with_epochs(4, EPOCH_BLOCKS).await;
    cluster.reaches(3, Height(2)).await;
    cluster.stop(3).await;
    let last = cluster.node(0).view.state.load().height;
    std::fs::remove_file(cluster.history_file(3)).unwrap();

    cluster.restart(3).await;
    let silence = silence(&cluster, 3).await;
    assert_eq!(silence.cause, Cause::Missing);
    // A restart makes it neither shorter nor longer.
    cluster.stop(3).await;
    cluster.restart(3).await;
    assert_eq!(self::silence(&cluster, 3).await, silence);
    let epoch = speaks(&cluster, 3).await;
    assert!(epoch > silence.after_epoch);
    let signed = signs(&cluster, 3, Height(last.0 + 2)).await;
    let dated = |height: &Height| cluster.node(0).view.chain.block(*height).unwrap().unwrap().block.header.time_ms;
    assert!(signed.iter().all(|height| dated(height) > silence.after_ms), "it did not vote before");
    cluster.stop_all().await;
}
