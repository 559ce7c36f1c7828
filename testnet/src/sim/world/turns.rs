//! Turns of nodes: what waits goes in, the disk takes its time, and what it made durable leaves.

use super::{Happening, World};
use crate::sim::disk::{FileName, Loss};
use crate::sim::node::Tidied;
use crate::sim::report::{Fault, Invariant};
use crate::sim::trace::short;
use timecoin_node::bounds::{DRIVER_INPUTS_MAX, TURN_INPUTS_MAX};
use timecoin_protocol::engine::{Effect, Event, Input, Status, Time, Voice};

/// How long a turn takes besides the disk, in microseconds.
const TURN_US: u64 = 20;

impl World {
    /// Puts an input into a node's queue; a full queue drops it, as the driver's does.
    pub(super) fn receive(&mut self, node: usize, input: Input) {
        let at = &mut self.nodes[node];
        if at.is_up() && at.inbox.len() < DRIVER_INPUTS_MAX {
            at.inbox.push_back(input);
            self.plan_turn(node, self.now);
        }
    }

    /// The node's next turn is at `wanted`, or when its disk is done with the last one.
    fn plan_turn(&mut self, node: usize, wanted: Time) {
        let at = &mut self.nodes[node];
        let time = wanted.max(at.busy_until);
        if at.turn_at.is_none_or(|planned| planned > time) {
            at.turn_at = Some(time);
            self.at(time, Happening::Turn(node));
        }
    }

    pub(super) fn turn(&mut self, index: usize) -> Result<(), String> {
        let now = self.now;
        let node = &mut self.nodes[index];
        if node.turn_at != Some(now) || !node.is_up() {
            return Ok(());
        }
        node.turn_at = None;
        let count = node.inbox.len().min(TURN_INPUTS_MAX);
        let inputs: Vec<Input> = node.inbox.drain(..count).collect();
        let syncs = node.disk.syncs();
        let outcome = node.turn(now, inputs);
        let tidied = outcome.and_then(|effects| Ok((effects, node.tidy(self.scenario.disks.tidy_blocks)?)));
        let syncs = node.disk.syncs() - syncs;
        self.checks.report.turns += 1;
        self.trace.note(now, (index, count, syncs), || format!("n{index} turn of {count} inputs, {syncs} syncs"));
        match tidied {
            Ok((effects, tidied)) => {
                self.note_tidied(tidied);
                self.end_turn(index, syncs, effects);
                if !self.is_honest(index) {
                    return Ok(());
                }
                if tidied == Tidied::Log {
                    self.checks.compacted(index, &self.nodes[index])?;
                }
                self.checks.stands(index, &self.nodes[index])
            }
            Err(error) => self.stopped(index, &error),
        }
    }

    fn note_tidied(&mut self, tidied: Tidied) {
        match tidied {
            Tidied::Nothing => {}
            Tidied::Log => self.checks.report.fault(Fault::Compaction),
            Tidied::Ledger => self.checks.report.fault(Fault::Checkpoint),
        }
    }

    /// Plans what comes after a turn: its effects when the disk is done, then the next turn.
    pub(super) fn end_turn(&mut self, index: usize, syncs: u64, effects: Vec<Effect>) {
        let node = &mut self.nodes[index];
        let done = Time(self.now.0 + TURN_US + syncs * node.sync_us);
        node.busy_until = done;
        let life = node.starts;
        let next = if node.inbox.is_empty() { node.deadline() } else { Some(done) };
        if !effects.is_empty() {
            self.at(done, Happening::Release { node: index, life, effects });
        }
        if let Some(next) = next {
            self.plan_turn(index, next);
        }
    }

    /// The effects of a turn leave the node, unless its process died meanwhile.
    pub(super) fn release(&mut self, index: usize, life: u64, effects: Vec<Effect>) -> Result<(), String> {
        let node = &mut self.nodes[index];
        if !node.is_up() || node.starts != life {
            return Ok(());
        }
        let dies_after = node.dies_after.take_if(|sent| *sent < effects.len());
        let is_synced = node.disk.is_synced(FileName::Journal) && node.disk.is_synced(FileName::Blocks);
        if self.is_honest(index) {
            self.checks.report.check(Invariant::Durable);
            if !is_synced {
                return Err(format!("node {index} sends what rests on records that no sync made durable"));
            }
        }
        for (sent, effect) in effects.into_iter().enumerate() {
            if dies_after == Some(sent) {
                self.checks.report.fault(Fault::KilledSending);
                self.trace.note(self.now, (index, sent), || format!("n{index} is killed after {sent} effects"));
                self.crash(index, Loss::Nothing);
                return Ok(());
            }
            self.perform(index, effect)?;
        }
        Ok(())
    }

    fn perform(&mut self, node: usize, effect: Effect) -> Result<(), String> {
        match effect {
            Effect::PublishTransactions(transactions) => self.publish_transactions(node, transactions),
            Effect::PublishVote(vote) => return self.publish_vote(node, vote),
            Effect::PublishProposal(proposal) => return self.publish_proposal(node, &proposal),
            Effect::Request(id, to, request) => self.request(node, id, to, request),
            Effect::Reply(tag, reply) => self.reply(node, tag, reply),
            Effect::Event(event) if self.is_honest(node) => {
                self.note_event(node, &event);
                if self.nodes[node].is_silent && !self.nodes[node].is_set_back {
                    return Err(format!("node {node} is silent although its history is whole: {event:?}"));
                }
                return self.checks.event(node, &event, self.now);
            }
            Effect::Penalty(peer, offence) if self.is_honest(node) => {
                self.checks.report.check(Invariant::NoBlame);
                if usize::try_from(peer.0).is_ok_and(|peer| self.is_honest(peer)) {
                    return Err(format!("node {node} blames honest node {}: {offence:?}", peer.0));
                }
            }
            Effect::Verdict(..) | Effect::Penalty(..) | Effect::Event(_) => {}
        }
        Ok(())
    }

    fn note_event(&mut self, node: usize, event: &Event) {
        match event {
            Event::Status { txid, status, .. } => {
                let line = || match status {
                    Status::Rejected(reason) => format!("n{node} {} is rejected: {reason:?}", short(&txid.0)),
                    status => format!("n{node} {} is {status:?}", short(&txid.0)),
                };
                self.trace.note(self.now, (node, txid.0), line);
            }
            Event::Block { block, .. } => {
                let (height, hash) = (block.block.header.height, block.commit.block);
                let line = || {
                    let count = block.block.transactions.len();
                    format!("n{node} has block {height} {} of {count} payments", short(&hash.0))
                };
                self.trace.note(self.now, (node, height.0, hash.0), line);
            }
            Event::Voice(voice) => {
                self.trace.note(self.now, node, || format!("n{node} {voice:?}"));
                let is_silent = matches!(voice, Voice::Silent(_));
                let was_silent = std::mem::replace(&mut self.nodes[node].is_silent, is_silent);
                self.checks.report.faults(Fault::Silence, u64::from(is_silent && !was_silent));
            }
            Event::Round { height, round } => {
                let line = || format!("n{node} works on height {height}, round {round}");
                self.trace.note(self.now, (node, height.0, round.0), line);
            }
            _ => {}
        }
    }
}
