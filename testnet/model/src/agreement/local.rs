//! One honest validator: the agreement machine, its disk, and what it has said.

use super::{HEIGHT, is_valid};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use timecoin_protocol::bft::{Action, Agreement, Event, Locks, Step};
use timecoin_protocol::block::BlockPhase;
use timecoin_protocol::hash::BlockHash;
use timecoin_protocol::validator::{Round, ValidatorIndex, ValidatorSet};

/// What validators say to all others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Message {
    /// A proposal, with the prevotes of a re-proposal.
    Proposal {
        /// Its round.
        round: Round,
        /// The block.
        block: BlockHash,
        /// The earlier round that it refers to.
        valid_round: Option<Round>,
        /// Who is said to have prevoted the block in that round; only true prevotes can be shown.
        proof: Vec<ValidatorIndex>,
    },
    /// A prevote or precommit.
    Vote {
        /// Its round.
        round: Round,
        /// Which vote.
        phase: BlockPhase,
        /// For what.
        block: Option<BlockHash>,
        /// By whom.
        voter: ValidatorIndex,
    },
}

/// Something that an honest validator must not do by itself, whatever others say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Misdeed {
    /// Voted twice in a round and phase.
    VotedTwice,
    /// Proposed twice in a round.
    ProposedTwice,
}

/// Round, phase, and what for.
type Vote = (Round, BlockPhase, Option<BlockHash>);

/// What is durable: written before anything is said, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Disk {
    votes: Vec<Vote>,
    /// Own proposals, and those of blocks voted for.
    proposals: BTreeMap<Round, (BlockHash, Option<Round>)>,
    locks: Locks,
    /// Who prevoted the valid block of `locks`.
    prevoters: Vec<ValidatorIndex>,
}

/// An honest validator.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Local {
    /// The machine itself.
    pub agreement: Agreement,
    /// Which validator.
    pub own: ValidatorIndex,
    /// All it has said that others are told: votes for nil are not (see `moves`).
    pub said: BTreeSet<Message>,
    /// How often it died.
    pub crashes: u8,
    /// What it did wrong.
    pub misdeeds: BTreeSet<Misdeed>,
    /// The first proposal that it took, of each round.
    candidates: BTreeMap<Round, (BlockHash, Option<Round>)>,
    /// Whose votes it has heard, of each round and phase.
    counted: BTreeSet<(Round, BlockPhase, ValidatorIndex)>,
    disk: Disk,
}

/// What can be noticed of a validator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Face {
    round: Round,
    step: Step,
    locks: Locks,
    decided: Option<(Round, BlockHash)>,
    voted: Option<Vote>,
    said: usize,
    misdeeds: usize,
}

impl Local {
    /// A validator at the beginning of the height.
    pub fn new(validators: &Arc<ValidatorSet>, own: ValidatorIndex) -> Self {
        let mut local = Self {
            agreement: Agreement::new(HEIGHT, Arc::clone(validators), Some(own)),
            own,
            said: BTreeSet::new(),
            crashes: 0,
            misdeeds: BTreeSet::new(),
            candidates: BTreeMap::new(),
            counted: BTreeSet::new(),
            disk: Disk::default(),
        };
        local.feed(Event::Start);
        local
    }

    /// Hands an event to the machine and does what it wants.
    pub fn feed(&mut self, event: Event) {
        for action in self.agreement.step(event) {
            self.act(action);
        }
    }

    /// Takes a message from another validator. Proposals are judged at once, and are acceptable:
    /// one that is not is like one that comes after the propose timeout.
    pub fn hear(&mut self, message: &Message) {
        match message {
            Message::Vote { round, phase, block, voter } => {
                self.counted.insert((*round, *phase, *voter));
                self.feed(Event::Vote { round: *round, phase: *phase, block: *block, voter: *voter });
            }
            Message::Proposal { round, block, valid_round, proof } => {
                self.candidates.entry(*round).or_insert((*block, *valid_round));
                if let Some(valid_round) = valid_round {
                    self.feed(Event::PrevoteProof { round: *valid_round, block: *block, voters: proof.clone() });
                }
                self.judge(*round, *block, *valid_round);
            }
        }
    }

    fn judge(&mut self, round: Round, block: BlockHash, valid_round: Option<Round>) {
        self.feed(Event::Proposal { round, block, valid_round, valid: is_valid(block), acceptable: true });
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Propose { round, valid } => self.propose(round, valid),
            Action::Vote { round, phase, block } => self.vote(round, phase, block),
            // A wait may end at any time in this model.
            Action::Schedule { .. }
            | Action::Decide { .. }
            | Action::Equivocation { .. }
            | Action::ProposalEquivocation { .. } => {}
        }
    }

    fn propose(&mut self, round: Round, valid: Option<(Round, BlockHash)>) {
        let block = valid.map_or_else(|| super::block_of(round), |(_, block)| block);
        let valid_round = valid.map(|(round, _)| round);
        if self.disk.proposals.get(&round).is_some_and(|old| *old != (block, valid_round)) {
            self.misdeeds.insert(Misdeed::ProposedTwice);
        }
        self.disk.proposals.insert(round, (block, valid_round));
        self.candidates.entry(round).or_insert((block, valid_round));
        let proof = valid_round.map(|round| self.agreement.prevoters(round, &block).into_iter().collect());
        self.said.insert(Message::Proposal { round, block, valid_round, proof: proof.unwrap_or_default() });
        self.judge(round, block, valid_round);
    }

    fn vote(&mut self, round: Round, phase: BlockPhase, block: Option<BlockHash>) {
        if self.disk.votes.iter().any(|vote| (vote.0, vote.1) == (round, phase) && vote.2 != block) {
            self.misdeeds.insert(Misdeed::VotedTwice);
        }
        self.disk.votes.push((round, phase, block));
        let known = self.candidates.iter().find(|(_, (candidate, _))| Some(*candidate) == block);
        if let Some((round, proposal)) = known {
            self.disk.proposals.insert(*round, *proposal);
        }
        self.disk.locks = self.agreement.locks();
        if let Some((round, block)) = self.disk.locks.valid {
            self.disk.prevoters = self.agreement.prevoters(round, &block).into_iter().collect();
        }
        if block.is_some() {
            self.said.insert(Message::Vote { round, phase, block, voter: self.own });
        }
    }

    /// Dies and comes back with what the disk holds, handed in as the engine does.
    pub fn restart(&mut self, validators: &Arc<ValidatorSet>) {
        self.crashes += 1;
        self.counted.clear();
        let round = self.disk.votes.iter().map(|(round, ..)| *round).max().unwrap_or_default();
        let validators = Arc::clone(validators);
        self.agreement = Agreement::resume(HEIGHT, validators, Some(self.own), round, self.disk.locks);
        if let Some((round, block)) = self.disk.locks.valid {
            self.feed(Event::PrevoteProof { round, block, voters: self.disk.prevoters.clone() });
        }
        for (round, phase, block) in self.disk.votes.clone() {
            self.feed(Event::Vote { round, phase, block, voter: self.own });
        }
        self.candidates = self.disk.proposals.clone();
        for (round, (block, valid_round)) in self.disk.proposals.clone() {
            self.judge(round, block, valid_round);
        }
        self.feed(Event::Start);
    }

    /// What others, or its own future, can notice of it.
    pub fn face(&self) -> Face {
        Face {
            round: self.agreement.round(),
            step: self.agreement.current_step(),
            locks: self.agreement.locks(),
            decided: self.agreement.decided(),
            voted: self.disk.votes.last().copied(),
            said: self.said.len(),
            misdeeds: self.misdeeds.len(),
        }
    }

    /// The first proposal that it took of a round.
    pub fn candidate(&self, round: Round) -> Option<(BlockHash, Option<Round>)> {
        self.candidates.get(&round).copied()
    }

    /// Whether it has heard a vote of `voter`.
    pub fn has_counted(&self, (round, phase): (Round, BlockPhase), voter: ValidatorIndex) -> bool {
        self.counted.contains(&(round, phase, voter))
    }

    /// Its votes of one round and phase; more than one only if it misbehaves.
    pub fn votes(&self, of: (Round, BlockPhase)) -> impl Iterator<Item = Option<BlockHash>> {
        self.disk.votes.iter().filter(move |vote| (vote.0, vote.1) == of).map(|vote| vote.2)
    }

    /// All its votes.
    pub fn all_votes(&self) -> impl Iterator<Item = &Vote> {
        self.disk.votes.iter()
    }
}
