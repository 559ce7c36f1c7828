//! `timed keys`: the public parts of a node's keys; creates them if asked to.

use super::flags::NodeFlags;
use crate::cli::devnet::{create_validator_key, keypair, random_key};
use crate::cli::failure::{Failure, Misuse};
use crate::cli::output::{Output, table};
use crate::config::parse;
use crate::exit::Exit;
use crate::wallet::{PrivateFileError, create_key, read_key};
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};
use timecoin_protocol::keys::SecretKey;

/// Arguments of `keys`.
#[derive(Clone, Debug, Args)]
pub struct KeysArgs {
    /// Configuration file that names the key files.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// File of the validator key, if it is not that of the configuration.
    #[arg(long, value_name = "FILE")]
    validator_key: Option<PathBuf>,
    /// File of the node key, if it is not that of the configuration.
    #[arg(long, value_name = "FILE")]
    node_key: Option<PathBuf>,
    /// Create keys that do not exist yet. Existing ones are never touched.
    #[arg(long)]
    generate: bool,
}

/// Where keys are.
struct KeyFiles {
    node: Option<PathBuf>,
    validator: Option<PathBuf>,
    /// The history of the validator key, if it is not beside it.
    history: Option<PathBuf>,
}

impl KeysArgs {
    /// Runs it.
    pub fn run(&self, output: Output) -> Result<Exit, Failure> {
        let KeyFiles { node: node_file, validator: validator_file, history: history_file } = self.files()?;
        let node = node_file.as_deref().map(|file| self.key(file, create_node_key)).transpose()?;
        let create = |file: &Path, key: &SecretKey| create_validator_key(file, history_file.as_deref(), key);
        let validator = validator_file.as_deref().map(|file| self.key(file, create)).transpose()?;
        let peer_id = node.as_ref().map(keypair).transpose()?.map(|pair| pair.public().to_peer_id().to_string());
        let validator_key = validator.as_ref().map(|key| key.public().to_string());
        let value = json!({
            "peer_id": peer_id, "node_key_file": node_file,
            "validator_key": validator_key, "validator_key_file": validator_file,
        });
        output.result(&value, || {
            let row = |what: &str, shown: &Option<String>, file: &Option<PathBuf>| {
                let file = file.as_ref().map_or_else(String::new, |file| file.display().to_string());
                vec![what.to_owned(), shown.clone().unwrap_or_else(|| "none".to_owned()), file]
            };
            let rows = [row("peer id", &peer_id, &node_file), row("validator key", &validator_key, &validator_file)];
            table(&["", "PUBLIC PART", "FILE"], rows)
        });
        Ok(Exit::Ok)
    }

    /// Flags, else configuration.
    fn files(&self) -> Result<KeyFiles, Failure> {
        let (node, validator) = (self.node_key.clone(), self.validator_key.clone());
        if self.config.is_none() && (node.is_some() || validator.is_some()) {
            return Ok(KeyFiles { node, validator, history: None });
        }
        let config = parse(&NodeFlags::of_file(self.config.clone()).load()?)?;
        let node = Some(node.unwrap_or(config.node_key_file));
        Ok(match validator {
            Some(validator) => KeyFiles { node, validator: Some(validator), history: None },
            None => KeyFiles { node, validator: config.validator_key_file, history: config.history_file },
        })
    }

    fn key(
        &self,
        file: &Path,
        create: impl FnOnce(&Path, &SecretKey) -> Result<(), Failure>,
    ) -> Result<SecretKey, Failure> {
        match read_key(file) {
            Err(PrivateFileError::Missing(_)) if self.generate => {
                let key = random_key();
                create(file, &key)?;
                Ok(key)
            }
            Err(PrivateFileError::Missing(file)) => Err(Misuse::NoKey(file).into()),
            result => Ok(result?),
        }
    }
}

fn create_node_key(file: &Path, key: &SecretKey) -> Result<(), Failure> {
    Ok(create_key(file, key)?)
}
