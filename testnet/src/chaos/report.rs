//! What a run did to the network, and what came of it.

use super::faults::Kind;
use crate::load::Latency;
use comfy_table::{Table, presets::UTF8_BORDERS_ONLY};
use serde::Serialize;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What was done so far, counted by all nodes at once.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Counts>);

#[derive(Clone, Debug, Default)]
struct Counts {
    harm: Harm,
    from_kill_us: Vec<u64>,
    from_start_us: Vec<u64>,
    from_return_us: Vec<u64>,
    stalls_us: Vec<u64>,
}

/// What was done to the nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Harm {
    /// Times that something went wrong, at one node or at several.
    pub episodes: u64,
    /// Of these, such that the network could not go on.
    pub storms: u64,
    /// Processes killed with SIGKILL.
    pub kills: u64,
    /// Of these, such that struck a node that had just been started again.
    pub kills_again: u64,
    /// Processes stopped with SIGSTOP for a while.
    pub pauses: u64,
    /// Nodes cut off from the network for a while.
    pub cut_off: u64,
}

impl Tally {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn kill(&self) {
        self.counts().harm.kills += 1;
    }

    pub fn again(&self) {
        self.counts().harm.kills_again += 1;
    }

    pub fn pause(&self) {
        self.counts().harm.pauses += 1;
    }

    pub fn cut_off(&self) {
        self.counts().harm.cut_off += 1;
    }

    /// An episode is over. `stall`: from the return of the last node of a storm to the next block.
    pub fn episode(&self, storm: bool, stall: Option<Duration>) {
        let mut counts = self.counts();
        counts.harm.episodes += 1;
        counts.harm.storms += u64::from(storm);
        counts.stalls_us.extend(stall.map(micros));
    }

    /// A node is level with the others again: so long after it was struck, and after it was let
    /// back.
    pub fn recovered(&self, kind: Kind, from_strike: Duration, from_return: Duration) {
        let mut counts = self.counts();
        match kind {
            Kind::Kill { .. } => {
                counts.from_kill_us.push(micros(from_strike));
                counts.from_start_us.push(micros(from_return));
            }
            Kind::Pause | Kind::CutOff => counts.from_return_us.push(micros(from_return)),
        }
    }

    /// What was done so far.
    pub fn harm(&self) -> Harm {
        self.counts().harm
    }

    /// How long recovery took.
    pub fn recovery(&self) -> Recovery {
        let counts = self.counts().clone();
        Recovery {
            from_kill: Latency::of(counts.from_kill_us),
            from_start: Latency::of(counts.from_start_us),
            from_return: Latency::of(counts.from_return_us),
            stall: Latency::of(counts.stalls_us),
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// How long it took until nodes were level with the others again: all blocks, and a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Recovery {
    /// From the kill, with the time that the node was left dead.
    pub from_kill: Latency,
    /// From the last start of a killed node.
    pub from_start: Latency,
    /// From the end of a pause or a cut.
    pub from_return: Latency,
    /// From the end of an episode that stopped the network to its next block.
    pub stall: Latency,
}

/// What became of the payments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Payments {
    /// All that were to be sent.
    pub planned: u64,
    /// Taken by some node.
    pub accepted: u64,
    /// In a block at the end.
    pub committed: u64,
    /// Never taken, because the rival had won already.
    pub refused: u64,
    /// Double spends.
    pub pairs: u64,
    /// Attempts beyond the first of each payment.
    pub sent_again: u64,
    /// Taken by a node that forgot them when it was killed, and sent once more after the faults.
    pub forgotten: u64,
}

/// A run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Nodes.
    pub nodes: usize,
    /// How long faults and load lasted, in seconds.
    pub seconds: f64,
    /// Payments per second that were planned.
    pub rate: f64,
    /// Source of all chance.
    pub seed: u64,
    /// What was done to the nodes.
    pub harm: Harm,
    /// How long recovery took.
    pub recovery: Recovery,
    /// What became of the payments.
    pub payments: Payments,
    /// Blocks of the run.
    pub blocks: u64,
    /// What does not hold; empty if all is well.
    pub violations: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(UTF8_BORDERS_ONLY).set_header(["chaos", ""]);
        for (name, value) in self.rows() {
            table.add_row([name.to_owned(), value]);
        }
        writeln!(f, "{table}")?;
        for violation in &self.violations {
            writeln!(f, "VIOLATION: {violation}")?;
        }
        f.write_str(if self.violations.is_empty() { "checks: all hold" } else { "checks: FAILED" })
    }
}

impl Report {
    fn rows(&self) -> [(&'static str, String); 9] {
        let (harm, payments, recovery) = (&self.harm, &self.payments, &self.recovery);
        let times = |times: &Latency| {
            format!(
                "p50 {:.0} ms, p95 {:.0} ms, max {:.0} ms ({})",
                times.p50_ms, times.p95_ms, times.max_ms, times.count
            )
        };
        let Self { nodes, seconds, rate, seed, blocks, .. } = self;
        [
            ("run", format!("{nodes} nodes, {seconds:.0} s, {rate:.0} tx/s (seed {seed})")),
            ("episodes", format!("{} ({} of them stopped the network)", harm.episodes, harm.storms)),
            ("kills", format!("{} ({} right after a start)", harm.kills, harm.kills_again)),
            ("pauses, cuts", format!("{}, {}", harm.pauses, harm.cut_off)),
            (
                "payments",
                format!(
                    "{} accepted, {} committed in {blocks} blocks, {} double spends, {} refused to losers",
                    payments.accepted, payments.committed, payments.pairs, payments.refused
                ),
            ),
            (
                "sent again",
                format!("{} attempts; {} forgotten by a killed node", payments.sent_again, payments.forgotten),
            ),
            ("kill to level", times(&recovery.from_kill)),
            ("start to level", times(&recovery.from_start)),
            ("storm to block", times(&recovery.stall)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_recovery_is_counted_where_it_belongs() {
        let tally = Tally::default();
        let (long, short) = (Duration::from_millis(900), Duration::from_millis(300));
        tally.kill();
        tally.recovered(Kind::Kill { again_ms: None }, long, short);
        tally.recovered(Kind::Pause, long, short);
        tally.episode(true, Some(long));
        tally.episode(false, None);
        let (harm, recovery) = (tally.harm(), tally.recovery());
        assert_eq!((harm.kills, harm.episodes, harm.storms), (1, 2, 1));
        assert_eq!((recovery.from_kill.count, recovery.from_start.count, recovery.from_return.count), (1, 1, 1));
        assert!(recovery.from_kill.p50_ms > recovery.from_start.p50_ms && recovery.stall.count == 1);
    }
}
