//! Tables of the databases and the bytes of their rows (`SPEC.md` D-6, D-7).
//!
//! Keys are fixed-width and big-endian where they are ordered, so that the order of the tree is
//! the order of the values. Values are canonical encodings.

use redb::TableDefinition;
use timecoin_protocol::address::Owner;
use timecoin_protocol::bounds::{BLOCK_BYTES_MAX, CLOSING_LISTED_BYTES_MAX, VALIDATORS_MAX};
use timecoin_protocol::codec::{self, Decode, Encode};
use timecoin_protocol::hash::Txid;
use timecoin_protocol::transaction::OutPoint;
use timecoin_protocol::validator::Height;

/// Version of the table layout of all files.
pub const SCHEMA_VERSION: u32 = 3;

/// All files: schema version, genesis hash; in the journal the last durable height, in the ledger
/// the checkpointed chain state as well.
pub const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");
/// Journal: number of the row → canonical `Vec<LogItem>`.
pub const LOG: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("log");
/// Blocks: height → canonical `CommittedBlock`.
pub const BLOCKS: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("blocks");
/// Ledger: outpoint → canonical `Utxo`.
pub const UTXOS: TableDefinition<'static, &[u8; 36], &[u8]> = TableDefinition::new("utxos");
/// Ledger: owner ‖ outpoint → nothing.
pub const OWNER_UTXOS: TableDefinition<'static, &[u8; 56], ()> = TableDefinition::new("owner_utxos");
/// Ledger: txid → height and position in the block.
pub const TRANSACTIONS: TableDefinition<'static, &[u8; 32], (u64, u32)> = TableDefinition::new("transactions");
/// Ledger: owner ‖ height ‖ position → txid.
pub const HISTORY: TableDefinition<'static, &[u8; 32], &[u8; 32]> = TableDefinition::new("history");
/// Ledger: block hash → height.
pub const BLOCK_HASHES: TableDefinition<'static, &[u8; 32], u64> = TableDefinition::new("block_hashes");

/// Key in [`META`]: [`SCHEMA_VERSION`], 4 bytes little-endian.
pub const META_SCHEMA: &str = "schema";
/// Key in [`META`]: the genesis hash.
pub const META_GENESIS: &str = "genesis";
/// Key in the journal's [`META`]: height of the last durable block, 8 bytes little-endian.
pub const META_TIP: &str = "tip";
/// Key in the blocks' [`META`]: height of the first block that was written last, 8 bytes little-endian.
pub const META_BATCH: &str = "batch";
/// Key in the ledger's [`META`]: canonical `ChainState` of the checkpoint.
pub const META_STATE: &str = "state";

/// Largest row that is ever read back, in bytes.
const ROW_BYTES_MAX: usize = 31 * 1024 * 1024;

const _: () = assert!(
    BLOCK_BYTES_MAX + CLOSING_LISTED_BYTES_MAX + 3 * VALIDATORS_MAX * 70 + 1024 * 1024 < ROW_BYTES_MAX,
    "any block with its commits fits a row"
);

/// Decodes the value of a row; what does not decode was not written by this program.
pub fn decode<T: Encode + Decode<()>>(bytes: &[u8]) -> Result<T, redb::Error> {
    codec::decode(bytes, ROW_BYTES_MAX).map_err(|error| redb::Error::Corrupted(format!("a row is unreadable: {error}")))
}

/// Key of [`UTXOS`]; ordered like outpoints.
pub fn outpoint_key(outpoint: &OutPoint) -> [u8; 36] {
    joined([&outpoint.txid.0, &outpoint.index.to_be_bytes(), &[]])
}

/// Key of [`OWNER_UTXOS`]; ordered by owner, then outpoint.
pub fn owner_key(owner: &Owner, outpoint: &OutPoint) -> [u8; 56] {
    joined([&owner.0, &outpoint.txid.0, &outpoint.index.to_be_bytes()])
}

/// The outpoint of a key of [`OWNER_UTXOS`].
pub fn outpoint_of(key: &[u8; 56]) -> OutPoint {
    let (_, outpoint) = key.split_at(20);
    let (txid, index) = outpoint.split_at(32);
    OutPoint { txid: Txid(joined([txid, &[], &[]])), index: u32::from_be_bytes(joined([index, &[], &[]])) }
}

/// Key of [`HISTORY`]; ordered by owner, then height and position.
pub fn history_key(owner: &Owner, height: Height, position: u32) -> [u8; 32] {
    joined([&owner.0, &height.0.to_be_bytes(), &position.to_be_bytes()])
}

/// Height and position of a key of [`HISTORY`].
pub fn history_position(key: &[u8; 32]) -> (Height, u32) {
    let (_, place) = key.split_at(20);
    let (height, position) = place.split_at(8);
    (Height(u64::from_be_bytes(joined([height, &[], &[]]))), u32::from_be_bytes(joined([position, &[], &[]])))
}

fn joined<const N: usize>(parts: [&[u8]; 3]) -> [u8; N] {
    let mut out = [0; N];
    for (to, from) in out.iter_mut().zip(parts.into_iter().flatten()) {
        *to = *from;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// D-7.
        #[test]
        fn keys_are_ordered_like_outpoints(a in any::<([u8; 32], u32)>(), b in any::<([u8; 32], u32)>()) {
            let [a, b] = [a, b].map(|(txid, index)| OutPoint { txid: Txid(txid), index });
            prop_assert_eq!(outpoint_key(&a).cmp(&outpoint_key(&b)), a.cmp(&b));
            let same = OutPoint { index: b.index, ..a };
            prop_assert_eq!(outpoint_key(&a).cmp(&outpoint_key(&same)), a.cmp(&same));
        }

        /// D-7.
        #[test]
        fn keys_lead_back_to_their_values(owner in any::<[u8; 20]>(), txid in any::<[u8; 32]>(), index: u32, height: u64) {
            let outpoint = OutPoint { txid: Txid(txid), index };
            prop_assert_eq!(outpoint_of(&owner_key(&Owner(owner), &outpoint)), outpoint);
            let key = history_key(&Owner(owner), Height(height), index);
            prop_assert_eq!(history_position(&key), (Height(height), index));
        }
    }
}
