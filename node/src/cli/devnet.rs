//! Networks of one's own: keys, funded addresses and genesis for `timed dev` and for
//! `timed init --validators`.
//!
//! A directory holds `genesis.toml`, `mnemonic.txt` and, for each node from 1, `node-K/` with
//! `node.key`, `validator.key` and the database in `data/`.

use super::failure::Failure;
use crate::config::{genesis_text, history_beside, read_genesis};
use crate::store::{HistoryAt, create_history};
use crate::wallet::{Phrase, create_key, create_private, read_key, read_private};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use timecoin_protocol::address::{NetworkKind, Owner, address_text};
use timecoin_protocol::amount::{Amount, UNITS_PER_TIME};
use timecoin_protocol::genesis::{Genesis, Params};
use timecoin_protocol::keys::SecretKey;
use timecoin_protocol::transaction::{Lock, Output};

/// Addresses that have money from the start.
pub const FUNDED: u32 = 10;
/// Money of each of them.
pub const FUNDS: Amount = Amount(1_000_000 * UNITS_PER_TIME);
/// Bond of each validator.
const BOND: Amount = Amount(10_000 * UNITS_PER_TIME);
/// Minted by each block.
const REWARD: Amount = Amount(100 * UNITS_PER_TIME);
/// Blocks for which a withdrawn bond waits.
const UNBONDING_BLOCKS: u64 = 60;
/// Blocks of an epoch unless told otherwise.
pub const EPOCH_BLOCKS: u64 = 60;
/// Account of the funded addresses.
pub const ACCOUNT_FUNDED: u32 = 0;
/// Account of the addresses that rewards are paid to.
const ACCOUNT_PAYOUT: u32 = 1;
/// Bytes behind the recovery phrase that all development networks share unless told otherwise.
const DEV_ENTROPY: &[u8; 16] = b"timecoin devnet!";

/// The recovery phrase of development networks. Everybody knows it: never use it for real money.
///
/// # Errors
/// Never; the type is that of [`Phrase::from_entropy`].
pub fn dev_phrase() -> Result<Phrase, Failure> {
    Ok(Phrase::from_entropy(DEV_ENTROPY)?)
}

/// The genesis file of a directory.
pub fn genesis_file(directory: &Path) -> PathBuf {
    directory.join("genesis.toml")
}

/// The file with the recovery phrase of the funded addresses.
pub fn phrase_file(directory: &Path) -> PathBuf {
    directory.join("mnemonic.txt")
}

/// The directory of node `number`, from 1.
pub fn node_directory(directory: &Path, number: usize) -> PathBuf {
    directory.join(format!("node-{number}"))
}

/// The keys of one node.
#[derive(Clone, Debug)]
pub struct NodeKeys {
    /// Behind the peer id.
    pub node: SecretKey,
    /// The one that votes.
    pub validator: SecretKey,
}

/// A key from the operating system's chance.
pub fn random_key() -> SecretKey {
    let seed = zeroize::Zeroizing::new(rand::random::<[u8; 32]>());
    SecretKey::from_seed(&seed)
}

/// Writes a key that has just been made, and the whole vote history that belongs to it (D-16): beside it, if no other
/// place is named. In this order: a history without its key vouches for nothing.
pub fn create_validator_key(file: &Path, history: Option<&Path>, key: &SecretKey) -> Result<(), Failure> {
    create_key(file, key)?;
    let path = history.map_or_else(|| history_beside(file), Path::to_owned);
    Ok(create_history(&HistoryAt { path, key: key.public() })?)
}

impl NodeKeys {
    /// New keys.
    pub fn generate() -> Self {
        Self { node: random_key(), validator: random_key() }
    }

    /// Reads the keys in a node's directory.
    pub fn read(directory: &Path) -> Result<Self, Failure> {
        Ok(Self {
            node: read_key(&directory.join("node.key"))?,
            validator: read_key(&directory.join("validator.key"))?,
        })
    }

    /// Writes them into a node's directory; never over others.
    pub fn create(&self, directory: &Path) -> Result<(), Failure> {
        create_key(&directory.join("node.key"), &self.node)?;
        create_validator_key(&directory.join("validator.key"), None, &self.validator)
    }
}

/// A libp2p key pair of a key.
pub fn keypair(key: &SecretKey) -> Result<libp2p::identity::Keypair, Failure> {
    libp2p::identity::Keypair::ed25519_from_bytes(key.seed())
        .map_err(|error| Failure::Runtime(std::io::Error::other(error)))
}

/// A network that is to be founded.
#[derive(Clone, Debug)]
pub struct Devnet {
    /// Behind the funded addresses.
    pub phrase: Phrase,
    /// Keys of the nodes; all of them validate with equal weight.
    pub nodes: Vec<NodeKeys>,
    /// The network.
    pub genesis: Genesis,
}

impl Devnet {
    /// A network of `validators` nodes.
    pub fn found(name: &str, phrase: Phrase, validators: usize, block_interval_ms: u64, epoch_blocks: u64) -> Self {
        let nodes: Vec<NodeKeys> = (0..validators).map(|_| NodeKeys::generate()).collect();
        let count = u32::try_from(validators).unwrap_or(u32::MAX);
        let payouts = phrase.keys(NetworkKind::Devnet, ACCOUNT_PAYOUT, 0..count);
        let bonds = nodes.iter().zip(&payouts).map(|(keys, payout)| Output {
            amount: BOND,
            lock: Lock::Bond { validator: keys.validator.public(), owner: Owner::from(&payout.public()) },
        });
        let funded = funded_keys(&phrase);
        let funds = funded.iter().map(|key| Output { amount: FUNDS, lock: Lock::Address(Owner::from(&key.public())) });
        let genesis = Genesis {
            name: name.to_owned(),
            network: NetworkKind::Devnet,
            time_ms: now_ms(),
            params: Params {
                block_interval_ms,
                block_reward_units: REWARD.units(),
                unbonding_blocks: UNBONDING_BLOCKS,
                epoch_blocks,
            },
            outputs: bonds.chain(funds).collect(),
        };
        Self { phrase, nodes, genesis }
    }

    /// Writes genesis, phrase and keys into a directory.
    pub fn create(&self, directory: &Path) -> Result<(), Failure> {
        for (keys, number) in self.nodes.iter().zip(1..) {
            keys.create(&node_directory(directory, number))?;
        }
        create_private(&phrase_file(directory), format!("{}\n", self.phrase.words().as_str()).as_bytes())?;
        write_genesis(&genesis_file(directory), &self.genesis)
    }

    /// Reads what [`create`](Self::create) wrote; `None` if there is no genesis.
    pub fn read(directory: &Path) -> Result<Option<Self>, Failure> {
        if !genesis_file(directory).exists() {
            return Ok(None);
        }
        let genesis = read_genesis(&genesis_file(directory))?;
        let words = read_private(&phrase_file(directory))?;
        let phrase = Phrase::parse(&String::from_utf8_lossy(&words))?;
        let numbers = (1..).take_while(|number| node_directory(directory, *number).exists());
        let nodes =
            numbers.map(|number| NodeKeys::read(&node_directory(directory, number))).collect::<Result<_, _>>()?;
        Ok(Some(Self { phrase, nodes, genesis }))
    }
}

/// Writes a genesis file; never over another one.
pub fn write_genesis(path: &Path, genesis: &Genesis) -> Result<(), Failure> {
    Ok(create_private(path, genesis_text(genesis)?.as_bytes())?)
}

/// The keys of the funded addresses.
pub fn funded_keys(phrase: &Phrase) -> Vec<SecretKey> {
    phrase.keys(NetworkKind::Devnet, ACCOUNT_FUNDED, 0..FUNDED)
}

/// The address of a key on a development network.
pub fn dev_address(key: &SecretKey) -> String {
    address_text(&Owner::from(&key.public()), NetworkKind::Devnet)
}

/// Milliseconds since 1970 UTC.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn devnet() -> Devnet {
        Devnet::found("test", dev_phrase().unwrap(), 4, 1_000, 60)
    }

    #[test]
    fn the_ledger_accepts_the_genesis_and_all_validators_weigh_the_same() {
        let devnet = devnet();
        let state = timecoin_protocol::ledger::genesis_state(&devnet.genesis).unwrap();
        assert_eq!(state.validators.len(), 4);
        for keys in &devnet.nodes {
            assert_eq!(state.validators.weight_of(&keys.validator.public()).0, BOND.units());
        }
    }

    #[test]
    fn a_network_is_read_back_from_its_directory() {
        let directory = tempfile::tempdir().unwrap();
        assert!(Devnet::read(directory.path()).unwrap().is_none());
        let founded = devnet();
        founded.create(directory.path()).unwrap();
        let read = Devnet::read(directory.path()).unwrap().unwrap();
        assert_eq!(read.genesis, founded.genesis);
        assert_eq!(read.phrase.words(), founded.phrase.words());
        let public = |devnet: &Devnet| devnet.nodes.iter().map(|keys| keys.validator.public()).collect::<Vec<_>>();
        assert_eq!(public(&read), public(&founded));
        assert!(founded.create(directory.path()).is_err(), "keys are never overwritten");
    }
}
