//! Every bound of the protocol, with its unit in its name, and the relations among them.
//!
//! What happens at each bound is said where it is used; the ledger's bounds are consensus rules
//! (`SPEC.md` L-*), the others only limit what a stranger can make a node keep.

/// Largest encoded transaction, in bytes (L-2).
pub const TRANSACTION_BYTES_MAX: usize = 16 * 1024;
/// Most inputs of a transaction (L-2).
pub const INPUTS_MAX: usize = 256;
/// Most outputs of a transfer (L-2). A coinbase has one output for each paid validator instead.
pub const OUTPUTS_MAX: usize = 256;
/// Longest memo, in bytes (L-2).
pub const MEMO_BYTES_MAX: usize = 80;
/// Smallest amount of an output, in units (L-4).
pub const DUST_UNITS: u64 = 546;
/// Smallest fee of a transfer, in units (L-5).
pub const FEE_UNITS_MIN: u64 = 1_000;
/// Smallest fee rate, in units for each byte of the encoded transaction (L-5).
pub const FEE_UNITS_PER_BYTE_MIN: u64 = 1;
/// Smallest bond, in units: the Bronze tier (L-8).
pub const BOND_UNITS_MIN: u64 = 1_000 * crate::amount::UNITS_PER_TIME;

/// Most transfers in a block (B-4).
pub const BLOCK_TRANSACTIONS_MAX: usize = 20_000;
/// Largest sum of encoded transfers in a block, in bytes (B-4).
pub const BLOCK_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Most validators with a vote in one epoch (V-1).
pub const VALIDATORS_MAX: usize = 1_024;

/// Largest gossip message, in bytes (N-8). gossipsub compares its own limit with the whole read
/// buffer, so its limit is 16 KiB above this one.
pub const GOSSIP_BYTES_MAX: usize = 1024 * 1024 - 16 * 1024;
/// Most transactions in one gossiped batch (N-3).
pub const GOSSIP_TRANSACTIONS_MAX: usize = 1_024;
/// Largest sum of encoded transactions that a node puts into one gossiped batch, in bytes (N-3).
pub const GOSSIP_TRANSACTIONS_BYTES_TARGET: usize = 128 * 1024;
/// Most transactions named by one batch of finality votes (F-2).
pub const VOTES_PER_BATCH_MAX: usize = 4_096;
/// Encoded votes of a gossiped bundle but the last one have less, in bytes (N-36): one that reaches it leaves.
pub const VOTES_BUNDLE_BYTES_TARGET: usize = 64 * 1024;
/// Most transactions named by one sampling query (S-1).
pub const QUERY_TXIDS_MAX: usize = 4_096;
/// Most bodies asked for in one request (N-5).
pub const REQUEST_TRANSACTIONS_MAX: usize = 1_024;
/// Most transactions whose votes are asked for in one request (N-5).
pub const REQUEST_CERTIFICATES_MAX: usize = 1_024;
/// Most transactions named by one seal: those that a validator voted Commit for and that are in no block
/// (E-4). It votes Commit for no more.
pub const SEAL_TXIDS_MAX: usize = 20_000;
/// Largest sum of the bitmaps of a closing block, in bytes (E-5).
pub const CLOSING_LISTED_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Largest piece of evidence, in bytes: two bodies, two Merkle paths of a full batch of votes, and what is signed.
pub const EVIDENCE_BYTES_MAX: usize = 2 * TRANSACTION_BYTES_MAX + 2 * 1024;
/// Most pieces of evidence in a closing block.
pub const CLOSING_EVIDENCE_MAX: usize = 256;
/// Largest sum of the encoded evidence in a closing block, in bytes.
pub const CLOSING_EVIDENCE_BYTES_MAX: usize = 64 * 1024;
/// Largest sum of the encoded evidence that a node keeps until it is in a block, in bytes; more is ignored until then.
pub const EVIDENCE_HELD_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Most bytes of evidence in one answer to a question for the status (N-6).
pub const STATUS_EVIDENCE_BYTES_MAX: usize = 256 * 1024;
/// Fewest blocks of an epoch (G-3).
pub const EPOCH_BLOCKS_MIN: u64 = 2;
/// Most bytes of seals in one answer to a question for the status (N-6).
pub const STATUS_SEALS_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most proposals in one such answer (N-6).
pub const STATUS_PROPOSALS_MAX: usize = 2;
/// Most vote batches in one such answer, the newest of one voter (N-6).
pub const STATUS_BATCHES_MAX: usize = 64;
/// Most bytes of these.
pub const STATUS_BATCHES_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How much later than the last moment at which a key may have voted unseen a closing block must be dated, for the epoch
/// after it to be one that had not begun then (D-15), in milliseconds. Validators prevote blocks up to 2,000 ms ahead of
/// their clocks (B-12); the rest is for clocks that differ.
pub const HISTORY_MARGIN_MS: u64 = 10_000;
/// Most blocks asked for in one request (N-5).
pub const REQUEST_BLOCKS_MAX: usize = 128;
/// Largest response body, in bytes (N-8).
pub const RESPONSE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Largest request body, in bytes (N-8).
pub const REQUEST_BYTES_MAX: usize = 256 * 1024;
/// Most addresses in a masternode announcement (N-4).
pub const ANNOUNCED_ADDRESSES_MAX: usize = 8;
/// Longest announced peer id, in bytes (N-4).
pub const PEER_ID_BYTES_MAX: usize = 64;
/// Longest announced multiaddr, in bytes (N-4).
pub const ANNOUNCED_ADDRESS_BYTES_MAX: usize = 128;

/// Most rounds above the current one of which proposals and block votes are kept.
pub const ROUNDS_AHEAD_MAX: u32 = 16;

/// Most conflicting spends kept for one outpoint (P-3).
pub const SPENDS_PER_OUTPOINT_MAX: usize = 2;

// What an engine keeps of what others say. `Engine::kept` counts it, and simulations look after every turn.

/// Longest chain of unfinished ancestors (P-4).
pub const ANCESTORS_MAX: usize = 64;
/// Most transactions kept while an input of theirs is unknown; the oldest is dropped first (P-2).
pub const ORPHANS_MAX: usize = 1_024;
/// Most polls on the way at once; further ones wait for one to end. Where samples are drawn a payment begins with three; where
/// everybody is asked each poll is one request to each, and 64 may be on the way to a peer (N-14).
pub const POLLS_MAX: usize = 32;
/// Most queries whose answers are still waited for although their polls are over; the oldest is forgotten first (S-15).
pub const LATE_ANSWERS_MAX: usize = 4_096;
/// Most transactions in queries whose answers wait, 32 bytes each; beyond them a query is answered at once.
pub const HELD_TXIDS_MAX: usize = 16_384;
/// Most bodies that are wanted at once; further ones are not asked for until they matter again.
pub const WANTED_MAX: usize = 16_384;
/// Most transactions with votes but without a body here; the oldest is forgotten first, and asked
/// for again when it matters.
pub const EARLY_TALLIES_MAX: usize = 32_768;
/// Most votes in the batches that these keep alive (32 bytes each, for each validator): a batch for one
/// unknown transaction may hold 4,096 votes.
pub const EARLY_VOTES_MAX: usize = 4 * 1024 * 1024;
/// Votes of others that may wait for the next record; when there are more they are made durable at once.
pub const DEFERRED_VOTES_MAX: usize = 65_536;
/// Most vote batches of the next epoch that are kept until it begins; further ones are asked for later (F-6).
pub const AHEAD_BATCHES_MAX: usize = 1_024;
/// Most votes in these.
pub const AHEAD_BATCH_VOTES_MAX: usize = 65_536;
/// Losers of conflicts that are remembered, to say so when asked.
pub const LOSERS_MAX: usize = 16_384;
/// Outpoints spent by recent blocks that are remembered, to say who spent them; about 100 bytes each.
pub const RECENT_SPENDS_MAX: usize = 65_536;
/// Transactions of recent blocks that are remembered, to answer queries about them.
pub const RECENT_TRANSACTIONS_MAX: usize = 65_536;
/// Rounds of that height whose votes and proposals are kept; later ones are heard again by N-22.
pub const AHEAD_ROUNDS: u32 = 2;
/// Votes for the height after the one in progress that are kept until it is reached: two phases of
/// each kept round, in this epoch and the next one.
pub const AHEAD_VOTES_MAX: usize = 8 * VALIDATORS_MAX;
/// Most different seals kept of one validator, besides those that a proposal names. An honest one makes one.
pub const SEALS_PER_VALIDATOR_MAX: usize = 2;
/// Peers that claimed blocks and gave none, after which others are asked first for a while (N-22); the one whose time ends first is
/// forgotten first.
pub const RESTING_PEERS_MAX: usize = 1_024;
/// Most bodies of opposed payments that are kept, 16 KiB each at most; the oldest is forgotten first. Whoever floods the
/// node with double spends can so hide a contradiction from it, but not from everybody, and wins nothing by it.
pub const OPPOSED_MAX: usize = 1_024;

const _: () = assert!(
    BLOCK_TRANSACTIONS_MAX * 32 + VALIDATORS_MAX * 300 + CLOSING_EVIDENCE_BYTES_MAX < GOSSIP_BYTES_MAX,
    "a compact proposal fits a gossip message"
);
const _: () = assert!(VOTES_PER_BATCH_MAX * 32 + 1024 < GOSSIP_BYTES_MAX);
const _: () = assert!(SEAL_TXIDS_MAX * 32 + 1024 < GOSSIP_BYTES_MAX, "a seal fits a gossip message");
const _: () = assert!(SEAL_TXIDS_MAX * 32 + 1024 < STATUS_SEALS_BYTES_MAX);
const _: () = assert!(EVIDENCE_BYTES_MAX <= CLOSING_EVIDENCE_BYTES_MAX, "every piece of evidence fits a closing block");
const _: () = assert!(EVIDENCE_BYTES_MAX <= STATUS_EVIDENCE_BYTES_MAX);
const _: () = assert!(QUERY_TXIDS_MAX * 32 + 1024 <= REQUEST_BYTES_MAX);
const _: () = assert!(GOSSIP_TRANSACTIONS_BYTES_TARGET + TRANSACTION_BYTES_MAX < GOSSIP_BYTES_MAX);
const _: () = assert!(
    BLOCK_BYTES_MAX + CLOSING_LISTED_BYTES_MAX + CLOSING_EVIDENCE_BYTES_MAX + 1024 * 1024 < RESPONSE_BYTES_MAX,
    "any block fits a response"
);
const _: () = assert!(VALIDATORS_MAX <= crate::validator::ValidatorIndex::MAX as usize, "a validator has an index");
