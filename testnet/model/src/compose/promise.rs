//! Promises about what can be seen of all nodes, and how stateright is told of them.

use super::Parts;
use crate::product::{Product, State};
use stateright::{Expectation, Property};

/// What must always hold, or must be possible.
pub struct Promise<H: Parts> {
    /// In words, with its rule.
    pub name: &'static str,
    /// Which of the two.
    pub expectation: Expectation,
    /// Whether it is so, when this can be seen of the nodes.
    pub holds: fn(&H, &[&H::Face]) -> bool,
}

/// What must always hold.
pub const fn always<H: Parts>(name: &'static str, holds: fn(&H, &[&H::Face]) -> bool) -> Promise<H> {
    Promise { name, expectation: Expectation::Always, holds }
}

/// What must be possible.
pub const fn sometimes<H: Parts>(name: &'static str, holds: fn(&H, &[&H::Face]) -> bool) -> Promise<H> {
    Promise { name, expectation: Expectation::Sometimes, holds }
}

/// stateright takes functions that know nothing but model and state: one for each number of a promise.
macro_rules! by_number {
    ($of:ident) => {
        by_number!($of: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31)
    };
    ($of:ident: $($number:literal)*) => { [$($of::<H, $number>),*] };
}
pub(super) use by_number;

fn holds<H: Parts, const N: usize>(network: &Product<H>, state: &State) -> bool {
    let locals = network.locals(state);
    let faces: Vec<&H::Face> = locals.iter().map(|local| network.host().face(local)).collect();
    H::promises().get(N).is_none_or(|promise| (promise.holds)(network.host(), &faces))
}

/// The promises, for a [`Product`].
pub fn properties<H: Parts>() -> Vec<Property<Product<H>>> {
    let numbered: [fn(&Product<H>, &State) -> bool; 32] = by_number!(holds);
    let named = |(promise, condition): (&Promise<H>, _)| Property {
        expectation: promise.expectation.clone(),
        name: promise.name,
        condition,
    };
    H::promises().iter().zip(numbered).map(named).collect()
}
