//! One node's JSON-RPC over one WebSocket: many calls may be on the way at once.

use jsonrpsee::core::JsonRawValue;
use jsonrpsee::core::client::{ClientT, Error as ClientError, Subscription, SubscriptionClientT};
use jsonrpsee::core::traits::ToRpcParams;
use jsonrpsee::ws_client::{WsClient, WsClientBuilder};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::Duration;
use timecoin_protocol::hash::Txid;

/// Longest that a call may take; longer than any wait that is asked for.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest that connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Calls on the way on one connection; further ones wait.
pub const CALLS_IN_FLIGHT_MAX: usize = 4_096;
/// Notifications of one subscription that wait to be read; when there are more it is closed.
const NOTIFICATIONS_WAITING_MAX: usize = 65_536;
/// Largest answer, in bytes: the ids of a full block in JSON.
const ANSWER_BYTES_MAX: u32 = 16 * 1024 * 1024;

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Nobody answers there, or no longer.
    #[error("no node answers at {url}: {why}")]
    Unreachable {
        /// Whom.
        url: String,
        /// The reason of the transport.
        why: String,
    },
    /// The node said no.
    #[error("{message} ({reason})")]
    Refused {
        /// What was wrong, for people.
        message: String,
        /// The same as a slug, for programs.
        reason: String,
    },
    /// An answer that is not understood.
    #[error("the answer to {method} is not understood: {why}")]
    Answer {
        /// Which call.
        method: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

impl CallError {
    /// The reason as a slug.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Refused { reason, .. } => reason,
            Self::Answer { .. } => "not-understood",
        }
    }
}

/// Parameters that are serialized already.
#[derive(Clone, Debug)]
pub struct Params(Box<JsonRawValue>);

impl Params {
    /// Parameters from a JSON value: a list or an object.
    ///
    /// # Errors
    /// Never for a [`Value`]; the type is that of the serializer.
    pub fn new(value: &Value) -> Result<Self, serde_json::Error> {
        Self::from_text(value.to_string())
    }

    /// Parameters from JSON text.
    ///
    /// # Errors
    /// The text is not JSON.
    pub fn from_text(text: String) -> Result<Self, serde_json::Error> {
        JsonRawValue::from_string(text).map(Self)
    }
}

impl ToRpcParams for Params {
    fn to_rpc_params(self) -> Result<Option<Box<JsonRawValue>>, serde_json::Error> {
        Ok(Some(self.0))
    }
}

/// A connection to a node.
#[derive(Debug)]
pub struct NodeClient {
    url: String,
    client: WsClient,
}

impl NodeClient {
    /// Connects to `url`, which begins with `ws://`.
    ///
    /// # Errors
    /// Nobody answers there.
    pub async fn connect(url: &str) -> Result<Self, CallError> {
        let client = WsClientBuilder::default()
            .request_timeout(CALL_TIMEOUT)
            .connection_timeout(CONNECT_TIMEOUT)
            .max_concurrent_requests(CALLS_IN_FLIGHT_MAX)
            .max_buffer_capacity_per_subscription(NOTIFICATIONS_WAITING_MAX)
            .max_response_size(ANSWER_BYTES_MAX)
            .build(url)
            .await
            .map_err(|error| CallError::Unreachable { url: url.to_owned(), why: error.to_string() })?;
        Ok(Self { url: url.to_owned(), client })
    }

    /// Where the node is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Calls a method.
    ///
    /// # Errors
    /// [`CallError`]
    pub async fn call<R: DeserializeOwned>(&self, method: &'static str, params: Value) -> Result<R, CallError> {
        let params = Params::new(&params).map_err(|error| CallError::Answer { method, why: error.to_string() })?;
        self.call_prepared(method, params).await
    }

    /// Calls a method with parameters that are serialized already.
    ///
    /// # Errors
    /// [`CallError`]
    pub async fn call_prepared<R: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Params,
    ) -> Result<R, CallError> {
        self.client.request(method, params).await.map_err(|error| self.failure(method, error))
    }

    /// Subscribes to status changes of these transactions, at this node.
    ///
    /// # Errors
    /// [`CallError`]
    pub async fn subscribe_finality(&self, txids: &[Txid]) -> Result<Subscription<Standing>, CallError> {
        const METHOD: &str = "subscribefinality";
        let params = Params::new(&json!([txids]))
            .map_err(|error| CallError::Answer { method: METHOD, why: error.to_string() })?;
        let subscribed = self.client.subscribe(METHOD, params, "unsubscribefinality").await;
        subscribed.map_err(|error| self.failure(METHOD, error))
    }

    fn failure(&self, method: &'static str, error: ClientError) -> CallError {
        match error {
            ClientError::Call(error) => {
                let data: Value =
                    error.data().and_then(|data| serde_json::from_str(data.get()).ok()).unwrap_or_default();
                let reason = data.get("reason").and_then(Value::as_str);
                let reason = reason.map_or_else(|| format!("code {}", error.code()), str::to_owned);
                CallError::Refused { message: error.message().to_owned(), reason }
            }
            ClientError::ParseError(error) => CallError::Answer { method, why: error.to_string() },
            other => CallError::Unreachable { url: self.url.clone(), why: other.to_string() },
        }
    }
}

/// Where a transaction stands at a node, as notifications and `gettransactionfinality` say it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Standing {
    /// Which one.
    pub txid: Txid,
    /// The word for it.
    pub status: Word,
    /// Why it was rejected.
    #[serde(default)]
    pub reason: Option<String>,
}

/// The statuses of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// Undecided, unopposed.
    Pending,
    /// Undecided, opposed.
    Contested,
    /// A quorum is locked to it.
    Prepared,
    /// Nobody can undo it.
    Final,
    /// In a block.
    Committed,
    /// It will never be in a block.
    Rejected,
}

impl Word {
    /// Whether the receiver may rely on it.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Final | Self::Committed)
    }
}

/// What `getblockchaininfo` answers, as far as it is used here.
#[derive(Clone, Debug, Deserialize)]
pub struct ChainInfo {
    /// Height of the last block.
    pub blocks: u64,
    /// Hash that names the network.
    pub genesis_hash: String,
}

/// What `gettxoutsetinfo` answers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct OutputSet {
    /// Height of the last block.
    pub height: u64,
    /// Its hash.
    pub bestblock: String,
    /// Commitment to all unspent outputs.
    pub utxo_set: String,
    /// How many they are.
    pub txouts: u64,
    /// Their sum, in units.
    pub total_amount: u64,
}

/// What `getmempoolinfo` answers, as far as it is used here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct PoolInfo {
    /// Transactions that are in no block.
    pub size: u64,
    /// Of these, final ones.
    #[serde(rename = "final")]
    pub finished: u64,
}

/// What `getblock` answers at verbosity 1, as far as it is used here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct BlockInfo {
    /// Hash of the block.
    pub hash: String,
    /// Its height.
    pub height: u64,
    /// Commitment to the unspent outputs.
    pub utxo_set: String,
    /// Its size, in bytes.
    pub size: u64,
    /// Its transactions, the coinbase first.
    pub tx: Vec<Txid>,
}

/// One entry of `listunspent`, as far as it is used here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct UnspentInfo {
    /// Transaction that made the output.
    pub txid: Txid,
    /// Its position.
    pub vout: u32,
    /// Its units.
    pub amount: u64,
    /// Whether a plain payment may spend it now.
    pub spendable: bool,
}
