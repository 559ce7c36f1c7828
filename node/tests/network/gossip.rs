//! Gossip among several nodes.

use crate::cluster::{Node, TCP, config, join, join_only, pair, until};
use std::collections::HashSet;
use std::time::Duration;
use timecoin_node::bounds::NETWORK_EVENTS_MAX;
use timecoin_node::network::{Command, Event};
use timecoin_protocol::bounds::GOSSIP_BYTES_MAX;
use timecoin_protocol::codec::encode;
use timecoin_protocol::engine::Verdict;
use timecoin_protocol::wire::Topic;

/// Publishes texts at `from` until one of them has come to `to`.
async fn until_gossip_flows(from: &Node, to: &mut Node, topic: Topic) {
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    let publish = async {
        for count in 0_u64.. {
            tick.tick().await;
            from.publish(topic, &format!("probe {count} from {}", from.network.peer_id)).await;
        }
    };
    let receive = to.expect("probe", |event| {
        matches!(event, Event::Gossip { bytes, .. } if bytes.starts_with(b"probe")).then_some(())
    });
    tokio::select! {
        () = publish => {}
        () = receive => {}
    }
}

#[tokio::test]
async fn two_nodes_gossip_on_every_topic() {
    // N-1, N-11
    let (one, mut two) = pair(TCP).await;
    for topic in Topic::ALL {
        until_gossip_flows(&one, &mut two, topic).await;
        one.publish(topic, topic.name()).await;
        let arrived = two
            .expect("message", |event| match event {
                Event::Gossip { topic, bytes, .. } if !bytes.starts_with(b"probe") => Some((*topic, bytes.clone())),
                _ => None,
            })
            .await;
        assert_eq!(arrived, (topic, topic.name().as_bytes().to_vec()));
    }
}

#[tokio::test]
async fn four_nodes_that_know_one_address_find_one_another_and_get_each_message_once() {
    // N-13, N-18
    let mut nodes = vec![Node::start(config(TCP)).await];
    for _ in 0..3 {
        let node = join(TCP, &[&nodes[0]]).await;
        nodes.push(node);
    }
    for at in 0..nodes.len() {
        for other in (0..nodes.len()).filter(|other| *other != at) {
            let peer = nodes[other].network.peer_id;
            let is_peer = |event: &Event| matches!(event, Event::PeerReady(who) if *who == peer).then_some(());
            nodes[at].expect("PeerReady of each other node", is_peer).await;
        }
    }
    let (publisher, rest) = nodes.split_first_mut().unwrap();
    for node in rest.iter_mut() {
        until_gossip_flows(publisher, node, Topic::Transactions).await;
    }
    for text in ["once", "marker"] {
        publisher.publish(Topic::Transactions, text).await;
        for node in rest.iter_mut() {
            let id = node.expect_gossip(text).await;
            node.judge(id, Verdict::Accept).await;
        }
    }
    for node in rest.iter() {
        assert!(!node.has_seen(|event| matches!(event, Event::Gossip { bytes, .. } if bytes == b"once")));
    }
}

#[tokio::test]
async fn only_accepted_messages_are_forwarded() {
    // N-13
    let mut middle = Node::start(config(TCP)).await;
    let left = join_only(TCP, &[&middle]).await;
    let mut right = join_only(TCP, &[&middle]).await;
    until_gossip_flows(&left, &mut middle, Topic::Transactions).await;
    until_gossip_flows(&middle, &mut right, Topic::Transactions).await;
    for (text, verdict) in [("ignored", Verdict::Ignore), ("rejected", Verdict::Reject), ("accepted", Verdict::Accept)]
    {
        left.publish(Topic::Transactions, text).await;
        let id = middle.expect_gossip(text).await;
        middle.judge(id, verdict).await;
    }
    right.expect_gossip("accepted").await;
    for text in ["ignored", "rejected"] {
        let arrived = |event: &Event| matches!(event, Event::Gossip { bytes, .. } if bytes == text.as_bytes());
        assert!(!right.has_seen(arrived), "{text} was forwarded");
    }
}

#[tokio::test]
async fn votes_that_are_passed_on_together_are_one_message_of_a_gossip_of_their_own() {
    // N-36
    let (one, mut two) = pair(TCP).await;
    until_gossip_flows(&one, &mut two, Topic::Votes).await;
    for own in [false, true] {
        let votes = [format!("first vote, own: {own}").into_bytes(), b"second vote".to_vec()];
        let mut expected = encode(&2_u64);
        expected.extend(votes.concat());
        one.tell(Command::Votes { votes: votes.to_vec(), own }).await;
        two.expect("both votes in one message", |event| match event {
            Event::Gossip { topic: Topic::Votes, bytes, .. } if *bytes == expected => Some(()),
            _ => None,
        })
        .await;
        assert!(!two.has_seen(|event| matches!(event, Event::Gossip { bytes, .. } if bytes.ends_with(&votes[0]))));
    }
}

/// A node that passes on the only vote of a bundle sends the same bytes that came. With an id that was made of them gossipsub took
/// the message for one that everybody has, and the vote got no further than one hop.
#[tokio::test]
async fn a_vote_that_came_alone_is_passed_on_alone_n_36() {
    let mut middle = Node::start(config(TCP)).await;
    let left = join_only(TCP, &[&middle]).await;
    let mut right = join_only(TCP, &[&middle]).await;
    until_gossip_flows(&left, &mut middle, Topic::Votes).await;
    until_gossip_flows(&middle, &mut right, Topic::Votes).await;
    let vote = b"a vote".to_vec();
    let bundle = [encode(&1_u64), vote.clone()].concat();
    left.tell(Command::Votes { votes: vec![vote.clone()], own: true }).await;
    let id = middle
        .expect("the bundle", |event| match event {
            Event::Gossip { id, bytes, .. } if *bytes == bundle => Some(*id),
            _ => None,
        })
        .await;
    // Whatever the verdict, the message itself goes no further: without an id of its content it would come back for ever.
    middle.judge(id, Verdict::Accept).await;
    middle.tell(Command::Votes { votes: vec![vote, b"another".to_vec()], own: false }).await;
    let both = [encode(&2_u64), b"a vote".to_vec(), b"another".to_vec()].concat();
    right
        .expect("the next bundle", |event| match event {
            Event::Gossip { topic: Topic::Votes, bytes, .. } if *bytes == both => Some(()),
            _ => None,
        })
        .await;
    assert!(!right.has_seen(|event| matches!(event, Event::Gossip { bytes, .. } if *bytes == bundle)));
    middle.tell(Command::Votes { votes: vec![b"a vote".to_vec()], own: false }).await;
    right
        .expect("the same bundle", |event| match event {
            Event::Gossip { topic: Topic::Votes, bytes, .. } if *bytes == bundle => Some(()),
            _ => None,
        })
        .await;
}

#[tokio::test]
async fn the_largest_messages_pass_one_after_the_other_and_larger_ones_are_not_sent() {
    // N-11: gossipsub compares its limit with the whole read buffer, so messages close to the
    // limit, one right behind the other, used to break the stream.
    let (one, mut two) = pair(TCP).await;
    until_gossip_flows(&one, &mut two, Topic::Transactions).await;
    one.tell(Command::Publish(Topic::Transactions, vec![0; GOSSIP_BYTES_MAX + 1])).await;
    for fill in 1..=8 {
        one.tell(Command::Publish(Topic::Transactions, vec![fill; GOSSIP_BYTES_MAX])).await;
    }
    one.publish(Topic::Transactions, "and a small one").await;
    for fill in 1..=8 {
        two.expect("large message", |event| match event {
            Event::Gossip { bytes, .. } if bytes.len() == GOSSIP_BYTES_MAX && bytes[0] == fill => Some(()),
            _ => None,
        })
        .await;
    }
    two.expect_gossip("and a small one").await;
    assert!(!two.has_seen(|event| matches!(event, Event::Gossip { bytes, .. } if bytes.len() > GOSSIP_BYTES_MAX)));
}

#[tokio::test]
async fn a_full_queue_of_events_drops_gossip_but_blocks_nobody() {
    let (mut one, mut two) = pair(TCP).await;
    until_gossip_flows(&one, &mut two, Topic::Votes).await;
    // From now on, the second node's events are not taken.
    let dropped = two.network.counters.gossip_dropped.clone();
    for index in 0..(NETWORK_EVENTS_MAX + 500) {
        one.publish(Topic::Votes, &format!("message {index}")).await;
    }
    until("dropping gossip", || dropped.get() > 0).await;
    // Its commands are still carried out, and nobody is disconnected.
    two.publish(Topic::Blocks, "still alive").await;
    one.expect_gossip("still alive").await;
    while two.network.events.try_recv().is_ok() {}
    until_gossip_flows(&one, &mut two, Topic::Masternodes).await;
    assert!(!one.has_seen(|event| matches!(event, Event::PeerGone(_))));
}

/// gossipsub offers messages to peers outside of its mesh in one IHAVE of up to 5,000 ids. A
/// receiver refuses such a message above 16 KiB by default (some 700 ids) and closes the stream,
/// which the sender never opens again: the peer looks connected and hears nothing any more. The
/// hub here has more peers than its mesh takes, and more messages in the window than that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_outside_of_the_mesh_get_every_one_of_many_messages() {
    // N-12
    const LEAVES: usize = 14;
    const MESSAGES: usize = 1_500;
    let mut hub = Node::start(config(TCP)).await;
    let publisher = join_only(TCP, &[&hub]).await;
    let mut leaves = Vec::new();
    for _ in 0..LEAVES {
        leaves.push(join_only(TCP, &[&hub]).await);
    }
    for leaf in &leaves {
        hub.expect_ready(&leaf.network).await;
    }
    until_gossip_flows(&publisher, &mut hub, Topic::Transactions).await;
    for leaf in &mut leaves {
        until_gossip_flows(&hub, leaf, Topic::Transactions).await;
    }
    let receiving: Vec<_> = leaves.into_iter().map(|leaf| tokio::spawn(receive_all(leaf, MESSAGES))).collect();
    let forwarding = tokio::spawn(async move { receive_all(hub, MESSAGES).await });
    for index in 0..MESSAGES {
        publisher.publish(Topic::Transactions, &format!("message {index}")).await;
    }
    let _hub = forwarding.await.unwrap();
    for leaf in receiving {
        leaf.await.unwrap();
    }
}

/// Accepts whatever comes until `count` different numbered messages have arrived.
async fn receive_all(mut node: Node, count: usize) -> Node {
    let mut arrived = HashSet::new();
    while arrived.len() < count {
        let (id, bytes) = node
            .expect("all messages", |event| match event {
                Event::Gossip { id, bytes, .. } => Some((*id, bytes.clone())),
                _ => None,
            })
            .await;
        node.judge(id, Verdict::Accept).await;
        if bytes.starts_with(b"message") {
            assert!(arrived.insert(bytes), "a message came twice");
        }
    }
    node
}
