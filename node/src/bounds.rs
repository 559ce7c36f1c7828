//! Every bound of the node, with its unit in its name, and what happens when it is reached.
//! The protocol's own bounds are in `timecoin_protocol::bounds`.

/// Events from the swarm that wait for the verifiers. When full: gossip is dropped (repair by
/// request brings it back), requests are refused, responses count as failed.
pub const NETWORK_EVENTS_MAX: usize = 4_096;
/// Commands that wait for the swarm. When full: the sender drops gossip and fails requests.
pub const NETWORK_COMMANDS_MAX: usize = 8_192;
/// Checked inputs that wait for the driver. When full: verifiers wait, and the swarm's queue fills.
pub const DRIVER_INPUTS_MAX: usize = 4_096;
/// Inputs that one turn takes before its group commit.
pub const TURN_INPUTS_MAX: usize = 256;
/// News that a slow subscriber may fall behind; when exceeded it loses the oldest and is told so.
pub const NEWS_MAX: usize = 16_384;
/// Finished transactions (committed or rejected) whose outcome is kept in memory for RPC; the
/// oldest is forgotten first. Committed ones stay in the database.
pub const OUTCOMES_MAX: usize = 200_000;
/// Peers that may be connected at once, incoming and outgoing, besides nodes of validators. When there are
/// more: the node parts with one (N-19).
pub const PEERS_MAX: usize = 256;
/// Nodes of validators, of this epoch and the next one, that may be connected besides.
pub const VALIDATOR_PEERS_MAX: usize = 2 * timecoin_protocol::bounds::VALIDATORS_MAX;
/// Connections with one peer.
pub const CONNECTIONS_PER_PEER_MAX: u32 = 4;
/// Gossiped messages that wait for a verdict; the oldest is ignored when there are more.
pub const VERDICTS_PENDING_MAX: usize = 8_192;
/// Requests on the way to one peer; further ones fail at once.
pub const REQUESTS_PER_PEER_MAX: usize = 64;

/// Blocks above the checkpoint from which on a checkpoint is made. A lookup asks each of them.
pub const CHECKPOINT_LAYERS: usize = 64;
/// Rows in these blocks (outputs made or spent, transactions) from which on a checkpoint is made.
/// After a crash they are replayed: some 25,000 payments, well under a second.
pub const CHECKPOINT_ROWS: usize = 125_000;
/// Blocks above the checkpoint at which the driver waits for the checkpoint in progress.
pub const LAYERS_MAX: usize = 256;
/// Rows in these blocks at which the driver waits for the checkpoint in progress.
pub const ROWS_MAX: usize = 500_000;
/// Decoded blocks kept for readers; the one kept longest makes room.
pub const BLOCKS_CACHED_MAX: usize = 64;
/// Transactions in these blocks; beyond it blocks make room until one is left.
pub const CACHED_TRANSACTIONS_MAX: usize = 40_000;
/// Size at which a row of the journal's log ends and another begins, in bytes.
pub const LOG_ROW_BYTES_TARGET: usize = 1024 * 1024;
/// Page cache of the journal, in bytes. It is read at the start only.
pub const JOURNAL_CACHE_BYTES: usize = 16 * 1024 * 1024;
/// Page cache of the file of blocks, in bytes. Decoded ones are kept besides.
pub const BLOCKS_CACHE_BYTES: usize = 32 * 1024 * 1024;
/// Page cache of the ledger, in bytes. Small ones cost: 32 MiB make a warm lookup four times slower.
pub const LEDGER_CACHE_BYTES: usize = 256 * 1024 * 1024;

const _: () = assert!(CHECKPOINT_LAYERS < LAYERS_MAX && CHECKPOINT_ROWS < ROWS_MAX);

// ---- network -------------------------------------------------------------------------------

/// Bytes of the events that wait for the verifiers. When reached: as when `NETWORK_EVENTS_MAX` is.
pub const NETWORK_EVENT_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Events without a body (peers that come and go, failed requests) that wait because the queue of
/// events is full. When full: further ones are lost and counted.
pub const NETWORK_NOTICES_MAX: usize = 65_536;
/// Commands, and likewise swarm events, that are handled before the other kind has its turn.
pub const NETWORK_BURST_MAX: usize = 64;
/// Connections that may be established at once, in both directions. When reached: new ones are refused.
/// Two for each peer that may be there.
pub const CONNECTIONS_MAX: u32 = 2 * (PEERS_MAX + VALIDATOR_PEERS_MAX) as u32;
/// Of these, incoming ones: the rest is kept for peers that this node chose itself.
pub const CONNECTIONS_INCOMING_MAX: u32 = CONNECTIONS_MAX / 4 * 3;
/// Connections that may be in the making, in each direction. When reached: new ones are refused.
pub const CONNECTIONS_PENDING_MAX: u32 = 128;
/// Streams of one protocol on one connection: requests on the way in both directions, with some
/// room for those that only one side counts as over. When reached: the stream is dropped.
pub const STREAMS_PER_PROTOCOL_MAX: usize = 2 * REQUESTS_PER_PEER_MAX + 32;
/// Requests of peers that wait for an answer. When reached: further ones are refused.
pub const INBOUND_REQUESTS_MAX: usize = 4_096;
/// How long a sampling query may take, in milliseconds. Then: it failed.
pub const QUERY_TIMEOUT_MS: u64 = 2_000;
/// How long any other request may take, in milliseconds. Then: it failed.
pub const REQUEST_TIMEOUT_MS: u64 = 10_000;
/// Addresses kept for one peer; further ones are ignored.
pub const ADDRESSES_PER_PEER_MAX: usize = 8;
/// Longest address taken from a peer, in bytes; longer ones are ignored.
pub const ADDRESS_BYTES_MAX: usize = 128;
/// Longest agent name kept of a peer, in characters; the rest is cut off.
pub const AGENT_CHARS_MAX: usize = 64;
/// Peers whose addresses are kept for dialling again, beside the bootstrap peers. When full: the
/// one that failed most is forgotten.
pub const KNOWN_PEERS_MAX: usize = 4_096;
/// Below this number of connected peers, all known ones are dialled again and again.
pub const PEERS_WANTED: usize = 8;
/// First pause before a lost or unreachable peer is dialled again, in milliseconds; doubled each time.
pub const REDIAL_FIRST_MS: u64 = 100;
/// Longest pause between two dials of a bootstrap peer, in milliseconds.
pub const REDIAL_MAX_MS: u64 = 15_000;
/// Dials in vain after which a peer other than a bootstrap peer is forgotten.
pub const REDIALS_MAX: u32 = 10;
/// A connected peer that has not said who it is for so long, in milliseconds, is disconnected.
pub const IDENTIFY_TIMEOUT_MS: u64 = 15_000;
/// An identified peer that does not take part in gossip for so long, in milliseconds, is used for
/// requests alone.
pub const SUBSCRIBE_TIMEOUT_MS: u64 = 2_000;
/// Penalty points at which a peer is disconnected and blocked.
pub const PENALTY_BAN: u32 = 100;
/// Time in which one penalty point is forgiven, in milliseconds.
pub const PENALTY_DECAY_MS: u64 = 10_000;
/// How long a peer stays blocked for its penalties, in milliseconds.
pub const BAN_MS: u64 = 600_000;
/// Peers whose penalties are remembered. When full: the lightest is forgotten.
pub const PENALIZED_PEERS_MAX: usize = 4_096;
/// Peers that may be blocked at once. When full: the block that ends first is lifted.
pub const BANNED_PEERS_MAX: usize = 4_096;

const _: () = assert!(CONNECTIONS_INCOMING_MAX < CONNECTIONS_MAX, "some connections are kept for our own choice");
const _: () = assert!(KNOWN_PEERS_MAX > PEERS_MAX + VALIDATOR_PEERS_MAX, "who is connected is known");
const _: () = assert!(
    NETWORK_EVENT_BYTES_MAX > 2 * timecoin_protocol::bounds::RESPONSE_BYTES_MAX,
    "the largest event fits the queue"
);
/// Sampling queries that a peer may send in a second; twice as many at once. Then: refused.
pub const QUERIES_PER_SECOND_MAX: u32 = 2_000;
/// Requests for transactions, and likewise for certificates, that a peer may send in a second;
/// twice as many at once. Then: refused.
pub const REPAIRS_PER_SECOND_MAX: u32 = 500;
/// Requests for blocks that a peer may send in a second; twice as many at once. Then: refused.
pub const BLOCK_REQUESTS_PER_SECOND_MAX: u32 = 200;
/// Status requests that a peer may send in a second; twice as many at once. Then: refused.
pub const STATUS_REQUESTS_PER_SECOND_MAX: u32 = 100;
/// Of these, requests for what is held of a validator's signatures; twice as many at once. Then: refused. The answer may have
/// 4 MiB of votes and as much of seals; a validator that starts asks each other one twice in a second at most (D-18).
pub const VOTER_REQUESTS_PER_SECOND_MAX: u32 = 4;

// ---- verifiers and driver -----------------------------------------------------------------

/// Consensus messages (votes, proposals, answers to own requests) that wait for a verifier. When
/// full: gossip is ignored, an answer counts as failed.
pub const VERIFY_URGENT_MAX: usize = 4_096;
/// Their bytes; one message always fits.
pub const VERIFY_URGENT_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Gossiped transactions, announcements and local submissions that wait for a verifier. When full:
/// gossip is ignored (votes name what is missing, and it is fetched), a caller is told "busy".
pub const VERIFY_BULK_MAX: usize = 4_096;
/// Their bytes; one message always fits.
pub const VERIFY_BULK_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Consensus messages that a verifier takes at once, to check their signatures in one batch.
pub const VERIFY_TAKE_MAX: usize = 64;
/// Bytes of messages of one class that a verifier takes at once; one message always fits. As votes these are some 2,600 signatures.
pub const VERIFY_TAKE_BYTES_MAX: usize = 256 * 1024;
/// Bytes of gossiped votes of one peer that wait for a verdict; one message always fits. More are ignored: a peer may not hand in work
/// without end before its first bad signature is found. Six of the largest seals, or 64 bundles.
pub const VERDICTS_PEER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long a gossiped message waits for its verdict, in milliseconds (N-13); it is ignored then.
pub const VERDICT_MS_MAX: u64 = 7_000;
/// Verifier threads that take everything; there is one more for consensus messages alone.
pub const VERIFY_THREADS_MAX: usize = 8;
/// Signatures found valid that one generation of the cache holds; two generations are kept, and
/// the older one is forgotten whole.
pub const SIGNATURES_CACHED_MAX: usize = 65_536;
/// For so long at least, in milliseconds, a vote that was passed on is known to have been; and twice as long at most.
pub const VOTES_SEEN_MS: u64 = 30_000;
/// Votes of which this is known, in each half of that time; when there are more, the time is shorter. 20 bytes each: a
/// thousand validators that sign as often as F-6 lets them make 600,000 batches in 30 s.
pub const VOTES_SEEN_MAX: usize = 1_048_576;
/// Bytes of consensus inputs that wait for the driver; one input always fits.
pub const DRIVER_URGENT_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Bytes of transactions that wait for the driver; one input always fits.
pub const DRIVER_BULK_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of new transactions that one turn takes; one input always fits.
pub const TURN_BULK_BYTES_MAX: usize = 256 * 1024;
/// Calls from RPC on the way to the driver; further ones are told "busy".
pub const CALLS_MAX: usize = 1_024;
/// Admissions that local callers wait for; the oldest is told "busy" when there are more.
pub const CALLS_WAITING_MAX: usize = 8_192;
/// Peers that the engine has a number for; the number given first is forgotten first.
pub const PEER_TAGS_MAX: usize = 2 * (PEERS_MAX + VALIDATOR_PEERS_MAX);
/// Announced nodes of keys that are not validators now (they may be once this node has caught
/// up); further ones are ignored.
pub const ANNOUNCED_STRANGERS_MAX: usize = 256;
/// Largest encoded announcement, in bytes.
pub const ANNOUNCEMENT_BYTES_MAX: usize = 2 * 1024;
/// Checked announcements that wait for the directory; further ones are ignored.
pub const ANNOUNCEMENTS_PENDING_MAX: usize = 1_024;
/// How far ahead of this node's clock an announcement may be dated, in milliseconds.
pub const ANNOUNCEMENT_AHEAD_MS_MAX: u64 = 60_000;
/// Least distance between two announcements of one validator that are forwarded, in milliseconds.
pub const ANNOUNCEMENT_DISTANCE_MS_MIN: u64 = 200;
/// Peers' requests for blocks that are served at once; further ones are refused.
pub const BLOCK_READS_MAX: usize = 4;
/// Room left in a response of blocks for its framing, in bytes.
pub const RESPONSE_MARGIN_BYTES: usize = 1_024;
/// Longest that gossiped transactions wait for company, in milliseconds; the first after a pause
/// of this length leaves at once.
pub const GOSSIP_INTERVAL_MS: u64 = 5;
/// Longest that votes of others wait for company before they are passed on, in milliseconds; the first after a pause of this
/// length leave at once, and a vote of this node takes along all that wait.
pub const VOTES_RELAY_INTERVAL_MS: u64 = 10;
/// The same for a node with few peers.
pub const VOTES_RELAY_FEW_INTERVAL_MS: u64 = 50;
/// So many peers are few: all of them fit into the mesh, and most likely each has the votes from whoever cast them.
pub const VOTES_RELAY_FEW_PEERS: usize = 12;

/// Which of the two holds for a node with so many peers, in milliseconds.
#[must_use]
pub const fn votes_relay_interval_ms(peers: usize) -> u64 {
    if peers <= VOTES_RELAY_FEW_PEERS { VOTES_RELAY_FEW_INTERVAL_MS } else { VOTES_RELAY_INTERVAL_MS }
}

/// Blocks after which the journal is rewritten without what is no longer needed.
pub const COMPACT_BLOCKS: u64 = 64;
/// Bytes of the journal after which it is rewritten at the next turn.
pub const COMPACT_BYTES: u64 = 64 * 1024 * 1024;
/// How often numbers for gauges are taken while nothing else changes, in milliseconds.
pub const GAUGES_INTERVAL_MS: u64 = 100;
/// How often the conduct of validators is shown anew while no block comes, in milliseconds.
pub const REPUTATIONS_INTERVAL_MS: u64 = 1_000;
/// Peers kept in the file of known peers.
pub const KNOWN_NODES_MAX: usize = 512;
/// First pause between two announcements of this node, in milliseconds; doubled each time, and
/// begun anew when a peer becomes ready.
pub const ANNOUNCE_FIRST_MS: u64 = 250;
/// Longest pause between two announcements of this node, in milliseconds.
pub const ANNOUNCE_MAX_MS: u64 = 30_000;
/// First pause between two dials of a validator's node, in milliseconds; doubled each time.
pub const DIAL_FIRST_MS: u64 = 500;
/// Longest pause between two dials of a validator's node, in milliseconds.
pub const DIAL_MAX_MS: u64 = 60_000;
/// First pause before a local transaction is gossiped again, in milliseconds; doubled each time.
pub const REBROADCAST_FIRST_MS: u64 = 2_000;
/// Longest pause before a local transaction is gossiped again, in milliseconds.
pub const REBROADCAST_MAX_MS: u64 = 60_000;
/// Local transactions that are looked after in this way; those whose time is furthest away are
/// left to themselves when there are more.
pub const REBROADCAST_MAX: usize = 10_000;
