//! Names of protocols and topics: version and genesis hash are in each of them (N-1), so nodes of
//! different networks share neither gossip nor requests.

use super::Protocol;
use libp2p::StreamProtocol;
use libp2p::gossipsub::IdentTopic;
use timecoin_protocol::hash::GenesisHash;
use timecoin_protocol::wire::{PROTOCOL_VERSION, Topic};

/// What nodes of one network have in common in identify's `protocol_version` (N-10), and the first
/// part of all names (N-1).
#[must_use]
pub fn network_name(genesis: &GenesisHash) -> String {
    format!("/timecoin/{PROTOCOL_VERSION}/{genesis}")
}

/// The gossipsub topic (N-1).
#[must_use]
pub(super) fn topic_name(genesis: &GenesisHash, topic: Topic) -> IdentTopic {
    IdentTopic::new(format!("{}/{}", network_name(genesis), topic.name()))
}

/// The name of a stream protocol of this network (N-1).
fn stream_protocol(genesis: &GenesisHash, name: &str) -> StreamProtocol {
    let full = format!("{}/{name}", network_name(genesis));
    // It begins with a slash, which is all that is asked of a name.
    StreamProtocol::try_from_owned(full).unwrap_or(StreamProtocol::new("/timecoin/unnamed"))
}

/// The name of a request-response protocol (N-1).
pub(super) fn request_protocol(genesis: &GenesisHash, protocol: Protocol) -> StreamProtocol {
    stream_protocol(genesis, protocol.name())
}

/// The name of the Kademlia protocol (N-1).
pub(super) fn kademlia_protocol(genesis: &GenesisHash) -> StreamProtocol {
    stream_protocol(genesis, "kad")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_version_and_genesis_hash() {
        // N-1
        let genesis = GenesisHash([0xab; 32]);
        let hex = "ab".repeat(32);
        assert_eq!(topic_name(&genesis, Topic::Votes).hash().as_str(), format!("/timecoin/1/{hex}/votes"));
        assert_eq!(request_protocol(&genesis, Protocol::Query).as_ref(), format!("/timecoin/1/{hex}/query"));
        assert_eq!(kademlia_protocol(&genesis).as_ref(), format!("/timecoin/1/{hex}/kad"));
    }
}
