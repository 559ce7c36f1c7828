//! One honest validator: its engine, its disk, what it has said, and what it did wrong.

use super::Bounds;
use super::face::{Face, Misdeed};
use super::kinds::Kinds;
use super::look::look;
use super::message::Message;
use super::setting::{Disk, SETTING, Setting};
use crate::print::Printer;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use timecoin_protocol::block::{BlockPhase, Proposal};
use timecoin_protocol::engine::{
    Effect, Engine, Event, Input, MemoryLedger, Record, Request, RequestId, Status, Time, Turn,
};
use timecoin_protocol::hash::BlockHash;
use timecoin_protocol::ledger::Unavailable;
use timecoin_protocol::wire::{Query, Vote};

/// What a validator has heard of others since it started, as far as it decides what it is told next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Heard {
    /// Votes of a quorum for a block of the height in progress.
    pub quorums: BTreeSet<(u32, BlockPhase, BlockHash)>,
    /// Whose seals of the epoch.
    pub seals: BTreeSet<usize>,
}

/// What others must have said, whatever became of this validator: it was told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Past {
    /// A quorum's votes, of which epoch and for which payment.
    pub votes: BTreeSet<(u64, usize)>,
    /// The proposal of a height and round.
    pub proposals: BTreeMap<(u64, u32), BlockHash>,
}

/// An honest validator.
#[derive(Clone)]
pub struct Local {
    /// Which.
    pub own: usize,
    /// The machine itself.
    pub engine: Engine<MemoryLedger>,
    /// All that was made durable.
    pub disk: Disk,
    /// Its clock.
    pub now: Time,
    /// What can be seen of it.
    pub face: Face,
    /// Which payments have reached it since it started.
    pub arrived: BTreeSet<usize>,
    /// Queries without an answer.
    pub asked: BTreeMap<RequestId, Arc<Query>>,
    /// Proposals that it was handed.
    pub proposals: BTreeMap<BlockHash, Proposal>,
    /// What else it was told since it started.
    pub heard: Heard,
    /// What it was ever told.
    pub past: Past,
    /// What kinds of blocks there are.
    pub kinds: Arc<Kinds>,
    print: u128,
}

impl Local {
    /// A validator that has just started.
    ///
    /// # Errors
    /// The genesis is not usable.
    pub fn new(own: usize, kinds: Arc<Kinds>) -> Result<Self, Unavailable> {
        let mut local = Self {
            own,
            engine: SETTING.engine(own)?,
            disk: Disk::default(),
            now: Setting::start(),
            face: Face::default(),
            arrived: BTreeSet::new(),
            asked: BTreeMap::new(),
            proposals: BTreeMap::new(),
            heard: Heard::default(),
            past: Past::default(),
            kinds,
            print: 0,
        };
        local.start()?;
        Ok(local)
    }

    fn start(&mut self) -> Result<(), Unavailable> {
        let turn = self.engine.start(self.now)?;
        self.finish(turn)
    }

    /// Takes inputs in one turn.
    pub fn turn(&mut self, inputs: Vec<Input>) {
        let mut turn = Turn::default();
        let stepped = inputs.into_iter().try_for_each(|input| self.engine.step(self.now, input, &mut turn));
        if stepped.and_then(|()| self.finish(turn)).is_err() {
            self.face.misdeeds.insert(Misdeed::Failed);
        }
    }

    /// Dies between two turns and comes back with what the disk holds.
    pub fn restart(&mut self) {
        self.face.crashes += 1;
        self.asked.clear();
        self.arrived.clear();
        let body = |record: &Record| match record {
            Record::Transaction(body) => SETTING.payment_of(&body.txid()),
            _ => None,
        };
        self.arrived.extend(self.disk.records.iter().filter_map(body));
        self.proposals.clear();
        self.heard = Heard::default();
        let restored = SETTING.engine(self.own).and_then(|mut engine| {
            self.disk.records.clone().into_iter().try_for_each(|record| engine.restore(record))?;
            self.engine = engine;
            self.start()
        });
        let height = self.engine.chain_state().height.next();
        for record in &self.disk.records {
            if let Record::Proposal(proposal) = record
                && proposal.block.header.height == height
            {
                self.proposals.insert(proposal.block.header.hash(), proposal.as_ref().clone());
            }
        }
        if restored.is_err() {
            self.face.misdeeds.insert(Misdeed::Failed);
        }
    }

    fn finish(&mut self, mut turn: Turn) -> Result<(), Unavailable> {
        let mut epoch = self.engine.chain_state().epoch.0;
        self.engine.finish(self.now, &mut turn)?;
        let Ok(effects) = turn.commit(&mut self.disk);
        // What a turn says about epochs comes in order; a turn that begins one says so.
        if effects.iter().any(|effect| matches!(effect, Effect::Event(Event::Epoch { .. }))) {
            epoch = self.engine.chain_state().epoch.0.saturating_sub(1);
        }
        for effect in effects {
            match effect {
                Effect::PublishVote(vote) => self.publish(&vote),
                Effect::PublishProposal(proposal) => {
                    self.check_proposal(&proposal);
                    self.proposals.insert(proposal.block.header.hash(), proposal.as_ref().clone());
                    self.face.said.insert(Message::proposal(self.own, &proposal, &self.kinds));
                }
                Effect::Request(id, _, Request::Query(query)) => {
                    self.asked.insert(id, query);
                }
                Effect::Event(event) => self.note(&event, &mut epoch),
                _ => {}
            }
        }
        self.check_certificates();
        if self.engine.chain_state().epoch.0 > self.face.epoch {
            self.heard.seals.clear();
            let begun = self.engine.chain_state().epoch.0;
            self.past.votes.retain(|(epoch, _)| *epoch >= begun);
        }
        self.face.epoch = self.engine.chain_state().epoch.0;
        Ok(())
    }

    fn note(&mut self, event: &Event, epoch: &mut u64) {
        match event {
            Event::Status { txid, status, .. } => {
                let Some(payment) = SETTING.payment_of(txid) else { return };
                match status {
                    Status::Prepared => drop(self.face.news.prepared.insert((*epoch, payment))),
                    Status::Final(path) => {
                        let sampled = *path == timecoin_protocol::engine::Path::Sampled;
                        self.face.news.finals.insert((payment, sampled));
                    }
                    Status::Committed(_) => drop(self.face.news.committed.insert(payment)),
                    _ => {}
                }
            }
            Event::Block { block, .. } => {
                let header = &block.block.header;
                self.face.news.blocks.insert(header.height.0, self.kinds.of(header.hash()));
                self.proposals.retain(|_, proposal| proposal.block.header.height > header.height);
                self.heard.quorums.clear();
                self.past.proposals.retain(|(height, _), _| *height > header.height.0);
                self.check_closing(&block.block.closing);
            }
            Event::Epoch { epoch: begun, .. } => *epoch = begun.0,
            Event::Evidence(evidence) => self.check_evidence(evidence),
            Event::FinalityLost { .. } => drop(self.face.misdeeds.insert(Misdeed::FinalityLost)),
            _ => {}
        }
    }

    fn publish(&mut self, vote: &Vote) {
        match vote {
            Vote::Finality(batch) => self.check_batch(batch),
            Vote::Block(vote) => self.check_block_vote(vote),
            Vote::Seal(seal) => self.check_seal(seal),
            // Checked when it is found; nobody hears of it: gossip may be lost.
            Vote::Evidence(_) => return,
        }
        self.face.said.insert(Message::vote(self.own, vote, &self.kinds));
    }

    /// Takes the fingerprint, of everything or of what has influence. Call it after each move.
    pub fn take_print(&mut self, bounds: &Bounds) {
        // With several rounds or noise, votes are heard that make no quorum.
        if !bounds.exact && bounds.rounds == 0 && !bounds.noise {
            self.print = look(bounds, self);
            return;
        }
        let mut printer = Printer::default();
        printer.add((self.own, self.now.0, &self.face, &self.arrived, &self.heard, &self.past));
        printer.add(self.disk.print());
        for (hash, proposal) in &self.proposals {
            printer.add((hash, proposal.round.0));
        }
        self.print = printer.show(&self.engine).show(&self.asked).take();
    }
}

impl Local {
    /// The fingerprint.
    pub const fn print(&self) -> u128 {
        self.print
    }
}

impl PartialEq for Local {
    fn eq(&self, other: &Self) -> bool {
        self.print == other.print
    }
}

impl Eq for Local {}

impl Hash for Local {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.print.hash(state);
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {} {:x}", self.own, self.print)
    }
}
