//! Every rule that can be broken is broken, and the named check notices. `protocol/MUTATIONS.md` is the
//! list; it is written anew with `TIMECOIN_WRITE_VECTORS=1`.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;
use timecoin_model::agreement::{Agreeing, Bounds};
use timecoin_model::check::{Limits, Outcome, check, check_composed};
use timecoin_model::paying::{self, Begin, Paying};
use timecoin_model::walk::walk;
use timecoin_protocol::mutation::Mutation;

/// A broken rule that is not found in this time is not found.
const LIMITS: Limits = Limits { threads: 1, time: Duration::from_secs(120), until_broken: true };
const SEED: u64 = 1;

const ONE_ROUND: Bounds = Bounds { weights: [1; 4], byzantine_turn: 0, rounds: 0, crashes: 0, noise: false };
const TWO_ROUNDS: Bounds = Bounds { byzantine_turn: 3, rounds: 1, ..ONE_ROUND };
/// The faulty validator has exactly a third of the weight.
const A_THIRD: Bounds = Bounds { weights: [2, 1, 1, 2], ..ONE_ROUND };

const PAYMENTS: paying::Bounds =
    paying::Bounds { begin: Begin::Genesis, payments: 2, blocks: 0, rounds: 0, crashes: 0, noise: false, exact: false };
const PREPARED: paying::Bounds = paying::Bounds { begin: Begin::TwoPrepared, ..PAYMENTS };
const NOISY: paying::Bounds = paying::Bounds { noise: true, ..PREPARED };
const SECOND_ROUND: paying::Bounds = paying::Bounds { begin: Begin::SecondRound, blocks: 1, rounds: 1, ..PAYMENTS };
const PRECOMMITTED: paying::Bounds = paying::Bounds { begin: Begin::Precommitted, blocks: 2, ..PAYMENTS };
const COMMITTED: paying::Bounds = paying::Bounds { begin: Begin::Committed, ..PRECOMMITTED };

/// How a broken rule is looked for.
#[derive(Clone, Copy)]
enum Look {
    /// At every state, breadth first.
    Everywhere(Bounds),
    /// On random walks.
    Walking(Bounds),
    /// At every state of the payment model, breadth first.
    Paying(paying::Bounds),
    /// At every state of the payment model, composed of validators that are computed one by one.
    Composed(paying::Bounds),
}

impl Look {
    fn run(self) -> Outcome {
        match self {
            Self::Everywhere(bounds) => check(Agreeing::new(bounds), LIMITS),
            Self::Walking(bounds) => walk(Agreeing::new(bounds), SEED, LIMITS),
            Self::Paying(bounds) => check(Paying::new(bounds), LIMITS),
            Self::Composed(bounds) => check_composed(Paying::new(bounds), LIMITS),
        }
    }

    fn name(self) -> String {
        match self {
            Self::Everywhere(_) => "`model agreement`".to_owned(),
            Self::Walking(_) => "`model agreement`, random walk".to_owned(),
            Self::Composed(_) => "`model payments`, all states".to_owned(),
            Self::Paying(bounds) if bounds.begin == Begin::Genesis => "`model payments`".to_owned(),
            Self::Paying(bounds) => format!("`model payments`, from {:?}", bounds.begin),
        }
    }
}

/// The rule that is broken and where it is looked for.
const fn look(mutation: Mutation) -> (&'static str, Look) {
    match mutation {
        Mutation::QuorumOfTwoThirds => ("V-2", Look::Everywhere(A_THIRD)),
        Mutation::RoundVoteCountsTwice => ("R-1", Look::Everywhere(Bounds { noise: true, ..ONE_ROUND })),
        Mutation::PrevoteAgainstLock => ("R-3", Look::Everywhere(TWO_ROUNDS)),
        Mutation::PrevoteInvalid => ("R-3", Look::Everywhere(Bounds { noise: true, ..ONE_ROUND })),
        Mutation::ReproposalWithoutQuorum => {
            ("R-4", Look::Walking(Bounds { byzantine_turn: 1, rounds: 1, ..ONE_ROUND }))
        }
        Mutation::OlderRoundUnlocks => ("R-4", Look::Walking(Bounds { byzantine_turn: 2, rounds: 2, ..ONE_ROUND })),
        Mutation::PrecommitWithoutQuorum => ("R-6", Look::Everywhere(ONE_ROUND)),
        Mutation::PrecommitWithoutLock => ("R-6", Look::Everywhere(ONE_ROUND)),
        Mutation::LocksForgottenOnRestart => ("R-9", Look::Everywhere(Bounds { crashes: 1, ..ONE_ROUND })),
        Mutation::VotesForgottenOnRestart => ("R-9", Look::Everywhere(Bounds { crashes: 1, ..ONE_ROUND })),
        Mutation::DecideWithoutQuorum => ("R-10", Look::Everywhere(ONE_ROUND)),
        Mutation::VoteAgainstLock => ("F-1", Look::Composed(PAYMENTS)),
        Mutation::LockNotDurable => ("D-1", Look::Composed(PAYMENTS)),
        Mutation::OtherEpochsCount => ("F-3", Look::Paying(NOISY)),
        Mutation::VoterCountsTwice => ("F-3", Look::Paying(NOISY)),
        Mutation::CommitWithoutCertificate => ("F-4", Look::Composed(PAYMENTS)),
        Mutation::UncertifiedInLaterRounds => ("B-11", Look::Paying(SECOND_ROUND)),
        Mutation::VoteAfterSeal => ("E-4", Look::Paying(PRECOMMITTED)),
        Mutation::SealOmitsCommit => ("E-4", Look::Paying(COMMITTED)),
        Mutation::ClosedWithoutQuorum => ("E-5", Look::Paying(PRECOMMITTED)),
        Mutation::ProofWithoutQuorum => ("R-16", Look::Walking(Bounds { byzantine_turn: 1, rounds: 1, ..ONE_ROUND })),
    }
}

/// One test, since a broken rule is broken for the whole process.
#[test]
fn every_broken_rule_is_noticed() {
    let mut table = String::new();
    for mutation in Mutation::ALL {
        let (rule, look) = look(mutation);
        Mutation::set(Some(mutation));
        let outcome = look.run();
        Mutation::set(None);
        let caught = outcome.broken.first();
        eprintln!("{mutation:?}: {outcome}");
        let Some(caught) = caught else { panic!("nothing notices {mutation:?} ({rule}): {outcome}") };
        let steps = caught.steps.len();
        writeln!(table, "| `{mutation:?}` | {rule} | {} | {} | {steps} |", look.name(), caught.property).unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../protocol/MUTATIONS.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (head, _) = text.split_once("|---|---|---|---|---|\n").unwrap();
    let written = format!("{head}|---|---|---|---|---|\n{table}");
    if std::env::var_os("TIMECOIN_WRITE_VECTORS").is_some() {
        std::fs::write(&path, written).unwrap();
    } else {
        assert_eq!(text, written, "{} is not what this test found", path.display());
    }
}
