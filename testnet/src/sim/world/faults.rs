//! Faults: planned before the run, done when their time has come, and healed at its end.

use super::{Happening, START_MS, WARM_UP_MS, World};
use crate::sim::disk::{Backup, FileName, Loss};
use crate::sim::network::Cut;
use crate::sim::node::LocalClock;
use crate::sim::report::Fault;
use timecoin_node::driver::consensus::TurnError;
use timecoin_protocol::engine::Time;

/// How long a dead node stays down, in milliseconds, at most.
const DOWN_MS_MAX: u64 = 3_000;
/// How old an image is to which a validator is set back, in milliseconds, at most.
const SET_BACK_MS_MAX: u64 = 1_500;
/// How long a validator that is set back is down, in milliseconds, at most.
const SET_BACK_DOWN_MS_MAX: u64 = 300;
/// How long a cut lasts, in milliseconds, at most.
const CUT_MS_MAX: u64 = 3_000;
/// How long a disk is full or slow, in milliseconds, at most.
const DISK_MS_MAX: u64 = 2_000;
/// How long a sync takes on a slow disk, in microseconds, at most.
const SLOW_SYNC_US_MAX: u64 = 120_000;
/// Writes and syncs until the power fails, at most.
const POWER_OPERATIONS_MAX: u64 = 120;

/// What a node suffers.
#[derive(Debug)]
pub(super) enum NodeFault {
    /// The power fails after so many writes and syncs.
    Power(u64),
    /// The process is killed at once.
    Kill,
    /// The process is killed when so many effects of a turn have left.
    KillSending(usize),
    /// Somebody copies everything, to put some of it back later.
    Backup(SetBack),
    /// The node dies and starts again with that of the copy.
    OldImage(Box<Backup>, SetBack),
    /// The node dies and its history is gone; so are blocks and ledger, if asked.
    HistoryLost(bool),
    Full,
    Slow,
}

/// What an old image is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SetBack {
    /// The ledger.
    Ledger,
    /// The data disk: ledger and blocks.
    Data,
    /// The machine: the vote history as well.
    Machine,
}

impl SetBack {
    const fn files(self) -> &'static [FileName] {
        match self {
            Self::Ledger => &[FileName::Ledger],
            Self::Data => &[FileName::Ledger, FileName::Blocks],
            Self::Machine => &[FileName::Ledger, FileName::Blocks, FileName::Journal],
        }
    }

    const fn fault(self) -> Fault {
        match self {
            Self::Ledger => Fault::OldLedger,
            Self::Data => Fault::OldImage,
            Self::Machine => Fault::OldMachine,
        }
    }
}

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

    /// Something happens to a node, if it runs.
    pub(super) fn strike(&mut self, index: usize, fault: NodeFault) {
        if !self.nodes[index].is_up() || self.network.healed {
            return;
        }
        self.trace.note(self.now, index, || match &fault {
            NodeFault::OldImage(_, of) => format!("n{index} is set back to an old image: {of:?}"),
            fault => format!("n{index} suffers {fault:?}"),
        });
        match fault {
            NodeFault::Power(operations) => self.nodes[index].disk.fail_power_after(operations),
            NodeFault::Kill => {
                self.checks.report.fault(Fault::Killed);
                self.crash(index, Loss::Nothing);
            }
            NodeFault::KillSending(effects) => self.nodes[index].dies_after = Some(effects),
            NodeFault::Backup(of) => {
                let backup = Box::new(self.nodes[index].disk.backup());
                // Where votes are forgotten, the height and the epoch in which they were cast matter most.
                let wait_ms = match of {
                    SetBack::Ledger => 200 + self.chance.below(self.scenario.faulty_ms / 2),
                    SetBack::Data | SetBack::Machine => 10 + self.chance.below(SET_BACK_MS_MAX),
                };
                self.after_ms(wait_ms, Happening::Strike(index, NodeFault::OldImage(backup, of)));
            }
            NodeFault::OldImage(backup, of) => {
                self.checks.report.fault(of.fault());
                if of == SetBack::Ledger {
                    self.crash(index, Loss::Nothing);
                } else {
                    self.set_back(index);
                }
                self.nodes[index].disk.restore(&backup, of.files());
            }
            NodeFault::HistoryLost(all) => {
                self.checks.report.fault(Fault::HistoryLost);
                self.set_back(index);
                let files = [FileName::Journal, FileName::Ledger, FileName::Blocks];
                self.nodes[index].disk.lose(if all { &files } else { &files[..1] });
                self.nodes[index].is_bare = true;
            }
            NodeFault::Full => {
                self.checks.report.fault(Fault::DiskFull);
                self.nodes[index].disk.set_full(true);
                let length_ms = self.chance.below(DISK_MS_MAX);
                self.after_ms(length_ms, Happening::DiskAgain(index));
            }
            NodeFault::Slow => {
                self.checks.report.fault(Fault::DiskSlow);
                self.nodes[index].sync_us = self.chance.below(SLOW_SYNC_US_MAX);
                let length_ms = self.chance.below(DISK_MS_MAX);
                self.after_ms(length_ms, Happening::DiskAgain(index));
            }
        }
    }

    /// From here on the node may remember less than it said; it still must not contradict it (D-15).
    fn set_back(&mut self, index: usize) {
        let down_ms = 1 + self.chance.below(SET_BACK_DOWN_MS_MAX);
        self.crash_for(index, Loss::Nothing, down_ms);
        self.nodes[index].is_set_back = true;
        self.checks.set_back(index);
    }

    pub(super) fn cut(&mut self, cut: Cut) {
        if !self.network.healed {
            self.checks.report.fault(cut.fault());
            self.network.cut = Some(cut);
            self.trace.note(self.now, cut.side, || format!("the network is cut: {cut:?}"));
        }
    }

    pub(super) fn mend(&mut self) {
        self.network.cut = None;
        self.trace.note(self.now, "mend", || "the network is whole".into());
    }

    pub(super) fn disk_again(&mut self, node: usize) {
        self.nodes[node].sync_us = self.scenario.disks.sync_us;
        self.nodes[node].disk.set_full(false);
    }

    /// Faults are over: what is down comes back, and nothing new happens.
    pub(super) fn heal_all(&mut self) {
        self.network.healed = true;
        self.trace.note(self.now, "heal", || "faults are over".into());
        for node in 0..self.nodes.len() {
            self.disk_again(node);
            self.nodes[node].disk.keep_power();
            self.nodes[node].dies_after = None;
        }
    }

    /// A node's process ends; it starts again later.
    pub(super) fn crash(&mut self, index: usize, loss: Loss) {
        let down_ms = 100 + self.chance.below(DOWN_MS_MAX);
        self.crash_for(index, loss, down_ms);
    }

    fn crash_for(&mut self, index: usize, loss: Loss, down_ms: u64) {
        self.nodes[index].kill();
        self.open.retain(|(node, _), _| *node != index);
        self.asked.retain(|(node, _), _| *node != index);
        let (chance, node) = (&mut self.chance, &self.nodes[index]);
        node.disk.recover(loss, |limit| chance.below(limit));
        self.after_ms(down_ms, Happening::Start(index));
    }

    /// A turn failed: fine if the power did, or if the disk is full; otherwise a violation.
    pub(super) fn stopped(&mut self, index: usize, error: &TurnError) -> Result<(), String> {
        self.trace.note(self.now, index, || format!("n{index} stops: {error}"));
        if self.nodes[index].disk.is_without_power() {
            self.checks.report.fault(Fault::PowerLost);
            let loss = if self.chance.below(4) == 0 { Loss::Everything } else { Loss::Torn };
            self.crash(index, loss);
            return Ok(());
        }
        if self.nodes[index].disk.is_full() {
            self.crash(index, Loss::Nothing);
            return Ok(());
        }
        Err(format!("node {index} cannot go on: {error}"))
    }

    pub(super) fn start(&mut self, index: usize) -> Result<(), String> {
        if self.nodes[index].is_up() {
            return Ok(());
        }
        let faults = &self.scenario.network;
        let (skew_us, drift_ppm) = (faults.skew_ms * 1_000, faults.drift_ppm);
        let clock = LocalClock {
            started: Time(START_MS * 1_000),
            ahead_us: self.chance.below(skew_us + 1),
            drift_ppm: self.chance.below(drift_ppm + 1),
        };
        let again = self.nodes[index].starts > 0;
        // On a real disk a new file gets its name when it is whole; here a torn one could not be told from a bad one.
        let fails = again && !self.network.healed && self.chance.below(4) == 0 && !self.nodes[index].is_bare;
        self.nodes[index].is_bare = false;
        let node = &mut self.nodes[index];
        node.clock = clock;
        if fails {
            node.disk.fail_power_after(self.chance.below(40));
        }
        let syncs = node.disk.syncs();
        let outcome = node.start(self.now);
        let syncs = node.disk.syncs() - syncs;
        match outcome {
            Ok((effects, history)) => {
                self.trace.note(self.now, (index, syncs), || format!("n{index} runs, at {}", history.height));
                self.end_turn(index, syncs, effects);
                if self.is_honest(index) {
                    if !self.nodes[index].is_set_back {
                        self.checks.remembers(index, &history)?;
                    }
                    self.checks.catch_up(index, &self.nodes[index])?;
                    self.checks.stands(index, &self.nodes[index])?;
                }
                Ok(())
            }
            Err(_) if self.nodes[index].disk.is_without_power() => {
                self.checks.report.fault(Fault::PowerLostAtStart);
                self.crash(index, Loss::Torn);
                Ok(())
            }
            Err(error) => self.stopped(index, &error),
        }
    }
}
