//! Splits the money of the funded accounts into one coin for each payment: two layers of
//! transactions, all of them committed before a run begins.

use super::sign::{COIN_UNITS, Coin, send_params};
use crate::endpoints::Endpoints;
use crate::failure::Failure;
use crate::rpc::{CallError, NodeClient, PoolInfo, Standing, UnspentInfo, Word};
use futures::{StreamExt as _, TryStreamExt as _};
use serde::de::IgnoredAny;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use timecoin_protocol::address::Owner;
use timecoin_protocol::amount::Amount;
use timecoin_protocol::bounds::{DUST_UNITS, FEE_UNITS_MIN, FEE_UNITS_PER_BYTE_MIN, TRANSACTION_BYTES_MAX};
use timecoin_protocol::hash::{GenesisHash, Txid};
use timecoin_protocol::keys::SecretKey;
use timecoin_protocol::transaction::{Lock, OutPoint, Output, Transaction, TransactionBody};

/// Outputs that one transaction makes, its change apart.
const FAN_OUT: usize = 250;
/// Fee of every fan-out, in units: enough for the largest transaction.
const FAN_OUT_FEE_UNITS: u64 = TRANSACTION_BYTES_MAX as u64 * FEE_UNITS_PER_BYTE_MIN;
/// Transactions on the way at once.
const AT_ONCE: usize = 32;
/// Longest that a transaction may take to become final, in milliseconds.
const FINAL_TIMEOUT_MS: u64 = 30_000;
/// How often a transaction that a node cannot take yet is sent, and the pause before.
const ATTEMPTS_MAX: usize = 100;
const ATTEMPT_PAUSE: Duration = Duration::from_millis(100);
/// Longest that the pools may take to become empty.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(60);
/// How often they are looked at.
const DRAIN_PERIOD: Duration = Duration::from_millis(100);

const _: () = assert!(FAN_OUT < timecoin_protocol::bounds::OUTPUTS_MAX, "the change has room");
const _: () = assert!(FAN_OUT_FEE_UNITS >= FEE_UNITS_MIN);

/// A coin of a funded account.
struct Purse {
    key: SecretKey,
    coin: Coin,
    /// The node that its transactions go to, so that each one finds its parent there.
    client: Arc<NodeClient>,
}

/// One transaction of the second layer: coins `first..first + count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Batch {
    first: usize,
    count: usize,
}

impl Batch {
    /// What its input must hold, in units.
    const fn units(self) -> u64 {
        self.count as u64 * COIN_UNITS + FAN_OUT_FEE_UNITS
    }
}

/// Makes `count` coins; coin `k` belongs to key `k % keys`. Returns when no pool holds anything.
///
/// # Errors
/// The funded accounts are too poor, or a node refuses or does not finish a transaction.
pub async fn fund(
    clients: &[Arc<NodeClient>],
    endpoints: &Endpoints,
    keys: &[SecretKey],
    count: usize,
) -> Result<Vec<Coin>, Failure> {
    let owners: Vec<Owner> = keys.iter().map(|key| Owner::from(&key.public())).collect();
    let purses = purses(clients, endpoints).await?;
    let shares = shares(count, purses.len())?;
    let work = purses.iter().zip(&shares).filter(|(_, share)| !share.is_empty());
    let genesis = &endpoints.genesis_hash;
    let made: Vec<Vec<(Batch, Txid)>> = futures::stream::iter(work)
        .map(|(purse, share)| spread(purse, share, &owners, genesis))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    drained(clients, Instant::now() + DRAIN_TIMEOUT).await?;
    let mut made: Vec<(Batch, Txid)> = made.into_iter().flatten().collect();
    made.sort_by_key(|(batch, _)| batch.first);
    let coins = made.iter().flat_map(|(batch, txid)| {
        let indices = 0..u32::try_from(batch.count).unwrap_or(u32::MAX);
        indices.map(|index| Coin { outpoint: OutPoint { txid: *txid, index }, amount: Amount(COIN_UNITS) })
    });
    Ok(coins.collect())
}

/// The largest coin of each funded account.
async fn purses(clients: &[Arc<NodeClient>], endpoints: &Endpoints) -> Result<Vec<Purse>, Failure> {
    let mut purses = Vec::new();
    for (account, client) in endpoints.accounts.iter().zip(clients.iter().cycle()) {
        let Some(key) = account.key() else { continue };
        let unspent: Vec<UnspentInfo> = client.call("listunspent", json!([account.address])).await?;
        let largest = unspent.into_iter().filter(|unspent| unspent.spendable).max_by_key(|unspent| unspent.amount);
        purses.extend(largest.map(|unspent| Purse {
            key,
            coin: Coin {
                outpoint: OutPoint { txid: unspent.txid, index: unspent.vout },
                amount: Amount(unspent.amount),
            },
            client: client.clone(),
        }));
    }
    Ok(purses)
}

/// Who makes which coins.
fn shares(count: usize, purses: usize) -> Result<Vec<Vec<Batch>>, Failure> {
    let mut shares = vec![Vec::new(); purses];
    let batches = (0..count).step_by(FAN_OUT).map(|first| Batch { first, count: FAN_OUT.min(count - first) });
    for (at, batch) in batches.enumerate() {
        let share = shares.get_mut(at % purses.max(1)).filter(|share| share.len() < FAN_OUT);
        share.ok_or(Failure::Funds { found: purses, needed: count.div_ceil(FAN_OUT * FAN_OUT) })?.push(batch);
    }
    Ok(shares)
}

/// Both layers of one account.
async fn spread(
    purse: &Purse,
    share: &[Batch],
    owners: &[Owner],
    genesis: &GenesisHash,
) -> Result<Vec<(Batch, Txid)>, Failure> {
    let own = Owner::from(&purse.key.public());
    let mut outputs: Vec<Output> = share.iter().map(|batch| output(batch.units(), own)).collect();
    let spent: u64 = share.iter().map(|batch| batch.units()).sum::<u64>() + FAN_OUT_FEE_UNITS;
    let poor = Failure::Funds { found: 0, needed: share.len() };
    let change = purse.coin.amount.units().checked_sub(spent).ok_or(poor)?;
    if change >= DUST_UNITS {
        outputs.push(output(change, own));
    }
    let parent = finish(purse, purse.coin.outpoint, outputs, genesis).await?;
    let children = share.iter().zip(0..).map(|(batch, index)| async move {
        let owner = |coin: usize| owners.get(coin % owners.len().max(1)).copied().unwrap_or(own);
        let outputs = (batch.first..batch.first + batch.count).map(|coin| output(COIN_UNITS, owner(coin))).collect();
        let txid = finish(purse, OutPoint { txid: parent, index }, outputs, genesis).await?;
        Ok((*batch, txid))
    });
    futures::stream::iter(children).buffer_unordered(AT_ONCE).try_collect().await
}

const fn output(units: u64, owner: Owner) -> Output {
    Output { amount: Amount(units), lock: Lock::Address(owner) }
}

/// Sends a transaction and waits until it is final.
async fn finish(purse: &Purse, input: OutPoint, outputs: Vec<Output>, genesis: &GenesisHash) -> Result<Txid, Failure> {
    let body = TransactionBody { inputs: vec![input], outputs, memo: Vec::new() };
    let transaction = Transaction::sign(body, &[&purse.key], genesis);
    let (txid, params) = (transaction.txid(), send_params(&transaction)?);
    let mut attempts = 0;
    while let Err(error) = purse.client.call_prepared::<IgnoredAny>("sendrawtransaction", params.clone()).await {
        attempts += 1;
        let passing = matches!(error.reason(), "busy" | "pool-full" | "missing-input" | "syncing");
        if !passing || attempts >= ATTEMPTS_MAX {
            return Err(error.into());
        }
        tokio::time::sleep(ATTEMPT_PAUSE).await;
    }
    let standing: Standing = purse.client.call("waittransactionfinality", json!([txid, FINAL_TIMEOUT_MS])).await?;
    match standing.status {
        Word::Rejected => Err(Failure::Call(CallError::Refused {
            message: format!("the transaction {txid} that shares out money was rejected"),
            reason: standing.reason.unwrap_or_default(),
        })),
        _ => Ok(txid),
    }
}

/// Waits until no pool holds anything.
///
/// # Errors
/// A pool still does at the deadline.
pub async fn drained(clients: &[Arc<NodeClient>], deadline: Instant) -> Result<(), Failure> {
    let begin = Instant::now();
    for client in clients {
        while client.call::<PoolInfo>("getmempoolinfo", json!([])).await?.size > 0 {
            if Instant::now() > deadline {
                return Err(Failure::Timeout {
                    what: "an empty pool at every node",
                    seconds: begin.elapsed().as_secs(),
                });
            }
            tokio::time::sleep(DRAIN_PERIOD).await;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_coin_is_made_once_and_the_work_is_spread() {
        let shares = shares(1_001, 3).unwrap();
        let mut batches: Vec<Batch> = shares.iter().flatten().copied().collect();
        batches.sort_by_key(|batch| batch.first);
        let mut next = 0;
        for batch in batches {
            assert_eq!(batch.first, next);
            next += batch.count;
        }
        assert_eq!(next, 1_001);
        assert_eq!(shares.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
    }

    #[test]
    fn too_few_purses_are_an_error_not_a_short_run() {
        assert!(matches!(shares(FAN_OUT * FAN_OUT + 1, 1), Err(Failure::Funds { found: 1, needed: 2 })));
        assert!(matches!(shares(1, 0), Err(Failure::Funds { .. })));
        assert!(shares(0, 0).unwrap().is_empty());
    }

    #[test]
    fn the_largest_run_is_within_reach_of_ten_accounts() {
        assert!(shares(crate::load::plan::PAYMENTS_MAX, 10).is_ok());
    }
}
