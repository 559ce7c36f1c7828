//! What a network offers, as one JSON file: the one that `timed dev` writes, with process ids and
//! directories added by `testnet up`.

use crate::failure::{Failure, Misuse};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use timecoin_node::wallet::replace_private;
use timecoin_protocol::hash::GenesisHash;
use timecoin_protocol::keys::SecretKey;

/// All that is needed to use a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its text.
    pub address: String,
    /// Its secret key: 64 hexadecimal digits.
    pub private_key: String,
}

impl Account {
    /// The secret key; `None` if the text is none.
    #[must_use]
    pub fn key(&self) -> Option<SecretKey> {
        let mut seed = [0; 32];
        hex::decode_to_slice(&self.private_key, &mut seed).ok()?;
        Some(SecretKey::from_seed(&seed))
    }
}

/// One node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeEndpoints {
    /// From 1.
    pub number: usize,
    /// In base58.
    pub peer_id: String,
    /// JSON-RPC over HTTP.
    pub rpc: Option<String>,
    /// JSON-RPC over WebSocket.
    pub ws: Option<String>,
    /// Prometheus metrics.
    pub metrics: Option<String>,
    /// Where peers connect.
    pub addresses: Vec<String>,
    /// Its process, if it has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Its directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
}

impl Endpoints {
    /// Reads the file.
    ///
    /// # Errors
    /// The file cannot be read, is something else, or names no node with WebSocket RPC or no
    /// account with a key.
    pub fn read(file: &Path) -> Result<Self, Misuse> {
        let malformed = |reason: String| Misuse::Endpoints { file: file.to_owned(), reason };
        let text = std::fs::read_to_string(file).map_err(|error| malformed(error.to_string()))?;
        let endpoints: Self = serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?;
        if endpoints.nodes.is_empty() || endpoints.nodes.iter().any(|node| node.ws.is_none()) {
            return Err(malformed("every node needs the field ws".into()));
        }
        if endpoints.accounts.is_empty() || endpoints.accounts.iter().any(|account| account.key().is_none()) {
            return Err(malformed("every account needs a private_key of 64 hexadecimal digits".into()));
        }
        Ok(endpoints)
    }

    /// Writes the file; it holds keys, so only its owner can read it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, file: &Path) -> Result<(), Failure> {
        let text = serde_json::to_vec_pretty(self).map_err(|error| Failure::io("write", file)(error.into()))?;
        Ok(replace_private(file, &text)?)
    }

    /// WebSocket addresses of the nodes, in order.
    pub fn sockets(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().filter_map(|node| node.ws.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints() -> Endpoints {
        let node = NodeEndpoints {
            number: 1,
            peer_id: "12D3".into(),
            rpc: Some("http://127.0.0.1:1".into()),
            ws: Some("ws://127.0.0.1:1".into()),
            metrics: None,
            addresses: Vec::new(),
            pid: Some(7),
            directory: None,
        };
        Endpoints {
            network: "test".into(),
            genesis_hash: GenesisHash([3; 32]),
            data_dir: "/tmp/x".into(),
            mnemonic: "words".into(),
            accounts: vec![Account { address: "dtime1".into(), private_key: "07".repeat(32) }],
            nodes: vec![node],
        }
    }

    #[test]
    fn a_written_file_is_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("endpoints.json");
        endpoints().write(&file).unwrap();
        assert_eq!(Endpoints::read(&file).unwrap(), endpoints());
        assert_eq!(endpoints().accounts[0].key().unwrap().seed(), [7; 32]);
    }

    #[test]
    fn a_file_of_the_node_with_more_fields_and_no_process_is_read_too() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("endpoints.json");
        let mut value = serde_json::to_value(endpoints()).unwrap();
        value["nodes"][0]["ready"] = "http://127.0.0.1:2/readyz".into();
        value["nodes"][0].as_object_mut().unwrap().remove("pid");
        value["accounts"][0]["genesis_amount"] = 5.into();
        std::fs::write(&file, value.to_string()).unwrap();
        assert_eq!(Endpoints::read(&file).unwrap().nodes[0].pid, None);
    }

    #[test]
    fn files_without_sockets_or_keys_are_refused_with_the_reason() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("endpoints.json");
        let mut silent = endpoints();
        silent.nodes[0].ws = None;
        silent.write(&file).unwrap();
        assert!(Endpoints::read(&file).unwrap_err().to_string().contains("ws"));
        let mut poor = endpoints();
        poor.accounts[0].private_key = "zz".into();
        poor.write(&file).unwrap();
        assert!(Endpoints::read(&file).unwrap_err().to_string().contains("private_key"));
        assert!(Endpoints::read(&directory.path().join("none")).is_err());
    }
}
