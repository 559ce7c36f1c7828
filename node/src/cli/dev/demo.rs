//! One real payment over RPC, to show that the network works and how fast.

use crate::cli::account::{coins, finality, network, submit, wait_final};
use crate::cli::client::Client;
use crate::cli::devnet::{Devnet, funded_keys};
use crate::cli::failure::Failure;
use crate::cli::output::{GOOD, Output, styled};
use crate::wallet::{Payment, Plan, pay as build};
use serde_json::json;
use std::time::{Duration, Instant};
use timecoin_protocol::address::Owner;
use timecoin_protocol::amount::{Amount, UNITS_PER_TIME};
use timecoin_protocol::hash::Txid;
use timecoin_protocol::keys::SecretKey;

/// Longest that the payment may take, to be final and again to be in a block.
pub const WAIT: Duration = Duration::from_secs(30);
/// How often it is looked whether a block holds it.
const BLOCK_PERIOD: Duration = Duration::from_millis(50);

/// A payment that was made.
#[derive(Clone, Debug)]
pub struct Demonstration {
    txid: Txid,
    final_in: Duration,
    height: u64,
}

/// Pays 1 TIME from one account to the next, and waits for finality and for its block.
pub async fn pay(client: &Client, devnet: &Devnet) -> Result<Demonstration, Failure> {
    let keys = funded_keys(&devnet.phrase);
    let mut owners = keys.iter().map(|key: &SecretKey| Owner::from(&key.public()));
    let (change, to) = (owners.next().unwrap_or(Owner([0; 20])), owners.next().unwrap_or(Owner([0; 20])));
    let network = network(client).await?;
    let coins = coins(client, &keys, network.kind).await?;
    let plan = Plan { coins: &coins, keys: &keys, change, fee_rate: 1, genesis: network.genesis_hash };
    let payment = Payment { to, amount: Amount(UNITS_PER_TIME), memo: b"first payment".to_vec() };
    let (transaction, _) = build(&plan, &payment)?;
    let txid = transaction.txid();
    let started = Instant::now();
    submit(client, &transaction).await?;
    wait_final(client, &txid, WAIT).await?;
    let final_in = started.elapsed();
    Ok(Demonstration { txid, final_in, height: block_of(client, &txid).await? })
}

async fn block_of(client: &Client, txid: &Txid) -> Result<u64, Failure> {
    let wait = async {
        loop {
            if let Some(height) = finality(client, txid).await?.height {
                return Ok(height);
            }
            tokio::time::sleep(BLOCK_PERIOD).await;
        }
    };
    let late = Failure::Timeout { what: "a block with the first payment", seconds: WAIT.as_secs() };
    tokio::time::timeout(WAIT, wait).await.unwrap_or(Err(late))
}

impl Demonstration {
    /// Prints it.
    pub fn print(&self, output: Output) {
        let millis = u64::try_from(self.final_in.as_millis()).unwrap_or(u64::MAX);
        let value = json!({"event": "payment", "txid": self.txid, "final_in_ms": millis, "block": self.height});
        output.result(&value, || {
            let figures = styled(GOOD, &format!("final in {millis} ms, block {}", self.height));
            format!("payment of 1 TIME from account 1 to account 2: {figures}")
        });
    }
}
