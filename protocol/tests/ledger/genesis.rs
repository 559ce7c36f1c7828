//! How a network begins (`SPEC.md` G-1…G-3).

use crate::support::{BOND, Chain, bond, genesis, pay, unbonding, validator_key};
use timecoin_protocol::address::NetworkKind;
use timecoin_protocol::bounds::{BOND_UNITS_MIN, DUST_UNITS};
use timecoin_protocol::hash::Txid;
use timecoin_protocol::ledger::{GenesisError, genesis_state};
use timecoin_protocol::validator::{Epoch, Height};

/// G-1
#[test]
fn everything_in_the_description_changes_the_name_of_the_network() {
    let original = genesis();
    let mut others = vec![genesis(); 5];
    others[0].name.push('x');
    others[1].network = NetworkKind::Testnet;
    others[2].time_ms += 1;
    others[3].params.block_reward_units += 1;
    others[4].outputs.swap(0, 1);
    assert!(others.iter().all(|other| other.hash() != original.hash()));
}

/// G-2
#[test]
fn the_chain_begins_with_the_outputs_of_the_description() {
    let chain = Chain::new();
    let txid = Txid(chain.genesis.hash().0);
    assert_eq!(chain.state.height, Height(0));
    assert_eq!(chain.state.epoch, Epoch(0), "E-1");
    assert_eq!(chain.state.hash, chain.genesis.hash().as_block());
    assert_eq!(chain.state.time_ms, chain.genesis.time_ms);
    assert_eq!(chain.state.utxo_count, chain.genesis.outputs.len() as u64);
    assert_eq!(chain.state.supply, chain.total());
    assert_eq!(chain.state.utxo_set, chain.utxo_set_from_scratch());
    assert!(chain.utxos.keys().all(|outpoint| outpoint.txid == txid));
    assert_eq!(chain.state.validators.total().0, 6 * BOND);
}

/// G-3
#[test]
fn a_genesis_beyond_the_range_of_amounts_is_refused() {
    let mut genesis = genesis();
    genesis.outputs.push(pay(0, u64::MAX));
    assert_eq!(genesis_state(&genesis), Err(GenesisError::AmountOverflow));
}

/// G-3
#[test]
fn a_genesis_with_dust_is_refused() {
    let mut genesis = genesis();
    genesis.outputs[1].amount.0 = DUST_UNITS - 1;
    assert_eq!(genesis_state(&genesis), Err(GenesisError::Dust { output: 1, found: DUST_UNITS - 1 }));
}

/// G-3
#[test]
fn a_genesis_with_a_small_bond_is_refused() {
    let mut genesis = genesis();
    genesis.outputs[0] = bond(1, validator_key(1).public(), BOND_UNITS_MIN - 1);
    let error = GenesisError::BondTooSmall { output: 0, found: BOND_UNITS_MIN - 1 };
    assert_eq!(genesis_state(&genesis), Err(error));
}

/// G-3
#[test]
fn a_genesis_with_unbonding_money_is_refused() {
    let mut genesis = genesis();
    genesis.outputs[2] = unbonding(1, BOND);
    assert_eq!(genesis_state(&genesis), Err(GenesisError::Unbonding { output: 2 }));
}

/// G-3
#[test]
fn a_network_for_everybody_needs_three_validators_and_a_devnet_one() {
    let with = |network: NetworkKind, validators: u8| {
        let mut genesis = genesis();
        genesis.network = network;
        genesis.outputs = (0..validators).map(|n| bond(n, validator_key(n).public(), BOND)).collect();
        // A second bond of the same validator makes no second validator.
        genesis.outputs.extend((validators > 0).then(|| bond(9, validator_key(0).public(), BOND)));
        genesis_state(&genesis).map(|state| state.validators.len())
    };
    let few = |network, found, needed| Err(GenesisError::TooFewValidators { found, needed, network });
    for network in [NetworkKind::Mainnet, NetworkKind::Testnet] {
        assert_eq!(with(network, 2), few(network, 2, 3));
        assert_eq!(with(network, 3), Ok(3));
    }
    assert_eq!(with(NetworkKind::Devnet, 0), few(NetworkKind::Devnet, 0, 1));
    assert_eq!(with(NetworkKind::Devnet, 1), Ok(1));
}
