//! `time-cli history`.

use super::NodeArgs;
use super::source::WalletSource;
use crate::cli::account::network;
use crate::cli::client::{Client, RpcFailure};
use crate::cli::failure::Failure;
use crate::cli::output::{Output, table};
use crate::exit::Exit;
use crate::wallet::format_time;
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use timecoin_protocol::address::address_text;
use timecoin_protocol::amount::Amount;
use timecoin_protocol::hash::Txid;

/// Arguments of `history`.
#[derive(Clone, Debug, Args)]
pub struct HistoryArgs {
    /// An address; without it, all addresses of the wallet together.
    address: Option<String>,
    /// At most so many payments.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    limit: u16,
}

/// One transaction, as it concerns the wallet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    txid: Txid,
    status: String,
    height: Option<u64>,
    position: Option<u32>,
    time_ms: Option<u64>,
    received: u64,
    spent: u64,
}

#[derive(Debug, Deserialize)]
struct Page {
    #[serde(default)]
    pool: Vec<Entry>,
    transactions: Vec<Entry>,
}

impl HistoryArgs {
    /// Runs it.
    pub async fn run(&self, node: &NodeArgs, source: &WalletSource, output: Output) -> Result<Exit, Failure> {
        let client = node.client()?;
        let network = network(&client).await?;
        let owners = source.owners_or(self.address.as_deref(), network.kind, client.url())?;
        let mut entries = Vec::new();
        for owner in &owners {
            entries.extend(history_of(&client, &address_text(owner, network.kind), self.limit).await?);
        }
        let entries = newest(merge(entries), self.limit);
        output.result(&json!(entries), || {
            table(
                &["STATUS", "AMOUNT", "TRANSACTION"],
                entries.iter().map(|entry| {
                    let place = entry.height.map_or_else(String::new, |height| format!(" in block {height}"));
                    vec![format!("{}{place}", entry.status), net(entry), entry.txid.to_string()]
                }),
            )
        });
        Ok(Exit::Ok)
    }
}

async fn history_of(client: &Client, address: &str, limit: u16) -> Result<Vec<Entry>, RpcFailure> {
    let method = "getaddresshistory";
    let answer = client.call(method, json!([address, limit])).await?;
    let mut page: Page =
        serde_json::from_value(answer).map_err(|_| RpcFailure::Answer { method, what: "a transaction" })?;
    page.pool.append(&mut page.transactions);
    Ok(page.pool)
}

/// One entry for each transaction: what all addresses of the wallet received and spent together.
fn merge(entries: Vec<Entry>) -> Vec<Entry> {
    let mut merged: BTreeMap<Txid, Entry> = BTreeMap::new();
    for entry in entries {
        let (received, spent) = (entry.received, entry.spent);
        merged
            .entry(entry.txid)
            .and_modify(|known| {
                known.received = known.received.saturating_add(received);
                known.spent = known.spent.saturating_add(spent);
            })
            .or_insert(entry);
    }
    merged.into_values().collect()
}

/// Those in no block first, then by place in the chain from the newest.
fn newest(mut entries: Vec<Entry>, limit: u16) -> Vec<Entry> {
    entries.sort_by_key(|entry| Reverse((entry.height.unwrap_or(u64::MAX), entry.position)));
    entries.truncate(limit.into());
    entries
}

fn net(entry: &Entry) -> String {
    let (sign, units) = match entry.received.checked_sub(entry.spent) {
        Some(gain) => ("+", gain),
        None => ("-", entry.spent.saturating_sub(entry.received)),
    };
    format!("{sign}{}", format_time(Amount(units)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(txid: u8, height: Option<u64>, received: u64, spent: u64) -> Entry {
        let status = if height.is_some() { "committed" } else { "pending" };
        let txid = Txid([txid; 32]);
        Entry { txid, status: status.into(), height, position: height.map(|_| 1), time_ms: None, received, spent }
    }

    #[test]
    fn what_several_addresses_saw_of_one_payment_is_one_entry() {
        let merged = merge(vec![entry(1, Some(4), 0, 500_000_000), entry(1, Some(4), 299_999_000, 0)]);
        assert_eq!(merged.iter().map(net).collect::<Vec<_>>(), ["-2.00001"]);
    }

    #[test]
    fn the_newest_come_first_and_those_in_no_block_before_them() {
        let sorted = newest(vec![entry(1, Some(4), 1, 0), entry(2, None, 1, 0), entry(3, Some(9), 1, 0)], 2);
        assert_eq!(sorted.iter().map(|entry| entry.height).collect::<Vec<_>>(), [None, Some(9)]);
    }
}
