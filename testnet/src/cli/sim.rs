//! `testnet sim`: simulated networks in virtual time.

use super::scale::ScaleArgs;
use crate::failure::Failure;
use crate::sim::seeds::{Outcome, run_all};
use crate::sim::{Report, Scenario, Violation, run_traced};
use clap::Args;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

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
    /// Print what happens in the run of --seed, line by line.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Least number of blocks of an epoch, in place of what each seed draws.
    #[arg(long, value_parser = clap::value_parser!(u64).range(2..))]
    epoch_blocks: Option<u64>,
    /// Threads; one for each core if it is left out.
    #[arg(long)]
    threads: Option<usize>,
    #[command(flatten)]
    scale: ScaleArgs,
}

impl SimArgs {
    /// Runs it.
    pub fn run(&self) -> ExitCode {
        if self.scale.is_asked_for() {
            return self.scale.run(self.seed);
        }
        let started = Instant::now();
        let outcome = match self.seed {
            Some(seed) => self.one(seed),
            None => self.several(),
        };
        if let Err(failure) = self.write(&outcome, started) {
            eprintln!("error: {failure}");
            return failure.exit().into();
        }
        if outcome.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// What the seed draws, but for what the command line says.
    fn scenario(&self, seed: u64) -> Scenario {
        let drawn = Scenario::from_seed(seed);
        Scenario { epoch_blocks: self.epoch_blocks.unwrap_or(drawn.epoch_blocks), ..drawn }
    }

    fn one(&self, seed: u64) -> Outcome {
        let scenario = self.scenario(seed);
        if self.trace {
            line(&format!("{scenario:?}"));
        }
        let result = run_traced(&scenario, if self.trace { line } else { |_| {} });
        match result {
            Ok(report) => Outcome { report, violations: Vec::new() },
            Err(violation) => {
                self.complain(&violation);
                Outcome { report: Report::default(), violations: vec![violation] }
            }
        }
    }

    fn several(&self) -> Outcome {
        let threads = self.threads.or_else(|| std::thread::available_parallelism().ok().map(Into::into)).unwrap_or(1);
        let seeds = self.from..self.from.saturating_add(self.seeds);
        run_all(
            seeds,
            threads,
            |seed| self.scenario(seed),
            |result| {
                if let Err(violation) = result {
                    self.complain(violation);
                }
            },
        )
    }

    /// Says what went wrong, and how to see it again.
    fn complain(&self, violation: &Violation) {
        let epochs = self.epoch_blocks.map(|blocks| format!(" --epoch-blocks {blocks}")).unwrap_or_default();
        eprintln!("{violation}\n  replay: testnet sim --seed {}{epochs} --trace", violation.seed);
    }

    fn write(&self, outcome: &Outcome, started: Instant) -> Result<(), Failure> {
        let seconds = started.elapsed().as_secs_f64();
        let failed: Vec<u64> = outcome.violations.iter().map(|violation| violation.seed).collect();
        if let Some(path) = &self.scale.json {
            let mut figures = outcome.report.json();
            if let Some(fields) = figures.as_object_mut() {
                fields.insert("violations".to_owned(), serde_json::json!(failed));
                fields.insert("seconds".to_owned(), serde_json::json!(seconds));
            }
            if path == Path::new("-") {
                line(&figures.to_string());
                return Ok(());
            }
            std::fs::write(path, figures.to_string()).map_err(Failure::io("write", path))?;
        }
        let runs = outcome.report.runs + u64::try_from(failed.len()).unwrap_or(u64::MAX);
        line(&format!("{}\n{runs} runs in {seconds:.1} s, {} with a violation", outcome.report, failed.len()));
        Ok(())
    }
}

/// A reader that has had enough is no failure.
fn line(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}
