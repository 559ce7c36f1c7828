//! Running the checker, and what came of it.

use crate::product::{Host, IN_TIME, Product};
use stateright::{Checker, Expectation, HasDiscoveries, Model};
use std::fmt;
use std::time::{Duration, Instant};

/// How long and how far a check may go.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Worker threads.
    pub threads: usize,
    /// After this time the check ends, unfinished.
    pub time: Duration,
    /// Whether to end at the first broken promise.
    pub until_broken: bool,
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which one.
    pub property: &'static str,
    /// The steps that lead there.
    pub steps: Vec<String>,
}

/// What a check found.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Whether every state within the bounds was seen.
    pub exhaustive: bool,
    /// Different states of the network; of a walk, all that it came by.
    pub states: usize,
    /// Steps between them.
    pub steps: usize,
    /// Different states of a single node.
    pub local_states: usize,
    /// The longest of the shortest ways to a state; of walks, the longest.
    pub depth: usize,
    /// How long it took.
    pub time: Duration,
    /// Promises that were broken, with the shortest way to it that was found.
    pub broken: Vec<Broken>,
    /// What should be possible, and was not found to be.
    pub impossible: Vec<&'static str>,
}

impl Outcome {
    /// Whether everything holds, everything can happen, and nothing was left out.
    #[must_use]
    pub fn is_proof(&self) -> bool {
        self.exhaustive && self.broken.is_empty() && self.impossible.is_empty()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = if self.exhaustive { "all" } else { "NOT ALL" };
        writeln!(
            f,
            "{whole} {} states, {} steps, {} local states, depth {}, {:.1} s",
            self.states,
            self.steps,
            self.local_states,
            self.depth,
            self.time.as_secs_f64()
        )?;
        for broken in &self.broken {
            writeln!(f, "BROKEN: {}", broken.property)?;
            for step in &broken.steps {
                writeln!(f, "  {step}")?;
            }
        }
        for property in &self.impossible {
            writeln!(f, "NOT POSSIBLE: {property}")?;
        }
        Ok(())
    }
}

/// Visits every state that `host` can bring about, breadth first.
pub fn check<H: Host>(host: H, limits: Limits) -> Outcome {
    let began = Instant::now();
    let builder = Product::new(host).ending_after(limits.time).checker().threads(limits.threads);
    let finish_when = match limits.until_broken {
        true => HasDiscoveries::AnyFailures,
        false => HasDiscoveries::AnyOf([IN_TIME].into()),
    };
    let checker = builder.finish_when(finish_when).spawn_bfs().join();
    checker.model().lift_limit();
    let outcome = gather::<H>(&checker, began.elapsed());
    let cut_short = checker.model().is_cut() || (limits.until_broken && !outcome.broken.is_empty());
    Outcome { exhaustive: !cut_short, ..outcome }
}

fn gather<H: Host>(checker: &impl Checker<Product<H>>, time: Duration) -> Outcome {
    let mut outcome = Outcome {
        exhaustive: true,
        states: checker.unique_state_count(),
        steps: checker.state_count(),
        local_states: checker.model().local_count(),
        depth: checker.max_depth(),
        time,
        broken: Vec::new(),
        impossible: Vec::new(),
    };
    let discoveries = checker.discoveries();
    for property in H::properties() {
        match (property.expectation, discoveries.get(property.name)) {
            (Expectation::Always, Some(path)) => {
                let steps = path.clone().into_actions();
                let steps = steps.iter().map(|step| checker.model().describe(step)).collect();
                outcome.broken.push(Broken { property: property.name, steps });
            }
            (Expectation::Sometimes, None) => outcome.impossible.push(property.name),
            _ => {}
        }
    }
    outcome
}
