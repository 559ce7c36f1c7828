//! Many runs, on all cores, with results in the order of their seeds.

use super::{Report, Scenario, Violation, run};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;

/// What came of many runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// All runs without a violation together.
    pub report: Report,
    /// The violations, by seed.
    pub violations: Vec<Violation>,
}

/// Runs the scenarios that `seeds` make, on so many threads; calls `done` after each one, in the
/// order of seeds. The outcome does not depend on the number of threads.
pub fn run_all(
    seeds: Range<u64>,
    threads: usize,
    scenario: impl Fn(u64) -> Scenario + Sync,
    mut done: impl FnMut(&Result<Report, Violation>),
) -> Outcome {
    let next = AtomicU64::new(seeds.start);
    let (sender, results) = mpsc::channel();
    let mut outcome = Outcome::default();
    thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            let (sender, next, scenario) = (sender.clone(), &next, &scenario);
            let work = move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || sender.send((seed, run(&scenario(seed)))).is_err() {
                        return;
                    }
                }
            };
            scope.spawn(work);
        }
        drop(sender);
        let mut waiting = BTreeMap::new();
        let mut due = seeds.start;
        for (seed, result) in results {
            waiting.insert(seed, result);
            while let Some(result) = waiting.remove(&due) {
                due += 1;
                done(&result);
                match result {
                    Ok(report) => outcome.report.add(report),
                    Err(violation) => outcome.violations.push(violation),
                }
            }
        }
    });
    outcome
}
