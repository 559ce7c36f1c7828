//! Random walks: deeper than a check of all states, and never exhaustive.

use crate::chance::Chance;
use crate::check::{Broken, Limits, Network, Outcome};
use crate::product::{Host, Product, State, Step};
use stateright::{Expectation, Model, Property};
use std::time::Instant;

/// No walk is longer.
const STEPS_MAX: usize = 1_000;
/// With more local states than this the tables are made anew: each holds a whole node.
const LOCAL_STATES_MAX: usize = 20_000;

/// Walks at random from the start, again and again, until the time is up or, with
/// [`Limits::until_broken`], a promise is broken. The same seed walks the same ways.
pub fn walk<H: Host>(host: H, seed: u64, limits: Limits) -> Outcome {
    let began = Instant::now();
    let network = Product::new(host).ending_after(limits.time);
    let properties = H::properties();
    let mut walker = Walker {
        network: &network,
        open: properties.iter().collect(),
        chance: Chance::new(seed),
        limits,
        found: Outcome::default(),
    };
    let mut forgotten = 0;
    while !walker.is_done(began) {
        if network.local_count() > LOCAL_STATES_MAX {
            forgotten += network.local_count();
            network.forget();
        }
        walker.once(began);
    }
    let impossible = walker.open.iter().filter(|property| property.expectation == Expectation::Sometimes);
    let impossible = impossible.map(|property| property.name).collect();
    let local_states = network.local_count() + forgotten;
    Outcome { impossible, local_states, classes: local_states, time: began.elapsed(), ..walker.found }
}

struct Walker<'a, H: Host> {
    network: &'a Product<H>,
    /// Promises that hold so far, and what was not seen yet.
    open: Vec<&'a Property<Product<H>>>,
    chance: Chance,
    limits: Limits,
    found: Outcome,
}

impl<H: Host> Walker<'_, H> {
    fn is_done(&self, began: Instant) -> bool {
        began.elapsed() >= self.limits.time || (self.limits.until_broken && !self.found.broken.is_empty())
    }

    /// One walk, as far as it goes.
    fn once(&mut self, began: Instant) {
        let Some(mut state) = self.network.init_states().pop() else { return };
        let mut way = Vec::new();
        self.look(&state, &way);
        while way.len() < STEPS_MAX && !self.is_done(began) {
            let Some((step, next)) = self.choose(&state) else { return };
            way.push(step);
            state = next;
            self.look(&state, &way);
        }
    }

    /// One of the nodes, and one of its steps that stay within the bounds.
    fn choose(&mut self, state: &State) -> Option<(Step, State)> {
        let mut nodes: Vec<usize> = (0..state.len()).collect();
        while !nodes.is_empty() {
            let node = nodes.swap_remove(self.chance.below(nodes.len()));
            let mut steps = self.network.steps(state, node);
            while !steps.is_empty() {
                let step = steps.swap_remove(self.chance.below(steps.len()));
                let next = self.network.next_state(state, step).filter(|next| self.network.within_boundary(next));
                if let Some(next) = next {
                    return Some((step, next));
                }
            }
        }
        None
    }

    /// Which promises hold in a state.
    fn look(&mut self, state: &State, way: &[Step]) {
        self.found.states += 1;
        self.found.steps += usize::from(!way.is_empty());
        self.found.depth = self.found.depth.max(way.len());
        let (network, broken) = (self.network, &mut self.found.broken);
        self.open.retain(|property| match (&property.expectation, (property.condition)(network, state)) {
            (Expectation::Always, false) => {
                let steps = way.iter().map(|step| network.describe(step)).collect();
                broken.push(Broken { property: property.name, steps });
                false
            }
            (Expectation::Sometimes, true) => false,
            _ => true,
        });
    }
}
