//! Whether the node is fit to serve: checks over the view.

use crate::view::View;
use axum::http::StatusCode;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

/// How many block intervals a tip may be old.
const TIP_AGE_INTERVALS_MAX: u64 = 10;
/// Least age of a tip that is too old, in milliseconds: short intervals stall for longer than ten
/// of them when a proposer is away.
const TIP_AGE_MS_MIN: u64 = 60_000;

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Check {
    name: &'static str,
    passed: bool,
    text: String,
}

/// All checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report(Vec<Check>);

/// What the checks are about, so that they can be judged without a node.
#[derive(Clone, Copy, Debug)]
struct Facts {
    now_ms: u64,
    started_ms: u64,
    tip_ms: u64,
    height: u64,
    interval_ms: u64,
    synced: bool,
    peers: usize,
    /// Whether this node's key is the only validator: it needs nobody.
    alone: bool,
}

impl Report {
    /// Checks the node; reads the database, so call it where that may block.
    pub fn of(view: &View) -> Self {
        let state = view.state.load();
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_millis());
        let own = view.validator.is_some_and(|key| state.validators.index_of(&key).is_some());
        let facts = Facts {
            now_ms: u64::try_from(now_ms).unwrap_or(u64::MAX),
            started_ms: view.started_at.millis(),
            tip_ms: state.time_ms,
            height: state.height.0,
            interval_ms: view.genesis.params.block_interval_ms,
            synced: view.synced.load(Ordering::Relaxed),
            peers: view.peers.load().len(),
            alone: own && state.validators.len() == 1,
        };
        let mut checks = vec![database(view)];
        checks.extend(facts.checks());
        Self(checks)
    }

    /// A report that says only that there is none.
    pub fn failed(text: &str) -> Self {
        Self(vec![Check { name: "checks", passed: false, text: text.to_owned() }])
    }

    /// 200 or 503.
    pub fn status(&self) -> StatusCode {
        if self.0.iter().all(|check| check.passed) { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
    }

    /// `ok`, or what is wrong.
    pub fn summary(&self) -> String {
        let failed: Vec<String> = self
            .0
            .iter()
            .filter(|check| !check.passed)
            .map(|check| format!("{}: {}\n", check.name, check.text))
            .collect();
        if failed.is_empty() { "ok\n".to_owned() } else { failed.concat() }
    }

    /// One line for each check.
    pub fn lines(&self) -> String {
        let line = |check: &Check| {
            let mark = if check.passed { "[+]" } else { "[!]" };
            format!("{mark} {}: {}\n", check.name, check.text)
        };
        self.0.iter().map(line).collect()
    }
}

/// Reads the last block; at height 0, an output of genesis.
fn database(view: &View) -> Check {
    let height = view.state.load().height;
    let read = if height.0 == 0 {
        let first = view.genesis.utxos().next();
        first.map_or(Ok(true), |(outpoint, _)| view.chain.utxo(&outpoint).map(|found| found.is_some()))
    } else {
        view.chain.block(height).map(|found| found.is_some())
    };
    match read {
        Ok(true) => Check { name: "database", passed: true, text: "readable".to_owned() },
        Ok(false) => Check { name: "database", passed: false, text: format!("block {height} is missing") },
        Err(error) => Check { name: "database", passed: false, text: error.to_string() },
    }
}

impl Facts {
    fn checks(&self) -> [Check; 3] {
        [self.sync(), self.tip(), self.connected()]
    }

    fn sync(&self) -> Check {
        let text = if self.synced { "level with the network" } else { "catching up with the network" };
        Check { name: "sync", passed: self.synced, text: text.to_owned() }
    }

    fn tip(&self) -> Check {
        // A node that has just started gets as long as a running one before its tip is too old.
        let age_ms = self.now_ms.saturating_sub(self.tip_ms.max(self.started_ms));
        let most_ms = self.interval_ms.saturating_mul(TIP_AGE_INTERVALS_MAX).max(TIP_AGE_MS_MIN);
        let passed = age_ms <= most_ms;
        let since = self.now_ms.saturating_sub(self.tip_ms) / 1_000;
        let mut text = format!("block {} is {since} s old", self.height);
        if !passed {
            text.push_str(&format!(", a new one was due after {} s", self.interval_ms.div_ceil(1_000)));
        }
        Check { name: "tip", passed, text }
    }

    fn connected(&self) -> Check {
        let passed = self.peers > 0 || self.alone;
        let text = match self.peers {
            0 if self.alone => "none, and none needed: this is the only validator".to_owned(),
            0 => "none; check the bootstrap addresses and the network".to_owned(),
            peers => format!("{peers} connected"),
        };
        Check { name: "peers", passed, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: Facts = Facts {
        now_ms: 1_000_000_000,
        started_ms: 0,
        tip_ms: 999_990_000,
        height: 7,
        interval_ms: 30_000,
        synced: true,
        peers: 3,
        alone: false,
    };

    fn report(facts: Facts) -> Report {
        Report(facts.checks().to_vec())
    }

    #[test]
    fn a_node_that_is_well_passes_every_check() {
        let report = report(WELL);
        assert_eq!((report.status(), report.summary().as_str()), (StatusCode::OK, "ok\n"));
        assert_eq!(
            report.lines(),
            "[+] sync: level with the network\n[+] tip: block 7 is 10 s old\n[+] peers: 3 connected\n"
        );
    }

    #[test]
    fn a_node_without_peers_is_unready_unless_it_is_the_only_validator() {
        assert_eq!(report(Facts { peers: 0, ..WELL }).status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(report(Facts { peers: 0, alone: true, ..WELL }).status(), StatusCode::OK);
    }

    #[test]
    fn a_tip_is_too_old_after_ten_intervals_but_never_within_a_minute() {
        let aged = |interval_ms, age_ms| Facts { interval_ms, tip_ms: WELL.now_ms - age_ms, ..WELL };
        assert_eq!(report(aged(30_000, 300_000)).status(), StatusCode::OK);
        assert_eq!(report(aged(30_000, 300_001)).status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(report(aged(1_000, 60_000)).status(), StatusCode::OK);
        assert_eq!(report(aged(1_000, 60_001)).status(), StatusCode::SERVICE_UNAVAILABLE);
    }

    #[test]
    fn a_node_that_has_just_started_is_given_time_to_see_a_block() {
        let facts = Facts { started_ms: WELL.now_ms - 1_000, tip_ms: 0, ..WELL };
        assert_eq!(report(facts).status(), StatusCode::OK);
    }

    #[test]
    fn what_is_wrong_is_in_the_answer() {
        let report = report(Facts { synced: false, ..WELL });
        assert_eq!(report.summary(), "sync: catching up with the network\n");
        assert!(report.lines().starts_with("[!] sync"));
    }
}
