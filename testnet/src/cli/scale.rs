//! `testnet sim --validators` and `--scale-series`: finality and cost with many validators.

use super::print;
use crate::failure::Failure;
use crate::sim::scale::{Outcome, SERIES, ScaleError, Shape, run, svg, table};
use clap::{ArgGroup, Args};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use timecoin_node::exit::Exit;

/// Seed of a run if none is given.
const SEED: u64 = 1;

/// Arguments of a scale run.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("scale").args(["validators", "scale_series"]))]
pub struct ScaleArgs {
    /// Simulate this many validators all over the world, and measure finality and messages.
    #[arg(long, value_name = "N", conflicts_with_all = ["seeds", "from"])]
    validators: Option<usize>,
    /// The same for 4, 10, 32, 100, 316 and 1,000 validators.
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    scale_series: bool,
    /// Regions that the validators are in, of the ten that round trips are known between.
    #[arg(long, value_name = "N", default_value_t = 10, requires = "scale", value_parser = clap::value_parser!(u8).range(1..=10))]
    regions: u8,
    /// Share of Byzantine validators; one half of them is silent, the other half lies.
    #[arg(long, value_name = "SHARE", default_value_t = 0.2, requires = "scale")]
    byzantine: f64,
    /// Payments per second.
    #[arg(long, value_name = "TX/S", default_value_t = 10, requires = "scale", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rate: u32,
    /// Seconds of payments, in simulated time.
    #[arg(long, default_value_t = 5, requires = "scale", value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// Where the results are written as JSON; "-" is standard output, in place of the tables.
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Where messages and bytes against the number of validators are drawn.
    #[arg(long, value_name = "FILE", requires = "scale")]
    svg: Option<PathBuf>,
}

impl ScaleArgs {
    /// Whether these arguments ask for such a run.
    pub const fn is_asked_for(&self) -> bool {
        self.scale_series || self.validators.is_some()
    }

    /// Runs it.
    pub fn run(&self, seed: Option<u64>) -> ExitCode {
        let seed = seed.unwrap_or(SEED);
        let result = self
            .outcomes(seed)
            .map_err(|error| (exit_of(&error), error.to_string()))
            .and_then(|outcomes| self.write(&outcomes).map_err(|failure| (failure.exit(), failure.to_string())));
        match result {
            Ok(()) => ExitCode::SUCCESS,
            Err((exit, message)) => {
                eprintln!("error: {message}");
                exit.into()
            }
        }
    }

    fn outcomes(&self, seed: u64) -> Result<Vec<Outcome>, ScaleError> {
        let sizes = self.validators.map_or_else(|| SERIES.to_vec(), |validators| vec![validators]);
        let mut outcomes = Vec::new();
        for validators in sizes {
            let shape = Shape {
                validators,
                regions: usize::from(self.regions),
                byzantine: self.byzantine,
                rate: self.rate,
                seconds: self.seconds,
                seed,
            };
            let began = Instant::now();
            let outcome = run(&shape)?;
            eprintln!(
                "{validators} validators: {:.1} s simulated in {:.0} s",
                outcome.length_ms as f64 / 1_000.0,
                began.elapsed().as_secs_f64()
            );
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    fn write(&self, outcomes: &[Outcome]) -> Result<(), Failure> {
        if let Some(path) = &self.svg {
            std::fs::write(path, svg(outcomes)).map_err(Failure::io("write", path))?;
        }
        let to_stdout = self.json.as_deref() == Some(Path::new("-"));
        if let Some(path) = &self.json {
            let json =
                serde_json::to_string_pretty(outcomes).map_err(|error| Failure::io("write", path)(error.into()))?;
            if to_stdout {
                print(&json)?;
            } else {
                std::fs::write(path, json).map_err(Failure::io("write", path))?;
            }
        }
        if to_stdout { Ok(()) } else { print(&table(outcomes)) }
    }
}

const fn exit_of(error: &ScaleError) -> Exit {
    match error {
        ScaleError::Validators | ScaleError::Byzantine | ScaleError::Payments => Exit::Usage,
        _ => Exit::Runtime,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[arg(long, default_value_t = 100)]
        seeds: u64,
        #[arg(long, default_value_t = 0)]
        from: u64,
        #[command(flatten)]
        scale: ScaleArgs,
    }

    fn parse(line: &str) -> Result<ScaleArgs, clap::error::ErrorKind> {
        Line::try_parse_from(std::iter::once("sim").chain(line.split_whitespace()))
            .map(|line| line.scale)
            .map_err(|error| error.kind())
    }

    #[test]
    fn a_number_of_validators_or_the_series_makes_a_scale_run() {
        assert!(!parse("--seeds 3").unwrap().is_asked_for());
        let one = parse("--validators 1000 --regions 10 --byzantine 0.2").unwrap();
        assert!(one.is_asked_for() && one.validators == Some(1_000));
        assert!(parse("--scale-series --rate 20 --svg plot.svg").unwrap().is_asked_for());
    }

    #[test]
    fn options_that_have_no_meaning_together_are_refused() {
        use clap::error::ErrorKind::{ArgumentConflict, MissingRequiredArgument, ValueValidation};
        assert_eq!(parse("--rate 5").unwrap_err(), MissingRequiredArgument);
        assert_eq!(parse("--validators 4 --scale-series").unwrap_err(), ArgumentConflict);
        assert_eq!(parse("--validators 4 --seeds 7").unwrap_err(), ArgumentConflict);
        assert_eq!(parse("--validators 4 --regions 11").unwrap_err(), ValueValidation);
    }

    #[test]
    fn a_shape_that_makes_no_sense_is_wrong_use_and_a_broken_promise_is_not() {
        assert_eq!(exit_of(&ScaleError::Byzantine).code(), 2);
        assert_eq!(exit_of(&ScaleError::NotFinal { missing: 1, wanted: 2, seconds: 3 }).code(), 1);
    }
}
