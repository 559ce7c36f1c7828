//! What a development network offers, as one JSON file for programs.

use super::network::RunningNetwork;
use crate::cli::devnet::{Devnet, FUNDS, dev_address, funded_keys};
use crate::cli::failure::{Failure, Misuse};
use crate::node::Node;
use crate::wallet::replace_private;
use serde::Serialize;
use std::path::{Path, PathBuf};
use timecoin_protocol::amount::Amount;
use timecoin_protocol::hash::GenesisHash;
use timecoin_protocol::keys::{PublicKey, SecretKey};

/// All that is needed to use the network.
#[derive(Clone, Debug, Serialize)]
pub struct Endpoints {
    /// Name of the network.
    pub network: String,
    /// Its hash.
    pub genesis_hash: GenesisHash,
    /// Where its files are.
    pub data_dir: PathBuf,
    /// Recovery phrase of the accounts.
    pub mnemonic: String,
    /// Funded addresses.
    pub accounts: Vec<Account>,
    /// Nodes, from number 1.
    pub nodes: Vec<NodeEndpoints>,
}

/// A funded address.
#[derive(Clone, Debug, Serialize)]
pub struct Account {
    /// Its text.
    pub address: String,
    /// Its secret key: 64 hexadecimal digits.
    pub private_key: String,
    /// Money at the start of the chain, in units.
    pub genesis_amount: Amount,
}

/// One node.
#[derive(Clone, Debug, Serialize)]
pub struct NodeEndpoints {
    /// From 1.
    pub number: usize,
    /// In base58.
    pub peer_id: String,
    /// The key that votes.
    pub validator_key: Option<PublicKey>,
    /// JSON-RPC over HTTP.
    pub rpc: Option<String>,
    /// JSON-RPC over WebSocket.
    pub ws: Option<String>,
    /// Prometheus metrics.
    pub metrics: Option<String>,
    /// Readiness.
    pub ready: Option<String>,
    /// Where peers connect.
    pub addresses: Vec<String>,
}

impl Endpoints {
    /// Gathers them.
    pub fn new(home: &Path, devnet: &Devnet, network: &RunningNetwork) -> Self {
        Self {
            network: devnet.genesis.name.clone(),
            genesis_hash: devnet.genesis.hash(),
            data_dir: home.to_owned(),
            mnemonic: devnet.phrase.words().to_string(),
            accounts: funded_keys(&devnet.phrase).iter().map(account).collect(),
            nodes: network.nodes.iter().zip(1..).map(|(node, number)| endpoints_of(node, number)).collect(),
        }
    }

    /// Writes them; the file holds keys, so it is private.
    pub fn write(&self, file: &Path) -> Result<(), Failure> {
        let text = serde_json::to_vec_pretty(self).map_err(|error| Failure::Io {
            action: "write",
            path: file.to_owned(),
            source: error.into(),
        })?;
        Ok(replace_private(file, &text)?)
    }

    /// The URL of node 1's JSON-RPC.
    pub fn rpc(&self) -> Result<String, Failure> {
        let first = self.nodes.first().and_then(|node| node.rpc.clone());
        Ok(first.ok_or(Misuse::Other("node 1 serves no JSON-RPC"))?)
    }
}

fn account(key: &SecretKey) -> Account {
    Account { address: dev_address(key), private_key: hex::encode(key.seed()), genesis_amount: FUNDS }
}

fn endpoints_of(node: &Node, number: usize) -> NodeEndpoints {
    NodeEndpoints {
        number,
        peer_id: node.view.peer_id.to_string(),
        validator_key: node.view.validator,
        rpc: node.rpc.map(|address| format!("http://{address}")),
        ws: node.rpc.map(|address| format!("ws://{address}")),
        metrics: node.metrics.map(|address| format!("http://{address}/metrics")),
        ready: node.metrics.map(|address| format!("http://{address}/readyz")),
        addresses: node.addresses.iter().map(ToString::to_string).collect(),
    }
}
