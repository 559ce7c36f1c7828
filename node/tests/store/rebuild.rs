//! A ledger that was deleted, as the advice for a damaged one says (`SPEC.md` D-8).

use crate::support::{genesis, owner};
use std::sync::Arc;
use timecoin_node::bounds::LAYERS_MAX;
use timecoin_node::store::{Opened, Store, StoreError, StoreFile};
use timecoin_protocol::block::{Block, Commit, CommitSignature, CommittedBlock};
use timecoin_protocol::engine::{Journal, Ledger, Record};
use timecoin_protocol::genesis::Genesis;
use timecoin_protocol::hash::Txid;
use timecoin_protocol::keys::{PublicKey, Signature};
use timecoin_protocol::ledger::{BlockParts, ChainState, build_block};
use timecoin_protocol::transaction::{OutPoint, Utxo};
use timecoin_protocol::validator::{Height, Round, ValidatorIndex};

/// Puts a block with a reward and no transfers on top.
fn decide(opened: &mut Opened, genesis: &Genesis, state: &ChainState, parent: Option<Commit>) -> (ChainState, Commit) {
    let proposer = PublicKey([7; 32]);
    let parts = BlockParts { parent_commit: parent, ..BlockParts::default() };
    let (block, delta) = build_block(state, &genesis.params, &opened.ledger, 0, proposer, parts).unwrap();
    let delta = Arc::new(delta);
    let commit = Commit {
        height: delta.state.height,
        round: Round(0),
        block: delta.state.hash,
        signatures: vec![CommitSignature { validator: ValidatorIndex::default(), signature: Signature([1; 64]) }],
    };
    opened.ledger.push(&delta);
    append(opened, block, &commit);
    opened.ledger.publish().unwrap();
    (delta.state.clone(), commit)
}

fn append(opened: &mut Opened, block: Block, commit: &Commit) {
    let block = CommittedBlock { block, commit: commit.clone() };
    opened.journal.append(&[Record::Block(Arc::new(block))]).unwrap();
}

/// What readers are told about the owner of the bond, who gets all rewards.
#[derive(Debug, PartialEq)]
struct Account {
    outputs: Vec<(OutPoint, Utxo)>,
    history: Vec<(Height, u32, Txid)>,
}

fn account(opened: &Opened) -> Account {
    let outputs = opened.reader.utxos_of(&owner(0), None, usize::MAX).unwrap();
    Account { outputs, history: opened.reader.history_of(&owner(0), None, usize::MAX).unwrap() }
}

/// D-8: more blocks than may lie in memory at once.
#[test]
fn a_deleted_ledger_is_rebuilt_from_the_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let genesis = genesis();
    let mut opened = Store::open(dir.path(), &genesis).unwrap();
    let (mut state, mut commit) = (opened.state.clone(), None);
    for _ in 0..LAYERS_MAX + 20 {
        let (next, decided) = decide(&mut opened, &genesis, &state, commit);
        (state, commit) = (next, Some(decided));
    }
    let before = account(&opened);
    assert_eq!(before.history.len(), LAYERS_MAX + 20, "a reward in each block");
    drop(opened);

    std::fs::remove_file(dir.path().join("ledger.redb")).unwrap();
    let opened = Store::open(dir.path(), &genesis).unwrap();
    assert_eq!(opened.records, [], "nothing is left to replay");
    assert_eq!((&opened.state, &opened.last_commit), (&state, &commit));
    assert_eq!(opened.reader.height_of(&state.hash).unwrap(), Some(state.height));
    assert_eq!(account(&opened), before);
}

/// D-8.
#[test]
fn a_block_that_does_not_fit_is_not_built_upon() {
    let dir = tempfile::tempdir().unwrap();
    let mut chain = crate::support::Chain::new();
    let mut opened = Store::open(dir.path(), &chain.genesis).unwrap();
    opened.journal.append(&[Record::Block(chain.grow(2, 1).block)]).unwrap(); // No validator would decide it.
    drop(opened);
    std::fs::remove_file(dir.path().join("ledger.redb")).unwrap();
    let error = Store::open(dir.path(), &chain.genesis).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { file: StoreFile::Blocks, .. }), "{error}");
}
