//! `model`: checks within bounds given on the command line.

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use std::time::Duration;
use timecoin_model::agreement::{Agreeing, Bounds};
use timecoin_model::check::{Limits, Outcome, check, check_composed};
use timecoin_model::paying::{self, Begin, Paying};
use timecoin_model::walk::walk;

/// Visits every state of small networks of TimeCoin's state machines.
#[derive(Debug, Parser)]
#[command(name = "model")]
struct Args {
    /// Worker threads.
    #[arg(long, global = true, default_value_t = 2)]
    threads: usize,
    /// Longest that the check may take, in seconds.
    #[arg(long, global = true, default_value_t = 3_600)]
    seconds: u64,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Block agreement: three honest validators and a faulty one.
    Agreement {
        /// Highest round that can begin.
        #[arg(long, default_value_t = 1)]
        rounds: u32,
        /// Crashes in all.
        #[arg(long, default_value_t = 1)]
        crashes: u8,
        /// Round in which the faulty validator proposes.
        #[arg(long, default_value_t = 0)]
        byzantine_turn: u32,
        /// Weights, the faulty validator's last.
        #[arg(long, value_delimiter = ',', default_values_t = [1, 1, 1, 1])]
        weights: Vec<u64>,
        /// Deliver repeated and contradicting votes and invalid proposals too.
        #[arg(long)]
        noise: bool,
    },
    /// Payments and the end of an epoch: three honest validators and a faulty one.
    Payments {
        /// What has happened before.
        #[arg(long, value_enum, default_value_t = Begin::Genesis)]
        begin: Begin,
        /// How many payments there are: one, or two that exclude each other.
        #[arg(long, default_value_t = 2)]
        payments: usize,
        /// The highest block that is agreed on; 2 end the first epoch.
        #[arg(long, default_value_t = 0)]
        blocks: u64,
        /// The highest round of a height.
        #[arg(long, default_value_t = 0)]
        rounds: u32,
        /// Crashes in all.
        #[arg(long, default_value_t = 0)]
        crashes: u8,
        /// Votes come again, and of other epochs.
        #[arg(long)]
        noise: bool,
        /// Tell states of a validator apart also where they differ only in what has no influence.
        #[arg(long)]
        exact: bool,
        /// Walk at random from this seed in place of visiting all.
        #[arg(long)]
        walk: Option<u64>,
    },
}

fn main() -> ExitCode {
    let args = Args::parse();
    let limits = Limits { threads: args.threads, time: Duration::from_secs(args.seconds), until_broken: false };
    let outcome: Outcome = match args.what {
        What::Agreement { rounds, crashes, byzantine_turn, weights, noise } => {
            let Ok(weights) = weights.try_into() else { return ExitCode::FAILURE };
            check(Agreeing::new(Bounds { weights, byzantine_turn, rounds, crashes, noise }), limits)
        }
        What::Payments { begin, payments, blocks, rounds, crashes, noise, exact, walk: seed } => {
            let paying = Paying::new(paying::Bounds { begin, payments, blocks, rounds, crashes, noise, exact });
            match seed {
                Some(seed) => walk(paying, seed, limits),
                None if rounds == 0 => check_composed(paying, limits),
                None => check(paying, limits),
            }
        }
    };
    print!("{outcome}");
    if outcome.is_proof() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
