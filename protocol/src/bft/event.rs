//! What goes into and comes out of [`Agreement`](super::Agreement).

use crate::block::BlockPhase;
use crate::hash::BlockHash;
use crate::validator::{Round, ValidatorIndex};
use alloc::vec::Vec;

/// Where a validator is within a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Waiting for the proposal.
    Propose,
    /// Has prevoted.
    Prevote,
    /// Has precommitted.
    Precommit,
}

impl Step {
    /// The step that a vote of `phase` leads to.
    pub(super) const fn after(phase: BlockPhase) -> Self {
        match phase {
            BlockPhase::Prevote => Self::Prevote,
            BlockPhase::Precommit => Self::Precommit,
        }
    }
}

/// What happened. All signatures and the proposers of proposals were checked before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The height begins, or goes on after [`resume`](super::Agreement::resume). What is
    /// handed in earlier is kept, but no rule fires before this. A second one changes nothing.
    Start,
    /// The proposal of a round's proposer arrived and its content was judged; not before all of
    /// the content is there. The same proposal may be handed in again with a better judgement
    ///
    Proposal {
        /// Its round.
        round: Round,
        /// The proposed block.
        block: BlockHash,
        /// The earlier round it claims a quorum of prevotes in.
        valid_round: Option<Round>,
        /// Whether the block's content is valid at this height: the same answer on every node.
        valid: bool,
        /// Whether this validator's own transaction locks and certificates let it be the one to
        /// prevote the block first. A re-proposal that a quorum prevoted does not ask for it.
        acceptable: bool,
    },
    /// A vote arrived (own votes included).
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
    /// Prevotes of `voters` for `block` arrived together, as proof of a re-proposal.
    PrevoteProof {
        /// Their round.
        round: Round,
        /// The block that all of them are for.
        block: BlockHash,
        /// Who prevoted; repeated and unknown ones count nothing.
        voters: Vec<ValidatorIndex>,
    },
    /// A timeout scheduled earlier ran out.
    Timeout {
        /// Of which round.
        round: Round,
        /// Of which step.
        step: Step,
    },
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is this validator's turn: propose `valid` again, together with the prevotes that prove
    /// it ([`prevoters`](super::Agreement::prevoters), R-16), or a new block if there is none.
    /// The proposal comes back as an [`Event::Proposal`].
    Propose {
        /// The round to propose in.
        round: Round,
        /// The round in which a quorum prevoted, and the block to propose again.
        valid: Option<(Round, BlockHash)>,
    },
    /// Sign and send this vote, durably first together with
    /// [`locks`](super::Agreement::locks) and, if their valid block changed, the prevotes of its
    /// [`prevoters`](super::Agreement::prevoters). The machine has counted it already.
    Vote {
        /// The round.
        round: Round,
        /// Which vote.
        phase: BlockPhase,
        /// For what.
        block: Option<BlockHash>,
    },
    /// Come back with [`Event::Timeout`] after a time that grows with the round.
    Schedule {
        /// Of which round.
        round: Round,
        /// Of which step.
        step: Step,
    },
    /// A quorum precommitted `block` in `round`: decided. Comes once; no rule fires after it.
    /// The block itself may have to be fetched.
    Decide {
        /// The round.
        round: Round,
        /// The block.
        block: BlockHash,
    },
    /// The vote just handed in contradicts the one counted before. Comes once for each
    /// voter, round and phase.
    Equivocation {
        /// The round.
        round: Round,
        /// Which vote.
        phase: BlockPhase,
        /// Who signed both.
        voter: ValidatorIndex,
    },
    /// The proposal just handed in contradicts the one kept of the same round. Comes once
    /// for each round.
    ProposalEquivocation {
        /// The round; its proposer signed both.
        round: Round,
    },
}

/// The part of the state that must survive a crash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, crate::codec::Encode, crate::codec::Decode)]
pub struct Locks {
    /// Block precommitted last, and its round.
    pub locked: Option<(Round, BlockHash)>,
    /// Block last seen with a quorum of prevotes, and its round.
    pub valid: Option<(Round, BlockHash)>,
}
