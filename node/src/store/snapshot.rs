//! The ledger as of one checkpoint, read through one transaction of the database.

use super::tables::{
    self, BLOCK_HASHES, HISTORY, META, META_STATE, OWNER_UTXOS, TRANSACTIONS, UTXOS, history_key, history_position,
    outpoint_key, outpoint_of, owner_key,
};
use redb::{Database, ReadOnlyTable, ReadableDatabase};
use std::fmt;
use std::ops::Bound;
use timecoin_protocol::address::Owner;
use timecoin_protocol::hash::{BlockHash, Txid};
use timecoin_protocol::ledger::ChainState;
use timecoin_protocol::transaction::{OutPoint, Utxo};
use timecoin_protocol::validator::Height;

/// Tables that never change, whatever is written meanwhile.
pub struct Snapshot {
    height: Height,
    utxos: ReadOnlyTable<&'static [u8; 36], &'static [u8]>,
    owner_utxos: ReadOnlyTable<&'static [u8; 56], ()>,
    transactions: ReadOnlyTable<&'static [u8; 32], (u64, u32)>,
    history: ReadOnlyTable<&'static [u8; 32], &'static [u8; 32]>,
    block_hashes: ReadOnlyTable<&'static [u8; 32], u64>,
}

impl Snapshot {
    /// The last checkpoint, and the chain's state at it.
    pub fn open(database: &Database) -> Result<(Self, ChainState), redb::Error> {
        let transaction = database.begin_read()?;
        let meta = transaction.open_table(META)?;
        let state = meta.get(META_STATE)?.ok_or_else(|| redb::Error::Corrupted("it has no checkpoint".to_owned()))?;
        let state: ChainState = tables::decode(state.value())?;
        let snapshot = Self {
            height: state.height,
            utxos: transaction.open_table(UTXOS)?,
            owner_utxos: transaction.open_table(OWNER_UTXOS)?,
            transactions: transaction.open_table(TRANSACTIONS)?,
            history: transaction.open_table(HISTORY)?,
            block_hashes: transaction.open_table(BLOCK_HASHES)?,
        };
        Ok((snapshot, state))
    }

    /// Height of the checkpoint.
    pub fn height(&self) -> Height {
        self.height
    }

    pub fn utxo(&self, outpoint: &OutPoint) -> Result<Option<Utxo>, redb::Error> {
        self.utxos.get(&outpoint_key(outpoint))?.map(|bytes| tables::decode(bytes.value())).transpose()
    }

    pub fn place_of(&self, txid: &Txid) -> Result<Option<(Height, u32)>, redb::Error> {
        let place = self.transactions.get(&txid.0)?.map(|place| place.value());
        Ok(place.map(|(height, position)| (Height(height), position)))
    }

    pub fn height_of(&self, hash: &BlockHash) -> Result<Option<Height>, redb::Error> {
        Ok(self.block_hashes.get(&hash.0)?.map(|height| Height(height.value())))
    }

    /// Outputs of an owner after `after`, in order.
    pub fn outpoints_of(
        &self,
        owner: &Owner,
        after: Option<OutPoint>,
    ) -> Result<impl Iterator<Item = Result<OutPoint, redb::Error>>, redb::Error> {
        let first = owner_key(owner, &OutPoint { txid: Txid([0; 32]), index: 0 });
        let last = owner_key(owner, &OutPoint { txid: Txid([u8::MAX; 32]), index: u32::MAX });
        let after = after.map(|outpoint| owner_key(owner, &outpoint));
        let start = after.as_ref().map_or(Bound::Included(&first), Bound::Excluded);
        let rows = self.owner_utxos.range::<&[u8; 56]>((start, Bound::Included(&last)))?;
        Ok(rows.map(|row| Ok(outpoint_of(row?.0.value()))))
    }

    /// Transactions of an owner below `before`, newest first.
    pub fn history_of(
        &self,
        owner: &Owner,
        before: Option<(Height, u32)>,
    ) -> Result<impl Iterator<Item = Result<(Height, u32, Txid), redb::Error>>, redb::Error> {
        let first = history_key(owner, Height(0), 0);
        let last = history_key(owner, Height(u64::MAX), u32::MAX);
        let before = before.map(|(height, position)| history_key(owner, height, position));
        let end = before.as_ref().map_or(Bound::Included(&last), Bound::Excluded);
        let rows = self.history.range::<&[u8; 32]>((Bound::Included(&first), end))?;
        Ok(rows.rev().map(|row| {
            let (key, txid) = row?;
            let (height, position) = history_position(key.value());
            Ok((height, position, Txid(*txid.value())))
        }))
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("height", &self.height).finish_non_exhaustive()
    }
}
