//! Texts that people type, paste and put into files: addresses, keys and hashes, genesis files,
//! certificates (`SPEC.md` A-2, G-3, F-5). The first byte says which.

use crate::network::network;
use core::fmt::{Debug, Display};
use core::str::FromStr;
use timecoin_protocol::address::{NetworkKind, address_text, parse_address, parse_any_address};
use timecoin_protocol::finality::Certificate;
use timecoin_protocol::genesis::Genesis;
use timecoin_protocol::hash::{BlockHash, Txid};
use timecoin_protocol::keys::{PublicKey, Signature};
use timecoin_protocol::ledger::genesis_state;

/// Reads a text and checks that what is read has one form.
pub fn run(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    let Ok(text) = core::str::from_utf8(rest) else { return };
    match kind % 8 {
        0 | 1 => address(text),
        2 => hex::<Txid>(text),
        3 => hex::<BlockHash>(text),
        4 => hex::<PublicKey>(text),
        5 => hex::<Signature>(text),
        6 => genesis(text),
        _ => certificate(text),
    }
}

/// an owner has one text in each network.
fn address(text: &str) {
    let Ok((owner, kind)) = parse_any_address(text) else {
        for kind in [NetworkKind::Mainnet, NetworkKind::Testnet, NetworkKind::Devnet] {
            assert!(parse_address(text, kind).is_err(), "{text} is no address, yet one of {kind:?}");
        }
        return;
    };
    let written = address_text(&owner, kind);
    assert!(written == text || written.to_ascii_uppercase() == text, "{text} is another text of {written}");
    for other in [NetworkKind::Mainnet, NetworkKind::Testnet, NetworkKind::Devnet] {
        assert_eq!(parse_address(text, other).ok(), (other == kind).then_some(owner));
    }
}

fn hex<T: FromStr + Display + PartialEq + Debug>(text: &str) {
    let Ok(value) = text.parse::<T>() else { return };
    let written = value.to_string();
    assert!(written.eq_ignore_ascii_case(text), "{text} is another text of {written}");
    assert_eq!(written.parse().ok(), Some(value));
}

/// G-3: what passes the check is a network that can start.
fn genesis(text: &str) {
    let Ok(genesis) = serde_json::from_str::<Genesis>(text) else { return };
    let again = serde_json::to_string(&genesis).expect("a genesis can be written");
    assert_eq!(serde_json::from_str::<Genesis>(&again).ok().as_ref(), Some(&genesis));
    let checked = genesis.check();
    match genesis_state(&genesis) {
        Ok(state) => {
            assert_eq!(Ok(state.supply), checked);
            assert_eq!(genesis.supply(), Some(state.supply));
            assert!(state.validators.len() >= genesis.network.validators_min());
        }
        Err(error) => assert_eq!(Err(error), checked),
    }
}

/// F-5: only a quorum's certificate holds, and nobody here has signed one.
fn certificate(text: &str) {
    let Ok(certificate) = serde_json::from_str::<Certificate>(text) else { return };
    let again = serde_json::to_string(&certificate).expect("a certificate can be written");
    assert_eq!(serde_json::from_str::<Certificate>(&again).ok().as_ref(), Some(&certificate));
    assert!(certificate.verify(&network().state.validators, &network().hash).is_err());
}
