//! Faults are planned before the run begins, all of them drawn from the seed.

use super::faults::{NodeFault, SetBack};
use super::{Happening, WARM_UP_MS, World};
use crate::sim::network::Cut;

/// How long a cut lasts, in milliseconds, at most.
const CUT_MS_MAX: u64 = 3_000;
/// Writes and syncs until the power fails, at most.
const POWER_OPERATIONS_MAX: u64 = 120;

impl World {
    fn faulty_moment(&mut self) -> u64 {
        WARM_UP_MS + self.chance.below(self.scenario.faulty_ms)
    }

    pub(super) fn plan_faults(&mut self) {
        let honest = self.scenario.honest();
        for _ in 0..self.scenario.disks.crashes {
            let (at_ms, node) = (self.faulty_moment(), self.chance.index(honest));
            match self.chance.below(6) {
                0 => self.after_ms(at_ms, Happening::Strike(node, NodeFault::Kill)),
                1 => {
                    let effects = self.chance.index(6);
                    self.after_ms(at_ms, Happening::Strike(node, NodeFault::KillSending(effects)));
                }
                2 => self.after_ms(at_ms, Happening::Strike(node, NodeFault::Backup(SetBack::Ledger))),
                3 => (0..honest).for_each(|node| {
                    let operations = self.chance.below(POWER_OPERATIONS_MAX);
                    self.after_ms(at_ms, Happening::Strike(node, NodeFault::Power(operations)));
                }),
                _ => {
                    let operations = self.chance.below(POWER_OPERATIONS_MAX);
                    self.after_ms(at_ms, Happening::Strike(node, NodeFault::Power(operations)));
                }
            }
        }
        for _ in 0..self.scenario.disks.stops {
            let (at_ms, node) = (self.faulty_moment(), self.chance.index(honest));
            self.after_ms(at_ms, Happening::Strike(node, NodeFault::Stop));
        }
        let spare = self.scenario.spare();
        for _ in 0..if spare.is_empty() { 0 } else { self.scenario.disks.set_backs } {
            let (at_ms, node) = (self.faulty_moment(), spare[self.chance.index(spare.len())]);
            let fault = match self.chance.below(4) {
                0 => NodeFault::Backup(SetBack::Data),
                1 => NodeFault::HistoryLost(self.chance.below(2) == 0),
                _ => NodeFault::Backup(SetBack::Machine),
            };
            self.after_ms(at_ms, Happening::Strike(node, fault));
        }
        for (count, full) in [(self.scenario.disks.full, true), (self.scenario.disks.slow, false)] {
            for _ in 0..count {
                let (at_ms, node) = (self.faulty_moment(), self.chance.index(honest));
                let fault = if full { NodeFault::Full } else { NodeFault::Slow };
                self.after_ms(at_ms, Happening::Strike(node, fault));
            }
        }
        for _ in 0..self.scenario.network.partitions {
            let (at_ms, cut) = (self.faulty_moment(), Cut::draw(&mut self.chance));
            self.after_ms(at_ms, Happening::Cut(cut));
            let length_ms = self.chance.below(CUT_MS_MAX);
            self.after_ms(at_ms + length_ms, Happening::Mend);
        }
    }
}
