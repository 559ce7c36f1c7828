//! Validators join and leave while the network runs (E-1, E-5…E-7), and lose their vote (X-3…X-7).

use crate::cluster::{Cluster, FORTUNE, PATIENCE, validator_key, within};
use libp2p::identity::Keypair;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use timecoin_node::network::{self, Command, NetworkConfig};
use timecoin_protocol::address::Owner;
use timecoin_protocol::amount::Amount;
use timecoin_protocol::block::evidence::TwoBlockVotes;
use timecoin_protocol::block::{BlockPhase, BlockVote, Evidence};
use timecoin_protocol::codec::encode;
use timecoin_protocol::engine::{Cause, Voice};
use timecoin_protocol::hash::{BlockHash, GenesisHash};
use timecoin_protocol::keys::{PublicKey, SecretKey};
use timecoin_protocol::transaction::{Lock, OutPoint, Output, Transaction, TransactionBody};
use timecoin_protocol::validator::{Epoch, Height, Round};
use timecoin_protocol::wire::Vote;
use tokio_util::sync::CancellationToken;

const FEE: u64 = 2_000;

fn signed(cluster: &Cluster, input: OutPoint, output: Output, keys: &[&SecretKey]) -> Transaction {
    let body = TransactionBody { inputs: vec![input], outputs: vec![output], memo: Vec::new() };
    Transaction::sign(body, keys, &cluster.genesis.hash())
}

/// Submits to node 0; gives the epoch of the block that took it.
async fn settle(cluster: &Cluster, transaction: Transaction) -> Epoch {
    let txid = transaction.txid();
    cluster.node(0).view.submit(transaction, false).await.unwrap();
    let height = cluster.committed(txid).await;
    cluster.node(0).view.chain.block(height).unwrap().unwrap().block.header.epoch
}

/// Waits for an epoch on node 0; in all epochs until then `key` must be a validator, or not. Gives its first height.
async fn reaches_epoch(cluster: &Cluster, epoch: u64, key: &PublicKey, member: bool) -> Height {
    within(&format!("epoch {epoch}"), async || {
        let state = cluster.node(0).view.state.load_full();
        if state.epoch.0 >= epoch {
            return Some(state.epoch_start);
        }
        assert_eq!(state.validators.index_of(key).is_some(), member, "in epoch {}", state.epoch);
        None
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_bonds_votes_from_the_epoch_after_the_next_and_leaves_again() {
    let mut cluster = Cluster::start_with_epochs(4, 4).await;
    let newcomer = cluster.add_newcomer().await;
    cluster.connected().await;
    let (user, key) = (cluster.user.clone(), validator_key(newcomer));
    let public = key.public();

    // Heavier than the four others together: with it in the set nothing is decided without its vote.
    let owner = Owner::from(&user.public());
    let lock = Lock::Bond { validator: public, owner };
    let bond = Output { amount: Amount(FORTUNE - FEE), lock };
    let made = signed(&cluster, cluster.fortune(), bond, &[&user, &key]);
    let outpoint = OutPoint { txid: made.txid(), index: 0 };
    let epoch = settle(&cluster, made).await.0;
    reaches_epoch(&cluster, epoch + 2, &public, false).await;
    let state = cluster.node(0).view.state.load_full();
    assert_eq!(state.validators.weight_of(&public).0, FORTUNE - FEE);
    cluster.reaches(0, Height(state.height.0 + 2)).await;
    let payment = cluster.payment(0, "with the newcomer's vote");
    settle(&cluster, payment).await;

    let back = Output { amount: Amount(FORTUNE - 2 * FEE), lock: Lock::Unbonding(owner) };
    let leave = signed(&cluster, outpoint, back, &[&user]);
    let epoch = settle(&cluster, leave).await.0;
    reaches_epoch(&cluster, epoch + 2, &public, true).await;
    let state = cluster.node(0).view.state.load_full();
    assert_eq!(state.validators.index_of(&public), None);
    // They go on without it.
    cluster.stop(newcomer).await;
    let payment = cluster.payment(1, "without the newcomer");
    settle(&cluster, payment).await;
    cluster.stop_all().await;
}

/// An operator who wants to be twice as safe: the second node hears what the first one signed, and signs nothing itself (D-17,
/// D-18). Before vote histories both proposed in their turn, contradicted each other, and the key lost its vote.
#[tokio::test(flavor = "multi_thread")]
async fn a_validator_key_that_runs_on_two_nodes_signs_on_one_and_nobody_is_accused() {
    let mut cluster = Cluster::start_with_epochs(4, 4).await;
    cluster.reaches(0, Height(2)).await;
    let twin = cluster.add_twin(3).await;
    let silence = within("the second node to be silent", async || match cluster.node(twin).view.gauges.load().voice {
        Voice::Silent(silence) => Some(silence),
        _ => None,
    })
    .await;
    assert_eq!(silence.cause, Cause::OwnSignature);
    let height = cluster.node(0).view.state.load().height;
    cluster.reaches(0, Height(height.0 + 6)).await;
    assert_eq!(cluster.node(3).view.gauges.load().voice, Voice::Speaks);
    assert!(cluster.node(0).view.state.load().offenders.is_empty());
    cluster.stop_all().await;
}

/// Two prevotes of a round, signed with the key of validator 3.
fn contradiction(genesis: &GenesisHash) -> Evidence {
    let (phase, key) = (BlockPhase::Prevote, validator_key(3));
    let vote = |block| BlockVote::sign(Epoch(0), Height(1), Round(90), phase, block, &key, genesis);
    Evidence::BlockVotes(TwoBlockVotes::of(&vote(None), &vote(Some(BlockHash([1; 32])))).unwrap())
}

/// A peer of node 0 that is no part of the network otherwise, and gossips `vote`.
async fn tell(cluster: &Cluster, vote: &Vote) {
    let mut config = NetworkConfig::new(cluster.genesis.hash(), Keypair::generate_ed25519());
    config.bootstrap = cluster.node(0).addresses.clone();
    let (mut metrics, stop) = (Registry::default(), CancellationToken::new());
    let mut network = Box::pin(network::start(config, &mut metrics, stop.clone())).await.unwrap();
    let ready = async { while !matches!(network.events.recv().await.unwrap(), network::Event::PeerReady(_)) {} };
    tokio::time::timeout(PATIENCE, ready).await.expect("the stranger becomes a peer");
    network.commands.send(Command::Votes { votes: vec![encode(vote)], own: true }).await.unwrap();
    within("node 0 to hear it", async || {
        let view = &cluster.node(0).view;
        (!view.accused.is_empty() || !view.state.load().offenders.is_empty()).then_some(())
    })
    .await;
    stop.cancel();
    network.task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_that_contradicted_itself_loses_its_vote_with_the_epoch() {
    let mut cluster = Cluster::start_with_epochs(4, 4).await;
    let offender = validator_key(3).public();
    let evidence = contradiction(&cluster.genesis.hash());
    tell(&cluster, &Vote::Evidence(Arc::new(evidence.clone()))).await;
    for index in 0..3 {
        within(&format!("node {index} to take the vote from its offender"), async || {
            let state = cluster.node(index).view.state.load_full();
            assert!(state.offenders.keys().all(|key| *key == offender), "{:?}", state.offenders);
            state.offenders.contains_key(&offender).then_some(())
        })
        .await;
    }
    let state = cluster.node(0).view.state.load_full();
    assert_eq!((state.validators.index_of(&offender), state.next_validators.index_of(&offender)), (None, None));
    let height = state.offenders[&offender].height;
    let block = cluster.node(1).view.chain.block(height).unwrap().unwrap();
    assert_eq!(block.block.closing.evidence, [evidence]);
    // They go on without it, and so does one that was not there: it gets the evidence with the block.
    cluster.stop(3).await;
    let follower = cluster.add_follower().await;
    let payment = cluster.payment(0, "without the offender");
    settle(&cluster, payment).await;
    assert!(cluster.node(follower).view.state.load().offenders.contains_key(&offender));
    cluster.stop_all().await;
}
