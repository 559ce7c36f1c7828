//! Genesis files: the protocol's genesis description as TOML, or as JSON if the name ends in `.json`.

use super::error::ConfigError;
use std::path::Path;
use timecoin_protocol::genesis::Genesis;

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
}

/// Reads a genesis file.
///
/// # Errors
/// It is missing, cannot be read, or is not a genesis description.
pub fn read_genesis(path: &Path) -> Result<Genesis, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => ConfigError::NoGenesis(path.to_owned()),
        _ => ConfigError::GenesisUnreadable { path: path.to_owned(), source },
    })?;
    let malformed = |message: String| ConfigError::GenesisMalformed { path: path.to_owned(), message };
    if is_json(path) {
        serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))
    } else {
        toml::from_str(&text).map_err(|error| malformed(error.to_string().trim_end().to_owned()))
    }
}

/// The text of a genesis file in TOML.
///
/// # Errors
/// An amount or time is too large for TOML (above 2^63 - 1).
pub fn genesis_text(genesis: &Genesis) -> Result<String, toml::ser::Error> {
    toml::to_string(genesis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use timecoin_protocol::address::{NetworkKind, Owner};
    use timecoin_protocol::amount::Amount;
    use timecoin_protocol::genesis::Params;
    use timecoin_protocol::keys::PublicKey;
    use timecoin_protocol::transaction::{Lock, Output};

    fn sample() -> Genesis {
        let bond = Lock::Bond { validator: PublicKey([7; 32]), owner: Owner([1; 20]) };
        Genesis {
            name: "sample".into(),
            network: NetworkKind::Devnet,
            time_ms: 1_700_000_000_000,
            params: Params {
                block_interval_ms: 1_000,
                block_reward_units: 10_000_000_000,
                unbonding_blocks: 10,
                epoch_blocks: 60,
            },
            outputs: vec![
                Output { amount: Amount(100_000_000_000), lock: bond },
                Output { amount: Amount(5_000), lock: Lock::Address(Owner([2; 20])) },
            ],
        }
    }

    #[test]
    fn a_genesis_survives_toml_and_json_with_the_same_hash() {
        let directory = tempfile::tempdir().unwrap();
        let (as_toml, as_json) = (directory.path().join("g.toml"), directory.path().join("g.json"));
        std::fs::write(&as_toml, genesis_text(&sample()).unwrap()).unwrap();
        std::fs::write(&as_json, serde_json::to_string(&sample()).unwrap()).unwrap();
        assert_eq!(read_genesis(&as_toml).unwrap().hash(), sample().hash());
        assert_eq!(read_genesis(&as_json).unwrap().hash(), sample().hash());
    }

    #[test]
    fn a_missing_genesis_file_is_explained() {
        let error = read_genesis(Path::new("/nonexistent/genesis.toml")).unwrap_err().to_string();
        assert!(
            error.contains("/nonexistent/genesis.toml does not exist") && error.contains("node.genesis"),
            "{error}"
        );
    }
}
