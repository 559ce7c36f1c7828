//! Block agreement among whole sets of machines in thousands of seeded chaotic networks: nobody
//! decides two blocks, nobody votes twice, and somebody decides once the network
//! heals. A failure names its seed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

#[path = "../bft_support/mod.rs"]
mod bft_support;
mod network;

use network::{Network, Setting, Violation};

const FOUR: Setting = Setting { count: 4, faulty: 1, locks_survive: true, votes_survive: true, proofs: true };
const SEVEN: Setting = Setting { count: 7, faulty: 2, ..FOUR };

/// Chaos and healing for each seed; how many of them decided before healing.
fn agree(setting: Setting, seeds: u64, turns: usize) -> u64 {
    let mut early = 0;
    for seed in 0..seeds {
        let mut network = Network::new(setting, seed);
        let decided = network.chaos(turns).and_then(|()| {
            early += u64::from(network.is_decided());
            network.heal(120)
        });
        assert_eq!(decided, Ok(true), "{} validators, seed {seed}", setting.count);
    }
    early
}

/// The violations that chaos brings about.
fn violations(setting: Setting, seeds: u64, turns: usize) -> Vec<Violation> {
    (0..seeds).filter_map(|seed| Network::new(setting, seed).chaos(turns).err()).collect()
}

#[test]
fn four_validators_agree_with_one_faulty() {
    let early = agree(FOUR, 2_000, 300);
    assert!((200..1_800).contains(&early), "chaos decides {early}: it should some, not all");
}

#[test]
fn seven_validators_agree_with_two_faulty() {
    let early = agree(SEVEN, 1_000, 700);
    assert!((100..900).contains(&early), "chaos decides {early}: it should some, not all");
}

#[test]
fn four_honest_validators_agree() {
    agree(Setting { faulty: 0, ..FOUR }, 1_000, 200);
}

#[test]
fn the_simulation_notices_when_locks_are_lost() {
    let found = violations(Setting { locks_survive: false, ..FOUR }, 3_000, 600);
    assert!(found.contains(&Violation::TwoDecisions), "{found:?}");
}

#[test]
fn the_simulation_notices_when_votes_are_lost() {
    let found = violations(Setting { votes_survive: false, ..FOUR }, 3_000, 600);
    assert!(found.contains(&Violation::VotedTwice), "{found:?}");
}

#[test]
fn the_simulation_notices_when_a_third_is_faulty() {
    let found = violations(Setting { count: 3, faulty: 1, ..FOUR }, 3_000, 300);
    assert_eq!(found, [], "a quorum of three is three");
    let found = violations(Setting { faulty: 2, ..FOUR }, 3_000, 900);
    assert!(found.contains(&Violation::TwoDecisions), "{found:?}");
}

/// A faulty validator that prevotes a block towards one honest validator and nil towards the others
/// makes that one lock alone: nobody else can then see why it proposes that block again.
#[test]
fn a_network_can_stall_when_proofs_are_not_sent() {
    let stalls = (0..2_000).filter(|seed| {
        let mut network = Network::new(Setting { proofs: false, ..FOUR }, *seed);
        network.chaos(300).and_then(|()| network.heal(120)) == Ok(false)
    });
    assert!(stalls.count() > 0, "R-16 would be needless");
}
