//! What goes wrong, in order; the seed alone decides it. When it happens depends also on how long
//! the nodes take to recover: the next episode waits for that.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha12Rng;
use serde::Serialize;

/// Peace before an episode, in milliseconds.
const PEACE_MS: std::ops::RangeInclusive<u64> = 200..=1_200;
/// How long a node stays away, in milliseconds.
const AWAY_MS: std::ops::RangeInclusive<u64> = 50..=2_500;
/// How long after its start a node is killed a second time, in milliseconds: while it reads its
/// files, catches up, or has just begun to vote.
const AGAIN_MS: std::ops::RangeInclusive<u64> = 0..=1_000;
/// Of a hundred episodes, so many take away more nodes than the network can do without.
const STORMS_OF_100: u64 = 12;
/// Of a hundred faults, so many are kills…
const KILLS_OF_100: u64 = 70;
/// …and so many pauses; the others cut the node off.
const PAUSES_OF_100: u64 = 15;
/// Of a hundred kills, so many strike again as soon as the node is back.
const AGAIN_OF_100: u64 = 25;

/// What happens to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// SIGKILL, then a start in the same directory.
    Kill {
        /// Killed again so many milliseconds after that start, and started once more.
        again_ms: Option<u64>,
    },
    /// SIGSTOP, then SIGCONT.
    Pause,
    /// `setnetworkactive` with false, then with true.
    CutOff,
}

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Which node, from 0.
    pub node: usize,
    /// What happens to it.
    pub kind: Kind,
    /// How long it is away, in milliseconds.
    pub away_ms: u64,
}

/// Things that go wrong at the same time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Episode {
    /// Peace before, in milliseconds.
    pub peace_ms: u64,
    /// Each at another node.
    pub faults: Vec<Fault>,
    /// Whether the network cannot go on without the nodes that are away.
    pub storm: bool,
}

/// Endless episodes.
#[derive(Debug)]
pub struct Faults {
    nodes: usize,
    rng: ChaCha12Rng,
}

impl Faults {
    /// The episodes of a seed for so many nodes of equal weight.
    #[must_use]
    pub fn new(seed: u64, nodes: usize) -> Self {
        // Another stream than those of the load, which may begin with the same seed.
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        rng.set_stream(2);
        Self { nodes, rng }
    }

    /// How many nodes the network can do without: fewer than a third.
    #[must_use]
    pub const fn dispensable(&self) -> usize {
        self.nodes.saturating_sub(1) / 3
    }

    fn below_100(&mut self, share: u64) -> bool {
        self.rng.random_range(0..100) < share
    }

    fn fault(&mut self, node: usize) -> Fault {
        let kind = match self.rng.random_range(0..100) {
            kill if kill < KILLS_OF_100 => {
                let again = self.below_100(AGAIN_OF_100);
                let again_ms = self.rng.random_range(AGAIN_MS);
                Kind::Kill { again_ms: again.then_some(again_ms) }
            }
            pause if pause < KILLS_OF_100 + PAUSES_OF_100 => Kind::Pause,
            _ => Kind::CutOff,
        };
        Fault { node, kind, away_ms: self.rng.random_range(AWAY_MS) }
    }

    /// `count` different nodes.
    fn victims(&mut self, count: usize) -> Vec<usize> {
        let mut nodes: Vec<usize> = (0..self.nodes).collect();
        for at in 0..count.min(nodes.len()) {
            let other = self.rng.random_range(at..nodes.len());
            nodes.swap(at, other);
        }
        nodes.truncate(count);
        nodes
    }
}

impl Iterator for Faults {
    type Item = Episode;

    fn next(&mut self) -> Option<Episode> {
        if self.nodes == 0 {
            return None;
        }
        let peace_ms = self.rng.random_range(PEACE_MS);
        let dispensable = self.dispensable();
        let storm = self.below_100(STORMS_OF_100) || dispensable == 0;
        let sizes = if storm { dispensable + 1..=self.nodes } else { 1..=dispensable };
        let size = self.rng.random_range(sizes);
        let victims = self.victims(size);
        Some(Episode { peace_ms, faults: victims.into_iter().map(|node| self.fault(node)).collect(), storm })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn episodes(nodes: usize) -> Vec<Episode> {
        Faults::new(3, nodes).take(1_000).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_episodes() {
        assert_eq!(episodes(4), episodes(4));
        assert_ne!(episodes(4), Faults::new(4, 4).take(1_000).collect::<Vec<_>>());
    }

    #[test]
    fn only_storms_take_more_nodes_than_the_network_can_do_without() {
        for nodes in [4, 7, 10] {
            let dispensable = (nodes - 1) / 3;
            for episode in episodes(nodes) {
                assert_eq!(episode.storm, episode.faults.len() > dispensable, "{episode:?}");
                assert!((1..=nodes).contains(&episode.faults.len()));
                let victims: HashSet<usize> = episode.faults.iter().map(|fault| fault.node).collect();
                assert_eq!(victims.len(), episode.faults.len(), "one thing at a time happens to a node");
                assert!(victims.iter().all(|node| *node < nodes));
            }
        }
        assert!(episodes(4).iter().any(|episode| episode.faults.len() == 4), "all nodes at once");
    }

    #[test]
    fn a_network_that_can_do_without_nobody_has_storms_only() {
        assert!(episodes(3).iter().all(|episode| episode.storm));
        assert_eq!(Faults::new(1, 0).next(), None);
    }

    #[test]
    fn every_kind_of_fault_happens_to_every_node() {
        for node in 0..4 {
            let all = episodes(4);
            let kinds = || all.iter().flat_map(|episode| &episode.faults).filter(|fault| fault.node == node);
            assert!(kinds().any(|fault| matches!(fault.kind, Kind::Kill { again_ms: Some(_) })));
            assert!(kinds().any(|fault| matches!(fault.kind, Kind::Kill { again_ms: None })));
            assert!(kinds().any(|fault| fault.kind == Kind::Pause));
            assert!(kinds().any(|fault| fault.kind == Kind::CutOff));
        }
    }
}
