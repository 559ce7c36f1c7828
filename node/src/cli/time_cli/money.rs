//! `time-cli balance` and `time-cli send`.

use super::NodeArgs;
use super::source::WalletSource;
use crate::cli::account::{Finality, Network, coins, network, submit, wait_final};
use crate::cli::client::{Client, RpcFailure};
use crate::cli::failure::{Failure, Misuse};
use crate::cli::output::{DIM, GOOD, Output, styled};
use crate::exit::Exit;
use crate::wallet::{Coin, Payment, Plan, Selection, format_time, parse_amount, pay};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::{Duration, Instant};
use timecoin_protocol::address::{Owner, address_text, parse_address};
use timecoin_protocol::amount::Amount;
use timecoin_protocol::keys::SecretKey;
use timecoin_protocol::transaction::Transaction;

/// Arguments of `balance`.
#[derive(Clone, Debug, Args)]
pub struct BalanceArgs {
    /// An address; without it, all addresses of the wallet together.
    address: Option<String>,
}

/// Sums of units, as the node answers.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Balance {
    spendable: u64,
    pending: u64,
    bonded: u64,
    unbonding: u64,
}

impl Balance {
    const fn plus(self, other: Self) -> Self {
        Self {
            spendable: self.spendable.saturating_add(other.spendable),
            pending: self.pending.saturating_add(other.pending),
            bonded: self.bonded.saturating_add(other.bonded),
            unbonding: self.unbonding.saturating_add(other.unbonding),
        }
    }
}

impl BalanceArgs {
    /// Runs it.
    pub async fn run(&self, node: &NodeArgs, source: &WalletSource, output: Output) -> Result<Exit, Failure> {
        let client = node.client()?;
        let network = network(&client).await?;
        let owners = source.owners_or(self.address.as_deref(), network.kind, client.url())?;
        let mut sum = Balance::default();
        for owner in &owners {
            sum = sum.plus(balance_of(&client, &address_text(owner, network.kind)).await?);
        }
        output.result(&json!(sum), || {
            let Balance { spendable, pending, bonded, unbonding } = sum;
            let rows = [("spendable", spendable), ("pending", pending), ("bonded", bonded), ("unbonding", unbonding)];
            let shown = rows.into_iter().filter(|(name, units)| *units > 0 || *name == "spendable");
            let lines: Vec<String> = shown.map(|(name, units)| format!("{name:<10} {}", Amount(units))).collect();
            lines.join("\n")
        });
        Ok(Exit::Ok)
    }
}

async fn balance_of(client: &Client, address: &str) -> Result<Balance, RpcFailure> {
    let method = "getbalance";
    let answer = client.call(method, json!([address])).await?;
    serde_json::from_value(answer).map_err(|_| RpcFailure::Answer { method, what: "a sum" })
}

/// How a transaction is paid for and waited for.
#[derive(Clone, Debug, Args)]
pub struct FeeArgs {
    /// Fee in units for each byte; at least 1,000 units are paid.
    #[arg(long, value_name = "UNITS", default_value_t = 1)]
    fee_rate: u64,
    /// Longest to wait for finality, in seconds; 0 does not wait.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(0..=600))]
    wait: u64,
}

/// A node, its network, and the wallet's keys and coins there.
pub struct Session {
    client: Client,
    /// The network.
    pub network: Network,
    /// The wallet's keys, oldest address first.
    pub keys: Vec<SecretKey>,
    coins: Vec<Coin>,
    fee: FeeArgs,
}

impl Session {
    /// Asks the node for its network, opens the wallet, and asks for its coins.
    pub async fn open(node: &NodeArgs, source: &WalletSource, fee: &FeeArgs) -> Result<Self, Failure> {
        let client = node.waiting_client(Duration::from_secs(fee.wait))?;
        let network = network(&client).await?;
        let keys = source.keys(network.kind, client.url())?;
        let coins = coins(&client, &keys, network.kind).await?;
        Ok(Self { client, network, keys, coins, fee: fee.clone() })
    }

    /// The node.
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// Units for each byte.
    pub const fn fee_rate(&self) -> u64 {
        self.fee.fee_rate
    }

    /// The wallet's oldest address: change goes there.
    pub fn home(&self) -> Result<Owner, Failure> {
        Ok(self.keys.first().map(|key| Owner::from(&key.public())).ok_or(Misuse::Other("the wallet has no keys"))?)
    }

    /// What transactions are built with.
    pub fn plan(&self) -> Result<Plan<'_>, Failure> {
        Ok(Plan {
            coins: &self.coins,
            keys: &self.keys,
            change: self.home()?,
            fee_rate: self.fee.fee_rate,
            genesis: self.network.genesis_hash,
        })
    }

    /// Sends a transaction, waits for finality, and prints the outcome.
    pub async fn send(&self, transaction: &Transaction, fee: Amount, output: Output) -> Result<(), Failure> {
        let txid = transaction.txid();
        let started = Instant::now();
        submit(&self.client, transaction).await?;
        let finality = match self.fee.wait {
            0 => None,
            seconds => Some(wait_final(&self.client, &txid, Duration::from_secs(seconds)).await?),
        };
        let waited_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let status = finality.as_ref().map_or("sent", |finality| finality.status.as_str());
        let value = json!({
            "txid": txid, "fee": fee, "status": status,
            "final_in_ms": finality.as_ref().map(|_| waited_ms),
            "finality_ms": finality.as_ref().and_then(|finality: &Finality| finality.finality_ms),
        });
        output.result(&value, || {
            let outcome = match finality {
                Some(_) => styled(GOOD, &format!("final in {waited_ms} ms")),
                None => "sent; `time-cli gettransactionfinality` says when it is final".to_owned(),
            };
            format!("{txid}\n{outcome}, fee {} TIME", format_time(fee))
        });
        Ok(())
    }
}

/// Arguments of `send`.
#[derive(Clone, Debug, Args)]
pub struct SendArgs {
    /// Who is paid.
    address: String,
    /// How much: decimal TIME (1.5), or whole units with a u (150000000u).
    amount: String,
    /// A short public note, at most 80 bytes.
    #[arg(long, default_value = "")]
    memo: String,
    #[command(flatten)]
    fee: FeeArgs,
}

impl SendArgs {
    /// Runs it.
    pub async fn run(&self, node: &NodeArgs, source: &WalletSource, output: Output) -> Result<Exit, Failure> {
        // What is wrong with the command line is said before anything is asked for.
        let amount = parse_amount(&self.amount)?;
        let (_, _) = timecoin_protocol::address::parse_any_address(&self.address)?;
        let session = Session::open(node, source, &self.fee).await?;
        let to = parse_address(&self.address, session.network.kind)?;
        let payment = Payment { to, amount, memo: self.memo.as_bytes().to_vec() };
        let (transaction, selection) = pay(&session.plan()?, &payment)?;
        announce(&selection, output);
        session.send(&transaction, selection.fee, output).await?;
        Ok(Exit::Ok)
    }
}

/// Says what a transaction spends, on standard error.
pub fn announce(selection: &Selection, output: Output) {
    if output.json {
        return;
    }
    let change = selection.change.map_or_else(|| "no change".to_owned(), |change| format!("change {change}"));
    let text =
        format!("{} input(s), {} bytes, fee {}, {change}", selection.coins.len(), selection.bytes, selection.fee);
    anstream::eprintln!("{}", styled(DIM, &text));
}
