//! The order in which a restart hands records and blocks out (`SPEC.md` D-2…D-5).

use crate::support::Chain;
use std::path::Path;
use timecoin_node::store::{Opened, Store, StoreError};
use timecoin_protocol::amount::Amount;
use timecoin_protocol::engine::{Journal, Ledger, Record};
use timecoin_protocol::finality::{Phase, VoteBatch};
use timecoin_protocol::hash::Txid;
use timecoin_protocol::keys::{PublicKey, Signature};
use timecoin_protocol::validator::{Epoch, Height, Round};

fn open(dir: &Path) -> Opened {
    Store::open(dir, &crate::support::genesis()).unwrap()
}

fn round(number: u32) -> Record {
    Record::Round(Height(9), Round(number))
}

fn block(chain: &mut Chain) -> Record {
    Record::Block(chain.grow(2, 1).block)
}

/// D-2, D-5.
#[test]
fn records_and_blocks_come_back_in_the_order_of_their_turns() {
    let dir = tempfile::tempdir().unwrap();
    let mut chain = Chain::new();
    let (first, second) = (block(&mut chain), block(&mut chain));
    let turns =
        [vec![round(1), round(2)], vec![round(3), first.clone(), round(4)], vec![second.clone()], vec![round(5)]];
    let mut opened = open(dir.path());
    for turn in &turns {
        opened.journal.append(turn).unwrap();
    }
    drop(opened);
    assert_eq!(open(dir.path()).records, turns.concat());
}

/// D-5: blocks below the checkpoint are in the tables, their records stay.
#[test]
fn only_blocks_above_the_checkpoint_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut chain = Chain::new();
    let mut opened = open(dir.path());
    let first = chain.grow(2, 1);
    opened.ledger.push(&first.delta);
    opened.journal.append(&[round(1), Record::Block(first.block), round(2)]).unwrap();
    opened.ledger.publish().unwrap();
    opened.ledger.checkpoint().unwrap();
    let second = block(&mut chain);
    opened.journal.append(&[second.clone(), round(3)]).unwrap();
    drop(opened);

    let opened = open(dir.path());
    assert_eq!(opened.records, [round(1), round(2), second, round(3)]);
    assert_eq!(opened.state, first.delta.state);
}

/// D-4, D-5: the place of a block that was compacted away is before the log.
#[test]
fn compaction_keeps_live_records_after_all_earlier_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let mut chain = Chain::new();
    let (first, second) = (block(&mut chain), block(&mut chain));
    let mut opened = open(dir.path());
    opened.journal.append(&[round(1), first.clone(), round(2)]).unwrap();
    opened.journal.compact(&[round(7)]).unwrap();
    drop(opened);
    let mut opened = open(dir.path());
    assert_eq!(opened.records, [first.clone(), round(7)]);

    opened.journal.append(&[round(8), second.clone()]).unwrap();
    drop(opened);
    let mut opened = open(dir.path());
    assert_eq!(opened.records, [first.clone(), round(7), round(8), second.clone()]);

    opened.journal.compact(&[]).unwrap();
    drop(opened);
    assert_eq!(open(dir.path()).records, [first, second]);
}

/// D-2: a turn larger than a row is cut into rows, and is one turn all the same.
#[test]
fn a_turn_of_many_megabytes_comes_back_whole() {
    let records: Vec<Record> = (0..=255).map(votes).collect();
    assert!(timecoin_protocol::codec::encode(&records).len() > 32 * 1024 * 1024, "more than one decode takes");
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).journal.append(&records).unwrap();
    assert!(open(dir.path()).records == records);
}

/// The largest batch of votes that there is.
fn votes(number: u8) -> Record {
    let txids = vec![Txid([number; 32]); 4_096];
    let (voter, signature) = (PublicKey([number; 32]), Signature([number; 64]));
    Record::Votes(VoteBatch { epoch: Epoch(1), phase: Phase::Prepare, voter, txids, signature }.into())
}

/// D-3.
#[test]
fn a_decided_block_is_never_replaced_and_none_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let mut chain = Chain::new();
    let (first, second, third) = (block(&mut chain), block(&mut chain), block(&mut chain));
    let mut opened = open(dir.path());
    opened.journal.append(&[first.clone(), second.clone()]).unwrap();
    for (wrong, found) in [(&second, 2), (&first, 1)] {
        let error = opened.journal.append(std::slice::from_ref(wrong)).unwrap_err();
        assert!(matches!(error, StoreError::BlockOrder { expected: Height(3), found: Height(f) } if f == found));
    }
    opened.journal.append(std::slice::from_ref(&third)).unwrap();
    drop(opened);
    assert_eq!(open(dir.path()).records, [first, second, third]);
}

/// D-5: the commit that the next header refers to is at hand although its block is not replayed.
#[test]
fn the_commit_of_the_checkpoint_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut chain = Chain::new();
    let mut opened = open(dir.path());
    assert_eq!(opened.last_commit, None);
    assert_eq!(opened.state.supply, chain.genesis.supply().unwrap());
    assert_ne!(opened.state.supply, Amount::ZERO);
    let grown = chain.grow(1, 1);
    opened.ledger.push(&grown.delta);
    opened.journal.append(&[Record::Block(grown.block.clone())]).unwrap();
    opened.ledger.publish().unwrap();
    opened.ledger.checkpoint().unwrap();
    drop(opened);
    assert_eq!(open(dir.path()).last_commit.as_ref(), Some(&grown.block.commit));
}
