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
    /// F-1: inputs that are locked to another transaction do not keep from voting.
    VoteAgainstLock,
    /// D-1, D-12: locks are not recorded.
    LockNotDurable,
    /// F-3, E-2: votes of other epochs count.
    OtherEpochsCount,
    /// F-3: a voter counts as often as it votes.
    VoterCountsTwice,
    /// F-4: any vote takes effect as if it completed a certificate.
    CommitWithoutCertificate,
    /// B-11: locks may take the place of certificates in every round.
    UncertifiedInLaterRounds,
    /// E-4: Prepare and Commit votes go on after the seal.
    VoteAfterSeal,
    /// E-4: the seal leaves out one transaction.
    SealOmitsCommit,
    /// E-5: any seal closes the epoch.
    ClosedWithoutQuorum,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 21] = [
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
        Self::VoteAgainstLock,
        Self::LockNotDurable,
        Self::OtherEpochsCount,
        Self::VoterCountsTwice,
        Self::CommitWithoutCertificate,
        Self::UncertifiedInLaterRounds,
        Self::VoteAfterSeal,
        Self::SealOmitsCommit,
        Self::ClosedWithoutQuorum,
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
