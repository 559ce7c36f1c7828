//! What operators do with a vote history (`SPEC.md` D-16, D-19): it is made with its key, shown, exported and imported.

use super::history::{self, FileIdentity, HistoryAt, HistoryHead, Voted};
use super::journal::{LogItem, read_log};
use super::tables::{LOG, META, META_TIP};
use super::{StoreError, StoreFile, durable_write};
use crate::wallet::{PrivateFileError, read_private};
use redb::{Database, ReadableDatabase, ReadableTable, StorageBackend};
use std::io::Write;
use std::path::{Path, PathBuf};
use timecoin_protocol::codec::{Decode, Encode, decode, encode};
use timecoin_protocol::engine::{Cause, Record, Silence};
use timecoin_protocol::hash::GenesisHash;
use timecoin_protocol::keys::PublicKey;

/// First bytes of an exported history.
const MAGIC: [u8; 16] = *b"timecoin history";
/// Largest file that is taken for one, in bytes.
const EXPORT_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// A history as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistorySummary {
    /// Its head.
    pub head: HistoryHead,
    /// The silence that its log has, if any.
    pub silence: Option<Silence>,
}

/// An exported history, as it is in the file: followed by a checksum.
#[derive(Debug, Encode, Decode)]
struct Portable {
    magic: [u8; 16],
    key: PublicKey,
    genesis: Option<GenesisHash>,
    voted: Option<Voted>,
    doubt: Option<Cause>,
    tip: Option<Vec<u8>>,
    rows: Vec<(u64, Vec<u8>)>,
}

/// Makes the whole history of a key that has just been made: nothing was ever signed with it (D-16).
///
/// # Errors
/// There is a file already, or the system refused.
pub fn create_history(at: &HistoryAt) -> Result<(), StoreError> {
    history::create_file(&at.path, at.key, None)
}

/// Makes a whole history for a key that exists: its owner vouches that it never signed, or that nothing it signed is
/// still in play. One that is there is left alone if the key voted by it.
///
/// # Errors
/// The file is that of another key, in use, retired, or says that the key voted; or the system refused.
pub fn vouch(at: &HistoryAt) -> Result<(), StoreError> {
    if !at.path.exists() {
        return create_history(at);
    }
    let database = history::open_file(&at.path)?;
    let found = HistoryHead::read(&database)?;
    check_key(found.as_ref(), at)?;
    if found.as_ref().is_some_and(|found| found.voted.is_some() || found.is_retired) {
        return Err(StoreError::HistoryExists { path: at.path.clone() });
    }
    let head = HistoryHead::new(at.key, FileIdentity::of(&at.path)?, None);
    let write = || -> Result<(), redb::Error> {
        let transaction = durable_write(&database)?;
        transaction.delete_table(LOG)?;
        transaction.delete_table(META)?;
        head.write(&transaction)?;
        transaction.commit()?;
        Ok(())
    };
    write().map_err(|error| StoreFile::History.failed(error))?;
    history::sync_directory(&at.path)
}

/// Likewise, on a disk that is simulated.
///
/// # Errors
/// Storage failed.
pub fn create_history_on<B: StorageBackend>(disk: B, key: PublicKey) -> Result<(), StoreError> {
    let opened = redb::Builder::new().create_with_backend(disk);
    let database = opened.map_err(|error| StoreFile::History.failed(error))?;
    history::write_head(&database, &HistoryHead::new(key, FileIdentity::default(), None))
}

/// What is in a history; none if there is none.
///
/// # Errors
/// It is that of another key, in use or damaged.
pub fn show_history(at: &HistoryAt) -> Result<Option<HistorySummary>, StoreError> {
    if !at.path.exists() {
        return Ok(None);
    }
    let database = history::open_file(&at.path)?;
    let Some(mut head) = HistoryHead::read(&database)? else { return Ok(None) };
    check_key(Some(&head), at)?;
    if head.identity != FileIdentity::of(&at.path)? {
        head.doubt = head.doubt.filter(|doubt| *doubt != Cause::NewerThanBlocks).or(Some(Cause::Copied));
    }
    Ok(Some(HistorySummary { silence: last_silence(&database)?, head }))
}

/// The silence that the log ends with.
pub(super) fn last_silence(database: &Database) -> Result<Option<Silence>, StoreError> {
    let log = read_log(database).map_err(|error| StoreFile::History.failed(error))?;
    Ok(silence_of(&log))
}

pub(super) fn silence_of(log: &[LogItem]) -> Option<Silence> {
    log.iter().rev().find_map(|item| match item {
        LogItem::Record(record) => match record.as_ref() {
            Record::Silence(silence) => Some(*silence),
            _ => None,
        },
        LogItem::Block(_) => None,
    })?
}

/// Writes a history into a new file that another machine can import, and retires this one for good, in this order: the
/// file is on the disk beside its place, with `.part` after its name, and can be read again; this history ends; the file
/// gets its name. So no two go on from it, and if the last step fails, doing it again finishes it.
///
/// # Errors
/// There is no history, it is retired or in use, `to` exists, or the system refused.
pub fn export_history(at: &HistoryAt, to: &Path) -> Result<HistoryHead, StoreError> {
    if to.exists() {
        return Err(StoreError::ExportExists { path: to.to_owned() });
    }
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    if !at.path.exists() {
        return Err(StoreError::NoHistory { path: at.path.clone() });
    }
    let database = history::open_file(&at.path)?;
    let Some(mut head) = HistoryHead::read(&database)? else {
        return Err(StoreError::NoHistory { path: at.path.clone() });
    };
    check_key(Some(&head), at)?;
    if head.is_retired {
        // An export that was interrupted after this history had ended.
        return match read_portable(&part) {
            Ok(portable) if (portable.key, portable.voted) == (head.key, head.voted) => name_export(&part, to, head),
            _ => Err(StoreError::Retired { path: at.path.clone() }),
        };
    }
    if head.identity != FileIdentity::of(&at.path)? {
        head.doubt = head.doubt.filter(|doubt| *doubt != Cause::NewerThanBlocks).or(Some(Cause::Copied));
    }
    let HistoryHead { key, genesis, voted, doubt, .. } = head.clone();
    let (tip, rows) = read_rows(&database).map_err(|error| StoreFile::History.failed(error))?;
    let mut bytes = encode(&Portable { magic: MAGIC, key, genesis, voted, doubt, tip, rows });
    bytes.extend(checksum(&bytes));
    let written = tempfile::NamedTempFile::new_in(history::directory_of(to)).and_then(|mut file| {
        file.write_all(&bytes)?;
        file.as_file().sync_all()?;
        // One of an earlier attempt that did not get as far as to end this history is of no use.
        file.persist(&part).map_err(|error| error.error)
    });
    written.map_err(|source| history::failed("write", &part, source))?;
    history::sync_directory(&part)?;
    read_portable(&part)?;
    history::write_head(&database, &HistoryHead { is_retired: true, ..head.clone() })?;
    name_export(&part, to, head)
}

fn name_export(part: &Path, to: &Path, head: HistoryHead) -> Result<HistoryHead, StoreError> {
    std::fs::rename(part, to).map_err(|source| history::failed("give its name to", part, source))?;
    history::sync_directory(to)?;
    Ok(head)
}

/// Takes up an exported history, and removes the file that it came in.
///
/// # Errors
/// It is that of another key or network, or damaged; a history of the key is here that is further; or the system
/// refused.
pub fn import_history(at: &HistoryAt, genesis: GenesisHash, from: &Path) -> Result<HistoryHead, StoreError> {
    let portable = read_portable(from)?;
    let found =
        HistoryHead { genesis: portable.genesis, ..HistoryHead::new(portable.key, FileIdentity::default(), None) };
    check_key(Some(&found), &HistoryAt { path: from.to_owned(), key: at.key })?;
    if let Some(found) = portable.genesis.filter(|found| *found != genesis) {
        return Err(StoreError::OtherGenesis { file: StoreFile::History, found, expected: genesis });
    }
    if !at.path.exists() {
        history::create_file(&at.path, at.key, Some(Cause::Missing))?;
    }
    let database = history::open_file(&at.path)?;
    let here = HistoryHead::read(&database)?;
    check_key(here.as_ref(), at)?;
    if let Some(here) = here {
        let (_, rows) = read_rows(&database).map_err(|error| StoreFile::History.failed(error))?;
        let progress = |voted: Option<Voted>, rows: &[(u64, Vec<u8>)]| (voted, rows.last().map(|(row, _)| *row));
        if progress(here.voted, &rows) > progress(portable.voted, &portable.rows) {
            return Err(StoreError::HistoryFurther { path: at.path.clone() });
        }
    }
    let identity = FileIdentity::of(&at.path)?;
    let head = HistoryHead {
        genesis: portable.genesis,
        voted: portable.voted,
        ..HistoryHead::new(portable.key, identity, portable.doubt)
    };
    write_imported(&database, &head, &portable).map_err(|error| StoreFile::History.failed(error))?;
    history::sync_directory(&at.path)?;
    std::fs::remove_file(from).map_err(|source| history::failed("remove, after it was imported,", from, source))?;
    Ok(head)
}

fn write_imported(database: &Database, head: &HistoryHead, portable: &Portable) -> Result<(), redb::Error> {
    let transaction = durable_write(database)?;
    transaction.delete_table(LOG)?;
    transaction.delete_table(META)?;
    head.write(&transaction)?;
    if let Some(tip) = &portable.tip {
        transaction.open_table(META)?.insert(META_TIP, tip.as_slice())?;
    }
    let mut log = transaction.open_table(LOG)?;
    for (row, bytes) in &portable.rows {
        log.insert(row, bytes.as_slice())?;
    }
    drop(log);
    transaction.commit()?;
    Ok(())
}

type Rows = (Option<Vec<u8>>, Vec<(u64, Vec<u8>)>);

fn read_rows(database: &Database) -> Result<Rows, redb::Error> {
    let read = database.begin_read()?;
    let tip = read.open_table(META)?.get(META_TIP)?.map(|tip| tip.value().to_vec());
    let mut rows = Vec::new();
    for row in read.open_table(LOG)?.iter()? {
        let (number, bytes) = row?;
        rows.push((number.value(), bytes.value().to_vec()));
    }
    Ok((tip, rows))
}

fn read_portable(from: &Path) -> Result<Portable, StoreError> {
    let damaged = || StoreError::NotExported { path: from.to_owned() };
    let bytes = read_private(from).map_err(|error| match error {
        PrivateFileError::Io { source, .. } => history::failed("read", from, source),
        error => history::failed("read", from, std::io::Error::other(error.to_string())),
    })?;
    let (content, sum) = bytes.split_at_checked(bytes.len().saturating_sub(32)).ok_or_else(damaged)?;
    if sum != checksum(content) {
        return Err(damaged());
    }
    let portable: Portable = decode(content, EXPORT_BYTES_MAX).map_err(|_| damaged())?;
    if portable.magic == MAGIC { Ok(portable) } else { Err(damaged()) }
}

/// Only against damage; whoever can write the file can write the history.
fn checksum(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}

fn check_key(found: Option<&HistoryHead>, at: &HistoryAt) -> Result<(), StoreError> {
    match found {
        Some(head) if head.key != at.key => {
            Err(StoreError::OtherKey { path: at.path.clone(), found: head.key, expected: at.key })
        }
        _ => Ok(()),
    }
}
