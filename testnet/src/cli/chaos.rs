//! `testnet chaos`: nodes are killed, paused and cut off under load, and nothing may be lost.

use super::stop::StopSignals;
use super::up::{ClusterArgs, Home};
use super::{STDOUT, print};
use crate::chaos::{Options, Report, run};
use crate::cluster::ClusterOptions;
use crate::failure::{Failure, Misuse};
use crate::load::{PAYMENTS_MAX, RATE_MAX};
use clap::Args;
use std::path::{Path, PathBuf};
use std::time::Duration;
use timecoin_node::exit::Exit;

/// Arguments of `chaos`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  \
    testnet chaos --seconds 60 --kills 10\n  \
    testnet chaos --nodes 4 --seconds 600 --kills 100 --rate 50 --double-spends 0.05 --json chaos.json\n\n\
    Most episodes take away fewer nodes than a third, and the network goes on without them; some take away more, up\n\
    to all, and the network must stop and go on by itself. The seed decides which nodes, what happens to them and for\n\
    how long; the next episode waits until all nodes are level again.")]
pub struct ChaosArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Directory of the network, which is kept; a temporary one if not given.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Seconds of load; nodes are treated badly at least as long.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Kills at least.
    #[arg(long, default_value_t = 1)]
    kills: u64,
    /// Transactions per second.
    #[arg(long, default_value_t = 20.0)]
    rate: f64,
    /// Share of arrivals that are double spends, from 0 to 1.
    #[arg(long, value_name = "SHARE", default_value_t = 0.05)]
    double_spends: f64,
    /// Decides faults and load; by chance if not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Longest that everything may take to settle after the last fault, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    settle: u64,
    /// Where the report is written as JSON; "-" is standard output, in place of the table.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl ChaosArgs {
    /// Runs it.
    pub async fn run(&self) -> Result<Exit, Failure> {
        let options = self.options()?;
        let mut stop = StopSignals::listen()?;
        let home = Home::new(self.dir.as_deref())?;
        let cluster = ClusterOptions { unsafe_methods: true, ..self.cluster.options(home.path())? };
        eprintln!("{} nodes, {} s, seed {}", cluster.nodes, options.seconds, options.seed);
        let report = tokio::select! {
            report = Box::pin(run(&cluster, &options)) => report,
            () = stop.requested() => return Err(Failure::Interrupted),
        };
        if report.as_ref().map_or(true, |report| !report.violations.is_empty()) {
            home.keep();
        }
        let report = report?;
        self.write(&report)?;
        Ok(if report.violations.is_empty() { Exit::Ok } else { Exit::Runtime })
    }

    fn options(&self) -> Result<Options, Misuse> {
        if !(0.0..=1.0).contains(&self.double_spends) {
            return Err(Misuse::Shares);
        }
        if !(self.rate > 0.0 && self.rate <= f64::from(RATE_MAX)) {
            return Err(Misuse::Rate(RATE_MAX));
        }
        let wanted = (self.rate * self.seconds as f64) as u64;
        // Chance may plan a few more than that.
        if wanted > PAYMENTS_MAX as u64 * 9 / 10 {
            return Err(Misuse::TooManyPayments { wanted, most: PAYMENTS_MAX });
        }
        Ok(Options {
            seconds: self.seconds,
            kills: self.kills,
            rate: self.rate,
            double_spends: self.double_spends,
            seed: self.seed.unwrap_or_else(rand::random),
            settle: Duration::from_secs(self.settle),
        })
    }

    fn write(&self, report: &Report) -> Result<(), Failure> {
        let path = self.json.as_deref().unwrap_or_else(|| Path::new(STDOUT));
        let json = serde_json::to_string_pretty(report).map_err(|error| Failure::io("write", path)(error.into()))?;
        match &self.json {
            Some(path) if path == Path::new(STDOUT) => return print(&json),
            Some(path) => std::fs::write(path, json).map_err(Failure::io("write", path))?,
            None => {}
        }
        print(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        chaos: ChaosArgs,
    }

    fn options(line: &str) -> Result<Options, Misuse> {
        Line::parse_from(std::iter::once("chaos").chain(line.split_whitespace())).chaos.options()
    }

    #[test]
    fn impossible_loads_are_the_users_mistake() {
        assert!(options("--rate 50 --seconds 600 --kills 100").is_ok());
        assert!(matches!(options("--double-spends 1.5"), Err(Misuse::Shares)));
        assert!(matches!(options("--rate 0"), Err(Misuse::Rate(_))));
        assert!(matches!(options("--rate 5000 --seconds 3600"), Err(Misuse::TooManyPayments { .. })));
    }

    #[test]
    fn the_same_seed_is_the_same_run_and_without_one_chance_decides() {
        assert_eq!(options("--seed 7").unwrap(), options("--seed 7").unwrap());
        assert_ne!(options("").unwrap().seed, options("").unwrap().seed);
    }
}
