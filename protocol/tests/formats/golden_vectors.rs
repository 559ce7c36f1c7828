//! Every encoding and every hash, byte for byte, against `tests/vectors/*.json`. An implementation in
//! another language can be checked with the same files. Rules: H-1, H-2, H-3, K-1, B-1, B-2, F-2, and the
//! messages of S-1 and N-2…N-7.
//!
//! A difference means that nodes of two versions no longer understand one another. If that is
//! meant, write the files anew and read the difference:
//!
//! ```text
//! TIMECOIN_WRITE_VECTORS=1 cargo test -p timecoin-protocol --test formats
//! ```

use crate::samples::{GENESIS, block, bonding, commit, key, owner, payment, samples, validators, vote_batch};
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use timecoin_protocol::address::{NetworkKind, address_text, parse_address};
use timecoin_protocol::finality::Phase;
use timecoin_protocol::hash::Domain;
use timecoin_protocol::hash::{Txid, merkle_path, merkle_root, signing_digest};
use timecoin_protocol::keys::{Signed, verify};
use timecoin_protocol::validator::{Height, Round};

/// Compares with the file, or writes it if the environment says so.
fn check_against(file: &str, found: &Map<String, Value>) {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "vectors", file].iter().collect();
    if std::env::var_os("TIMECOIN_WRITE_VECTORS").is_some() {
        std::fs::write(&path, serde_json::to_string_pretty(found).unwrap() + "\n").unwrap();
        return;
    }
    let text = std::fs::read_to_string(&path).unwrap();
    let expected: Map<String, Value> = serde_json::from_str(&text).unwrap();
    for (name, value) in found {
        assert_eq!(expected.get(name), Some(value), "{name} in {file}");
    }
    assert_eq!(expected.len(), found.len(), "{file} names what is no longer there");
}

#[test]
fn encodings_are_those_of_the_vectors_w_1() {
    let mut found = Map::new();
    for sample in samples() {
        assert_eq!((sample.reencode)(&sample.bytes).as_ref(), Ok(&sample.bytes), "{} round trips", sample.name);
        assert!(found.insert(sample.name.into(), hex::encode(&sample.bytes).into()).is_none(), "{}", sample.name);
    }
    check_against("encodings.json", &found);
}

#[test]
fn hashes_are_those_of_the_vectors_h_1() {
    let hash = block().header.hash();
    let body = payment().body;
    let mut found = Map::new();
    let mut put = |name: &str, value: String| found.insert(name.into(), value.into());
    put("genesis hash of all", GENESIS.to_string());
    put("txid: payment", payment().txid().to_string());
    put("txid: bond", bonding().txid().to_string());
    put("spend digest: payment", hex::encode(body.spend_digest(&GENESIS)));
    put("block hash", hash.to_string());
    put("commit hash", commit(hash).hash().to_string());
    put("closing hash", crate::samples::closing().0.hash().to_string());
    put("seal list hash", crate::samples::seal(&key(11)).list().to_string());
    put("validator set hash", validators().hash().to_string());
    put(
        "signing digest of the number 1 as a proposal",
        hex::encode(signing_digest(Domain::Proposal, &GENESIS, &1_u64)),
    );
    check_against("hashes.json", &found);
}

#[test]
fn merkle_trees_are_those_of_the_vectors_h_3() {
    let txids: Vec<Txid> = (1..=9).map(|byte| Txid([byte; 32])).collect();
    let mut found = Map::new();
    for count in 0..=txids.len() {
        found.insert(format!("root of {count}"), merkle_root(&txids[..count]).to_string().into());
    }
    for index in [0, 5, 8] {
        let path = serde_json::to_value(merkle_path(&txids, index).unwrap()).unwrap();
        found.insert(format!("path of {index} among 9"), path);
    }
    check_against("merkle.json", &found);
}

#[test]
fn keys_and_addresses_are_those_of_the_vectors_a_1() {
    let mut found = Map::new();
    for index in [1, 2, 11] {
        let mut entry = json!({ "public key": key(index).public(), "owner": owner(index) });
        entry["signature of 32 bytes 05"] = key(index).sign(&[5; 32]).to_string().into();
        for network in [NetworkKind::Mainnet, NetworkKind::Testnet, NetworkKind::Devnet] {
            let text = address_text(&owner(index), network);
            assert_eq!(parse_address(&text, network), Ok(owner(index)));
            entry[format!("{network:?}")] = text.into();
        }
        found.insert(format!("seed of 32 bytes {index:02x}"), entry);
    }
    check_against("keys.json", &found);
}

/// What is signed, by whom, and the digest: enough to find an error in signed bytes.
#[test]
fn signed_digests_are_those_of_the_vectors_k_1() {
    let mut found = Map::new();
    let mut put = |name: &str, signed: &dyn Signed| {
        let mut checks = Vec::new();
        signed.signature_checks(&GENESIS, &mut checks);
        let entry = |check: &timecoin_protocol::keys::SignatureCheck| {
            assert!(verify(check), "{name}");
            json!({ "key": check.key, "digest": hex::encode(check.digest), "signature": check.signature })
        };
        found.insert(name.into(), checks.iter().map(entry).collect());
    };
    put("Transaction: payment", &payment());
    put("VoteBatch: prepare", &vote_batch(Phase::Prepare, &key(11)));
    put("VoteBatch: commit", &vote_batch(Phase::Commit, &key(12)));
    put("Announcement", &crate::samples::announcement());
    put("BlockVote: prevote nil", &crate::samples::nil_prevote());
    put("BlockVote: precommit", &crate::samples::precommit());
    put("Seal", &crate::samples::seal(&key(11)));
    for (name, evidence) in ["prevotes", "precommits", "proposals", "prepare votes", "commit votes", "seals"]
        .iter()
        .zip(crate::samples::evidence())
    {
        put(&format!("Evidence: {name}"), &evidence);
    }
    put("Proposal: first", &crate::samples::proposal(0, None));
    put("Proposal: again", &crate::samples::proposal(3, Some(Round(1))));
    check_against("signatures.json", &found);
}

#[test]
fn proposers_are_those_of_the_vectors_v_3() {
    let set = validators();
    let mut found = Map::new();
    for height in [1, 2, 3, 4, 5, 6, 7, 8, 1_000_000] {
        let position = |round| set.index_of(&set.proposer(Height(height), Round(round)).unwrap().key).unwrap();
        let positions: Vec<u16> = (0..5).map(position).collect();
        found.insert(format!("height {height}, rounds 0 to 4"), json!(positions));
    }
    check_against("proposers.json", &found);
}

/// The proofs among the samples hold, so that the vectors can be used to test a verifier.
#[test]
fn the_samples_are_valid_proofs() {
    let validators = validators();
    let block = crate::samples::block();
    let commit = block.parent_commit.as_ref().unwrap();
    assert_eq!(commit.verify(block.header.epoch, &validators, &GENESIS), Ok(()));
    assert_eq!(crate::samples::certificate().verify(&validators, &GENESIS), Ok(()));
    assert!(crate::samples::compact_block().matches_header());
    let closing = crate::samples::closing().0;
    assert_eq!(closing.verify_except(block.header.epoch, &validators, &GENESIS, |_| false), Ok(()));
}
