//! What goes into the swarm task and what comes out. Message bodies are bytes here: they are
//! decoded and checked by the verifiers, off the swarm task.

use libp2p::{Multiaddr, PeerId};
use timecoin_protocol::engine::{Offence, Verdict};
use timecoin_protocol::wire::Topic;

/// A request-response protocol. Its full name is
/// `/timecoin/<version>/<genesis hash>/<name>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// Sampling queries.
    Query,
    /// Transaction bodies.
    Transactions,
    /// Votes for transactions.
    Certificates,
    /// Committed blocks.
    Blocks,
    /// Height, round, and what is known of them.
    Status,
}

impl Protocol {
    /// All protocols.
    pub const ALL: [Self; 5] = [Self::Query, Self::Transactions, Self::Certificates, Self::Blocks, Self::Status];

    /// The last part of the protocol's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Transactions => "transactions",
            Self::Certificates => "certificates",
            Self::Blocks => "blocks",
            Self::Status => "status",
        }
    }
}

/// Names a gossiped message until its verdict is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GossipId(pub u64);
/// Names a peer's request until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InboundId(pub u64);
/// Names a request of our own; chosen by the sender of the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OutboundId(pub u64);

/// What the swarm is told to do. Every command is carried out or fails at once; none waits.
#[derive(Clone, Debug)]
pub enum Command {
    /// Gossip a message.
    Publish(Topic, Vec<u8>),
    /// Gossip encoded votes in bundles (N-36).
    Votes {
        /// Each encoded.
        votes: Vec<Vec<u8>>,
        /// Whether they are this node's, and leave at once.
        own: bool,
    },
    /// Forward a gossiped message, or not; `Reject` also scores the sender down.
    Verdict(GossipId, Verdict),
    /// Ask a peer; ends with [`Event::Response`] or [`Event::RequestFailed`].
    Request {
        /// Name of the request.
        id: OutboundId,
        /// Whom.
        peer: PeerId,
        /// By which protocol.
        protocol: Protocol,
        /// The encoded request.
        body: Vec<u8>,
    },
    /// Answer a peer's request.
    Respond(InboundId, Vec<u8>),
    /// Leave a peer's request without an answer.
    Refuse(InboundId),
    /// Score a peer down; enough of it disconnects and blocks the peer for a while.
    Penalize(PeerId, Offence),
    /// Connect to a peer at these addresses, unless connected already.
    Dial(PeerId, Vec<Multiaddr>),
    /// Disconnect and refuse this peer until [`Command::Unban`].
    Ban(PeerId),
    /// Forget a ban and all penalties.
    Unban(PeerId),
}

/// Why a request of ours got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestFailure {
    /// Not connected, and could not connect.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// The peer does not speak the protocol, refused, or the connection broke.
    Refused,
    /// Too many requests on the way to this peer.
    Busy,
}

/// What the swarm reports.
#[derive(Clone, Debug)]
pub enum Event {
    /// A gossiped message, not yet forwarded: a [`Command::Verdict`] must follow.
    Gossip {
        /// For the verdict.
        id: GossipId,
        /// The peer that sent it here (not always its author).
        peer: PeerId,
        /// Topic.
        topic: Topic,
        /// Content.
        bytes: Vec<u8>,
    },
    /// A peer asks; [`Command::Respond`] or [`Command::Refuse`] must follow.
    Request {
        /// For the answer.
        id: InboundId,
        /// Who.
        peer: PeerId,
        /// By which protocol.
        protocol: Protocol,
        /// The encoded request.
        body: Vec<u8>,
    },
    /// An answer.
    Response {
        /// Which request of ours.
        id: OutboundId,
        /// Who answered.
        peer: PeerId,
        /// The encoded answer.
        body: Vec<u8>,
    },
    /// No answer will come.
    RequestFailed {
        /// Which request of ours.
        id: OutboundId,
        /// Why.
        failure: RequestFailure,
    },
    /// A peer of this network is connected and identified (same genesis).
    PeerReady(PeerId),
    /// The last connection with a peer is gone.
    PeerGone(PeerId),
    /// This node listens here.
    Listening(Multiaddr),
}

/// One connected peer, for RPC.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PeerInfo {
    /// Peer id in base58.
    pub peer_id: String,
    /// Address of the connection.
    pub address: String,
    /// Whether the peer connected to us.
    pub inbound: bool,
    /// What it calls itself.
    pub agent: String,
    /// Round-trip time of the last ping, in microseconds.
    pub ping_us: Option<u64>,
    /// Seconds since 1970 UTC when the connection was made.
    pub connected_at: u64,
    /// Sum of penalties that have not decayed yet.
    pub penalty: u32,
}
