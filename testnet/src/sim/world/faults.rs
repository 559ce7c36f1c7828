//! Faults: done when their time has come, and healed at the end of the run.

use super::{Happening, START_MS, World};
use crate::sim::disk::{Backup, FileName, Loss};
use crate::sim::network::Cut;
use crate::sim::node::{LocalClock, Node};
use crate::sim::report::Fault;
use std::collections::BTreeSet;
use std::sync::Arc;
use timecoin_node::driver::consensus::TurnError;
use timecoin_protocol::engine::Time;
use timecoin_protocol::validator::Weight;

/// How long a dead node stays down, in milliseconds, at most.
const DOWN_MS_MAX: u64 = 3_000;
/// How old an image is to which a validator is set back, in milliseconds, at most.
const SET_BACK_MS_MAX: u64 = 1_500;
/// How long a validator that is set back is down, in milliseconds, at most.
const SET_BACK_DOWN_MS_MAX: u64 = 300;
/// How long a disk is full or slow, in milliseconds, at most.
const DISK_MS_MAX: u64 = 2_000;
/// How long a sync takes on a slow disk, in microseconds, at most.
const SLOW_SYNC_US_MAX: u64 = 120_000;
/// How long a node that was stopped is down, in milliseconds, at most.
const STOPPED_MS_MAX: u64 = 1_000;
/// Writes and syncs of a clean stop until the power fails, if it does, at most.
const STOP_OPERATIONS_MAX: u64 = 40;
/// How soon after its start a node is stopped again, in milliseconds, at most: while it listens, often.
const QUICK_STOP_MS_MAX: u64 = 500;
/// Likewise if it is silent.
const SILENT_STOP_MS_MAX: u64 = 3_000;

/// What a node suffers.
#[derive(Debug)]
pub(super) enum NodeFault {
    /// The power fails after so many writes and syncs.
    Power(u64),
    /// The process is killed at once.
    Kill,
    /// The process ends as it should, and leaves as little as possible to the next start.
    Stop,
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
    /// Something happens to a node, if it runs.
    pub(super) fn strike(&mut self, index: usize, fault: NodeFault) -> Result<(), String> {
        if !self.nodes[index].is_up() || self.network.healed {
            return Ok(());
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
            NodeFault::Stop => return self.stop(index),
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
            // Where data was lost since, or is older itself, the ledger would be ahead of it: that is refused (D-8).
            NodeFault::OldImage(_, SetBack::Ledger) if self.nodes[index].is_set_back => {}
            NodeFault::OldImage(backup, of) => {
                self.checks.report.fault(of.fault());
                if of == SetBack::Ledger {
                    self.crash(index, Loss::Nothing);
                } else {
                    self.set_back(index);
                }
                if of == SetBack::Machine {
                    self.history_set_back(index);
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
        Ok(())
    }

    /// A node is told to stop, and does so cleanly: whatever it was at, the next start finds what it left, unless the
    /// power fails meanwhile.
    fn stop(&mut self, index: usize) -> Result<(), String> {
        let speaks = self.nodes[index].speaks();
        self.checks.report.fault(if speaks { Fault::Stopped } else { Fault::StoppedQuiet });
        self.checks.compacted(index, &self.nodes[index])?;
        if self.chance.below(4) == 0 {
            self.nodes[index].disk.fail_power_after(self.chance.below(STOP_OPERATIONS_MAX));
        }
        match self.nodes[index].stop() {
            Ok(()) => {
                let down_ms = 1 + self.chance.below(STOPPED_MS_MAX);
                self.crash_for(index, Loss::Nothing, down_ms);
                Ok(())
            }
            Err(error) => self.stopped(index, &error.into()),
        }
    }

    /// Some are stopped soon after they started.
    fn plan_quick_stop(&mut self, index: usize) {
        if self.scenario.disks.stops == 0 || self.network.healed || !self.is_honest(index) || self.chance.below(4) > 0 {
            return;
        }
        let most = if self.nodes[index].is_set_back { SILENT_STOP_MS_MAX } else { QUICK_STOP_MS_MAX };
        let after_ms = self.chance.below(most);
        self.after_ms(after_ms, Happening::Strike(index, NodeFault::Stop));
    }

    /// From here on the node has older data than it had.
    fn set_back(&mut self, index: usize) {
        let down_ms = 1 + self.chance.below(SET_BACK_DOWN_MS_MAX);
        self.crash_for(index, Loss::Nothing, down_ms);
        self.nodes[index].is_set_back = true;
        self.checks.set_back(index);
    }

    /// Its vote history is an old one as well, so others must tell it what it said since (D-18).
    fn history_set_back(&mut self, index: usize) {
        let newest = self.nodes.iter().filter_map(Node::engine).max_by_key(|engine| engine.chain_state().height);
        let Some(validators) = newest.map(|engine| Arc::clone(&engine.chain_state().validators)) else { return };
        let weight = |node: &usize| self.nodes[*node].key().map_or(0, |key| validators.weight_of(&key.public()).0);
        let is_missed = |hearers: &BTreeSet<usize>| {
            let heard: u64 = hearers.iter().filter(|node| **node != index).map(weight).sum();
            validators.is_quorum(Weight(validators.total().0 - heard))
        };
        self.checks.history_set_back(index, is_missed);
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
                self.plan_quick_stop(index);
                if self.is_honest(index) {
                    if history.lacks_what_was_left {
                        return Err(format!(
                            "node {index} stopped cleanly, and its log is another one at the next start"
                        ));
                    }
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
