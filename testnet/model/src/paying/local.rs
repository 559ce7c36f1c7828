//! One honest validator: its engine, its disk, what it has said, and what it did wrong.

use super::setting::{Disk, Memory, QUORUM, SETTING, Setting};
use crate::print::Printer;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use timecoin_protocol::block::{BlockPhase, BlockVote, Closing, Evidence, Proposal};
use timecoin_protocol::codec::{decode, encode};
use timecoin_protocol::engine::{
    Effect, Engine, Event, Input, PeerTag, Record, Request, RequestId, Status, Time, Turn,
};
use timecoin_protocol::finality::{Phase, Seal, VoteBatch};
use timecoin_protocol::hash::{BlockHash, Txid};
use timecoin_protocol::keys::{PublicKey, Verified};
use timecoin_protocol::ledger::Unavailable;
use timecoin_protocol::wire::{Query, Vote};

/// More bytes than any message of the model has.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// What a message is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum About {
    /// Prepare or Commit votes of an epoch.
    Finality(u64, Phase, Vec<Txid>),
    /// A vote of a height and round.
    Block(u64, u32, BlockPhase, Option<BlockHash>),
    /// A seal of an epoch.
    Seal(u64),
    /// Evidence against a validator.
    Evidence(PublicKey),
    /// A proposal of a height and round.
    Proposal(u64, u32, BlockHash),
}

/// Something signed: who signed it, what it is about, and its bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Message {
    /// What it is about.
    pub about: About,
    /// Position of who signed it.
    pub by: usize,
    bytes: Vec<u8>,
}

impl Message {
    /// A vote or seal of validator `by`.
    pub fn vote(by: usize, vote: &Vote) -> Self {
        let about = match vote {
            Vote::Finality(batch) => About::Finality(batch.epoch.0, batch.phase, batch.txids.clone()),
            Vote::Block(vote) => About::Block(vote.height.0, vote.round.0, vote.phase, vote.block),
            Vote::Seal(seal) => About::Seal(seal.epoch.0),
            Vote::Evidence(evidence) => About::Evidence(evidence.offender()),
        };
        Self { about, by, bytes: encode(vote) }
    }

    /// A proposal of validator `by`.
    pub fn proposal(by: usize, proposal: &Proposal) -> Self {
        let header = &proposal.block.header;
        Self { about: About::Proposal(header.height.0, proposal.round.0, header.hash()), by, bytes: encode(proposal) }
    }

    /// What a receiver is handed; its signature was checked.
    pub fn input(&self) -> Option<Input> {
        let peer = PeerTag(u64::try_from(self.by).ok()?);
        if matches!(self.about, About::Proposal(..)) {
            let proposal = decode(&self.bytes, MESSAGE_BYTES_MAX).ok()?;
            return Some(Input::Proposal(peer, Box::new(Verified::by_own_hand(proposal))));
        }
        let vote: Vote = decode(&self.bytes, MESSAGE_BYTES_MAX).ok()?;
        Some(Input::Votes(peer, vec![Verified::by_own_hand(vote)]))
    }
}

/// Something that an honest validator must not do, whatever others say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Misdeed {
    /// Voted for both payments in one phase of an epoch (F-1, F-7).
    VotedForBoth,
    /// Said something before its records were durable (D-1).
    NotDurable,
    /// Voted Prepare or Commit after its seal (E-4).
    VotedAfterSeal,
    /// Its seal does not list what it voted Commit for (E-4), or it made two.
    WrongSeal,
    /// Voted Commit without the votes of a prepare certificate on its disk (F-4, D-12).
    CommittedUncertified,
    /// Voted for or took a closing block without seals of a quorum (E-5).
    ClosedWithoutQuorum,
    /// Lost something final with its epoch (E-8).
    FinalityLost,
    /// Holds a certificate that proves nothing (F-3, F-5).
    WrongCertificate,
    /// Voted twice in a round and phase.
    BlockVotedTwice,
    /// Prevoted a new block above round 0 that holds what has no certificate (B-11).
    PrevotedUncertified,
    /// Believes evidence that proves nothing.
    WrongEvidence,
    /// Its storage failed, or what it wrote cannot be taken back in.
    Failed,
}

/// What a node has told its users.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct News {
    /// Payments with a prepare certificate, by epoch.
    pub prepared: BTreeSet<(u64, usize)>,
    /// Final payments, and by a certificate or not.
    pub finals: BTreeSet<(usize, bool)>,
    /// Payments in blocks.
    pub committed: BTreeSet<usize>,
    /// The blocks of its chain.
    pub blocks: BTreeMap<u64, BlockHash>,
    /// The epoch in which it cast a Prepare or Commit vote after it had died, if it did.
    pub voted_again: Option<u64>,
}

/// An honest validator.
#[derive(Clone)]
pub struct Local {
    /// Which.
    pub own: usize,
    /// The machine itself.
    pub engine: Engine<Memory>,
    /// All that was made durable.
    pub disk: Disk,
    /// Its clock.
    pub now: Time,
    /// All that has left it.
    pub said: BTreeSet<Message>,
    /// What it told its users.
    pub news: News,
    /// Which payments have reached it since it started.
    pub arrived: BTreeSet<usize>,
    /// Queries without an answer.
    pub asked: BTreeMap<RequestId, Arc<Query>>,
    /// Proposals that it was handed.
    pub proposals: BTreeMap<BlockHash, Proposal>,
    /// How often it died.
    pub crashes: u8,
    /// Against whom it has found evidence.
    pub accused: BTreeSet<PublicKey>,
    /// What it did wrong.
    pub misdeeds: BTreeSet<Misdeed>,
    print: u128,
}

impl Local {
    /// A validator that has just started.
    ///
    /// # Errors
    /// The genesis is not usable.
    pub fn new(own: usize) -> Result<Self, Unavailable> {
        let mut local = Self {
            own,
            engine: SETTING.engine(own)?,
            disk: Disk::default(),
            now: Setting::start(),
            said: BTreeSet::new(),
            news: News::default(),
            arrived: BTreeSet::new(),
            asked: BTreeMap::new(),
            proposals: BTreeMap::new(),
            crashes: 0,
            accused: BTreeSet::new(),
            misdeeds: BTreeSet::new(),
            print: 0,
        };
        local.start()?;
        local.take_print();
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
            self.misdeeds.insert(Misdeed::Failed);
        }
    }

    /// Dies between two turns and comes back with what the disk holds.
    pub fn restart(&mut self) {
        self.crashes += 1;
        self.asked.clear();
        self.arrived.clear();
        self.proposals.clear();
        let restored = SETTING.engine(self.own).and_then(|mut engine| {
            self.disk.records.clone().into_iter().try_for_each(|record| engine.restore(record))?;
            self.engine = engine;
            self.start()
        });
        if restored.is_err() {
            self.misdeeds.insert(Misdeed::Failed);
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
                    self.proposals.insert(proposal.block.header.hash(), proposal.as_ref().clone());
                    self.said.insert(Message::proposal(self.own, &proposal));
                }
                Effect::Request(id, _, Request::Query(query)) => {
                    self.asked.insert(id, query);
                }
                Effect::Event(event) => self.note(&event, &mut epoch),
                _ => {}
            }
        }
        self.check_certificates();
        Ok(())
    }

    fn note(&mut self, event: &Event, epoch: &mut u64) {
        match event {
            Event::Status { txid, status, .. } => {
                let Some(payment) = SETTING.payment_of(txid) else { return };
                match status {
                    Status::Prepared => drop(self.news.prepared.insert((*epoch, payment))),
                    Status::Final(path) => {
                        let sampled = *path == timecoin_protocol::engine::Path::Sampled;
                        self.news.finals.insert((payment, sampled));
                    }
                    Status::Committed(_) => drop(self.news.committed.insert(payment)),
                    _ => {}
                }
            }
            Event::Block { block, .. } => {
                let header = &block.block.header;
                self.news.blocks.insert(header.height.0, header.hash());
                self.check_closing(&block.block.closing);
            }
            Event::Epoch { epoch: begun, .. } => *epoch = begun.0,
            Event::Evidence(evidence) => self.check_evidence(evidence),
            Event::FinalityLost { .. } => drop(self.misdeeds.insert(Misdeed::FinalityLost)),
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
        self.said.insert(Message::vote(self.own, vote));
    }

    /// What it said it votes for in a phase of an epoch.
    pub fn voted(&self, epoch: u64, of: Phase) -> BTreeSet<Txid> {
        let batches = self.said.iter().filter_map(|message| match &message.about {
            About::Finality(at, phase, txids) if (*at, *phase) == (epoch, of) => Some(txids),
            _ => None,
        });
        batches.flatten().copied().collect()
    }

    fn check_batch(&mut self, batch: &VoteBatch) {
        let epoch = batch.epoch.0;
        let mut voted = self.voted(epoch, batch.phase);
        voted.extend(batch.txids.iter().copied());
        if voted.len() > 1 {
            self.misdeeds.insert(Misdeed::VotedForBoth);
        }
        if self.crashes > 0 && !self.said.contains(&Message::vote(self.own, &Vote::Finality(Arc::new(batch.clone())))) {
            self.news.voted_again = Some(epoch);
        }
        if batch.phase == Phase::Commit && batch.txids.iter().any(|txid| self.prepared_by(epoch, txid) < QUORUM) {
            self.misdeeds.insert(Misdeed::CommittedUncertified);
        }
        if self.said.iter().any(|message| message.about == About::Seal(epoch)) {
            self.misdeeds.insert(Misdeed::VotedAfterSeal);
        }
        let is_locked = |txid: &Txid| {
            self.disk.records.iter().any(|record| {
                matches!(record, Record::Locked { epoch, locks }
                    if *epoch == batch.epoch && locks.iter().any(|(_, locked)| locked == txid))
            })
        };
        let is_durable =
            self.disk.records.iter().any(|record| matches!(record, Record::Votes(own) if own.as_ref() == batch));
        if !is_durable || (batch.phase == Phase::Prepare && !batch.txids.iter().all(is_locked)) {
            self.misdeeds.insert(Misdeed::NotDurable);
        }
    }

    /// How many validators' Prepare votes for a payment are on the disk: each counts once, whatever the engine counted.
    fn prepared_by(&self, epoch: u64, txid: &Txid) -> usize {
        let voter = |record: &Record| match record {
            Record::Votes(batch) if (batch.epoch.0, batch.phase) == (epoch, Phase::Prepare) => {
                batch.txids.contains(txid).then_some(batch.voter)
            }
            _ => None,
        };
        self.disk.records.iter().filter_map(voter).collect::<BTreeSet<_>>().len()
    }

    fn check_closing(&mut self, closing: &Closing) {
        let members: BTreeSet<_> = closing.seals.iter().map(|seal| seal.validator).collect();
        if closing.closes() && members.len() < QUORUM {
            self.misdeeds.insert(Misdeed::ClosedWithoutQuorum);
        }
    }

    fn check_evidence(&mut self, evidence: &Evidence) {
        if evidence.verify(&SETTING.genesis.hash()).is_err() {
            self.misdeeds.insert(Misdeed::WrongEvidence);
        }
        self.accused.insert(evidence.offender());
    }

    fn check_seal(&mut self, seal: &Seal) {
        let message = Message::vote(self.own, &Vote::Seal(seal.clone()));
        let other = |said: &&Message| said.about == message.about && **said != message;
        let mut listed = self.voted(seal.epoch.0, Phase::Commit);
        listed.retain(|txid| SETTING.payment_of(txid).is_none_or(|payment| !self.news.committed.contains(&payment)));
        if self.said.iter().any(|said| other(&said)) || listed.iter().any(|txid| !seal.txids.contains(txid)) {
            self.misdeeds.insert(Misdeed::WrongSeal);
        }
        if !self.disk.records.iter().any(|record| matches!(record, Record::Sealed(own) if own.as_ref() == seal)) {
            self.misdeeds.insert(Misdeed::NotDurable);
        }
    }

    fn check_block_vote(&mut self, vote: &BlockVote) {
        let of = (vote.height.0, vote.round.0, vote.phase);
        let twice = self.said.iter().any(|said| match &said.about {
            About::Block(height, round, phase, block) => (*height, *round, *phase) == of && *block != vote.block,
            _ => false,
        });
        if twice {
            self.misdeeds.insert(Misdeed::BlockVotedTwice);
        }
        let Some(proposal) = vote.block.and_then(|hash| self.proposals.get(&hash)).cloned() else { return };
        self.check_closing(&proposal.block.closing);
        let is_new = vote.phase == BlockPhase::Prevote && proposal.valid_round.is_none() && vote.round.0 > 0;
        let lacks = |txid: &Txid| self.engine.certificate(txid).is_none();
        if is_new && proposal.block.txids.iter().any(lacks) && vote.height > self.engine.chain_state().height {
            self.misdeeds.insert(Misdeed::PrevotedUncertified);
        }
    }

    /// Every certificate that it would show proves what it says (F-5).
    fn check_certificates(&mut self) {
        let genesis = SETTING.genesis.hash();
        let mut certificates = SETTING.payments.iter().filter_map(|payment| self.engine.certificate(&payment.txid()));
        let wrong = |certificate: timecoin_protocol::finality::Certificate| {
            certificate.epoch != self.engine.chain_state().epoch
                || certificate.verify(self.engine.validators(), &genesis).is_err()
        };
        if certificates.any(wrong) {
            self.misdeeds.insert(Misdeed::WrongCertificate);
        }
    }

    /// Takes the fingerprint, of everything. Call it after each move.
    pub fn take_print(&mut self) {
        let mut printer = Printer::default();
        printer.add((self.own, self.now.0, &self.said, &self.news, &self.arrived, self.crashes, &self.misdeeds));
        printer.add(self.disk.print());
        for (hash, proposal) in &self.proposals {
            printer.add((hash, proposal.round.0));
        }
        self.print = printer.show(&self.engine).show(&self.asked).take();
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
