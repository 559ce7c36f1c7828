//! The journal: what must survive a crash before a message leaves (`SPEC.md` D-1…D-4).

use super::block_file::BlockFile;
use super::directory::DirectoryLock;
use super::history::{self, HistoryHead, Voted};
use super::tables::{self, LOG, META, META_TIP};
use super::{StoreError, StoreFile, durable_write};
use crate::bounds::LOG_ROW_BYTES_TARGET;
use redb::{Database, ReadableDatabase, ReadableTable, Table};
use std::sync::Arc;
use timecoin_protocol::block::CommittedBlock;
use timecoin_protocol::codec::{Decode, Encode, encode, encoded_len};
use timecoin_protocol::engine::{Journal, Record, Silence};
use timecoin_protocol::keys::PublicKey;
use timecoin_protocol::validator::Height;

/// An entry of the log as it is read back (D-2).
#[derive(Debug, Encode, Decode)]
pub enum LogItem {
    /// A record.
    Record(Box<Record>),
    /// The place of a block among the records; the block itself is in the file of blocks.
    Block(Height),
}

/// An entry of the log as it is written; the same bytes as [`LogItem`].
#[derive(Clone, Copy, Debug, Encode)]
enum NewItem<'a> {
    Record(&'a Record),
    Block(Height),
}

impl<'a> NewItem<'a> {
    fn of(record: &'a Record) -> Self {
        match record {
            Record::Block(block) => Self::Block(block.block.header.height),
            record => Self::Record(record),
        }
    }
}

/// What happens to the log's earlier rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Earlier {
    Kept,
    Dropped,
}

/// The open journal. There is one, and the driver has it.
#[derive(Debug)]
pub struct JournalFile {
    database: Database,
    blocks: Arc<BlockFile>,
    /// Number of the next row of the log.
    next_row: u64,
    /// The validator whose history it is, and how far it voted.
    owner: Option<(PublicKey, Option<Voted>)>,
    _lock: Option<Arc<DirectoryLock>>,
}

impl JournalFile {
    pub(super) fn open(
        database: Database,
        blocks: Arc<BlockFile>,
        head: Option<&HistoryHead>,
        lock: Option<Arc<DirectoryLock>>,
    ) -> Result<Self, StoreError> {
        let owner = head.map(|head| (head.key, head.voted));
        let next_row = next_row(&database).map_err(|error| file_of(owner.is_some()).failed(error))?;
        Ok(Self { database, blocks, next_row, owner, _lock: lock })
    }

    /// Replaces the whole log by `live`, in one step (D-4). Blocks stay.
    ///
    /// # Errors
    /// Storage failed; the log is as it was, and the node must stop.
    pub fn compact(&mut self, live: &[Record]) -> Result<(), StoreError> {
        self.write(live, Earlier::Dropped)
    }

    fn write(&mut self, records: &[Record], earlier: Earlier) -> Result<(), StoreError> {
        let tip = self.tip_after(records)?;
        if tip > self.blocks.tip() {
            self.blocks.write(blocks_of(records))?; // D-3: first, so that the log names no block that is not there
        }
        let voted = self.owner.and_then(|(key, before)| Voted::after_all(before, records, &key));
        let committed = self.commit(records, tip, earlier, voted);
        self.next_row = committed.map_err(|error| file_of(self.owner.is_some()).failed(error))?;
        if let Some((_, before)) = &mut self.owner {
            *before = voted;
        }
        blocks_of(records).for_each(|block| self.blocks.accept(block));
        Ok(())
    }

    /// A decided block is never replaced, and none is left out (D-3).
    fn tip_after(&self, records: &[Record]) -> Result<Height, StoreError> {
        blocks_of(records).try_fold(self.blocks.tip(), |tip, block| {
            let (expected, found) = (tip.next(), block.block.header.height);
            if expected == found { Ok(found) } else { Err(StoreError::BlockOrder { expected, found }) }
        })
    }

    fn commit(
        &self,
        records: &[Record],
        tip: Height,
        earlier: Earlier,
        voted: Option<Voted>,
    ) -> Result<u64, redb::Error> {
        let transaction = durable_write(&self.database)?;
        if earlier == Earlier::Dropped {
            transaction.delete_table(LOG)?;
        }
        let next_row = append_rows(&mut transaction.open_table(LOG)?, self.next_row, records)?;
        if tip > self.blocks.tip() {
            transaction.open_table(META)?.insert(META_TIP, tip.0.to_le_bytes().as_slice())?;
        }
        if let Some((_, before)) = self.owner {
            history::note(&transaction, before, voted, records)?;
        }
        transaction.commit()?; // D-1: the only way to `Ok` is through the disk
        Ok(next_row)
    }
}

impl Journal for JournalFile {
    type Error = StoreError;

    fn append(&mut self, records: &[Record]) -> Result<(), StoreError> {
        self.write(records, Earlier::Kept)
    }
}

/// What a journal is called: that of a validator is its vote history.
pub const fn file_of(is_history: bool) -> StoreFile {
    if is_history { StoreFile::History } else { StoreFile::Journal }
}

/// Begins anew on other blocks than those that the log is about (D-16): their last one is at `tip`, and of the log only
/// a silence goes on.
pub fn reset(
    database: &Database,
    tip: Height,
    silence: Option<Silence>,
    head: Option<&HistoryHead>,
) -> Result<(), redb::Error> {
    let transaction = durable_write(database)?;
    let first = transaction.open_table(LOG)?.last()?.map_or(0, |(row, _)| row.value().saturating_add(1));
    transaction.delete_table(LOG)?;
    let kept: Vec<Record> = silence.map(|silence| Record::Silence(Some(silence))).into_iter().collect();
    append_rows(&mut transaction.open_table(LOG)?, first, &kept)?;
    transaction.open_table(META)?.insert(META_TIP, tip.0.to_le_bytes().as_slice())?;
    if let Some(head) = head {
        head.write(&transaction)?;
    }
    transaction.commit()?;
    Ok(())
}

/// All entries of the log, in order.
pub fn read_log(database: &Database) -> Result<Vec<LogItem>, redb::Error> {
    let log = database.begin_read()?.open_table(LOG)?;
    let mut items = Vec::new();
    for row in log.iter()? {
        items.append(&mut tables::decode(row?.1.value())?);
    }
    Ok(items)
}

/// Height of the last block that the log vouches for.
pub fn read_tip(database: &Database) -> Result<Height, redb::Error> {
    let meta = database.begin_read()?.open_table(META)?;
    let Some(tip) = meta.get(META_TIP)? else { return Ok(Height(0)) };
    let tip = tip.value().try_into().map_err(|_| redb::Error::Corrupted("its last height is unreadable".to_owned()))?;
    Ok(Height(u64::from_le_bytes(tip)))
}

fn next_row(database: &Database) -> Result<u64, redb::Error> {
    let log = database.begin_read()?.open_table(LOG)?;
    Ok(log.last()?.map_or(0, |(row, _)| row.value().saturating_add(1)))
}

/// Writes records as rows of about [`LOG_ROW_BYTES_TARGET`]; gives the number of the next row. Without records there is a
/// row without items: of a log that was compacted to nothing the numbers go on (D-4), and tell which of two copies is
/// further (D-19).
fn append_rows(log: &mut Table<'_, u64, &[u8]>, first: u64, records: &[Record]) -> Result<u64, redb::Error> {
    let mut row = first;
    let mut items = Vec::new();
    let mut items_bytes = 0;
    for item in records.iter().map(NewItem::of) {
        let bytes = encoded_len(&item);
        if items_bytes + bytes > LOG_ROW_BYTES_TARGET && !items.is_empty() {
            log.insert(row, encode(&items).as_slice())?;
            items.clear();
            (row, items_bytes) = (row.saturating_add(1), 0);
        }
        items_bytes += bytes;
        items.push(item);
    }
    if !items.is_empty() || records.is_empty() {
        log.insert(row, encode(&items).as_slice())?;
        row = row.saturating_add(1);
    }
    Ok(row)
}

fn blocks_of(records: &[Record]) -> impl Iterator<Item = &Arc<CommittedBlock>> {
    records.iter().filter_map(|record| match record {
        Record::Block(block) => Some(block),
        _ => None,
    })
}
