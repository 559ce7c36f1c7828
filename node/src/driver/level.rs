//! Whether this node is level with its peers.

use std::collections::BTreeMap;
use timecoin_protocol::engine::PeerTag;
use timecoin_protocol::validator::Height;

/// Peers whose height is remembered; the one with the smallest number makes room.
const PEERS_ASKED_MAX: usize = 64;

/// What peers last said of their height. Unsigned claims: they decide nothing but a status flag.
#[derive(Debug, Default)]
pub struct Level {
    tips: BTreeMap<PeerTag, Height>,
}

impl Level {
    /// A peer's answer to a status request.
    pub fn note(&mut self, peer: PeerTag, tip: Height) {
        self.tips.insert(peer, tip);
        if self.tips.len() > PEERS_ASKED_MAX {
            self.tips.pop_first();
        }
    }

    /// Whether `own` is no more than one block behind the median of the peers' claims, so that
    /// fewer than half of them can deceive; without any claim, only a node that is the whole
    /// network by itself (`alone`) is level.
    #[must_use]
    pub fn is_level(&self, own: Height, alone: bool) -> bool {
        let mut tips: Vec<Height> = self.tips.values().copied().collect();
        tips.sort_unstable();
        match tips.get(tips.len() / 2) {
            Some(median) => own.next() >= *median,
            None => alone,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_level_before_a_peer_has_answered_unless_alone() {
        assert!(!Level::default().is_level(Height(5), false));
        assert!(Level::default().is_level(Height(0), true));
    }

    #[test]
    fn one_peer_of_three_cannot_make_a_node_think_that_it_is_behind() {
        let mut level = Level::default();
        level.note(PeerTag(1), Height(10));
        level.note(PeerTag(2), Height(11));
        level.note(PeerTag(3), Height(u64::MAX));
        assert!(level.is_level(Height(10), false), "one block behind is normal");
        assert!(!level.is_level(Height(9), false));
    }
}
