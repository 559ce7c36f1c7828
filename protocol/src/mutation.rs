//! Rules broken on purpose, to show that the checks notice (`MUTATIONS.md`).
//!
//! Each [`Mutation`] is asked for at the place of the rule that it breaks, so what is checked is the
//! code that ships with one rule less. Without the feature `mutations` nothing can be broken: the
//! question has the constant answer no, and costs nothing. The feature does not build without debug
//! assertions, so no release has it.

/// A rule that can be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Mutation {
    /// V-2: exactly two thirds are a quorum.
    QuorumOfTwoThirds = 1,
    /// a vote that comes again counts again.
    RoundVoteCountsTwice,
    /// a new block is prevoted although another one is locked.
    PrevoteAgainstLock,
    /// an invalid block is prevoted.
    PrevoteInvalid,
    /// a re-proposal needs no quorum of prevotes.
    ReproposalWithoutQuorum,
    /// a re-proposal of a round below the locked one unlocks.
    OlderRoundUnlocks,
    /// a block is locked and precommitted without a quorum of prevotes.
    PrecommitWithoutQuorum,
    /// a block is precommitted and not locked.
    PrecommitWithoutLock,
    /// locked and valid block are forgotten on restart.
    LocksForgottenOnRestart,
    /// votes of before a restart do not keep from voting again.
    VotesForgottenOnRestart,
    /// more than a third of precommits decides.
    DecideWithoutQuorum,
    /// a proof of prevotes counts, whatever their weight.
    ProofWithoutQuorum,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::QuorumOfTwoThirds,
        Self::RoundVoteCountsTwice,
        Self::PrevoteAgainstLock,
        Self::PrevoteInvalid,
        Self::ReproposalWithoutQuorum,
        Self::OlderRoundUnlocks,
        Self::PrecommitWithoutQuorum,
        Self::PrecommitWithoutLock,
        Self::LocksForgottenOnRestart,
        Self::VotesForgottenOnRestart,
        Self::DecideWithoutQuorum,
        Self::ProofWithoutQuorum,
    ];
}

#[cfg(all(feature = "mutations", not(debug_assertions)))]
compile_error!("the feature `mutations` breaks rules: it is for checks, and nothing built for use may have it");

#[cfg(feature = "mutations")]
mod active {
    use super::Mutation;
    use core::sync::atomic::{AtomicU8, Ordering};

    /// The broken rule by its number; 0 is none. One for the process: checkers have many threads.
    static BROKEN: AtomicU8 = AtomicU8::new(0);

    impl Mutation {
        /// Breaks one rule from now on, in the whole process; none heals all.
        pub fn set(broken: Option<Self>) {
            BROKEN.store(broken.map_or(0, |mutation| mutation as u8), Ordering::SeqCst);
        }
    }

    pub(crate) fn is_broken(mutation: Mutation) -> bool {
        BROKEN.load(Ordering::Relaxed) == mutation as u8
    }
}

#[cfg(not(feature = "mutations"))]
mod active {
    use super::Mutation;

    pub(crate) const fn is_broken(_: Mutation) -> bool {
        false
    }
}

pub(crate) use active::is_broken;
