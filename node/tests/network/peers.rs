//! Who is connected with whom: discovery, restarts, blocks, other networks.

use crate::cluster::{Node, QUIC, TCP, config, join, join_only, pair, until};
use libp2p::identity::Keypair;
use prometheus_client::encoding::text::encode;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};
use timecoin_node::network::{Command, Event, NetworkConfig, NetworkError, OutboundId, Protocol};
use timecoin_protocol::engine::Offence;
use timecoin_protocol::hash::GenesisHash;

#[tokio::test]
async fn a_node_of_another_network_is_disconnected_and_never_ready() {
    // N-10
    let mut other = config(TCP);
    other.genesis_hash = GenesisHash([8; 32]);
    let stranger = Node::start(other).await;
    let friend = Node::start(config(TCP)).await;
    let mut node = join(TCP, &[&stranger, &friend]).await;
    node.expect_ready(&friend.network).await;

    let peer = stranger.network.peer_id;
    node.tell(Command::Request { id: OutboundId(1), peer, protocol: Protocol::Status, body: vec![1] }).await;
    node.expect("failure", |event| matches!(event, Event::RequestFailed { .. }).then_some(())).await;
    let peers = node.network.peers.clone();
    let only_friend = friend.network.peer_id.to_base58();
    until("alone with the friend", || matches!(&peers.load()[..], [peer] if peer.peer_id == only_friend)).await;
    assert!(!node.has_seen(|event| matches!(event, Event::PeerReady(who) if *who == peer)));
}

#[tokio::test]
async fn offences_lead_to_a_block_that_ends_by_itself() {
    // N-17
    let mut settings = config(TCP);
    settings.ban = Duration::from_millis(1_500);
    let mut judge = Node::start(settings).await;
    let mut offender = join(TCP, &[&judge]).await;
    judge.expect_ready(&offender.network).await;
    offender.expect_ready(&judge.network).await;

    let peer = offender.network.peer_id;
    judge.tell(Command::Penalize(peer, Offence::InvalidVote)).await;
    let peers = judge.network.peers.clone();
    until("penalized", || matches!(&peers.load()[..], [peer] if peer.penalty == 50)).await;
    assert!(!judge.has_seen(|event| matches!(event, Event::PeerGone(_))), "one offence is not enough");

    let blocked = Instant::now();
    judge.tell(Command::Penalize(peer, Offence::InvalidBlock)).await;
    judge.expect_gone(&offender.network).await;
    offender.expect_gone(&judge.network).await;
    judge.expect_ready(&offender.network).await;
    assert!(blocked.elapsed() >= Duration::from_millis(1_500));
    assert_eq!(judge.network.counters.bans.get(), 1);
}

#[tokio::test]
async fn an_operators_ban_lasts_until_it_is_lifted() {
    // N-17
    let (mut one, mut two) = pair(TCP).await;
    let peer = two.network.peer_id;
    one.tell(Command::Ban(peer)).await;
    one.expect_gone(&two.network).await;
    two.expect_gone(&one.network).await;
    one.tell(Command::Dial(peer, vec![two.address()])).await;
    one.tell(Command::Request { id: OutboundId(1), peer, protocol: Protocol::Status, body: vec![1] }).await;
    one.expect("failure", |event| matches!(event, Event::RequestFailed { .. }).then_some(())).await;
    assert!(!one.has_seen(|event| matches!(event, Event::PeerReady(_))));

    one.tell(Command::Unban(peer)).await;
    one.tell(Command::Dial(peer, vec![two.address()])).await;
    one.expect_ready(&two.network).await;
    two.expect_ready(&one.network).await;
}

#[tokio::test]
async fn a_node_that_restarts_on_another_port_is_found_again() {
    // N-18
    let mut first = Node::start(config(TCP)).await;
    let mut settings = config(TCP);
    settings.bootstrap = vec![first.address()];
    let second = Node::start(settings.clone()).await;
    first.expect_ready(&second.network).await;
    let old = second.address();
    second.stop().await;
    let second = Node::start(settings).await;
    first.expect_gone(&second.network).await;
    first.expect_ready(&second.network).await;
    assert_ne!(old, second.address());
}

#[tokio::test]
async fn a_bootstrap_node_that_restarts_is_dialled_again_within_seconds() {
    // N-18
    for listen in [TCP, QUIC] {
        let mut settings = config(listen);
        let bootstrap = Node::start(settings.clone()).await;
        settings.listen = bootstrap.network.listening.clone();
        let mut node = join(listen, &[&bootstrap]).await;
        node.expect_ready(&bootstrap.network).await;
        bootstrap.stop().await;
        let bootstrap = Node::start_again(settings).await;
        let restarted = Instant::now();
        node.expect_gone(&bootstrap.network).await;
        node.expect_ready(&bootstrap.network).await;
        assert!(restarted.elapsed() < Duration::from_secs(20), "{:?}", restarted.elapsed());
    }
}

#[tokio::test]
async fn bootstrap_addresses_that_lead_nowhere_isolate_nobody() {
    // N-18
    let mut friend = Node::start(config(TCP)).await;
    let nobody = Keypair::generate_ed25519().public().to_peer_id();
    let mut settings = config(TCP);
    settings.bootstrap = vec![
        format!("/dns4/no-such-name.invalid/tcp/4000/p2p/{nobody}").parse().unwrap(),
        format!("/ip4/127.0.0.1/tcp/1/p2p/{nobody}").parse().unwrap(),
        "/dns4/no-such-name.invalid/tcp/4000".parse().unwrap(),
        friend.address(),
    ];
    let mut node = Node::start(settings).await;
    node.expect_ready(&friend.network).await;
    friend.expect_ready(&node.network).await;
}

#[tokio::test]
async fn a_bootstrap_address_without_a_peer_id_leads_to_whoever_answers() {
    let friend = Node::start(config(TCP)).await;
    let mut settings = config(TCP);
    settings.bootstrap = friend.network.listening.clone();
    let mut node = Node::start(settings).await;
    node.expect_ready(&friend.network).await;
}

#[tokio::test]
async fn a_node_dials_whom_it_is_told_to() {
    let mut one = Node::start(config(QUIC)).await;
    let two = Node::start(config(QUIC)).await;
    one.tell(Command::Dial(two.network.peer_id, vec![two.address()])).await;
    one.expect_ready(&two.network).await;
    let peers = one.network.peers.clone();
    until("listed", || peers.load().iter().any(|peer| !peer.inbound && peer.agent.starts_with("timed/"))).await;
}

#[tokio::test]
async fn a_port_in_use_is_an_error_that_names_the_address() {
    for listen in [TCP, QUIC] {
        let first = Node::start(config(listen)).await;
        let taken = first.network.listening[0].clone();
        let mut settings = config(listen);
        settings.listen = vec![taken.clone()];
        let error = Node::try_start(settings).await.err();
        let Some(NetworkError::Listen { address, source }) = error else { panic!("it listens twice") };
        assert_eq!((address, source.kind()), (taken, ErrorKind::AddrInUse));
    }
}

#[tokio::test]
async fn metrics_of_libp2p_gossipsub_and_the_node_are_registered() {
    let (one, _two) = pair(TCP).await;
    let mut text = String::new();
    encode(&mut text, &one.metrics).unwrap();
    for name in
        ["libp2p_swarm_connections_established", "gossipsub_mesh_peer_counts", "timecoin_network_gossip_dropped"]
    {
        assert!(text.contains(name), "{name} is missing in:\n{text}");
    }
}

#[tokio::test]
async fn a_node_that_takes_no_part_has_no_peer_and_finds_all_of_them_when_it_does_again() {
    let mut hub = Node::start(config(TCP)).await;
    let mut settings = config(TCP);
    settings.bootstrap = vec![hub.address()];
    let active = tokio::sync::watch::Sender::new(true);
    settings.active = active.subscribe();
    let mut node = Node::start(settings).await;
    node.expect_ready(&hub.network).await;
    hub.expect_ready(&node.network).await;

    active.send_replace(false);
    node.expect_gone(&hub.network).await;
    hub.expect_gone(&node.network).await;
    // The hub dials the node that it has lost, and somebody new dials it too.
    let mut stranger = join_only(TCP, &[&node]).await;
    let peers = node.network.peers.clone();
    until("alone", || peers.load().is_empty()).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    for other in [&mut hub, &mut stranger] {
        other.take_all();
        assert!(!other.has_seen(|event| matches!(event, Event::PeerReady(who) if *who == node.network.peer_id)));
    }
    let id = OutboundId(7);
    let peer = hub.network.peer_id;
    node.tell(Command::Request { id, peer, protocol: Protocol::Status, body: vec![1] }).await;
    node.expect("failure", |event| matches!(event, Event::RequestFailed { .. }).then_some(())).await;

    active.send_replace(true);
    node.expect_ready(&hub.network).await;
    hub.expect_ready(&node.network).await;
    stranger.expect_ready(&node.network).await;
}

/// N-19. Once the nodes of validators counted like all others, and one of more than 256 could not be connected with all who
/// vote: it asked only some of those it drew for a poll, and in a set of 400 it waited for ever for a quorum to tell what it had
/// signed (D-18).
#[tokio::test]
async fn nodes_of_validators_take_nobodys_place_and_lose_theirs_to_nobody_n_19() {
    let mut settings = config(TCP);
    settings.peers_max = 1;
    let (validators, keys) = (settings.validators.clone(), [(); 3].map(|()| Keypair::generate_ed25519()));
    validators.store(Arc::new(keys.iter().map(|key| key.public().to_peer_id()).collect()));
    let mut hub = Node::start(settings).await;
    let bootstrap = vec![hub.address()];
    let member = |key: &Keypair| NetworkConfig {
        keypair: key.clone(),
        bootstrap: bootstrap.clone(),
        discovery: false,
        ..config(TCP)
    };
    let first = Node::start(member(&keys[0])).await;
    hub.expect_ready(&first.network).await;
    let second = Node::start(member(&keys[1])).await;
    hub.expect_ready(&second.network).await;
    let other = join_only(TCP, &[&hub]).await;
    hub.expect_ready(&other.network).await;
    // There is room for one that is no validator, and for any number of those that are.
    let too_many = join_only(TCP, &[&hub]).await;
    let third = Node::start(member(&keys[2])).await;
    hub.expect_ready(&third.network).await;
    let refused = too_many.network.peer_id;
    assert!(!hub.has_seen(|event| matches!(event, Event::PeerReady(who) if *who == refused)));
    assert!(!hub.has_seen(|event| matches!(event, Event::PeerGone(_))), "nobody had to go");
    // Who is a validator no more counts like others.
    validators.store(Arc::default());
    for _ in 0..3 {
        hub.expect("PeerGone", |event| matches!(event, Event::PeerGone(_)).then_some(())).await;
    }
}
