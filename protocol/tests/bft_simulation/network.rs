//! A seeded network of agreement machines: it loses, delays and reorders messages, fires timeouts
//! whenever it likes, restarts machines, and lets faulty validators say anything to anybody. Then
//! it heals: everything that was said reaches everybody, and timeouts come only in silence.

use crate::bft_support::{HEIGHT, proposer, validators};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::sync::Arc;
use timecoin_protocol::bft::{Action, Agreement, Event, Locks, Step};
use timecoin_protocol::block::BlockPhase::{self, Precommit, Prevote};
use timecoin_protocol::hash::BlockHash;
use timecoin_protocol::validator::{Round, ValidatorIndex, ValidatorSet};

/// What is simulated.
#[derive(Clone, Copy)]
pub struct Setting {
    pub count: u8,
    pub faulty: u8,
    /// Whether locks are there after a restart.
    pub locks_survive: bool,
    /// Whether own votes are there after a restart.
    pub votes_survive: bool,
    /// Whether a re-proposal comes with its prevotes.
    pub proofs: bool,
}

/// Something that must never be.
#[derive(Debug, PartialEq, Eq)]
pub enum Violation {
    TwoDecisions,
    InvalidDecision,
    VotedTwice,
    ProposedTwice,
}

/// A validator that follows the protocol, and what it has made durable.
struct Honest {
    agreement: Agreement,
    own: ValidatorIndex,
    votes: Vec<(Round, BlockPhase, Option<BlockHash>)>,
    proposals: Vec<(Round, BlockHash, Option<Round>)>,
    locks: Locks,
    /// Who prevoted the valid block of `locks`.
    prevoters: Vec<ValidatorIndex>,
    timers: Vec<(Round, Step)>,
    /// How much of what was said it has heard since the network healed.
    heard: usize,
}

pub struct Network {
    setting: Setting,
    rng: ChaCha8Rng,
    validators: Arc<ValidatorSet>,
    honest: Vec<Honest>,
    /// Events on their way, by position of the receiver.
    flying: Vec<(usize, Event)>,
    /// Everything broadcast by honest validators.
    said: Vec<Event>,
    blocks: Vec<BlockHash>,
    decision: Option<BlockHash>,
    healed: bool,
}

type Checked = Result<(), Violation>;

impl Network {
    pub fn new(setting: Setting, seed: u64) -> Self {
        let validators = validators(setting.count);
        // who is faulty turns with the seed, so that proposers of all rounds are
        let first = u8::try_from(seed % u64::from(setting.count)).unwrap();
        let honest = (0..setting.count - setting.faulty).map(|n| u16::from((first + n) % setting.count));
        let honest = honest.map(|own| Honest {
            agreement: Agreement::new(HEIGHT, Arc::clone(&validators), Some(own)),
            own,
            votes: Vec::new(),
            proposals: Vec::new(),
            locks: Locks::default(),
            prevoters: Vec::new(),
            timers: Vec::new(),
            heard: 0,
        });
        Self {
            honest: honest.collect(),
            setting,
            rng: ChaCha8Rng::seed_from_u64(seed),
            validators,
            flying: Vec::new(),
            said: Vec::new(),
            blocks: vec![BlockHash([0; 32])],
            decision: None,
            healed: false,
        }
    }

    /// Starts everybody and lets chaos rule for some turns.
    pub fn chaos(&mut self, turns: usize) -> Checked {
        for to in 0..self.honest.len() {
            self.hand(to, Event::Start)?;
        }
        for _ in 0..turns {
            match self.below(100) {
                0..66 => self.deliver_any()?,
                66..73 => self.fire_any()?,
                73..76 => self.repeat_any()?,
                76..98 => self.lie()?,
                _ => self.restart_any()?,
            }
        }
        Ok(())
    }

    /// Heals the network and goes on until somebody decides (the others fetch the block and its
    /// commit from it), or as long as `waits` last. Faulty validators go on as before.
    pub fn heal(&mut self, waits: usize) -> Result<bool, Violation> {
        self.healed = true;
        for _ in 0..waits {
            self.spread()?;
            if self.decision.is_some() {
                return Ok(true);
            }
            let ticking: Vec<_> = self.honest.iter_mut().map(|node| std::mem::take(&mut node.timers)).collect();
            for (to, timers) in ticking.into_iter().enumerate() {
                for (round, step) in timers {
                    self.hand(to, Event::Timeout { round, step })?;
                    self.spread()?;
                }
            }
            for _ in 0..4 {
                self.lie()?;
            }
        }
        Ok(false)
    }

    pub const fn is_decided(&self) -> bool {
        self.decision.is_some()
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.rng.next_u32()).unwrap() % bound
    }

    /// Everything that was said reaches everybody.
    fn spread(&mut self) -> Checked {
        self.flying.clear();
        while let Some(to) = self.honest.iter().position(|node| node.heard < self.said.len()) {
            let event = self.said[self.honest[to].heard].clone();
            self.honest[to].heard += 1;
            self.hand(to, event)?;
        }
        Ok(())
    }

    fn deliver_any(&mut self) -> Checked {
        if self.flying.is_empty() {
            return Ok(());
        }
        let at = self.below(self.flying.len());
        let (to, event) = self.flying.swap_remove(at);
        self.hand(to, event)
    }

    fn fire_any(&mut self) -> Checked {
        let to = self.below(self.honest.len());
        if self.honest[to].timers.is_empty() {
            return Ok(());
        }
        let at = self.below(self.honest[to].timers.len());
        let (round, step) = self.honest[to].timers.swap_remove(at);
        self.hand(to, Event::Timeout { round, step })
    }

    fn repeat_any(&mut self) -> Checked {
        if self.said.is_empty() {
            return Ok(());
        }
        let (at, to) = (self.below(self.said.len()), self.below(self.honest.len()));
        let event = self.said[at].clone();
        self.hand(to, event)
    }

    /// A crash at once after the last thing that was said, then a restart.
    fn restart_any(&mut self) -> Checked {
        let to = self.below(self.honest.len());
        let node = &mut self.honest[to];
        let round = node.votes.last().map_or(Round(0), |(round, ..)| *round);
        let locks = if self.setting.locks_survive { node.locks } else { Locks::default() };
        node.agreement = Agreement::resume(HEIGHT, Arc::clone(&self.validators), Some(node.own), round, locks);
        node.timers.clear();
        node.heard = 0;
        for &(round, block, valid_round) in &node.proposals {
            let own = Event::Proposal { round, block, valid_round, valid: true, acceptable: true };
            assert_eq!(node.agreement.step(own), []);
        }
        for &(round, phase, block) in node.votes.iter().filter(|_| self.setting.votes_survive) {
            assert_eq!(node.agreement.step(Event::Vote { round, phase, block, voter: node.own }), []);
        }
        if let Some((round, block)) = node.locks.valid {
            let voters = node.prevoters.clone();
            assert_eq!(node.agreement.step(Event::PrevoteProof { round, block, voters }), []);
        }
        self.hand(to, Event::Start)
    }

    /// A faulty validator says something to one honest one: a proposal or a vote of its own
    /// making about where that one is, or what somebody honest has just voted, or a proof.
    fn lie(&mut self) -> Checked {
        let faulty: Vec<_> = (0..u16::from(self.setting.count)).filter(|v| !self.is_honest(*v)).collect();
        if faulty.is_empty() {
            return Ok(());
        }
        let to = self.below(self.honest.len());
        let back = u32::try_from(self.below(3)).unwrap();
        let round = Round((self.honest[to].agreement.round().0 + 1).saturating_sub(back));
        let recent = self.blocks.len().saturating_sub(3);
        let at = recent + self.below(self.blocks.len() - recent);
        let block = self.blocks[at];
        let voter = faulty[self.below(faulty.len())];
        let phase = [Prevote, Precommit][self.below(2)];
        let event = match self.below(8) {
            0 | 1 if faulty.contains(&proposer(&self.validators, round)) => {
                let valid_round = [None, Some(Round(0)), round.0.checked_sub(1).map(Round)][self.below(3)];
                Event::Proposal { round, block, valid_round, valid: true, acceptable: true }
            }
            2 => Event::PrevoteProof { round, block, voters: self.true_prevoters(round, block, faulty) },
            3 => Event::Vote { round, phase, block: None, voter },
            4 => Event::Vote { round, phase, block: Some(block), voter },
            _ => self.echo(voter).unwrap_or(Event::Vote { round, phase, block: Some(block), voter }),
        };
        self.hand(to, event)
    }

    /// One of the latest honest votes, cast by another.
    fn echo(&mut self, voter: ValidatorIndex) -> Option<Event> {
        let recent = self.said.len().saturating_sub(12);
        let at = recent + self.below((self.said.len() - recent).max(1));
        match self.said.get(at)? {
            &Event::Vote { round, phase, block, .. } => Some(Event::Vote { round, phase, block, voter }),
            _ => None,
        }
    }

    fn is_honest(&self, voter: ValidatorIndex) -> bool {
        self.honest.iter().any(|node| node.own == voter)
    }

    /// The faulty, and the honest who did prevote: signatures cannot be forged.
    fn true_prevoters(&self, round: Round, block: BlockHash, mut voters: Vec<u16>) -> Vec<u16> {
        let vote = (round, Prevote, Some(block));
        voters.extend(self.honest.iter().filter(|node| node.votes.contains(&vote)).map(|node| node.own));
        voters
    }

    /// Hands an event to an honest validator, judging proposals as it would.
    fn hand(&mut self, to: usize, mut event: Event) -> Checked {
        let is_lucky = self.healed || self.below(3) > 0;
        if let Event::Proposal { block, valid, acceptable, .. } = &mut event {
            *valid = is_valid(*block);
            *acceptable = is_lucky;
        }
        let actions = self.honest[to].agreement.step(event);
        actions.into_iter().try_for_each(|action| self.act(to, action))
    }

    fn act(&mut self, to: usize, action: Action) -> Checked {
        match action {
            Action::Propose { round, valid } => self.propose(to, round, valid),
            Action::Vote { round, phase, block } => {
                let node = &mut self.honest[to];
                if node.votes.iter().any(|vote| (vote.0, vote.1) == (round, phase)) {
                    return Err(Violation::VotedTwice);
                }
                node.votes.push((round, phase, block));
                node.locks = node.agreement.locks();
                if let Some((round, block)) = node.locks.valid {
                    node.prevoters = node.agreement.prevoters(round, &block).into_iter().collect();
                }
                let voter = node.own;
                self.broadcast(to, &Event::Vote { round, phase, block, voter });
                Ok(())
            }
            Action::Schedule { round, step } => {
                self.honest[to].timers.push((round, step));
                Ok(())
            }
            Action::Decide { block, .. } if !is_valid(block) => Err(Violation::InvalidDecision),
            Action::Decide { block, .. } if *self.decision.get_or_insert(block) != block => {
                Err(Violation::TwoDecisions)
            }
            Action::Decide { .. } | Action::Equivocation { .. } | Action::ProposalEquivocation { .. } => Ok(()),
        }
    }

    fn propose(&mut self, to: usize, round: Round, valid: Option<(Round, BlockHash)>) -> Checked {
        let fresh = BlockHash([u8::try_from(self.blocks.len()).unwrap(); 32]);
        let block = valid.map_or(fresh, |(_, block)| block);
        let valid_round = valid.map(|(round, _)| round);
        if self.honest[to].proposals.iter().any(|old| old.0 == round) {
            return Err(Violation::ProposedTwice);
        }
        self.honest[to].proposals.push((round, block, valid_round));
        if valid.is_none() {
            self.blocks.push(block);
        }
        let event = Event::Proposal { round, block, valid_round, valid: true, acceptable: true };
        self.broadcast(to, &event);
        if let Some((round, block)) = valid.filter(|_| self.setting.proofs) {
            let voters = self.honest[to].agreement.prevoters(round, &block).into_iter().collect();
            self.broadcast(to, &Event::PrevoteProof { round, block, voters });
        }
        self.hand(to, event)
    }

    fn broadcast(&mut self, from: usize, event: &Event) {
        self.said.push(event.clone());
        for to in (0..self.honest.len()).filter(|to| *to != from) {
            if !self.rng.next_u32().is_multiple_of(8) {
                self.flying.push((to, event.clone()));
            }
        }
    }
}

/// Only faulty validators propose the block of zeros.
fn is_valid(block: BlockHash) -> bool {
    block != BlockHash([0; 32])
}
