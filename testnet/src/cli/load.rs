//! `testnet load`: payments at a given rate, measured and checked; or the highest rate that holds.

use super::stop::StopSignals;
use super::up::{ClusterArgs, Home};
use super::{STDOUT, print};
use crate::cluster::Cluster;
use crate::endpoints::Endpoints;
use crate::failure::{Failure, Misuse};
use crate::load::{Connections, Limits, PAYMENTS_MAX, RATE_MAX, Report, Search, Shape, Step, holds, run};
use clap::Args;
use serde::Serialize;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;
use timecoin_node::exit::Exit;

/// Most accounts of a run.
const ACCOUNTS_MAX: i64 = 100_000;

/// Arguments of `load`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  \
    testnet load --rate 200 --seconds 10 --double-spends 0.02 --chains 0.2\n  \
    testnet load --endpoints devnet/endpoints.json --rate 50 --seconds 30 --json report.json\n  \
    testnet load --find-max --seconds 10 --p99-ms 1000\n\n\
    The rate counts transactions, both halves of a double spend. Payments arrive at random (Poisson), whether or\n\
    not earlier ones are answered; finality counts from the planned moment of sending. Without --endpoints, a\n\
    cluster is started for the run and removed afterwards.")]
pub struct LoadArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Endpoints of a network that runs already (`testnet up`, `timed dev`).
    #[arg(long, value_name = "FILE", conflicts_with_all = ["nodes", "base_port", "timed", "block_time", "epoch_blocks", "log_level"])]
    endpoints: Option<PathBuf>,
    /// Transactions per second; with --find-max, the first rate that is tried.
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    /// Seconds of sending; with --find-max, of each step.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Share of arrivals that are double spends, from 0 to 1.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    double_spends: f64,
    /// Share of arrivals that spend an output that is in no block yet, from 0 to 1.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    chains: f64,
    /// Number of keys that pay and are paid.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=ACCOUNTS_MAX))]
    accounts: u32,
    /// Decides moments, nodes and keys; by chance if not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Longest that everything may take to settle after the last payment, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    settle: u64,
    /// Where the report is written as JSON; "-" is standard output, in place of the tables.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Look for the highest rate that holds: finality fast enough, no failures, pools not growing.
    #[arg(long)]
    find_max: bool,
    /// Highest 99th percentile of finality at which a rate holds, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 1_000.0, requires = "find_max")]
    p99_ms: f64,
}

impl LoadArgs {
    /// Runs it.
    pub async fn run(&self) -> Result<Exit, Failure> {
        self.check()?;
        let mut stop = StopSignals::listen()?;
        if let Some(file) = &self.endpoints {
            return self.interruptible(&Endpoints::read(file)?, &mut stop).await;
        }
        let home = Home::new(None)?;
        let options = self.cluster.options(home.path())?;
        self.note(&format!("starting {} nodes", options.nodes));
        let mut cluster = tokio::select! {
            started = Cluster::start(&options) => started?,
            () = stop.requested() => return Err(Failure::Interrupted),
        };
        let endpoints = cluster.endpoints().clone();
        let outcome = tokio::select! {
            failure = cluster.ended() => Err(failure),
            outcome = self.interruptible(&endpoints, &mut stop) => outcome,
        };
        cluster.stop().await;
        outcome
    }

    /// A run that was interrupted proves nothing, so it is a failed one.
    async fn interruptible(&self, endpoints: &Endpoints, stop: &mut StopSignals) -> Result<Exit, Failure> {
        tokio::select! {
            outcome = Box::pin(self.measure(endpoints)) => outcome,
            () = stop.requested() => Err(Failure::Interrupted),
        }
    }

    async fn measure(&self, endpoints: &Endpoints) -> Result<Exit, Failure> {
        let connections = Connections::open(endpoints).await?;
        if self.find_max {
            self.search(&connections, endpoints).await
        } else {
            self.once(&connections, endpoints).await
        }
    }

    async fn once(&self, connections: &Connections, endpoints: &Endpoints) -> Result<Exit, Failure> {
        let shape = self.shape(self.rate, endpoints);
        self.note(&format!("{} tx/s for {} s (seed {})", shape.rate, shape.seconds, shape.seed));
        let report = self.one(connections, endpoints, &shape).await?;
        self.write(&report, &report)?;
        Ok(if report.violations.is_empty() { Exit::Ok } else { Exit::Runtime })
    }

    async fn search(&self, connections: &Connections, endpoints: &Endpoints) -> Result<Exit, Failure> {
        let limits = Limits { p99_ms_max: self.p99_ms };
        let mut search = Search::new(self.rate, self.rate_max());
        let mut steps: Vec<Step> = Vec::new();
        let mut violated = false;
        while let Some(rate) = search.next_rate().filter(|_| !violated) {
            let report = self.one(connections, endpoints, &self.shape(rate, endpoints)).await?;
            let failed = holds(&report, limits);
            self.note(&describe(rate, &report, &failed));
            search.tried(failed.is_empty());
            // A broken promise ends the search: no rate excuses it. That double spends take long does not.
            violated = report.broken > 0;
            if violated {
                self.note(&report.to_string());
            }
            steps.push(Step { rate, failed, report });
        }
        let held = search.held();
        let text = held.map_or_else(
            || "no rate holds".to_owned(),
            |rate| format!("highest rate that holds: {rate:.0} tx/s (finality p99 up to {} ms)", self.p99_ms),
        );
        self.write(&json!({"rate": held, "limits": limits, "steps": steps}), &text)?;
        Ok(if violated || held.is_none() { Exit::Runtime } else { Exit::Ok })
    }

    async fn one(&self, connections: &Connections, endpoints: &Endpoints, shape: &Shape) -> Result<Report, Failure> {
        Box::pin(run(connections, endpoints, shape, Duration::from_secs(self.settle))).await
    }

    fn shape(&self, rate: f64, endpoints: &Endpoints) -> Shape {
        Shape {
            rate,
            seconds: self.seconds,
            nodes: endpoints.nodes.len(),
            accounts: self.accounts.try_into().unwrap_or(usize::MAX),
            double_spends: self.double_spends,
            chains: self.chains,
            seed: self.seed.unwrap_or_else(rand::random),
        }
    }

    /// The highest rate at which all payments of a step can be signed ahead.
    fn rate_max(&self) -> f64 {
        f64::from(RATE_MAX).min(PAYMENTS_MAX as f64 / self.seconds as f64 * 0.9)
    }

    fn check(&self) -> Result<(), Misuse> {
        let share = 0.0..=1.0;
        let shares = [self.double_spends, self.chains, self.double_spends + self.chains];
        if !shares.iter().all(|value| share.contains(value)) {
            return Err(Misuse::Shares);
        }
        if !(self.rate > 0.0 && self.rate <= f64::from(RATE_MAX)) {
            return Err(Misuse::Rate(RATE_MAX));
        }
        let wanted = (self.rate * self.seconds as f64) as u64;
        if self.rate > self.rate_max() {
            return Err(Misuse::TooManyPayments { wanted, most: PAYMENTS_MAX });
        }
        Ok(())
    }

    /// Says how it goes, on standard error.
    fn note(&self, text: &str) {
        eprintln!("{text}");
    }

    /// JSON to the file if one is named; the text to standard output unless JSON goes there.
    fn write(&self, value: &impl Serialize, text: &impl std::fmt::Display) -> Result<(), Failure> {
        let path = self.json.as_deref().unwrap_or_else(|| Path::new(STDOUT));
        let json = serde_json::to_string_pretty(value).map_err(|error| Failure::io("write", path)(error.into()))?;
        match &self.json {
            Some(path) if path == Path::new(STDOUT) => print(&json),
            Some(path) => {
                std::fs::write(path, json).map_err(Failure::io("write", path))?;
                print(text)
            }
            None => print(text),
        }
    }
}

fn describe(rate: f64, report: &Report, failed: &[crate::load::Hold]) -> String {
    let reasons: Vec<String> = failed.iter().map(ToString::to_string).collect();
    let verdict = if failed.is_empty() { "holds".to_owned() } else { format!("does not hold: {}", reasons.join("; ")) };
    let finality = report.latencies.finality;
    format!(
        "{rate:>8.0} tx/s: {:.0} final/s, finality p50 {:.0} ms, p99 {:.0} ms, pool up to {}: {verdict}",
        report.final_per_second, finality.p50_ms, finality.p99_ms, report.pool.max
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        load: LoadArgs,
    }

    fn parse(line: &str) -> LoadArgs {
        Line::parse_from(std::iter::once("load").chain(line.split_whitespace())).load
    }

    #[test]
    fn impossible_loads_are_the_users_mistake() {
        assert!(parse("--rate 500 --seconds 20 --double-spends 0.5 --chains 0.5").check().is_ok());
        assert!(matches!(parse("--double-spends 0.6 --chains 0.6").check(), Err(Misuse::Shares)));
        assert!(matches!(parse("--chains=-0.1").check(), Err(Misuse::Shares)));
        assert!(matches!(parse("--rate 0").check(), Err(Misuse::Rate(_))));
        assert!(matches!(parse("--rate NaN").check(), Err(Misuse::Rate(_))));
        assert!(matches!(parse("--rate 5000 --seconds 3600").check(), Err(Misuse::TooManyPayments { .. })));
    }

    #[test]
    fn a_running_network_and_a_new_one_exclude_each_other() {
        assert!(Line::try_parse_from(["load", "--endpoints", "x", "--nodes", "3"]).is_err());
        assert!(Line::try_parse_from(["load", "--p99-ms", "5"]).is_err(), "only of use with --find-max");
    }
}
