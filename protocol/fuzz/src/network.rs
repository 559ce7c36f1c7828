//! The network of all targets: four validators, of which one may lie, and some coins.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use timecoin_protocol::address::{NetworkKind, Owner};
use timecoin_protocol::amount::{Amount, UNITS_PER_TIME};
use timecoin_protocol::genesis::{Genesis, Params};
use timecoin_protocol::hash::{GenesisHash, Txid};
use timecoin_protocol::keys::{PublicKey, SecretKey};
use timecoin_protocol::ledger::{ChainState, genesis_state};
use timecoin_protocol::transaction::{Lock, OutPoint, Output, Utxo};

/// How many validators there are.
pub const VALIDATORS: usize = 4;
/// How many coins there are; coin `n` is of wallet `n`.
pub const COINS: usize = 8;
/// Units of each coin: enough for a bond.
pub const COIN_UNITS: u64 = 5_000 * UNITS_PER_TIME;

/// Genesis, and what follows from it.
#[derive(Debug)]
pub struct Network {
    /// The description.
    pub genesis: Arc<Genesis>,
    /// Its hash.
    pub hash: GenesisHash,
    /// The chain before the first block.
    pub state: ChainState,
    /// Its UTXO set.
    pub utxos: BTreeMap<OutPoint, Utxo>,
    /// Validators' keys, in the order of the set.
    pub validators: Vec<SecretKey>,
    /// A key that is nobody's.
    pub stranger: SecretKey,
    /// Public keys of the wallets.
    pub wallets: Vec<PublicKey>,
    /// Who owns what: wallets and validators.
    pub keys: BTreeMap<Owner, PublicKey>,
}

fn secret(n: usize, tag: u8) -> SecretKey {
    SecretKey::from_seed(&[tag + u8::try_from(n).expect("few keys"); 32])
}

fn genesis(validators: &[SecretKey], wallets: &[PublicKey]) -> Genesis {
    // Any three are a quorum, no two are.
    let bonds = (0_u64..).zip(validators).map(|(n, key)| {
        let lock = Lock::Bond { validator: key.public(), owner: Owner::from(&key.public()) };
        Output { amount: Amount((1_000 + n * 100) * UNITS_PER_TIME), lock }
    });
    let coin = |key| Output { amount: Amount(COIN_UNITS), lock: Lock::Address(Owner::from(key)) };
    Genesis {
        name: "fuzzing".into(),
        network: NetworkKind::Devnet,
        time_ms: 1_700_000_000_000,
        params: Params {
            block_interval_ms: 1_000,
            block_reward_units: 10_000_000_000,
            unbonding_blocks: 2,
            // Sealing begins after the second block of an epoch.
            epoch_blocks: 3,
        },
        outputs: wallets.iter().map(coin).chain(bonds).collect(),
    }
}

fn make() -> Network {
    let mut validators: Vec<_> = (0..VALIDATORS).map(|n| secret(n, 0x40)).collect();
    validators.sort_by_key(SecretKey::public);
    let wallets: Vec<_> = (0..COINS).map(|n| secret(n, 0x80).public()).collect();
    let genesis = Arc::new(genesis(&validators, &wallets));
    let everybody = wallets.iter().copied().chain(validators.iter().map(SecretKey::public));
    Network {
        hash: genesis.hash(),
        state: genesis_state(&genesis).expect("the genesis of all targets is valid"),
        utxos: genesis.utxos().collect(),
        keys: everybody.map(|key| (Owner::from(&key), key)).collect(),
        stranger: secret(0, 0xc0),
        genesis,
        validators,
        wallets,
    }
}

/// The network.
pub fn network() -> &'static Network {
    static NETWORK: LazyLock<Network> = LazyLock::new(make);
    &NETWORK
}

/// Outpoints and outputs of genesis.
#[must_use]
pub fn genesis_coins() -> Vec<(OutPoint, Output)> {
    network().utxos.iter().map(|(outpoint, utxo)| (*outpoint, utxo.output)).collect()
}

/// The outputs of a transaction, as they can be spent.
pub fn coins_of(txid: Txid, outputs: &[Output]) -> impl Iterator<Item = (OutPoint, Output)> + '_ {
    (0..).zip(outputs).map(move |(index, output)| (OutPoint { txid, index }, *output))
}
