//! Whose data directory it is (`SPEC.md` D-8).

use crate::support::{Chain, genesis};
use timecoin_node::store::{Store, StoreError, StoreFile};
use timecoin_protocol::engine::{Journal, Ledger, Record};
use timecoin_protocol::validator::Height;

/// D-8.
#[test]
fn two_nodes_cannot_share_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let opened = Store::open(dir.path(), &genesis()).unwrap();
    let error = Store::open(dir.path(), &genesis()).unwrap_err();
    assert!(matches!(&error, StoreError::InUse { dir: found } if found == dir.path()));
    assert!(error.to_string().contains(dir.path().to_str().unwrap()), "{error}");

    // Held until the last part is gone: a reader may outlive the driver.
    let reader = std::sync::Arc::clone(&opened.reader);
    drop(opened);
    assert!(matches!(Store::open(dir.path(), &genesis()), Err(StoreError::InUse { .. })));
    drop(reader);
    Store::open(dir.path(), &genesis()).unwrap();
}

/// D-8.
#[test]
fn a_directory_of_something_else_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("holiday.jpg"), "sea").unwrap();
    let error = Store::open(dir.path(), &genesis()).unwrap_err();
    assert!(matches!(&error, StoreError::Foreign { found, .. } if found == "holiday.jpg"), "{error}");
    assert!(error.to_string().contains("choose an empty or new directory"), "{error}");
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(left.len(), 1);
}

#[test]
fn keys_and_settings_may_be_there_first() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["node.key", "timed.toml", "genesis.json", ".cookie"] {
        std::fs::write(dir.path().join(name), "x").unwrap();
    }
    Store::open(dir.path(), &genesis()).unwrap();
}

#[test]
#[cfg(unix)]
fn a_new_directory_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("a/b");
    Store::open(&dir, &genesis()).unwrap();
    assert_eq!(std::fs::metadata(dir).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_directory_of_another_network_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path(), &genesis()).unwrap());
    let other = timecoin_protocol::genesis::Genesis { name: "other".to_owned(), ..genesis() };
    let error = Store::open(dir.path(), &other).unwrap_err();
    assert!(matches!(
        error,
        StoreError::OtherGenesis { found, expected, .. } if found == genesis().hash() && expected == other.hash()
    ));
    Store::open(dir.path(), &genesis()).unwrap();
}

/// D-6, D-8.
#[test]
fn a_directory_of_another_layout_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::open(dir.path(), &genesis()).unwrap());
    let database = redb::Database::create(dir.path().join("journal.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    let table = redb::TableDefinition::<&str, &[u8]>::new("meta");
    transaction.open_table(table).unwrap().insert("schema", [9, 0, 0, 0].as_slice()).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = Store::open(dir.path(), &genesis()).unwrap_err();
    assert!(matches!(error, StoreError::OtherVersion { file: StoreFile::Journal, found: 9, .. }), "{error}");
}

#[test]
fn a_damaged_file_is_named_with_advice() {
    for (file, advice) in [("journal.redb", "backup"), ("blocks.redb", "backup"), ("ledger.redb", "delete this file")] {
        let dir = tempfile::tempdir().unwrap();
        drop(Store::open(dir.path(), &genesis()).unwrap());
        std::fs::write(dir.path().join(file), vec![0x55; 100_000]).unwrap();
        let error = Store::open(dir.path(), &genesis()).unwrap_err();
        assert!(matches!(&error, StoreError::Corrupt { file: found, .. } if found.name() == file), "{error:?}");
        assert!(error.to_string().contains(file) && error.to_string().contains(advice), "{error}");
    }
}

/// D-8, D-16: of a node without a key nothing in the journal is of use then; it goes on with the blocks that it has.
#[test]
fn an_old_journal_of_a_follower_begins_anew_with_the_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let mut chain = Chain::new();
    drop(Store::open(dir.path(), &chain.genesis).unwrap());
    let journal = dir.path().join("journal.redb");
    let old = std::fs::read(&journal).unwrap();

    let mut opened = Store::open(dir.path(), &chain.genesis).unwrap();
    let grown = chain.grow(1, 1);
    opened.ledger.push(&grown.delta);
    opened.journal.append(&[Record::Block(grown.block)]).unwrap();
    opened.ledger.publish().unwrap();
    opened.ledger.checkpoint().unwrap();
    drop(opened);

    std::fs::write(&journal, old).unwrap();
    let opened = Store::open(dir.path(), &chain.genesis).unwrap();
    assert_eq!((opened.reader.tip(), opened.state.height), (Height(1), Height(1)));
}

/// D-8: a ledger that was built from blocks that are not there is of another moment.
#[test]
fn a_ledger_ahead_of_the_blocks_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut chain = Chain::new();
    let mut opened = Store::open(dir.path(), &chain.genesis).unwrap();
    let grown = chain.grow(1, 1);
    opened.ledger.push(&grown.delta);
    opened.journal.append(&[Record::Block(grown.block)]).unwrap();
    opened.ledger.publish().unwrap();
    opened.ledger.checkpoint().unwrap();
    drop(opened);
    std::fs::remove_file(dir.path().join("blocks.redb")).unwrap();
    let error = Store::open(dir.path(), &chain.genesis).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { file: StoreFile::Blocks, .. }), "{error}");
    assert!(error.to_string().contains("not of one moment"), "{error}");
}
