//! What a wallet needs of a node: the network, spendable coins, sending, waiting.

use super::client::{Client, RpcFailure};
use super::failure::Failure;
use crate::wallet::Coin;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use timecoin_protocol::address::{NetworkKind, Owner, address_text};
use timecoin_protocol::amount::Amount;
use timecoin_protocol::codec::encode;
use timecoin_protocol::hash::{GenesisHash, Txid};
use timecoin_protocol::keys::{PublicKey, SecretKey};
use timecoin_protocol::transaction::{OutPoint, Transaction};

/// Outputs asked for at once.
const PAGE_OUTPUTS: usize = 1_000;

/// The network of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Network {
    /// Which kind.
    #[serde(rename = "chain")]
    pub kind: NetworkKind,
    /// Its name in signatures.
    pub genesis_hash: GenesisHash,
    /// Height of the last block.
    pub blocks: u64,
}

/// Reads an answer.
fn parsed<T: serde::de::DeserializeOwned>(
    method: &'static str,
    what: &'static str,
    value: Value,
) -> Result<T, RpcFailure> {
    serde_json::from_value(value).map_err(|_| RpcFailure::Answer { method, what })
}

/// Asks a node for its network.
pub async fn network(client: &Client) -> Result<Network, RpcFailure> {
    let method = "getblockchaininfo";
    parsed(method, "chain, genesis_hash or blocks", client.call(method, json!([])).await?)
}

/// How an output is locked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum LockShape {
    /// Spendable at any time.
    Address {},
    /// Bonded.
    Bond {
        /// For whom.
        validator: PublicKey,
    },
    /// On its way back.
    Unbonding {},
}

/// An output that nobody has spent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Unspent {
    txid: Txid,
    vout: u32,
    /// How much.
    pub amount: Amount,
    /// Its lock.
    pub lock: LockShape,
    /// Whether a payment may spend it now.
    pub spendable: bool,
}

impl Unspent {
    /// Its name.
    pub const fn outpoint(&self) -> OutPoint {
        OutPoint { txid: self.txid, index: self.vout }
    }
}

/// All unspent outputs of an owner.
pub async fn unspent(client: &Client, owner: &Owner, network: NetworkKind) -> Result<Vec<Unspent>, RpcFailure> {
    let method = "listunspent";
    let address = address_text(owner, network);
    let mut all: Vec<Unspent> = Vec::new();
    loop {
        let after = all.last().map(|last| json!({"txid": last.txid, "vout": last.vout}));
        let options = json!({"limit": PAGE_OUTPUTS, "after": after});
        let page: Vec<Unspent> = parsed(method, "an output", client.call(method, json!([address, options])).await?)?;
        let last = page.len() < PAGE_OUTPUTS;
        all.extend(page);
        if last {
            return Ok(all);
        }
    }
}

/// What the owners of `keys` can spend.
pub async fn coins(client: &Client, keys: &[SecretKey], network: NetworkKind) -> Result<Vec<Coin>, RpcFailure> {
    let mut coins = Vec::new();
    for key in keys {
        let owner = Owner::from(&key.public());
        let outputs = unspent(client, &owner, network).await?;
        let spendable = outputs.iter().filter(|output| output.spendable);
        coins.extend(spendable.map(|output| Coin { outpoint: output.outpoint(), amount: output.amount, owner }));
    }
    Ok(coins)
}

/// Hands a transaction to a node.
pub async fn submit(client: &Client, transaction: &Transaction) -> Result<(), RpcFailure> {
    client.call("sendrawtransaction", json!([hex::encode(encode(transaction))])).await.map(drop)
}

/// Where a transaction stands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Finality {
    /// `pending`, `contested`, `prepared`, `final`, `committed`, `rejected`.
    pub status: String,
    /// Its block.
    pub height: Option<u64>,
    /// From admission to finality at the node, in milliseconds.
    pub finality_ms: Option<u64>,
    /// Why it was rejected, for people.
    pub reason_text: Option<String>,
}

/// Waits until a transaction is final.
///
/// # Errors
/// It was rejected, or nothing was decided within `wait`.
pub async fn wait_final(client: &Client, txid: &Txid, wait: Duration) -> Result<Finality, Failure> {
    let method = "waittransactionfinality";
    let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    let finality: Finality = parsed(method, "status", client.call(method, json!([txid, wait_ms])).await?)?;
    rejected(finality, txid)
}

fn rejected(finality: Finality, txid: &Txid) -> Result<Finality, Failure> {
    if finality.status == "rejected" {
        let reason = finality.reason_text.unwrap_or_else(|| "no reason given".to_owned());
        return Err(Failure::Rejected { txid: txid.to_string(), reason });
    }
    Ok(finality)
}

/// Where a transaction stands now.
pub async fn finality(client: &Client, txid: &Txid) -> Result<Finality, Failure> {
    let method = "gettransactionfinality";
    let finality = parsed(method, "status", client.call(method, json!([txid])).await?)?;
    rejected(finality, txid)
}
