//! Requests and responses between two nodes.

use crate::cluster::{Node, QUIC, TCP, pair};
use timecoin_node::bounds::{REQUESTS_PER_PEER_MAX, STATUS_REQUESTS_PER_SECOND_MAX};
use timecoin_node::network::{Command, Event, InboundId, OutboundId, Protocol, RequestFailure};
use timecoin_protocol::bounds::{REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX};

async fn ask(node: &Node, id: u64, peer: &Node, protocol: Protocol, body: Vec<u8>) {
    node.tell(Command::Request { id: OutboundId(id), peer: peer.network.peer_id, protocol, body }).await;
}

async fn asked(node: &mut Node) -> (InboundId, Protocol, Vec<u8>) {
    node.expect("request", |event| match event {
        Event::Request { id, protocol, body, .. } => Some((*id, *protocol, body.clone())),
        _ => None,
    })
    .await
}

/// The end of a request: its answer, or why there is none.
async fn outcome(node: &mut Node, wanted: u64) -> Result<Vec<u8>, RequestFailure> {
    node.expect("outcome", |event| match event {
        Event::Response { id, body, .. } if id.0 == wanted => Some(Ok(body.clone())),
        Event::RequestFailed { id, failure } if id.0 == wanted => Some(Err(*failure)),
        _ => None,
    })
    .await
}

/// One request, answered with its own content: proof that the connection works.
async fn echo(one: &mut Node, two: &mut Node, protocol: Protocol, body: Vec<u8>) {
    ask(one, 99, two, protocol, body.clone()).await;
    let (id, by, received) = asked(two).await;
    assert_eq!((by, &received), (protocol, &body));
    two.tell(Command::Respond(id, received)).await;
    assert_eq!(outcome(one, 99).await, Ok(body));
}

#[tokio::test]
async fn every_protocol_carries_requests_and_answers_over_tcp_and_quic() {
    // N-14
    for listen in [TCP, QUIC] {
        let (mut one, mut two) = pair(listen).await;
        for protocol in Protocol::ALL {
            echo(&mut one, &mut two, protocol, vec![1, 2, 3]).await;
            echo(&mut two, &mut one, protocol, Vec::new()).await;
        }
    }
}

#[tokio::test]
async fn the_largest_bodies_pass_and_larger_ones_are_refused_on_a_connection_that_stays() {
    // N-14
    let (mut one, mut two) = pair(TCP).await;
    ask(&one, 1, &two, Protocol::Blocks, vec![1; REQUEST_BYTES_MAX + 1]).await;
    assert_eq!(outcome(&mut one, 1).await, Err(RequestFailure::Refused));

    ask(&one, 2, &two, Protocol::Blocks, vec![1; REQUEST_BYTES_MAX]).await;
    let (id, _, body) = asked(&mut two).await;
    assert_eq!(body.len(), REQUEST_BYTES_MAX);
    two.tell(Command::Respond(id, vec![2; RESPONSE_BYTES_MAX + 1])).await;
    assert_eq!(outcome(&mut one, 2).await, Err(RequestFailure::Refused));

    ask(&one, 3, &two, Protocol::Blocks, vec![3]).await;
    let (id, ..) = asked(&mut two).await;
    two.tell(Command::Respond(id, vec![4; RESPONSE_BYTES_MAX])).await;
    assert_eq!(outcome(&mut one, 3).await.map(|body| body.len()), Ok(RESPONSE_BYTES_MAX));
    assert!(!one.has_seen(|event| matches!(event, Event::PeerGone(_))));
}

#[tokio::test]
async fn a_refused_request_fails_at_once_and_the_next_one_works() {
    let (mut one, mut two) = pair(TCP).await;
    ask(&one, 1, &two, Protocol::Status, vec![1]).await;
    let (id, ..) = asked(&mut two).await;
    two.tell(Command::Refuse(id)).await;
    assert_eq!(outcome(&mut one, 1).await, Err(RequestFailure::Refused));
    echo(&mut one, &mut two, Protocol::Status, vec![2]).await;
}

#[tokio::test]
async fn a_query_without_an_answer_times_out() {
    let (mut one, two) = pair(TCP).await;
    ask(&one, 1, &two, Protocol::Query, vec![1]).await;
    // The one asked gives up after the same time, and closes the stream: on a busy machine that is heard first.
    let outcome = outcome(&mut one, 1).await;
    assert!(matches!(outcome, Err(RequestFailure::Timeout | RequestFailure::Refused)), "{outcome:?}");
}

#[tokio::test]
async fn requests_beyond_the_limit_for_one_peer_are_busy() {
    let (mut one, mut two) = pair(TCP).await;
    let max = u64::try_from(REQUESTS_PER_PEER_MAX).unwrap();
    for id in 0..=max {
        ask(&one, id, &two, Protocol::Blocks, vec![1]).await;
    }
    assert_eq!(outcome(&mut one, max).await, Err(RequestFailure::Busy));
    let (id, ..) = asked(&mut two).await;
    two.tell(Command::Respond(id, vec![2])).await;
    one.expect("an answer that makes room", |event| matches!(event, Event::Response { .. }).then_some(())).await;
    ask(&one, max + 1, &two, Protocol::Blocks, vec![1]).await;
    for _ in 0..REQUESTS_PER_PEER_MAX {
        let (id, ..) = asked(&mut two).await;
        two.tell(Command::Respond(id, vec![3])).await;
    }
    assert_eq!(outcome(&mut one, max + 1).await, Ok(vec![3]));
}

#[tokio::test]
async fn a_node_does_not_ask_itself_nor_somebody_unknown() {
    let (mut one, _two) = pair(TCP).await;
    let own =
        Command::Request { id: OutboundId(1), peer: one.network.peer_id, protocol: Protocol::Status, body: Vec::new() };
    one.tell(own).await;
    assert_eq!(outcome(&mut one, 1).await, Err(RequestFailure::Refused));
    let unknown = Command::Request {
        id: OutboundId(2),
        peer: libp2p::PeerId::random(),
        protocol: Protocol::Status,
        body: Vec::new(),
    };
    one.tell(unknown).await;
    assert_eq!(outcome(&mut one, 2).await, Err(RequestFailure::Unreachable));
}

#[tokio::test]
async fn a_peer_that_asks_too_often_is_refused_but_not_disconnected() {
    // N-16
    let (mut one, mut two) = pair(TCP).await;
    let mut refused = 0;
    for id in 0..u64::from(STATUS_REQUESTS_PER_SECOND_MAX) * 10 {
        ask(&one, id, &two, Protocol::Status, vec![1]).await;
        let answered = tokio::select! {
            (request, ..) = asked(&mut two) => Some(request),
            end = outcome(&mut one, id) => { assert_eq!(end, Err(RequestFailure::Refused)); None }
        };
        match answered {
            Some(request) => {
                two.tell(Command::Respond(request, vec![2])).await;
                assert_eq!(outcome(&mut one, id).await, Ok(vec![2]));
            }
            None => refused += 1,
        }
        if refused > 10 {
            break;
        }
    }
    assert!(refused > 10, "only {refused} requests were refused");
    assert!(two.network.counters.requests_over_quota.get() > 0);
    echo(&mut one, &mut two, Protocol::Query, vec![3]).await;
    assert!(!one.has_seen(|event| matches!(event, Event::PeerGone(_))));
}
