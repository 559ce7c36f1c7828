//! What a restart has to replay, in the order in which it was written (`SPEC.md` D-5).

use super::block_file::BlockFile;
use super::journal::LogItem;
use super::{StoreError, StoreFile};
use timecoin_protocol::engine::Record;
use timecoin_protocol::validator::Height;

/// Records of the log, and among them the blocks above `checkpoint`, each at its place. Blocks
/// whose place was compacted away come first: the log begins after them.
pub fn records(blocks: &BlockFile, log: Vec<LogItem>, checkpoint: Height) -> Result<Vec<Record>, StoreError> {
    let tip = blocks.tip();
    let first_marked = log.iter().find_map(|item| match item {
        LogItem::Block(height) => Some(height.0),
        LogItem::Record(_) => None,
    });
    let mut records = Vec::new();
    for height in checkpoint.next().0..first_marked.unwrap_or(tip.next().0) {
        records.push(block(blocks, Height(height))?);
    }
    for item in log {
        match item {
            LogItem::Record(record) => records.push(*record),
            LogItem::Block(height) if height > checkpoint => records.push(block(blocks, height)?),
            LogItem::Block(_) => {}
        }
    }
    Ok(records)
}

fn block(blocks: &BlockFile, height: Height) -> Result<Record, StoreError> {
    let block = blocks.block(height)?;
    block.map(Record::Block).ok_or_else(|| StoreFile::Blocks.corrupt(format!("block {height} is missing")))
}
