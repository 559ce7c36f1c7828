//! What must hold of each honest node by itself: it never goes back, and stays within its bounds.

use super::{Checked, Checks};
use crate::sim::node::Node;
use crate::sim::report::Invariant;
use std::collections::BTreeSet;
use timecoin_node::bounds::{
    BLOCKS_CACHED_MAX, CHECKPOINT_LAYERS, CHECKPOINT_ROWS, COMPACT_BLOCKS, COMPACT_BYTES, DRIVER_INPUTS_MAX,
    REQUESTS_PER_PEER_MAX,
};
use timecoin_protocol::validator::{Epoch, Height};

/// How far a node has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    height: Height,
    epoch: Epoch,
    /// Of the height in progress, in the life of the process with this number.
    round: (u64, u32),
}

impl Checks {
    /// A node was set back: it begins anew with what it has.
    pub fn set_back(&mut self, index: usize) {
        self.marks.remove(&index);
    }

    /// So was its vote history: it may remember less than it said, and still must not contradict what those heard of whom it must
    /// ask one (D-18). `is_missed` says whether it may ask enough others without any of these.
    pub fn history_set_back(&mut self, index: usize, is_missed: impl Fn(&BTreeSet<usize>) -> bool) {
        self.said.set_back(index, is_missed);
    }

    /// After each turn of a node, and after each start.
    pub fn stands(&mut self, index: usize, node: &Node) -> Checked {
        let Some(engine) = node.engine() else { return Ok(()) };
        self.report.check(Invariant::NeverBack);
        let state = engine.chain_state();
        let gauges = engine.gauges();
        let now = Marks { height: state.height, epoch: state.epoch, round: (node.starts, gauges.round) };
        let before = self.marks.insert(index, now).unwrap_or_default();
        let round_back = before.height == now.height && before.round.0 == now.round.0 && before.round.1 > now.round.1;
        if before.height > now.height || before.epoch > now.epoch || round_back {
            return Err(format!("node {index} went back from {before:?} to {now:?}"));
        }
        self.report.check(Invariant::Bounds);
        match exceeded(node) {
            Some(exceeded) => Err(format!("node {index} is beyond its bounds: {exceeded}")),
            None => Ok(()),
        }
    }
}

/// What a node has more of than it may, if anything.
fn exceeded(node: &Node) -> Option<String> {
    let engine = node.engine()?;
    if let Some(kept) = engine.kept().find(|kept| !kept.fits()) {
        return Some(format!("{kept:?}"));
    }
    let (layers, rows) = engine.ledger().above_checkpoint();
    let (log_bytes, log_blocks) = node.since_compaction();
    let requests = engine.requests_on_the_way();
    // A checkpoint that is due is made before the turn ends (D-10): no thread here is behind with it. What is live (D-4)
    // is checked when the log is compacted; this is what may come on top of it.
    let is_within = layers < CHECKPOINT_LAYERS
        && rows < CHECKPOINT_ROWS
        && log_bytes < COMPACT_BYTES
        && log_blocks < COMPACT_BLOCKS
        && node.blocks_cached() <= BLOCKS_CACHED_MAX
        && node.inbox.len() <= DRIVER_INPUTS_MAX
        // N-14; as many again may be in what a turn gave out and the disk is not done with.
        && requests <= 2 * node.peers.max(1) * REQUESTS_PER_PEER_MAX;
    (!is_within).then(|| {
        format!(
            "{layers} layers, {rows} rows, {log_bytes} bytes and {log_blocks} blocks since compaction, {} blocks cached, \
             {} inputs, {requests} requests",
            node.blocks_cached(),
            node.inbox.len()
        )
    })
}
