//! What must hold of each honest node by itself: it never goes back, and stays within its bounds.

use super::{Checked, Checks};
use crate::sim::node::Node;
use crate::sim::report::Invariant;
use timecoin_node::bounds::DRIVER_INPUTS_MAX;
use timecoin_protocol::validator::{Epoch, Height};

/// Most transactions that wait for an unknown parent (P-2).
const ORPHANS_MAX: usize = 1_024;
/// Most polls on the way.
const POLLS_MAX: usize = 16;

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
        let tuning = node.tuning();
        let within = gauges.pool_transactions <= tuning.pool_transactions_max
            && gauges.pool_bytes <= tuning.pool_bytes_max
            && gauges.orphans <= ORPHANS_MAX
            && gauges.polls <= POLLS_MAX
            && node.inbox.len() <= DRIVER_INPUTS_MAX;
        if within { Ok(()) } else { Err(format!("node {index} is beyond its bounds: {gauges:?}")) }
    }
}
