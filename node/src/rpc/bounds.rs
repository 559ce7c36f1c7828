//! Every bound of the RPC server, with its unit in its name, and what happens when it is reached.

/// Largest request body, in bytes. A larger one is answered with HTTP 413 and not read.
pub const REQUEST_BYTES_MAX: u32 = 4 * 1024 * 1024;
/// Largest response body, in bytes. A larger one is replaced by error -32008; ask for less
/// (verbosity 1 instead of 2, a smaller limit).
pub const RESPONSE_BYTES_MAX: u32 = 64 * 1024 * 1024;
/// Requests in one batch. A longer batch is refused whole with error -32010.
pub const BATCH_REQUESTS_MAX: u32 = 1_000;
/// HTTP requests that are being answered and WebSocket connections, together. The next one is
/// answered with HTTP 429.
pub const CONNECTIONS_MAX: u32 = 2_048;
/// Subscriptions of one WebSocket connection. The next one is refused with error -32006.
pub const SUBSCRIPTIONS_PER_CONNECTION_MAX: u32 = 64;
/// Messages that wait to be written to one WebSocket. When full, its subscriptions wait, and fall
/// behind the news.
pub const CONNECTION_MESSAGES_MAX: u32 = 1_024;
/// Longest that a subscription waits for room in its connection's queue, in milliseconds; then it
/// is closed.
pub const SUBSCRIBER_STALL_MS_MAX: u64 = 10_000;
/// Calls that read the database at once. Further ones wait their turn.
pub const STORAGE_READS_MAX: usize = 32;
/// Clients that wait for the finality of transactions at once. The next one is refused with
/// reason `busy`.
pub const WAITERS_MAX: usize = 100_000;
/// Longest that a client may wait for finality in one call, in milliseconds; more is refused.
pub const WAIT_MS_MAX: u64 = 600_000;
/// How long a client waits for finality if it does not say, in milliseconds.
pub const WAIT_MS_DEFAULT: u64 = 30_000;
/// Transactions tested in one `testmempoolaccept`; more are refused.
pub const TESTED_TRANSACTIONS_MAX: usize = 25;
/// Outputs in one answer of `listunspent`; the rest is for the next call.
pub const UNSPENT_LIMIT_MAX: u64 = 10_000;
/// Outputs in one answer of `listunspent` if the caller does not say.
pub const UNSPENT_LIMIT_DEFAULT: u64 = 1_000;
/// Transactions in one answer of `getaddresshistory`; the rest is for the next call.
pub const HISTORY_LIMIT_MAX: u64 = 1_000;
/// Transactions in one answer of `getaddresshistory` if the caller does not say.
pub const HISTORY_LIMIT_DEFAULT: u64 = 50;
/// Outputs read from the database at a time when a balance is summed.
pub const BALANCE_PAGE_OUTPUTS: usize = 1_000;
/// How often pool and chain are read because a block came in between; then the last time counts.
pub const READ_ATTEMPTS_MAX: usize = 3;
/// Transactions that one address subscription follows until they are finished. Further ones are
/// reported when they enter the pool and when they are in a block, not in between.
pub const FOLLOWED_TRANSACTIONS_MAX: usize = 10_000;

const _: () = assert!(
    REQUEST_BYTES_MAX as usize > 2 * timecoin_protocol::bounds::TRANSACTION_BYTES_MAX * TESTED_TRANSACTIONS_MAX,
    "as many of the largest transactions as may be tested at once fit one request"
);
const _: () = assert!(
    RESPONSE_BYTES_MAX as usize > 4 * timecoin_protocol::bounds::BLOCK_BYTES_MAX,
    "any block fits a response in hexadecimal"
);
const _: () = assert!(WAIT_MS_DEFAULT <= WAIT_MS_MAX);
const _: () = assert!(UNSPENT_LIMIT_DEFAULT <= UNSPENT_LIMIT_MAX && HISTORY_LIMIT_DEFAULT <= HISTORY_LIMIT_MAX);
