//! Running the checker, and what came of it.

use crate::clock::Limit;
use crate::compose::{Composed, Parts};
use crate::product::{Host, Product};
use stateright::{Checker, Expectation, HasDiscoveries, Model, Property};
use std::fmt;
use std::hash::Hash;
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
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Whether every state within the bounds was seen.
    pub exhaustive: bool,
    /// Different states of the network; of a walk, all that it came by.
    pub states: usize,
    /// Steps between them.
    pub steps: usize,
    /// Different states of a single node.
    pub local_states: usize,
    /// Classes of those that nobody can tell apart.
    pub classes: usize,
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
            "{whole} {} states, {} steps, {} local states in {} classes, depth {}, {:.1} s",
            self.states,
            self.steps,
            self.local_states,
            self.classes,
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

/// What is broken once the time is up, and no promise of any network: so a checker ends although states wait.
pub const IN_TIME: &str = "the time is not up";

/// What can be checked.
pub trait Network: Model + Send + Sync + 'static {
    /// What a step is, in words.
    fn describe(&self, step: &Self::Action) -> String;
    /// How many local states were made.
    fn local_count(&self) -> usize;
    /// Of how many classes they are; each is its own, if it is not said.
    fn class_count(&self) -> usize {
        self.local_count()
    }
    /// How long it may take.
    fn limit(&self) -> &Limit;
}

/// Visits every state that `host` can bring about, breadth first.
pub fn check<H: Host>(host: H, limits: Limits) -> Outcome {
    visit(Product::new(host).ending_after(limits.time), limits)
}

/// The same, of nodes that are computed one by one first; see [`compose`](crate::compose).
pub fn check_composed<H: Parts>(host: H, limits: Limits) -> Outcome {
    let began = Instant::now();
    match Composed::new(host, Limit::after(Some(limits.time))) {
        Some(network) => {
            let outcome = visit(network, limits);
            Outcome { time: began.elapsed(), ..outcome }
        }
        None => Outcome { time: began.elapsed(), ..Outcome::default() },
    }
}

/// Visits every state of a network, breadth first.
fn visit<N>(network: N, limits: Limits) -> Outcome
where
    N: Network,
    N::State: Clone + PartialEq + Hash + Send + Sync,
    N::Action: Clone + PartialEq + Send + Sync,
{
    let began = Instant::now();
    let properties = network.properties();
    let builder = network.checker().threads(limits.threads);
    let finish_when = match limits.until_broken {
        true => HasDiscoveries::AnyFailures,
        false => HasDiscoveries::AnyOf([IN_TIME].into()),
    };
    let checker = builder.finish_when(finish_when).spawn_bfs().join();
    checker.model().limit().lift();
    let outcome = gather(&checker, &properties, began.elapsed());
    let cut_short = checker.model().limit().is_cut() || (limits.until_broken && !outcome.broken.is_empty());
    Outcome { exhaustive: !cut_short, ..outcome }
}

fn gather<N>(checker: &impl Checker<N>, properties: &[Property<N>], time: Duration) -> Outcome
where
    N: Network,
    N::State: Clone + PartialEq + Hash,
    N::Action: Clone + PartialEq,
{
    let mut outcome = Outcome {
        exhaustive: true,
        states: checker.unique_state_count(),
        steps: checker.state_count(),
        local_states: checker.model().local_count(),
        classes: checker.model().class_count(),
        depth: checker.max_depth(),
        time,
        ..Outcome::default()
    };
    let discoveries = checker.discoveries();
    for property in properties.iter().filter(|property| property.name != IN_TIME) {
        match (&property.expectation, discoveries.get(property.name)) {
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
