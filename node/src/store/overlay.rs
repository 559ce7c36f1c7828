//! The ledger as readers see it: layers of blocks above a snapshot of the last checkpoint.
//!
//! An overlay never changes. A new block or a finished checkpoint makes another one that takes
//! its place in one step, so that no reader sees an output twice, or not at all (`SPEC.md` D-9).

use super::layer::Layer;
use super::snapshot::Snapshot;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use timecoin_protocol::address::Owner;
use timecoin_protocol::hash::{BlockHash, Txid};
use timecoin_protocol::transaction::{OutPoint, Utxo};
use timecoin_protocol::validator::Height;

/// Layers above a snapshot.
#[derive(Debug)]
pub struct Overlay {
    /// Consecutive blocks, the oldest first; the first one is the block after the snapshot.
    layers: Vec<Arc<Layer>>,
    base: Arc<Snapshot>,
}

impl Overlay {
    pub fn new(base: Snapshot) -> Self {
        Self { layers: Vec::new(), base: Arc::new(base) }
    }

    /// This overlay with one block more.
    pub fn with(&self, layer: &Arc<Layer>) -> Self {
        let layers = self.layers.iter().chain([layer]).cloned().collect();
        Self { layers, base: Arc::clone(&self.base) }
    }

    /// This overlay on a later snapshot, which holds the oldest layers.
    pub fn rebased(&self, base: &Arc<Snapshot>) -> Self {
        let layers = self.layers.iter().filter(|layer| layer.changes().height() > base.height()).cloned().collect();
        Self { layers, base: Arc::clone(base) }
    }

    pub fn layers(&self) -> &[Arc<Layer>] {
        &self.layers
    }

    /// How much work a checkpoint has with all layers, in rows.
    pub fn rows(&self) -> usize {
        self.layers.iter().map(|layer| layer.changes().rows()).sum()
    }

    /// Height of the last block.
    pub fn tip(&self) -> Height {
        self.layers.last().map_or(self.base.height(), |layer| layer.changes().height())
    }

    pub fn utxo(&self, outpoint: &OutPoint) -> Result<Option<Utxo>, redb::Error> {
        match self.newest_first().find_map(|layer| layer.changes().output(outpoint)) {
            Some(output) => Ok(output),
            None => self.base.utxo(outpoint),
        }
    }

    pub fn place_of(&self, txid: &Txid) -> Result<Option<(Height, u32)>, redb::Error> {
        let place = |layer: &Arc<Layer>| Some((layer.changes().height(), layer.changes().position(txid)?));
        match self.newest_first().find_map(place) {
            Some(place) => Ok(Some(place)),
            None => self.base.place_of(txid),
        }
    }

    pub fn height_of(&self, hash: &BlockHash) -> Result<Option<Height>, redb::Error> {
        match self.newest_first().find(|layer| layer.changes().delta().state.hash == *hash) {
            Some(layer) => Ok(Some(layer.changes().height())),
            None => self.base.height_of(hash),
        }
    }

    /// Up to `limit` outputs of an owner after `after`, in order.
    pub fn utxos_of(
        &self,
        owner: &Owner,
        after: Option<OutPoint>,
        limit: usize,
    ) -> Result<Vec<(OutPoint, Utxo)>, redb::Error> {
        let mut found = BTreeMap::new();
        for (at, layer) in self.layers.iter().enumerate() {
            let created = layer.owner(owner).map_or(&[][..], |changes| &changes.created);
            let start = after.map_or(0, |after| created.partition_point(|(outpoint, _)| *outpoint <= after));
            let unspent =
                created.iter().skip(start).filter(|(outpoint, _)| !self.is_changed_above(at + 1, outpoint)).take(limit);
            found.extend(unspent.copied());
        }
        let mut from_base = 0;
        for outpoint in self.base.outpoints_of(owner, after)? {
            if from_base == limit {
                break;
            }
            let outpoint = outpoint?;
            if self.is_changed_above(0, &outpoint) {
                continue;
            }
            let utxo = self.base.utxo(&outpoint)?;
            let utxo = utxo.ok_or_else(|| redb::Error::Corrupted(format!("output {outpoint} is only indexed")))?;
            found.insert(outpoint, utxo);
            from_base += 1;
        }
        Ok(found.into_iter().take(limit).collect())
    }

    /// Up to `limit` transactions of an owner below `before`, newest first.
    pub fn history_of(
        &self,
        owner: &Owner,
        before: Option<(Height, u32)>,
        limit: usize,
    ) -> Result<Vec<(Height, u32, Txid)>, redb::Error> {
        let before_bound = before.map_or(Bound::Unbounded, Bound::Excluded);
        let is_before =
            |place: (Height, u32)| std::ops::RangeBounds::contains(&(Bound::Unbounded, before_bound), &place);
        let from_layers = self.newest_first().flat_map(|layer| {
            let height = layer.changes().height();
            let history = layer.owner(owner).map_or(&[][..], |changes| &changes.history);
            history.iter().rev().map(move |(position, txid)| (height, *position, *txid))
        });
        let mut found: Vec<_> =
            from_layers.filter(|(height, position, _)| is_before((*height, *position))).take(limit).collect();
        let rest = limit - found.len();
        for entry in self.base.history_of(owner, before)?.take(rest) {
            found.push(entry?);
        }
        Ok(found)
    }

    fn newest_first(&self) -> impl Iterator<Item = &Arc<Layer>> {
        self.layers.iter().rev()
    }

    /// Whether a layer from number `from` on spent (or made) an output.
    fn is_changed_above(&self, from: usize, outpoint: &OutPoint) -> bool {
        self.layers.iter().skip(from).any(|layer| layer.changes().output(outpoint).is_some())
    }
}
