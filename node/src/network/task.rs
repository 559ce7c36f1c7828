//! The swarm task: its state, its loop, and how commands are carried out.

use super::behaviour::Behaviour;
use super::bundle::Bundle;
use super::config::{NetworkConfig, NetworkError};
use super::counters::Counters;
use super::names::{network_name, topic_name};
use super::queue::EventQueue;
use super::requests::{Inbound, Outbound};
use super::transport::{self, Listening};
use super::upkeep::Crowd;
use super::verdicts::{Verdicts, Waiting};
use super::{Command, Event, InboundId, OutboundId, PeerInfo, Protocol, RequestFailure};
use crate::bounds::{NETWORK_BURST_MAX, NETWORK_COMMANDS_MAX, NETWORK_EVENTS_MAX};
use arc_swap::ArcSwap;
use futures::{FutureExt, StreamExt};
use libp2p::gossipsub::{MessageAcceptance, PublishError, TopicHash};
use libp2p::metrics::Metrics;
use libp2p::{Multiaddr, PeerId, Swarm};
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::time::{Duration, Instant};
use timecoin_protocol::bounds::{GOSSIP_BYTES_MAX, REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX};
use timecoin_protocol::engine::Verdict;
use timecoin_protocol::wire::Topic;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often dials that are due are made and waiting notices are sent.
const DIAL_TICK: Duration = Duration::from_millis(50);
/// How often everything else that depends on time is done.
const UPKEEP_TICK: Duration = Duration::from_secs(1);

/// How long closing connections may take when the node stops.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(500);

/// The ends of a running network.
#[derive(Debug)]
pub struct Network {
    /// What the swarm is told to do.
    pub commands: mpsc::Sender<Command>,
    /// What the swarm reports; must be taken continuously.
    pub events: mpsc::Receiver<Event>,
    /// This node.
    pub peer_id: PeerId,
    /// Where it listens, with the real ports.
    pub listening: Vec<Multiaddr>,
    /// Connected peers, renewed each second.
    pub peers: Arc<ArcSwap<Vec<PeerInfo>>>,
    /// What was dropped or refused so far.
    pub counters: Counters,
    /// Ends soon after the token that [`start`] was given is cancelled, or all senders of
    /// commands are gone.
    pub task: JoinHandle<()>,
}

/// Starts the network: returns once it listens on all addresses. Metrics of libp2p and of this
/// module are registered in `registry`.
///
/// # Errors
/// An address cannot be listened on, or a setting is refused by libp2p.
pub async fn start(
    config: NetworkConfig,
    registry: &mut Registry,
    stop: CancellationToken,
) -> Result<Network, NetworkError> {
    let counters = Counters::registered(registry);
    let metrics = Metrics::new(registry);
    let behaviour = Behaviour::new(&config, registry)?;
    let mut swarm = transport::swarm(config.keypair.clone(), behaviour)?;
    for address in &config.external {
        swarm.add_external_address(address.clone());
    }
    let Listening { addresses, early } = transport::listen(&mut swarm, &config).await?;

    let peer_id = *swarm.local_peer_id();
    let (commands, command_receiver) = mpsc::channel(NETWORK_COMMANDS_MAX);
    let (event_sender, events) = mpsc::channel(NETWORK_EVENTS_MAX);
    let crowd = Crowd::new(&config, peer_id, Instant::now());
    let peers = Arc::clone(&crowd.snapshot);
    let mut task = Task {
        swarm,
        queue: EventQueue::new(event_sender),
        counters: counters.clone(),
        metrics,
        version: network_name(&config.genesis_hash),
        topics: Topic::ALL.map(|topic| (topic_name(&config.genesis_hash, topic).hash(), topic)),
        verdicts: Verdicts::default(),
        bundle: Bundle::default(),
        outbound: Outbound::default(),
        inbound: Inbound::default(),
        crowd,
    };
    for address in &addresses {
        task.notify(Event::Listening(address.clone()));
    }
    for event in early {
        task.on_swarm_event(event);
    }
    let task = tokio::spawn(task.run(command_receiver, config.active, stop));
    Ok(Network { commands, events, peer_id, listening: addresses, peers, counters, task })
}

/// Everything the swarm task owns.
pub(super) struct Task {
    pub(super) swarm: Swarm<Behaviour>,
    pub(super) queue: EventQueue,
    pub(super) counters: Counters,
    pub(super) metrics: Metrics,
    /// What identify must show (N-10).
    pub(super) version: String,
    pub(super) topics: [(TopicHash, Topic); Topic::ALL.len()],
    pub(super) verdicts: Verdicts,
    bundle: Bundle,
    pub(super) outbound: Outbound,
    pub(super) inbound: Inbound,
    pub(super) crowd: Crowd,
}

impl Task {
    /// Runs until told to stop. Commands and swarm events take turns in bursts, so that neither
    /// starves the other, and what a command sends leaves with the next poll of the swarm.
    async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut active: watch::Receiver<bool>,
        stop: CancellationToken,
    ) {
        let mut dials = tokio::time::interval(DIAL_TICK);
        let mut upkeep = tokio::time::interval(UPKEEP_TICK);
        dials.set_missed_tick_behavior(MissedTickBehavior::Delay);
        upkeep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                command = commands.recv() => {
                    let Some(command) = command else { break };
                    self.on_command(command);
                    self.more_commands(&mut commands);
                    self.gossip_votes(Instant::now());
                }
                () = until(self.bundle.deadline(Instant::now())) => self.gossip_votes(Instant::now()),
                event = self.swarm.select_next_some() => {
                    self.on_swarm_event(event);
                    self.more_swarm_events();
                }
                Ok(()) = active.changed() => {
                    let active = *active.borrow_and_update();
                    self.set_active(active, Instant::now());
                }
                _ = dials.tick() => self.on_dial_tick(Instant::now()),
                _ = upkeep.tick() => self.on_upkeep_tick(Instant::now()),
            }
        }
        self.leave().await;
    }

    /// Closes all connections, so that peers learn at once that this node is gone.
    async fn leave(&mut self) {
        let peers: Vec<_> = self.swarm.connected_peers().copied().collect();
        for peer in peers {
            self.disconnect(peer);
        }
        let closed = async {
            while self.swarm.connected_peers().next().is_some() {
                self.swarm.select_next_some().await;
            }
        };
        // Whoever does not take part in closing is left behind.
        let _ = tokio::time::timeout(LEAVE_TIMEOUT, closed).await;
    }

    fn more_commands(&mut self, commands: &mut mpsc::Receiver<Command>) {
        for _ in 1..NETWORK_BURST_MAX {
            let Ok(command) = commands.try_recv() else { return };
            self.on_command(command);
        }
    }

    fn more_swarm_events(&mut self) {
        for _ in 1..NETWORK_BURST_MAX {
            let Some(event) = self.swarm.select_next_some().now_or_never() else { return };
            self.on_swarm_event(event);
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Publish(topic, bytes) => self.publish(topic, bytes),
            Command::Votes { votes, own } => {
                self.bundle.set_peers(self.crowd.peers.len());
                for vote in votes {
                    if let Some(full) = self.bundle.add(vote, own, Instant::now()) {
                        self.publish(Topic::Votes, full);
                    }
                }
            }
            Command::Verdict(id, verdict) => {
                if let Some(message) = self.verdicts.take(id) {
                    self.judge(&message, verdict);
                }
            }
            Command::Request { id, peer, protocol, body } => self.request(id, peer, protocol, body),
            Command::Respond(id, body) => self.respond(id, body),
            // Dropping the channel closes the stream without an answer.
            Command::Refuse(id) => drop(self.inbound.take(id)),
            Command::Penalize(peer, offence) => self.penalize(peer, offence, Instant::now()),
            Command::Dial(peer, addresses) => self.dial(peer, addresses, Instant::now()),
            Command::Ban(peer) => self.ban(peer),
            Command::Unban(peer) => self.unban(&peer),
        }
    }

    fn publish(&mut self, topic: Topic, bytes: Vec<u8>) {
        let name = self.topics.iter().find(|(_, each)| *each == topic).map(|(name, _)| name.clone());
        let Some(name) = name.filter(|_| bytes.len() <= GOSSIP_BYTES_MAX) else {
            tracing::error!(?topic, bytes = bytes.len(), "a message is too large to be gossiped");
            self.counters.publish_failed.inc();
            return;
        };
        match self.swarm.behaviour_mut().gossip(topic).publish(name, bytes) {
            // The network has it already: another node published the same content.
            Ok(_) | Err(PublishError::Duplicate) => {}
            Err(error) => {
                tracing::debug!(?topic, %error, "published to nobody");
                self.counters.publish_failed.inc();
            }
        }
    }

    /// Gossips the votes that are due (N-36).
    fn gossip_votes(&mut self, now: Instant) {
        if let Some(bundle) = self.bundle.due(now) {
            self.publish(Topic::Votes, bundle);
        }
    }

    /// Tells gossipsub what is to be done with a message (N-13).
    pub(super) fn judge(&mut self, (message, peer, topic): &Waiting, verdict: Verdict) {
        let acceptance = match verdict {
            // What is new in a bundle leaves in the next one of this node (N-36).
            Verdict::Accept if *topic == Topic::Votes => MessageAcceptance::Ignore,
            Verdict::Accept => MessageAcceptance::Accept,
            Verdict::Ignore => MessageAcceptance::Ignore,
            Verdict::Reject => MessageAcceptance::Reject,
        };
        self.swarm.behaviour_mut().gossip(*topic).report_message_validation_result(message, peer, acceptance);
    }

    fn request(&mut self, id: OutboundId, peer: PeerId, protocol: Protocol, body: Vec<u8>) {
        let own = peer == *self.swarm.local_peer_id();
        if own || body.len() > REQUEST_BYTES_MAX || self.crowd.penalties.is_banned(&peer) {
            self.request_failed(id, RequestFailure::Refused);
        } else if !self.outbound.has_room(&peer) {
            self.request_failed(id, RequestFailure::Busy);
        } else {
            let request = self.swarm.behaviour_mut().requests(protocol).send_request(&peer, body);
            self.outbound.sent(protocol, request, id, peer);
        }
    }

    /// Reports that no answer will come.
    pub(super) fn request_failed(&mut self, id: OutboundId, failure: RequestFailure) {
        self.notify(Event::RequestFailed { id, failure });
    }

    /// Sends a notice; counts it if even that is impossible.
    pub(super) fn notify(&mut self, notice: Event) {
        if !self.queue.notify(notice) {
            self.counters.notices_lost.inc();
        }
    }

    fn respond(&mut self, id: InboundId, body: Vec<u8>) {
        let Some((protocol, channel)) = self.inbound.take(id) else { return };
        if body.len() > RESPONSE_BYTES_MAX {
            tracing::error!(?protocol, bytes = body.len(), "a response is too large to be sent");
            return;
        }
        // An error means that the asker is gone or has waited too long.
        let _ = self.swarm.behaviour_mut().requests(protocol).send_response(channel, body);
    }
}

/// Waits for a moment; for ever if there is none.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
