//! `testnet sim`: simulated networks in virtual time.

use super::scale::ScaleArgs;
use crate::sim::{Report, Scenario, run};
use clap::Args;
use std::process::ExitCode;

/// Arguments of `sim`.
#[derive(Clone, Debug, Args)]
pub struct SimArgs {
    /// Run this seed only.
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// How many seeds to run.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    #[command(flatten)]
    scale: ScaleArgs,
}

impl SimArgs {
    /// Runs it.
    pub fn run(&self) -> ExitCode {
        if self.scale.is_asked_for() {
            return self.scale.run(self.seed);
        }
        let several = self.from..self.from.saturating_add(self.seeds);
        let seeds = self.seed.map_or(several, |seed| seed..seed.saturating_add(1));
        let mut failures = 0_u64;
        let mut all = Report::default();
        for seed in seeds.clone() {
            match run(&Scenario::from_seed(seed)) {
                Ok(report) if seeds.end - seeds.start == 1 => println!("{report:#?}"),
                Ok(report) => all.add(&report),
                Err(violation) => {
                    failures += 1;
                    println!("{violation}\n  replay: testnet sim --seed {seed}");
                }
            }
        }
        if all.checks > 0 {
            println!("{all}");
        }
        println!("{} runs, {failures} with a violation", seeds.end - seeds.start);
        if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
