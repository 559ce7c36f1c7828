//! Nodes on loopback with ports chosen by the system, and waiting for what they report.

use libp2p::Multiaddr;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol as Part;
use prometheus_client::registry::Registry;
use std::collections::VecDeque;
use std::time::Duration;
use timecoin_node::network::{Command, Event, GossipId, Network, NetworkConfig, NetworkError, start};
use timecoin_protocol::engine::Verdict;
use timecoin_protocol::hash::GenesisHash;
use timecoin_protocol::wire::Topic;
use tokio_util::sync::CancellationToken;

/// Nothing in these tests takes nearly as long on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub const TCP: &str = "/ip4/127.0.0.1/tcp/0";
pub const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";

/// Settings of a node of the test network that listens on `listen`.
pub fn config(listen: &str) -> NetworkConfig {
    let mut config = NetworkConfig::new(GenesisHash([7; 32]), Keypair::generate_ed25519());
    config.listen = vec![listen.parse().unwrap()];
    config
}

/// A running node and those of its events that nobody has asked for yet.
pub struct Node {
    pub network: Network,
    pub metrics: Registry,
    stop: CancellationToken,
    unasked: VecDeque<Event>,
}

impl Node {
    pub async fn try_start(config: NetworkConfig) -> Result<Self, NetworkError> {
        let (mut metrics, stop) = (Registry::default(), CancellationToken::new());
        let network = start(config, &mut metrics, stop.clone()).await?;
        Ok(Self { network, metrics, stop, unasked: VecDeque::new() })
    }

    pub async fn start(config: NetworkConfig) -> Self {
        Self::try_start(config).await.unwrap()
    }

    /// Starts a node on addresses that another node of this process has just left: a QUIC socket
    /// outlives its node by a moment.
    pub async fn start_again(config: NetworkConfig) -> Self {
        let attempts = async {
            let mut tick = tokio::time::interval(Duration::from_millis(10));
            loop {
                tick.tick().await;
                if let Ok(node) = Self::try_start(config.clone()).await {
                    return node;
                }
            }
        };
        tokio::time::timeout(PATIENCE, attempts).await.expect("the address is free again")
    }

    /// Stops the node.
    pub async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.network.task).await.expect("the swarm ends").unwrap();
    }

    /// Where the node can be dialled.
    pub fn address(&self) -> Multiaddr {
        self.network.listening[0].clone().with(Part::P2p(self.network.peer_id))
    }

    pub async fn tell(&self, command: Command) {
        let sent = tokio::time::timeout(PATIENCE, self.network.commands.send(command)).await;
        sent.expect("the swarm takes commands").unwrap();
    }

    pub async fn publish(&self, topic: Topic, text: &str) {
        self.tell(Command::Publish(topic, text.as_bytes().to_vec())).await;
    }

    /// Takes the first event that `pick` recognizes, waiting for it if need be; others stay.
    pub async fn expect<T>(&mut self, what: &str, pick: impl Fn(&Event) -> Option<T>) -> T {
        if let Some((index, found)) = self.unasked.iter().enumerate().find_map(|(at, event)| Some((at, pick(event)?))) {
            self.unasked.remove(index);
            return found;
        }
        let search = async {
            loop {
                let event = self.network.events.recv().await.expect("the swarm task runs");
                match pick(&event) {
                    Some(found) => return found,
                    None => self.unasked.push_back(event),
                }
            }
        };
        let found = tokio::time::timeout(PATIENCE, search).await;
        found.unwrap_or_else(|_| panic!("no {what} within {PATIENCE:?}; instead: {:?}", self.unasked))
    }

    /// Takes what has come so far; nobody waits.
    pub fn take_all(&mut self) {
        while let Ok(event) = self.network.events.try_recv() {
            self.unasked.push_back(event);
        }
    }

    /// Whether an event that `pick` recognizes has been seen and not been taken.
    pub fn has_seen(&self, pick: impl Fn(&Event) -> bool) -> bool {
        self.unasked.iter().any(pick)
    }

    pub async fn expect_ready(&mut self, peer: &Network) {
        let peer = peer.peer_id;
        self.expect("PeerReady", |event| matches!(event, Event::PeerReady(who) if *who == peer).then_some(())).await;
    }

    pub async fn expect_gone(&mut self, peer: &Network) {
        let peer = peer.peer_id;
        self.expect("PeerGone", |event| matches!(event, Event::PeerGone(who) if *who == peer).then_some(())).await;
    }

    /// Waits for a gossiped text.
    pub async fn expect_gossip(&mut self, text: &str) -> GossipId {
        self.expect(text, |event| match event {
            Event::Gossip { id, bytes, .. } if bytes == text.as_bytes() => Some(*id),
            _ => None,
        })
        .await
    }

    pub async fn judge(&self, id: GossipId, verdict: Verdict) {
        self.tell(Command::Verdict(id, verdict)).await;
    }
}

/// Starts a node that joins through `others`.
pub async fn join(listen: &str, others: &[&Node]) -> Node {
    let mut settings = config(listen);
    settings.bootstrap = others.iter().map(|node| node.address()).collect();
    Node::start(settings).await
}

/// Like [`join`], but the node connects to nobody else than `others`.
pub async fn join_only(listen: &str, others: &[&Node]) -> Node {
    let mut settings = config(listen);
    settings.bootstrap = others.iter().map(|node| node.address()).collect();
    settings.discovery = false;
    Node::start(settings).await
}

/// Two nodes that know each other.
pub async fn pair(listen: &str) -> (Node, Node) {
    let mut one = Node::start(config(listen)).await;
    let mut two = join(listen, &[&one]).await;
    one.expect_ready(&two.network).await;
    two.expect_ready(&one.network).await;
    (one, two)
}

/// Waits until a condition holds that nothing reports.
pub async fn until(what: &str, condition: impl Fn() -> bool) {
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    let poll = async {
        while !condition() {
            tick.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, poll).await.unwrap_or_else(|_| panic!("not {what} within {PATIENCE:?}"));
}
