//! A validator's vote history is a file of its own (`SPEC.md` D-14, D-16, D-19).

use crate::support::{Chain, genesis};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use timecoin_node::store::{
    HistoryAt, Opened, Store, StoreError, Voted, create_history, export_history, import_history, show_history, vouch,
};
use timecoin_protocol::bft::Locks;
use timecoin_protocol::block::{BlockPhase, BlockVote};
use timecoin_protocol::engine::{Cause, Journal, Ledger, Record, Silence};
use timecoin_protocol::finality::{Phase, VoteBatch};
use timecoin_protocol::genesis::Genesis;
use timecoin_protocol::hash::Txid;
use timecoin_protocol::keys::SecretKey;
use timecoin_protocol::validator::{Epoch, Height, Round};

fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

/// The history of key 1 in `dir`.
fn at(dir: &Path) -> HistoryAt {
    HistoryAt { path: dir.join("validator.key.history"), key: key(1).public() }
}

/// A validator with a whole history: where its key is, and its data directory.
fn validator() -> (TempDir, TempDir) {
    let (keys, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    create_history(&at(keys.path())).unwrap();
    (keys, data)
}

fn open(keys: &TempDir, data: &TempDir) -> Opened {
    Store::open_with(data.path(), &genesis(), Some(&at(keys.path()))).unwrap()
}

/// A vote of the validator.
fn vote(epoch: u64, height: u64) -> Record {
    let (round, hash) = (Round(0), genesis().hash());
    let vote = BlockVote::sign(Epoch(epoch), Height(height), round, BlockPhase::Prevote, None, &key(1), &hash);
    Record::BlockVote(vote, Locks::default())
}

fn silence(after_ms: u64) -> Silence {
    Silence { cause: Cause::Missing, after_epoch: Epoch(2), after_ms }
}

/// One turn with a block, made durable and shown.
fn grow(opened: &mut Opened, chain: &mut Chain, more: Vec<Record>) {
    let grown = chain.grow(1, 1);
    opened.ledger.push(&grown.delta);
    let records = [vec![Record::Block(grown.block)], more].concat();
    opened.journal.append(&records).unwrap();
    opened.ledger.publish().unwrap();
}

/// D-14.
#[test]
fn the_journal_of_a_validator_is_beside_its_key_and_not_in_the_data_directory_d_14() {
    let (keys, data) = validator();
    let mut opened = open(&keys, &data);
    assert_eq!((opened.past.doubt, opened.past.voted, opened.past.listens), (None, None, true));
    opened.journal.append(&[vote(3, 7)]).unwrap();
    drop(opened);
    assert!(!data.path().join("journal.redb").exists());
    let opened = open(&keys, &data);
    assert_eq!((opened.past.doubt, opened.past.voted), (None, Some(Epoch(3))));
    assert_eq!(opened.records, [vote(3, 7)]);
    drop(opened);
    let shown = show_history(&at(keys.path())).unwrap().unwrap();
    assert_eq!(shown.head.voted, Some(Voted { epoch: Epoch(3), height: Height(7) }));
    assert_eq!((shown.head.key, shown.head.genesis), (key(1).public(), Some(genesis().hash())));
}

#[cfg(unix)]
#[test]
fn a_history_is_readable_by_its_owner_only_d_14() {
    use std::os::unix::fs::PermissionsExt;
    let (keys, _data) = validator();
    assert_eq!(std::fs::metadata(at(keys.path()).path).unwrap().permissions().mode() & 0o777, 0o600);
}

/// Two data directories with one key: the second process must not start.
#[test]
fn a_second_node_with_the_same_history_is_refused_and_told_why_d_14() {
    let (keys, data) = validator();
    let other = tempfile::tempdir().unwrap();
    let opened = open(&keys, &data);
    let error = Store::open_with(other.path(), &genesis(), Some(&at(keys.path()))).unwrap_err();
    assert!(matches!(error, StoreError::HistoryInUse { .. }), "{error}");
    assert!(error.to_string().contains("never run two nodes with one key"), "{error}");
    assert!(matches!(show_history(&at(keys.path())), Err(StoreError::HistoryInUse { .. })));
    drop(opened);
    Store::open_with(other.path(), &genesis(), Some(&at(keys.path()))).unwrap();
}

#[test]
fn the_history_of_another_key_or_network_is_refused_d_14() {
    let (keys, data) = validator();
    drop(open(&keys, &data));
    let other = HistoryAt { key: key(2).public(), ..at(keys.path()) };
    let error = Store::open_with(data.path(), &genesis(), Some(&other)).unwrap_err();
    assert!(matches!(error, StoreError::OtherKey { .. }), "{error}");
    let network = Genesis { name: "other".to_owned(), ..genesis() };
    let fresh = tempfile::tempdir().unwrap();
    let error = Store::open_with(fresh.path(), &network, Some(&at(keys.path()))).unwrap_err();
    assert!(matches!(error, StoreError::OtherGenesis { .. }), "{error}");
    assert!(error.to_string().contains("the vote history belongs to the network"), "{error}");
}

/// A key whose history is gone may have voted: what is made in its place is in doubt until the silence is durable.
#[test]
fn a_key_without_history_is_in_doubt_until_its_log_says_that_it_is_silent_d_16() {
    let (keys, data) = validator();
    std::fs::remove_file(at(keys.path()).path).unwrap();
    for _ in 0..2 {
        assert_eq!(open(&keys, &data).past.doubt, Some(Cause::Missing), "a crash in between changes nothing");
    }
    let record = Record::Silence(Some(silence(5)));
    open(&keys, &data).journal.append(std::slice::from_ref(&record)).unwrap();
    let opened = open(&keys, &data);
    assert_eq!((opened.past.doubt, opened.records), (None, vec![record]));
}

/// An empty file is what a crash leaves of a history that was being made.
#[test]
fn an_empty_file_is_no_whole_history_d_16() {
    let (keys, data) = validator();
    std::fs::write(at(keys.path()).path, []).unwrap();
    assert_eq!(open(&keys, &data).past.doubt, Some(Cause::Missing));
}

#[test]
fn a_damaged_history_is_refused_with_advice() {
    let (keys, data) = validator();
    std::fs::write(at(keys.path()).path, vec![0x55; 100_000]).unwrap();
    let error = Store::open_with(data.path(), &genesis(), Some(&at(keys.path()))).unwrap_err();
    assert!(
        error.to_string().contains("the vote history is damaged") && error.to_string().contains("remove this file")
    );
}

#[test]
fn a_history_that_was_copied_or_restored_is_in_doubt_d_19() {
    let (keys, data) = validator();
    open(&keys, &data).journal.append(&[vote(0, 1)]).unwrap();
    let path = at(keys.path()).path;
    let (copy, kept) = (keys.path().join("copy"), keys.path().join("kept"));
    std::fs::copy(&path, &copy).unwrap();
    std::fs::rename(&path, kept).unwrap();
    std::fs::rename(&copy, &path).unwrap();
    assert_eq!(show_history(&at(keys.path())).unwrap().unwrap().head.doubt, Some(Cause::Copied));
    assert_eq!(open(&keys, &data).past.doubt, Some(Cause::Copied));
    let mut opened = open(&keys, &data);
    assert_eq!(opened.past.doubt, Some(Cause::Copied), "it stays so until the silence is durable");
    opened.journal.append(&[Record::Silence(Some(silence(5)))]).unwrap();
    drop(opened);
    assert_eq!(open(&keys, &data).past.doubt, None);
}

/// Moved within its file system it is the same file.
#[test]
fn a_history_that_was_moved_is_the_same_d_19() {
    let (keys, data) = validator();
    drop(open(&keys, &data));
    let moved = HistoryAt { path: keys.path().join("moved.history"), ..at(keys.path()) };
    std::fs::rename(at(keys.path()).path, &moved.path).unwrap();
    assert_eq!(Store::open_with(data.path(), &genesis(), Some(&moved)).unwrap().past.doubt, None);
}

/// The data directory is lost: the node starts, and its history says how far it voted.
#[test]
fn without_the_blocks_that_it_is_about_a_history_begins_anew_and_keeps_how_far_it_voted_d_16() {
    let (keys, data) = validator();
    let mut chain = Chain::new();
    let mut opened = open(&keys, &data);
    grow(&mut opened, &mut chain, vec![vote(0, 2)]);
    grow(&mut opened, &mut chain, vec![vote(4, 3), Record::Silence(Some(silence(9)))]);
    drop(opened);

    let empty = tempfile::tempdir().unwrap();
    let opened = open(&keys, &empty);
    assert_eq!((opened.past.doubt, opened.past.voted), (Some(Cause::NewerThanBlocks), Some(Epoch(4))));
    assert_eq!(opened.records, [Record::Silence(Some(silence(9)))], "a silence goes on, no vote and no block");
    assert_eq!(opened.state.height, Height(0));
    drop(opened);

    let mut opened = open(&keys, &empty);
    assert_eq!(opened.past.doubt, Some(Cause::NewerThanBlocks), "a crash in between changes nothing");
    let mut again = Chain::new();
    grow(&mut opened, &mut again, vec![Record::Silence(Some(silence(10)))]);
    drop(opened);
    let opened = open(&keys, &empty);
    assert_eq!((opened.past.doubt, opened.past.voted), (None, Some(Epoch(4))));
    assert_eq!(opened.records.len(), 3, "the block, and both silences");
}

/// An old copy of the history, put back in place by whatever leaves the file itself as it was.
#[test]
fn a_history_older_than_the_blocks_is_in_doubt_and_the_blocks_stay_d_16() {
    let (keys, data) = validator();
    let mut chain = Chain::new();
    let mut opened = open(&keys, &data);
    grow(&mut opened, &mut chain, vec![vote(0, 2)]);
    drop(opened);
    let old = std::fs::read(at(keys.path()).path).unwrap();
    let mut opened = open(&keys, &data);
    grow(&mut opened, &mut chain, vec![vote(0, 3)]);
    grow(&mut opened, &mut chain, vec![vote(1, 4)]);
    drop(opened);
    std::fs::write(at(keys.path()).path, old).unwrap();

    let mut opened = open(&keys, &data);
    assert_eq!(opened.past.doubt, Some(Cause::OlderThanBlocks));
    assert_eq!(heights(&opened.records), [1, 2, 3], "all blocks, no vote");
    assert_eq!(opened.records.len(), 3);
    // The journal takes the next block.
    opened.journal.append(&[Record::Block(chain.grow(1, 1).block)]).unwrap();
}

fn heights(records: &[Record]) -> Vec<u64> {
    let height = |record: &Record| match record {
        Record::Block(block) => Some(block.block.header.height.0),
        _ => None,
    };
    records.iter().filter_map(height).collect()
}

/// A node that followed gets a key: its history is older than the blocks, and nothing is refused.
#[test]
fn a_follower_that_becomes_a_validator_keeps_its_blocks_d_16() {
    let data = tempfile::tempdir().unwrap();
    let mut chain = Chain::new();
    let mut opened = Store::open(data.path(), &genesis()).unwrap();
    for _ in 0..3 {
        grow(&mut opened, &mut chain, Vec::new());
    }
    drop(opened);
    let keys = tempfile::tempdir().unwrap();
    create_history(&at(keys.path())).unwrap();
    let opened = open(&keys, &data);
    assert_eq!(opened.past.doubt, Some(Cause::OlderThanBlocks));
    assert_eq!(heights(&opened.records), [1, 2, 3]);
}

#[test]
fn an_exported_history_ends_here_and_goes_on_where_it_is_imported_d_19() {
    let (keys, data) = validator();
    let mut chain = Chain::new();
    let mut opened = open(&keys, &data);
    grow(&mut opened, &mut chain, vec![vote(2, 9)]);
    drop(opened);
    let file = keys.path().join("moved");
    export_history(&at(keys.path()), &file).unwrap();
    let error = Store::open_with(data.path(), &genesis(), Some(&at(keys.path()))).unwrap_err();
    assert!(matches!(error, StoreError::Retired { .. }), "{error}");
    let again = export_history(&at(keys.path()), &keys.path().join("second"));
    assert!(matches!(again, Err(StoreError::Retired { .. })), "two machines must not go on from it");
    assert!(matches!(vouch(&at(keys.path())), Err(StoreError::HistoryExists { .. })));

    let (new, blocks) = (tempfile::tempdir().unwrap(), data);
    import_history(&at(new.path()), genesis().hash(), &file).unwrap();
    assert!(!file.exists(), "it can be taken up once");
    let opened = open(&new, &blocks);
    assert_eq!((opened.past.doubt, opened.past.voted), (None, Some(Epoch(2))));
    assert!(opened.records.contains(&vote(2, 9)));
}

#[test]
fn an_import_never_goes_back_d_19() {
    let (keys, data) = validator();
    open(&keys, &data).journal.append(&[vote(2, 9)]).unwrap();
    let (file, kept) = (keys.path().join("moved"), keys.path().join("kept"));
    export_history(&at(keys.path()), &file).unwrap();
    std::fs::copy(&file, &kept).unwrap();
    let new = tempfile::tempdir().unwrap();
    import_history(&at(new.path()), genesis().hash(), &file).unwrap();
    open(&new, &data).journal.append(&[vote(2, 10)]).unwrap();
    let error = import_history(&at(new.path()), genesis().hash(), &kept).unwrap_err();
    assert!(matches!(error, StoreError::HistoryFurther { .. }), "{error}");
    assert_eq!(open(&new, &data).records.len(), 2, "what was there is there");
    // Whoever exported it may take it back as long as nothing went on from it.
    import_history(&at(keys.path()), genesis().hash(), &kept).unwrap();
}

/// A log that was compacted to nothing counted its rows from 0 after the next start. An older export of it seemed to be further
/// then, if nothing but votes for payments came after it: these change neither the epoch nor the height voted in. The import
/// forgot them.
#[test]
fn an_import_never_goes_back_behind_a_log_that_was_compacted_to_nothing_d_4_d_19() {
    let (keys, data) = validator();
    let mut opened = open(&keys, &data);
    (0..5).for_each(|_| opened.journal.append(&[vote(2, 9)]).unwrap());
    drop(opened);
    let (file, kept) = (keys.path().join("moved"), keys.path().join("kept"));
    export_history(&at(keys.path()), &file).unwrap();
    std::fs::copy(&file, &kept).unwrap();
    let new = tempfile::tempdir().unwrap();
    import_history(&at(new.path()), genesis().hash(), &file).unwrap();
    open(&new, &data).journal.compact(&[]).unwrap();
    assert!(open(&new, &data).records.is_empty());
    let batch = VoteBatch::sign(Epoch(2), Phase::Prepare, vec![Txid([7; 32])], &key(1), &genesis().hash());
    let prepared = Record::Votes(Arc::new(batch));
    open(&new, &data).journal.append(std::slice::from_ref(&prepared)).unwrap();
    let error = import_history(&at(new.path()), genesis().hash(), &kept).unwrap_err();
    assert!(matches!(error, StoreError::HistoryFurther { .. }), "{error}");
    assert_eq!(open(&new, &data).records, [prepared]);
}

#[test]
fn what_is_not_an_export_of_this_key_and_network_is_refused_d_19() {
    let (keys, data) = validator();
    open(&keys, &data).journal.append(&[vote(2, 9)]).unwrap();
    let file = keys.path().join("moved");
    export_history(&at(keys.path()), &file).unwrap();
    let new = tempfile::tempdir().unwrap();
    let import = |at: &HistoryAt, network| import_history(at, network, &file);
    let other = HistoryAt { key: key(2).public(), ..at(new.path()) };
    assert!(matches!(import(&other, genesis().hash()), Err(StoreError::OtherKey { .. })));
    let network = Genesis { name: "other".to_owned(), ..genesis() }.hash();
    assert!(matches!(import(&at(new.path()), network), Err(StoreError::OtherGenesis { .. })));

    let good = std::fs::read(&file).unwrap();
    for damage in [0, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[damage] ^= 1;
        std::fs::write(&file, bad).unwrap();
        assert!(matches!(import(&at(new.path()), genesis().hash()), Err(StoreError::NotExported { .. })), "{damage}");
    }
    std::fs::write(&file, b"short").unwrap();
    assert!(matches!(import(&at(new.path()), genesis().hash()), Err(StoreError::NotExported { .. })));
    assert!(!at(new.path()).path.exists(), "nothing is left behind");
}

#[test]
fn a_history_is_vouched_for_only_as_long_as_the_key_has_not_voted_by_it_d_16() {
    let (keys, data) = validator();
    assert!(matches!(create_history(&at(keys.path())), Err(StoreError::HistoryExists { .. })));
    std::fs::remove_file(at(keys.path()).path).unwrap();
    open(&keys, &data).journal.append(&[Record::Silence(Some(silence(5)))]).unwrap();
    vouch(&at(keys.path())).unwrap();
    let opened = open(&keys, &data);
    assert_eq!((opened.past.doubt, opened.records.clone()), (None, Vec::new()));
    drop(opened);
    open(&keys, &data).journal.append(&[vote(0, 1)]).unwrap();
    assert!(matches!(vouch(&at(keys.path())), Err(StoreError::HistoryExists { .. })));
}
