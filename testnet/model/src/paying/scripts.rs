//! Where a check begins: some way into an epoch, so that what comes late in it is near.
//!
//! A script is played with the moves of the model and adds none, so whatever is found after it can happen from the start.

use super::{Local, Paying, moves};
use std::collections::BTreeSet;

/// What has happened before a check begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Begin {
    /// Nothing.
    Genesis,
    /// Two validators have prepared the first payment.
    TwoPrepared,
    /// Round 0 of the first height was in vain; needs a block and a second round.
    SecondRound,
    /// All have precommitted the first block, after which the epoch is sealed; needs two blocks.
    Precommitted,
    /// The same, and all have voted Commit for the first payment, which is not in the block.
    Committed,
    /// Two validators have prepared different payments, and all have precommitted the block that ends the epoch; needs
    /// three blocks.
    Split,
}

/// Honest validators, by their order, and how the move begins that each of them makes, if it can.
type Line = (&'static [usize], &'static str);

const ALL: &[usize] = &[0, 1, 2];
const TWO: &[usize] = &[0, 1];

const TWO_PREPARED: &[Line] = &[(TWO, "payment 0 arrives"), (TWO, "polls are for payment 0")];
const SECOND_ROUND: &[Line] = &[
    (ALL, "the next height begins"),
    (ALL, "timeouts run out"),
    (ALL, "hears Prevote"),
    (ALL, "hears Precommit"),
    (ALL, "timeouts run out"),
];
const PRECOMMITTED: &[Line] = &[(ALL, "the next height begins"), (ALL, "hears proposal"), (ALL, "hears Prevote")];
const COMMITTED: &[Line] = &[
    (ALL, "the next height begins"),
    (ALL, "hears proposal"),
    (ALL, "hears Prevote"),
    (ALL, "payment 0 arrives"),
    (ALL, "polls are for payment 0"),
    (ALL, "hears Prepare"),
];
const SPLIT: &[Line] = &[
    (ALL, "the next height begins"),
    (ALL, "hears proposal"),
    (ALL, "hears Prevote"),
    (&[0], "payment 0 arrives"),
    (&[0], "polls are for payment 0"),
    (&[1], "payment 1 arrives"),
    (&[1], "polls are for payment 1"),
    (ALL, "hears Precommit"),
    (ALL, "hears seal"),
    (ALL, "hears proposal"),
    (ALL, "hears Prevote"),
];

impl Begin {
    const fn script(self) -> &'static [Line] {
        match self {
            Self::Genesis => &[],
            Self::TwoPrepared => TWO_PREPARED,
            Self::SecondRound => SECOND_ROUND,
            Self::Precommitted => PRECOMMITTED,
            Self::Committed => COMMITTED,
            Self::Split => SPLIT,
        }
    }
}

/// Plays the script of `paying`: of several moves that begin alike, each validator makes the first one.
pub(super) fn play(paying: &Paying, mut locals: Vec<Local>) -> Vec<Local> {
    for (who, begins) in paying.bounds.begin.script() {
        for node in *who {
            let others = locals.iter().enumerate().filter(|(other, _)| other != node);
            let heard: BTreeSet<_> = others.flat_map(|(_, local)| local.face.said.iter().cloned()).collect();
            let Some(local) = locals.get_mut(*node) else { continue };
            let all = moves::edges(paying, local, &heard);
            if let Some(edge) = all.into_iter().find(|edge| edge.name.starts_with(begins)) {
                *local = edge.next;
            }
        }
    }
    locals
}
