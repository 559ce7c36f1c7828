//! Storage on a disk that loses its power at any write or sync (`SPEC.md` D-1, D-5).

use crate::support::disk::Disk;
use crate::support::{Chain, Choices};
use proptest::prelude::*;
use timecoin_node::store::{Disks, Opened, Store, StoreError};
use timecoin_protocol::engine::{Journal, Ledger, Record};
use timecoin_protocol::validator::{Height, Round};

/// Records that tell which turn they belong to, so that a torn turn shows.
fn turn(number: u64) -> Vec<Record> {
    (0..=number % 4).map(|part| Record::Round(Height(number), Round(u32::try_from(part).unwrap()))).collect()
}

/// Runs turns until the disk fails; every third one decides a block. Gives how many succeeded.
fn run(opened: &mut Opened, chain: &mut Chain, turns: u64, seed: u64) -> Result<(), (u64, StoreError)> {
    for number in 0..turns {
        let mut records = turn(number);
        if number % 3 == 2 {
            let grown = chain.grow(4, seed);
            opened.ledger.push(&grown.delta);
            records.push(Record::Block(grown.block));
        }
        opened.journal.append(&records).map_err(|error| (number, error))?;
        // The turn counts from here on: its messages leave.
        let after = number + 1;
        opened.ledger.publish().map_err(|error| (after, error))?;
        if number % 7 == 6 {
            opened.ledger.checkpoint().map_err(|error| (after, error))?;
        }
    }
    Ok(())
}

const TURNS: u64 = 24;

fn disks() -> Disks<Disk> {
    Disks { journal: Disk::default(), blocks: Disk::default(), ledger: Disk::default() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// D-1, D-5: whatever of the unsynced writes survives, every turn that returned is there, in
    /// order, and at most the one in progress besides; each is there whole.
    #[test]
    fn a_turn_that_returned_survives_and_none_is_torn(
        journal_operations in 0_u64..700,
        block_operations in 0_u64..300,
        ledger_operations in 0_u64..200,
        seed: u64,
    ) {
        let mut chain = Chain::new();
        let disks = disks();
        let mut opened = Store::open_on(disks.clone(), &chain.genesis).unwrap();
        disks.journal.fail_after(journal_operations);
        disks.blocks.fail_after(block_operations);
        disks.ledger.fail_after(ledger_operations);
        let returned = run(&mut opened, &mut chain, TURNS, seed).map_or_else(|(returned, _)| returned, |()| TURNS);

        let mut luck = Choices(seed);
        let mut restored = |disk: &Disk| disk.after_power_loss(|| luck.below(2) == 0);
        let disks = Disks {
            journal: restored(&disks.journal),
            blocks: restored(&disks.blocks),
            ledger: restored(&disks.ledger),
        };
        drop(opened);
        let mut opened = Store::open_on(disks, &chain.genesis).unwrap();

        let (blocks, rounds): (Vec<_>, Vec<_>) =
            opened.records.iter().cloned().partition(|record| matches!(record, Record::Block(_)));
        let survived = (returned..=returned + 1).find(|turns| (0..*turns).flat_map(turn).eq(rounds.iter().cloned()));
        prop_assert!(survived.is_some(), "{returned} turns returned, and this is left: {rounds:?}");

        let decided = usize::try_from(survived.unwrap() / 3).unwrap();
        let checkpoint = usize::try_from(opened.state.height.0).unwrap();
        prop_assert!(checkpoint <= decided);
        let mut expected = Chain::new();
        for number in 0..decided {
            let grown = expected.grow(4, seed);
            if number >= checkpoint {
                prop_assert_eq!(&blocks[number - checkpoint], &Record::Block(grown.block));
                opened.ledger.push(&grown.delta);
            }
        }
        prop_assert_eq!(blocks.len(), decided - checkpoint);
        opened.ledger.publish().unwrap();
        expected.assert_same(&opened.reader, &opened.ledger);
    }
}

/// D-1: the append fails, so `Turn::commit` gives no message out; and the block of the turn stays
/// invisible, and later turns fail as well.
#[test]
fn a_failed_append_shows_and_releases_nothing() {
    let mut chain = Chain::new();
    let disks = disks();
    let mut opened = Store::open_on(disks.clone(), &chain.genesis).unwrap();
    let before = chain.clone();
    let grown = chain.grow(3, 1);
    opened.ledger.push(&grown.delta);

    disks.journal.fail_after(0);
    let error = opened.journal.append(&[Record::Block(grown.block)]).unwrap_err();
    assert!(matches!(error, StoreError::Database { .. }), "{error}");
    assert!(error.to_string().contains("journal.redb"), "{error}");
    assert!(matches!(opened.ledger.publish(), Err(StoreError::NotDurable(Height(1)))));
    assert_eq!(opened.reader.tip(), before.state.height);
    assert_eq!(opened.reader.utxo(&grown.delta.created[0].0).unwrap(), None);

    disks.journal.fail_after(u64::MAX); // The disk is back, but what it holds is unknown.
    opened.journal.append(&turn(0)).unwrap_err();
}

/// D-3: the block got to the disk, the turn did not; afterwards another block takes the height.
#[test]
fn a_block_whose_turn_was_never_completed_does_not_count() {
    let mut chain = Chain::new();
    let disks = disks();
    let mut opened = Store::open_on(disks.clone(), &chain.genesis).unwrap();
    let mut other = chain.clone();
    let lost = chain.grow(3, 1);
    disks.journal.fail_after(0);
    opened.ledger.push(&lost.delta);
    opened.journal.append(&[Record::Block(lost.block)]).unwrap_err();
    assert!(matches!(opened.ledger.publish(), Err(StoreError::NotDurable(Height(1)))));

    let disks = Disks { journal: disks.journal.after_power_loss(|| false), ..disks };
    drop(opened);
    let mut opened = Store::open_on(disks.clone(), &chain.genesis).unwrap();
    assert_eq!(opened.records, []);
    let decided = other.grow(3, 2);
    opened.ledger.push(&decided.delta);
    opened.journal.append(&[Record::Block(decided.block)]).unwrap();
    opened.ledger.publish().unwrap();
    other.assert_same(&opened.reader, &opened.ledger);
}

/// D-11: a failed checkpoint loses nothing, and the driver learns of it.
#[test]
fn a_failed_checkpoint_is_told_and_leaves_readers_as_they_were() {
    let mut chain = Chain::new();
    let disks = disks();
    let mut opened = Store::open_on(disks.clone(), &chain.genesis).unwrap();
    run(&mut opened, &mut chain, 6, 1).unwrap();
    disks.ledger.fail_after(0);
    let error = opened.ledger.checkpoint().unwrap_err();
    assert!(error.to_string().contains("ledger.redb"), "{error}");
    assert_eq!(opened.reader.tip(), chain.state.height);
    assert!(opened.reader.block(chain.state.height).unwrap().is_some());
}
