//! Block agreement: Tendermint rounds as a table of rules (`SPEC.md` R-*; Buchman, Kwon,
//! Milosevic, "The latest gossip on BFT consensus", arXiv 1807.04938, algorithm 1).
//!
//! A pure state machine for one height: it knows block hashes only. Whether a block is valid, how
//! it travels, what is signed and made durable is the engine's business.
//!
//! An [`Event`] is first kept (`votes.rs`); then the rules (`rules.rs`) are tried until none
//! fires, and each move they ask for changes the state and becomes [`Action`]s here. `SPEC.md`
//! argues why all honest validators decide the same block, and that they do decide.

mod event;
mod rules;
mod votes;

pub use event::{Action, Event, Locks, Step};

use crate::block::BlockPhase;
use crate::bounds::ROUNDS_AHEAD_MAX;
use crate::hash::BlockHash;
use crate::mutation::{Mutation, is_broken};
use crate::validator::{Height, Round, ValidatorIndex, ValidatorSet, Weight};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use votes::{Kept, Proposed, RoundLog};

/// What a rule does when it fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Prevote(Option<BlockHash>),
    Precommit(Option<BlockHash>),
    /// Lines 37 to 43: lock, precommit, remember as valid.
    Lock(BlockHash),
    /// Lines 42 and 43 alone.
    Remember(BlockHash),
    AwaitPrevotes,
    AwaitPrecommits,
    StartRound(Round),
    Decide(Round, BlockHash),
}

/// Which timeouts the current round has scheduled ("for the first time" in the paper).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Scheduled {
    prevote: bool,
    precommit: bool,
}

/// Agreement on one height.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Agreement {
    height: Height,
    validators: Arc<ValidatorSet>,
    own: Option<ValidatorIndex>,
    started: bool,
    round: Round,
    step: Step,
    locks: Locks,
    scheduled: Scheduled,
    rounds: BTreeMap<Round, RoundLog>,
    /// The highest round in which each validator was heard.
    latest: BTreeMap<ValidatorIndex, Round>,
    decided: Option<(Round, BlockHash)>,
}

impl Agreement {
    /// Agreement at `height` among `validators`; `own` is this node's position, none for one that
    /// only follows: it decides, but never votes or proposes.
    #[must_use]
    pub fn new(height: Height, validators: Arc<ValidatorSet>, own: Option<ValidatorIndex>) -> Self {
        Self::resume(height, validators, own, Round(0), Locks::default())
    }

    /// Continues after a restart in `round` with the locks of before. The caller then hands
    /// in, in any order, its own earlier votes as [`Event::Vote`]s, its own earlier proposal of
    /// this round as an [`Event::Proposal`], and the prevotes for the valid block of `locks` as an
    /// [`Event::PrevoteProof`]; and last [`Event::Start`], which schedules the timeouts anew. What was voted in is never voted in again, what was proposed is not proposed
    /// again; an own vote in a round above `round` moves the machine there.
    #[must_use]
    pub fn resume(
        height: Height,
        validators: Arc<ValidatorSet>,
        own: Option<ValidatorIndex>,
        round: Round,
        locks: Locks,
    ) -> Self {
        let locks = if is_broken(Mutation::LocksForgottenOnRestart) { Locks::default() } else { locks };
        Self {
            height,
            validators,
            own,
            started: false,
            round,
            step: Step::Propose,
            locks,
            scheduled: Scheduled::default(),
            rounds: BTreeMap::new(),
            latest: BTreeMap::new(),
            decided: None,
        }
    }

    /// Takes one event; every rule that fires is applied until none does.
    #[must_use]
    pub fn step(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Start => self.start(&mut actions),
            Event::Proposal { round, block, valid_round, valid, acceptable } => {
                // line 28 asks for a valid round below the proposal's: all nodes refuse another
                let valid = valid && valid_round.is_none_or(|valid_round| valid_round < round);
                self.take_proposal(round, Proposed { block, valid_round, valid, acceptable }, &mut actions);
            }
            Event::Vote { round, phase, block, voter } => self.take_vote(round, phase, block, voter, &mut actions),
            Event::PrevoteProof { round, block, voters } => self.take_proof(round, block, voters, &mut actions),
            Event::Timeout { round, step } => {
                let fired = rules::timeout(self, round, step).filter(|_| self.is_running());
                if let Some(fired) = fired {
                    self.apply(fired, &mut actions);
                }
            }
        }
        self.settle(&mut actions);
        actions
    }

    /// From here on it only follows: it decides, but never votes or proposes (D-15).
    pub const fn follow(&mut self) {
        self.own = None;
    }

    /// Current round.
    #[must_use]
    pub const fn round(&self) -> Round {
        self.round
    }

    /// Current step.
    #[must_use]
    pub const fn current_step(&self) -> Step {
        self.step
    }

    /// Locked and valid blocks.
    #[must_use]
    pub const fn locks(&self) -> Locks {
        self.locks
    }

    /// The decision, once there is one.
    #[must_use]
    pub const fn decided(&self) -> Option<(Round, BlockHash)> {
        self.decided
    }

    /// Whether a quorum prevoted `block` in `round`.
    #[must_use]
    pub fn has_prevote_quorum(&self, round: Round, block: &BlockHash) -> bool {
        self.rounds.get(&round).is_some_and(|log| log.has_prevote_quorum(block, &self.validators))
    }

    /// Those known to have prevoted `block` in `round`: whose prevotes go with a re-proposal
    ///
    #[must_use]
    pub fn prevoters(&self, round: Round, block: &BlockHash) -> BTreeSet<ValidatorIndex> {
        self.rounds.get(&round).map(|log| log.prevoters(block)).unwrap_or_default()
    }

    const fn is_running(&self) -> bool {
        self.started && self.decided.is_none()
    }

    fn log(&self) -> Option<&RoundLog> {
        self.rounds.get(&self.round)
    }

    fn weight_at(&self, voter: ValidatorIndex) -> Weight {
        self.validators.at(voter).map_or(Weight(0), |member| member.weight)
    }

    fn proposer(&self, round: Round) -> Option<ValidatorIndex> {
        self.validators.index_of(&self.validators.proposer(self.height, round)?.key)
    }

    /// Tries the table until no rule fires. It ends: each move leaves a step, enters a higher
    /// round, or sets what its own guard asks to be unset.
    fn settle(&mut self, actions: &mut Vec<Action>) {
        while self.is_running() {
            let Some(fired) = rules::RULES.iter().find_map(|rule| rule(self)) else {
                return;
            };
            self.apply(fired, actions);
        }
    }

    fn apply(&mut self, fired: Move, actions: &mut Vec<Action>) {
        let round = self.round;
        match fired {
            Move::Prevote(block) => self.vote(BlockPhase::Prevote, block, actions),
            Move::Precommit(block) => self.vote(BlockPhase::Precommit, block, actions),
            Move::Lock(block) => {
                let locked = (!is_broken(Mutation::PrecommitWithoutLock)).then_some((round, block));
                self.locks = Locks { locked, valid: Some((round, block)) };
                self.vote(BlockPhase::Precommit, Some(block), actions);
            }
            Move::Remember(block) => self.locks.valid = Some((round, block)),
            Move::AwaitPrevotes => {
                self.scheduled.prevote = true;
                actions.push(Action::Schedule { round, step: Step::Prevote });
            }
            Move::AwaitPrecommits => {
                self.scheduled.precommit = true;
                actions.push(Action::Schedule { round, step: Step::Precommit });
            }
            Move::StartRound(next) => {
                self.round = next;
                self.scheduled = Scheduled::default();
                self.enter(actions);
            }
            Move::Decide(round, block) => {
                self.decided = Some((round, block));
                actions.push(Action::Decide { round, block });
            }
        }
    }

    fn start(&mut self, actions: &mut Vec<Action>) {
        if !self.started {
            self.started = true;
            self.enter(actions);
        }
    }

    /// R-2, line 11: begins the current round, or goes on in it where own votes leave off.
    fn enter(&mut self, actions: &mut Vec<Action>) {
        self.finish_round_below(actions);
        let said = self.own.and_then(|own| Some(self.log()?.step_of(own)));
        let said = said.filter(|_| !is_broken(Mutation::VotesForgottenOnRestart));
        self.step = said.unwrap_or(Step::Propose);
        if self.step != Step::Propose {
            return;
        }
        let round = self.round;
        let is_proposed = self.log().is_some_and(|log| log.proposal().is_some());
        if self.own.is_some() && self.own == self.proposer(round) && !is_proposed {
            actions.push(Action::Propose { round, valid: self.locks.valid });
        }
        actions.push(Action::Schedule { round, step: Step::Propose });
    }

    /// nil in each phase of the round below in which this validator has not voted. Others may be there still, and need
    /// its vote to get on; whoever was faulty may not say again what once made a quorum of them.
    fn finish_round_below(&mut self, actions: &mut Vec<Action>) {
        let below = self.round.0.checked_sub(1).map(Round);
        let (Some(own), Some(round)) = (self.own, below) else {
            return;
        };
        let weight = self.weight_at(own);
        let log = self.rounds.entry(round).or_default();
        for phase in [BlockPhase::Prevote, BlockPhase::Precommit] {
            if !log.has_voted(phase, own) {
                let _ = log.vote(phase, None, own, weight);
                actions.push(Action::Vote { round, phase, block: None });
            }
        }
    }

    /// Leaves the step by voting; a follower leaves it in silence.
    fn vote(&mut self, phase: BlockPhase, block: Option<BlockHash>, actions: &mut Vec<Action>) {
        self.step = Step::after(phase);
        let Some(own) = self.own else {
            return;
        };
        let (round, weight) = (self.round, self.weight_at(own));
        let _ = self.rounds.entry(round).or_default().vote(phase, block, own, weight);
        actions.push(Action::Vote { round, phase, block });
    }

    fn take_proposal(&mut self, round: Round, proposed: Proposed, actions: &mut Vec<Action>) {
        if let Some(proposer) = self.proposer(round) {
            self.hear(proposer, round);
        }
        if !self.reaches(round, actions) {
            return;
        }
        if self.rounds.entry(round).or_default().propose(proposed) == Kept::Contradiction {
            actions.push(Action::ProposalEquivocation { round });
        }
    }

    fn take_vote(
        &mut self,
        round: Round,
        phase: BlockPhase,
        block: Option<BlockHash>,
        voter: ValidatorIndex,
        actions: &mut Vec<Action>,
    ) {
        let Some(weight) = self.validators.at(voter).map(|member| member.weight) else {
            return;
        };
        self.hear(voter, round);
        let is_own = self.own == Some(voter);
        if is_own && !self.started {
            self.round = self.round.max(round);
        }
        if !is_own && !self.reaches(round, actions) {
            return;
        }
        if self.rounds.entry(round).or_default().vote(phase, block, voter, weight) == Kept::Contradiction {
            actions.push(Action::Equivocation { round, phase, voter });
        }
        if is_own && round == self.round {
            // whoever cast it, this phase is voted in
            self.step = self.step.max(Step::after(phase));
        }
    }

    fn take_proof(&mut self, round: Round, block: BlockHash, voters: Vec<ValidatorIndex>, actions: &mut Vec<Action>) {
        let voters: BTreeSet<_> = voters.into_iter().filter(|voter| self.validators.at(*voter).is_some()).collect();
        for voter in &voters {
            self.hear(*voter, round);
        }
        if self.reaches(round, actions) {
            self.rounds.entry(round).or_default().prove(block, voters, &self.validators);
        }
    }

    fn hear(&mut self, voter: ValidatorIndex, round: Round) {
        let latest = self.latest.entry(voter).or_default();
        *latest = round.max(*latest);
    }

    /// Whether a message of `round` is kept. Before one is dropped, it may carry the
    /// machine to a higher round.
    fn reaches(&mut self, round: Round, actions: &mut Vec<Action>) -> bool {
        let is_near = |own: Round| round.0 <= own.0.saturating_add(ROUNDS_AHEAD_MAX);
        if !is_near(self.round) {
            self.settle(actions);
        }
        is_near(self.round)
    }
}
