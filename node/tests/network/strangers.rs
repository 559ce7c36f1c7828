//! What a peer does that follows no rule of this protocol.

use crate::cluster::{Node, PATIENCE, TCP, config};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, StreamExt};
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{StreamProtocol, Swarm, SwarmBuilder, identify, noise, tcp, yamux};
use std::io;
use timecoin_node::network::{Command, Event, network_name};
use timecoin_protocol::bounds::REQUEST_BYTES_MAX;

/// Writes requests as they are, without the length that belongs before them.
#[derive(Clone, Default)]
struct Raw;

impl request_response::Codec for Raw {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = Vec<u8>;

    async fn read_request<T>(&mut self, _: &StreamProtocol, _: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        let mut bytes = Vec::new();
        io.read_to_end(&mut bytes).await?;
        if bytes.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(bytes) }
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, io: &mut T, request: Vec<u8>) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        io.write_all(&request).await
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, _: &mut T, _: Vec<u8>) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[derive(NetworkBehaviour)]
struct Stranger {
    identify: identify::Behaviour,
    status: request_response::Behaviour<Raw>,
}

/// A peer that knows the names of the network and has no gossip.
fn stranger(network: &str) -> Swarm<Stranger> {
    let protocol = StreamProtocol::try_from_owned(format!("{network}/status")).unwrap();
    SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .unwrap()
        .with_behaviour(|keypair| Stranger {
            identify: identify::Behaviour::new(identify::Config::new(network.to_owned(), keypair.public())),
            status: request_response::Behaviour::new(
                [(protocol, ProtocolSupport::Outbound)],
                request_response::Config::default(),
            ),
        })
        .unwrap()
        .build()
}

/// Sends one request and waits for its end: the response, or none.
async fn exchange(swarm: &mut Swarm<Stranger>, node: libp2p::PeerId, request: Vec<u8>) -> Option<Vec<u8>> {
    let end = tokio::time::timeout(PATIENCE, end_of_request(swarm, node, request)).await;
    end.unwrap_or_else(|_| panic!("a request has not ended within {PATIENCE:?}"))
}

async fn end_of_request(swarm: &mut Swarm<Stranger>, node: libp2p::PeerId, request: Vec<u8>) -> Option<Vec<u8>> {
    swarm.behaviour_mut().status.send_request(&node, request);
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::Behaviour(StrangerEvent::Status(event)) => match event {
                request_response::Event::Message { message, .. } => match message {
                    request_response::Message::Response { response, .. } => return Some(response),
                    request_response::Message::Request { .. } => {}
                },
                request_response::Event::OutboundFailure { .. } => return None,
                _ => {}
            },
            SwarmEvent::ConnectionClosed { .. } => panic!("the connection was closed"),
            _ => {}
        }
    }
}

/// Answers one request with its own content.
async fn answer(node: &mut Node) {
    let (id, body) = node
        .expect("request", |event| match event {
            Event::Request { id, body, .. } => Some((*id, body.clone())),
            _ => None,
        })
        .await;
    node.tell(Command::Respond(id, body)).await;
}

#[tokio::test]
async fn malformed_and_oversized_requests_cost_their_stream_and_nothing_else() {
    // N-14
    let settings = config(TCP);
    let network = network_name(&settings.genesis_hash);
    let mut node = Node::start(settings).await;
    let peer = node.network.peer_id;
    let mut swarm = stranger(&network);
    swarm.dial(node.address()).unwrap();

    let too_long = u32::try_from(REQUEST_BYTES_MAX + 1).unwrap();
    for bad in [Vec::new(), vec![1], u32::MAX.to_le_bytes().to_vec(), too_long.to_le_bytes().to_vec(), vec![9, 0, 0, 0]]
    {
        assert_eq!(exchange(&mut swarm, peer, bad).await, None);
    }
    let good = b"\x02\0\0\0hi and some bytes that nobody asked for".to_vec();
    let (response, ()) = tokio::join!(exchange(&mut swarm, peer, good), answer(&mut node));
    assert_eq!(response, Some(b"\x02\0\0\0hi".to_vec()));
}

#[tokio::test]
async fn a_peer_without_gossip_becomes_ready_for_requests() {
    // N-10
    let settings = config(TCP);
    let network = network_name(&settings.genesis_hash);
    let mut node = Node::start(settings).await;
    let mut swarm = stranger(&network);
    swarm.dial(node.address()).unwrap();
    let own = *swarm.local_peer_id();
    let ready = node.expect("PeerReady", |event| matches!(event, Event::PeerReady(who) if *who == own).then_some(()));
    tokio::select! {
        () = ready => {}
        () = async { loop { swarm.select_next_some().await; } } => {}
    }
}
