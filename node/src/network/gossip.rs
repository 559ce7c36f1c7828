//! How gossipsub is set up: what is a message, who gets it, and who is trusted to send more. There are two of it: votes have a
//! gossip of their own, whose messages go one hop (N-36) and are offered to nobody outside of the mesh.

use super::config::NetworkError;
use super::names::{network_name, topic_name};
use libp2p::gossipsub::{
    self, Behaviour, ConfigBuilder, Message, MessageAuthenticity, MessageId, MetricsConfig, PeerScoreParams,
    PeerScoreThresholds, TopicHash, TopicScoreParams, ValidationMode, WhitelistSubscriptionFilter,
    score_parameter_decay,
};
use prometheus_client::registry::Registry;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use timecoin_protocol::bounds::GOSSIP_BYTES_MAX;
use timecoin_protocol::hash::{Domain, DomainHasher, GenesisHash};
use timecoin_protocol::wire::Topic;

/// gossipsub with topics of one network and no others.
pub(super) type Gossip = Behaviour<gossipsub::IdentityTransform, WhitelistSubscriptionFilter>;

/// Length of a message id, in bytes (N-12).
const MESSAGE_ID_BYTES: usize = 20;
/// Room above the largest message, in bytes: gossipsub compares its limit with the whole read
/// buffer, so a message close to the limit that arrives together with the next one would break
/// the stream.
const TRANSMIT_SLACK_BYTES: usize = 16 * 1024;
/// Largest control message, in bytes. One IHAVE may name 5,000 messages; a receiver with the
/// default of 16 KiB closes the stream on some 700 of them, and the sender never opens it again.
const CONTROL_BYTES_MAX: usize = 256 * 1024;
const HEARTBEAT: Duration = Duration::from_millis(700);
/// Heartbeats for which a message is kept: a verdict may take so long (N-13).
const HISTORY_HEARTBEATS: usize = 10;
/// Heartbeats for which a message is offered to peers outside of the mesh.
const GOSSIP_HEARTBEATS: usize = 4;
/// How long the id of a message is remembered, so that it is taken, or published, only once.
const DUPLICATES: Duration = Duration::from_secs(30);

/// The id of a message (N-12): the first 20 bytes of the hash of topic, a zero byte, and content.
fn message_id(message: &Message) -> MessageId {
    let mut id = [0; MESSAGE_ID_BYTES];
    DomainHasher::new(Domain::MessageId)
        .update(message.topic.as_str().as_bytes())
        .update(&[0])
        .update(&message.data)
        .fill(&mut id);
    MessageId::new(&id)
}

/// Ids of messages of votes: each has one of its own, whatever is in it (N-36). A bundle that is passed on may be the same bytes
/// as the one that came, and with an id of its content gossipsub would take it for one that everybody has. Nobody else sees
/// these ids: bundles are neither forwarded nor offered. They begin anywhere, so nobody can ask for bundles by guessing.
fn fresh_ids() -> impl Fn(&Message) -> MessageId + Send + Sync + 'static {
    let next = AtomicU64::new(rand::random());
    move |_| MessageId::new(&next.fetch_add(1, Ordering::Relaxed).to_le_bytes())
}

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    /// Everything but votes.
    Main,
    /// Votes, in bundles.
    Votes,
}

impl Channel {
    const fn has(self, topic: Topic) -> bool {
        matches!(topic, Topic::Votes) == matches!(self, Self::Votes)
    }

    /// What the names of its metrics begin with.
    const fn metrics(self) -> &'static str {
        match self {
            Self::Main => "gossipsub",
            Self::Votes => "gossipsub_votes",
        }
    }
}

/// Settings; those that peers notice are rules (N-11).
fn config(genesis: &GenesisHash, channel: Channel) -> Result<gossipsub::Config, NetworkError> {
    let mut config = ConfigBuilder::default();
    if channel == Channel::Votes {
        // An offer would always be taken for something new, and most of what is in a bundle is known.
        config.protocol_id_prefix(format!("{}/votes", network_name(genesis))).gossip_lazy(0).message_id_fn(fresh_ids());
        // Nor would anybody know which one is meant by an id that is not wanted.
        config.idontwant_message_size_threshold(usize::MAX);
    } else {
        // Six of the peers outside of the mesh get an offer, not a quarter of them: with 256 peers the lists of ids
        // would be more bytes than what is in them. What is lost can be asked for (N-13).
        config.gossip_lazy(6).message_id_fn(message_id).idontwant_message_size_threshold(4 * 1024);
    }
    config
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .max_transmit_size(GOSSIP_BYTES_MAX + TRANSMIT_SLACK_BYTES)
        .max_control_message_size(CONTROL_BYTES_MAX)
        .flood_publish(false)
        .heartbeat_initial_delay(Duration::from_millis(50))
        .heartbeat_interval(HEARTBEAT)
        .history_length(HISTORY_HEARTBEATS)
        .history_gossip(GOSSIP_HEARTBEATS)
        .duplicate_cache_time(DUPLICATES)
        // A set of up to twelve nodes is fully meshed; a hundred are two or three hops apart.
        .mesh_n(8)
        .mesh_n_low(6)
        .mesh_n_high(12)
        .mesh_outbound_min(3)
        .gossip_factor(0.0)
        .prune_backoff(Duration::from_secs(20))
        .unsubscribe_backoff(Duration::from_secs(5))
        .graft_flood_threshold(Duration::from_secs(5))
        .forward_queue_duration(Duration::from_secs(3))
        .build()
        .map_err(|error| NetworkError::Setup(error.to_string()))
}

/// Scores of one topic: invalid messages count, quadratically and for ten minutes; how many
/// messages a mesh peer delivers does not, for a quiet network is no fault (N-15).
fn topic_score() -> TopicScoreParams {
    TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.01,
        time_in_mesh_quantum: Duration::from_secs(1),
        time_in_mesh_cap: 1_000.0,
        first_message_deliveries_weight: 0.05,
        first_message_deliveries_decay: score_parameter_decay(Duration::from_secs(60)),
        first_message_deliveries_cap: 200.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: -20.0,
        invalid_message_deliveries_decay: score_parameter_decay(Duration::from_secs(600)),
        ..TopicScoreParams::default()
    }
}

fn score(topics: &[TopicHash]) -> PeerScoreParams {
    PeerScoreParams {
        topics: topics.iter().map(|topic| (topic.clone(), topic_score())).collect(),
        topic_score_cap: 60.0,
        // The application's score is minus the sum of penalties.
        app_specific_weight: 1.0,
        // Whole test networks live behind one address.
        ip_colocation_factor_weight: 0.0,
        // Broken promises happen to busy honest peers; only many of them matter.
        behaviour_penalty_weight: -0.5,
        behaviour_penalty_threshold: 20.0,
        behaviour_penalty_decay: score_parameter_decay(Duration::from_secs(10)),
        slow_peer_weight: -0.05,
        slow_peer_threshold: 50.0,
        retain_score: Duration::from_secs(600),
        ..PeerScoreParams::default()
    }
}

fn thresholds() -> PeerScoreThresholds {
    PeerScoreThresholds {
        gossip_threshold: -100.0,
        publish_threshold: -200.0,
        graylist_threshold: -400.0,
        accept_px_threshold: 1_000.0,
        opportunistic_graft_threshold: 1.0,
    }
}

/// gossipsub, subscribed to all topics of a channel, with its metrics in `registry`.
pub(super) fn gossip(genesis: &GenesisHash, channel: Channel, registry: &mut Registry) -> Result<Gossip, NetworkError> {
    let topics = Topic::ALL.into_iter().filter(|topic| channel.has(*topic));
    let topics: Vec<_> = topics.map(|topic| topic_name(genesis, topic)).collect();
    let hashes: Vec<TopicHash> = topics.iter().map(libp2p::gossipsub::Topic::hash).collect();
    let filter = WhitelistSubscriptionFilter(hashes.iter().cloned().collect());
    let setup = |error: &str| NetworkError::Setup(error.to_owned());
    let config = config(genesis, channel)?;
    let mut gossip = Gossip::new_with_subscription_filter(MessageAuthenticity::Anonymous, config, filter)
        .map_err(setup)?
        .with_metrics(registry.sub_registry_with_prefix(channel.metrics()), MetricsConfig::default());
    gossip.with_peer_score(score(&hashes), thresholds()).map_err(NetworkError::Setup)?;
    for topic in &topics {
        gossip.subscribe(topic).map_err(|error| NetworkError::Setup(error.to_string()))?;
    }
    gossip.register_topics_for_metrics(hashes);
    Ok(gossip)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(topic: &str, data: &[u8]) -> Message {
        Message { source: None, data: data.to_vec(), sequence_number: None, topic: TopicHash::from_raw(topic) }
    }

    #[test]
    fn a_message_id_is_20_bytes_of_the_hash_of_topic_zero_and_content() {
        // N-12
        let hash = timecoin_protocol::hash::hash_bytes(Domain::MessageId, b"topic\0content");
        assert_eq!(message_id(&message("topic", b"content")).0, hash[..20]);
    }

    #[test]
    fn topic_and_content_do_not_run_into_each_other() {
        assert_ne!(message_id(&message("a", b"bc")), message_id(&message("ab", b"c")));
    }

    #[test]
    fn every_message_of_votes_has_an_id_of_its_own_n_36() {
        let config = config(&GenesisHash([1; 32]), Channel::Votes).unwrap();
        let bundle = message("votes", b"the same");
        assert_ne!(config.message_id(&bundle), config.message_id(&bundle));
    }

    #[test]
    fn all_settings_are_accepted_by_gossipsub() {
        for channel in [Channel::Main, Channel::Votes] {
            assert!(gossip(&GenesisHash([1; 32]), channel, &mut Registry::default()).is_ok());
        }
    }

    #[test]
    fn a_rejected_message_weighs_and_a_quiet_or_crowded_address_does_not() {
        // N-15
        let topic = topic_score();
        assert!(topic.invalid_message_deliveries_weight < 0.0);
        assert!(topic.mesh_message_deliveries_weight == 0.0 && topic.mesh_failure_penalty_weight == 0.0);
        assert!(score(&[]).ip_colocation_factor_weight == 0.0);
        assert!(score(&[]).validate().is_ok() && thresholds().validate().is_ok() && topic.validate().is_ok());
    }

    #[test]
    fn every_topic_is_of_one_channel_and_votes_are_offered_to_nobody_n_36() {
        let channels = [Channel::Main, Channel::Votes];
        for topic in Topic::ALL {
            assert_eq!(channels.iter().filter(|channel| channel.has(topic)).count(), 1);
        }
        let offers = channels.map(|channel| config(&GenesisHash([1; 32]), channel).unwrap().gossip_lazy());
        assert_eq!(offers, [6, 0]);
    }

    #[test]
    fn an_ihave_of_the_most_messages_fits_a_control_message() {
        // N-11
        let config = config(&GenesisHash([1; 32]), Channel::Main).unwrap();
        let entry = MESSAGE_ID_BYTES + 2;
        assert!(config.max_control_messages_sent() * entry + 256 < config.max_control_message_size());
        assert!(config.max_control_message_size() < config.max_transmit_size());
    }
}
