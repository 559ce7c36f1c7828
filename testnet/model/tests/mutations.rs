//! Every rule that can be broken is broken, and the named check notices. `protocol/MUTATIONS.md` is the
//! list; it is written anew with `TIMECOIN_WRITE_VECTORS=1`.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;
use timecoin_model::agreement::{Agreeing, Bounds};
use timecoin_model::check::{Limits, Outcome, check, walk};
use timecoin_model::paying::{self, Paying};
use timecoin_protocol::mutation::Mutation;

/// A broken rule that is not found in this time is not found.
const LIMITS: Limits = Limits { threads: 1, time: Duration::from_secs(120), until_broken: true };
const SEED: u64 = 1;

const ONE_ROUND: Bounds = Bounds { weights: [1; 4], byzantine_turn: 0, rounds: 0, crashes: 0, noise: false };
const TWO_ROUNDS: Bounds = Bounds { byzantine_turn: 3, rounds: 1, ..ONE_ROUND };
/// The faulty validator has exactly a third of the weight.
const A_THIRD: Bounds = Bounds { weights: [2, 1, 1, 2], ..ONE_ROUND };

const PAYMENTS: paying::Bounds = paying::Bounds { blocks: 0, rounds: 0, crashes: 0, noise: false };
const NOISY: paying::Bounds = paying::Bounds { noise: true, ..PAYMENTS };

/// How a broken rule is looked for.
#[derive(Clone, Copy)]
enum Look {
    /// At every state, breadth first.
    Everywhere(Bounds),
    /// On random walks.
    Walking(Bounds),
    /// At every state of the payment model, breadth first.
    Paying(paying::Bounds),
    /// On random walks through it.
    PayingAtRandom(paying::Bounds),
}

impl Look {
    fn run(self) -> Outcome {
        match self {
            Self::Everywhere(bounds) => check(Agreeing::new(bounds), LIMITS),
            Self::Walking(bounds) => walk(Agreeing::new(bounds), SEED, LIMITS),
            Self::Paying(bounds) => check(Paying::new(bounds), LIMITS),
            Self::PayingAtRandom(bounds) => walk(Paying::new(bounds), SEED, LIMITS),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Everywhere(_) => "`model agreement`",
            Self::Walking(_) => "`model agreement`, random walk",
            Self::Paying(_) => "`model payments`",
            Self::PayingAtRandom(_) => "`model payments`, random walk",
        }
    }
}

/// The rule that is broken and where it is looked for; nowhere yet, if no check finds it within the limit.
const fn look(mutation: Mutation) -> (&'static str, Option<Look>) {
    match mutation {
        Mutation::QuorumOfTwoThirds => ("V-2", Some(Look::Everywhere(A_THIRD))),
        Mutation::RoundVoteCountsTwice => ("R-1", Some(Look::Everywhere(Bounds { noise: true, ..ONE_ROUND }))),
        Mutation::PrevoteAgainstLock => ("R-3", Some(Look::Everywhere(TWO_ROUNDS))),
        Mutation::PrevoteInvalid => ("R-3", Some(Look::Everywhere(Bounds { noise: true, ..ONE_ROUND }))),
        Mutation::ReproposalWithoutQuorum => {
            ("R-4", Some(Look::Walking(Bounds { byzantine_turn: 1, rounds: 1, ..ONE_ROUND })))
        }
        Mutation::OlderRoundUnlocks => {
            ("R-4", Some(Look::Walking(Bounds { byzantine_turn: 2, rounds: 2, ..ONE_ROUND })))
        }
        Mutation::PrecommitWithoutQuorum => ("R-6", Some(Look::Everywhere(ONE_ROUND))),
        Mutation::PrecommitWithoutLock => ("R-6", Some(Look::Everywhere(ONE_ROUND))),
        Mutation::LocksForgottenOnRestart => ("R-9", Some(Look::Everywhere(Bounds { crashes: 1, ..ONE_ROUND }))),
        Mutation::VotesForgottenOnRestart => ("R-9", Some(Look::Everywhere(Bounds { crashes: 1, ..ONE_ROUND }))),
        Mutation::DecideWithoutQuorum => ("R-10", Some(Look::Everywhere(ONE_ROUND))),
        Mutation::VoteAgainstLock => ("F-1", Some(Look::PayingAtRandom(PAYMENTS))),
        Mutation::LockNotDurable => ("D-1", Some(Look::Paying(PAYMENTS))),
        Mutation::OtherEpochsCount => ("F-3", Some(Look::PayingAtRandom(NOISY))),
        Mutation::VoterCountsTwice => ("F-3", None),
        Mutation::CommitWithoutCertificate => ("F-4", None),
        Mutation::UncertifiedInLaterRounds => ("B-11", None),
        Mutation::VoteAfterSeal | Mutation::SealOmitsCommit => ("E-4", None),
        Mutation::ClosedWithoutQuorum => ("E-5", None),
        Mutation::ProofWithoutQuorum => {
            ("R-16", Some(Look::Walking(Bounds { byzantine_turn: 1, rounds: 1, ..ONE_ROUND })))
        }
    }
}

/// One test, since a broken rule is broken for the whole process.
#[test]
fn every_broken_rule_is_noticed() {
    let mut table = String::new();
    for mutation in Mutation::ALL {
        let (rule, look) = look(mutation);
        let Some(look) = look else {
            writeln!(table, "| `{mutation:?}` | {rule} | nothing yet | | |").unwrap();
            continue;
        };
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
