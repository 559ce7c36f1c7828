//! Who did wrong, and who is blocked for it (N-17). Only what no honest node does is penalized:
//! being behind, slow or silent is not.

use crate::bounds::{BANNED_PEERS_MAX, PENALIZED_PEERS_MAX, PENALTY_BAN, PENALTY_DECAY_MS};
use libp2p::PeerId;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use timecoin_protocol::engine::Offence;

/// Penalty points of an offence (N-17).
const fn points(offence: Offence) -> u32 {
    match offence {
        Offence::InvalidTransaction | Offence::InvalidAnswer => 20,
        Offence::InvalidVote | Offence::InvalidBlock => 50,
    }
}

/// A sum of points that is forgiven at a constant rate.
#[derive(Clone, Copy, Debug)]
struct Sum {
    points: u32,
    counted_from: Instant,
}

impl Sum {
    fn at(&self, now: Instant) -> u32 {
        let elapsed = now.saturating_duration_since(self.counted_from).as_millis();
        let forgiven = u32::try_from(elapsed / u128::from(PENALTY_DECAY_MS)).unwrap_or(u32::MAX);
        self.points.saturating_sub(forgiven)
    }

    fn add(&mut self, points: u32, now: Instant) {
        if self.at(now) == 0 {
            *self = Self { points: 0, counted_from: now };
        }
        self.points = self.points.saturating_add(points);
    }
}

/// Penalties and blocks of all peers; they outlast connections, not the run.
#[derive(Debug)]
pub(super) struct Penalties {
    sums: HashMap<PeerId, Sum>,
    over_quota: HashMap<PeerId, Instant>,
    /// When a block ends; never, if an operator set it.
    bans: HashMap<PeerId, Option<Instant>>,
    ban: Duration,
}

impl Penalties {
    /// Nobody is penalized; later blocks last for `ban`.
    pub(super) fn new(ban: Duration) -> Self {
        Self { sums: HashMap::new(), over_quota: HashMap::new(), bans: HashMap::new(), ban }
    }

    /// Counts an offence; says whether the peer is to be blocked now.
    pub(super) fn offend(&mut self, peer: PeerId, offence: Offence, now: Instant) -> bool {
        self.add(peer, points(offence), now)
    }

    /// Counts a request above the quota: one point, but not more than one each second, so that
    /// only a flood that lasts for minutes leads to a block.
    pub(super) fn over_quota(&mut self, peer: PeerId, now: Instant) -> bool {
        let recent = |at: &Instant| now.saturating_duration_since(*at) < Duration::from_secs(1);
        if self.over_quota.get(&peer).is_some_and(recent) {
            return false;
        }
        self.over_quota.retain(|_, at| recent(at));
        self.over_quota.insert(peer, now);
        self.add(peer, 1, now)
    }

    fn add(&mut self, peer: PeerId, points: u32, now: Instant) -> bool {
        let sum = self.sums.entry(peer).or_insert(Sum { points: 0, counted_from: now });
        sum.add(points, now);
        let banned = sum.at(now) >= PENALTY_BAN;
        if self.sums.len() > PENALIZED_PEERS_MAX {
            let lightest = self.sums.iter().min_by_key(|(_, sum)| sum.at(now)).map(|(peer, _)| *peer);
            lightest.and_then(|peer| self.sums.remove(&peer));
        }
        banned
    }

    /// Points of a peer that are not forgiven yet.
    pub(super) fn of(&self, peer: &PeerId, now: Instant) -> u32 {
        self.sums.get(peer).map_or(0, |sum| sum.at(now))
    }

    /// Notes a block for penalties; it ends by itself, and with it the penalties.
    /// Returns a peer whose block had to be lifted to make room.
    pub(super) fn ban_for_a_while(&mut self, peer: PeerId, now: Instant) -> Option<PeerId> {
        self.sums.remove(&peer);
        let until = now.checked_add(self.ban);
        // An operator's ban is not shortened.
        self.bans.entry(peer).or_insert(until);
        if self.bans.len() <= BANNED_PEERS_MAX {
            return None;
        }
        let first = self.bans.iter().filter_map(|(peer, until)| until.map(|until| (until, *peer))).min()?.1;
        self.bans.remove(&first);
        Some(first)
    }

    /// Notes an operator's block; it lasts until [`forgive`](Self::forgive).
    pub(super) fn ban(&mut self, peer: PeerId) {
        self.bans.insert(peer, None);
    }

    /// Forgets block and penalties.
    pub(super) fn forgive(&mut self, peer: &PeerId) {
        self.sums.remove(peer);
        self.over_quota.remove(peer);
        self.bans.remove(peer);
    }

    /// Whether a peer is blocked.
    pub(super) fn is_banned(&self, peer: &PeerId) -> bool {
        self.bans.contains_key(peer)
    }

    /// Peers whose block ends now; forgets sums that are all forgiven.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<PeerId> {
        self.sums.retain(|_, sum| sum.at(now) > 0);
        let ended = |until: &Option<Instant>| until.is_some_and(|until| until <= now);
        let peers: Vec<_> = self.bans.iter().filter(|(_, until)| ended(until)).map(|(peer, _)| *peer).collect();
        self.bans.retain(|_, until| !ended(until));
        peers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn offences_add_up_to_a_block() {
        // N-17
        let (mut penalties, now) = (Penalties::new(Duration::from_secs(60)), Instant::now());
        let peer = PeerId::random();
        assert!(!penalties.offend(peer, Offence::InvalidVote, now));
        assert!(penalties.offend(peer, Offence::InvalidVote, now));
    }

    #[test]
    fn points_are_forgiven_with_time() {
        // N-17
        let (mut penalties, now) = (Penalties::new(Duration::from_secs(60)), Instant::now());
        let peer = PeerId::random();
        penalties.offend(peer, Offence::InvalidVote, now);
        assert_eq!(penalties.of(&peer, after(now, PENALTY_DECAY_MS * 3)), 47);
        assert!(!penalties.offend(peer, Offence::InvalidVote, after(now, PENALTY_DECAY_MS * 3)));
        assert_eq!(penalties.of(&peer, after(now, PENALTY_DECAY_MS * 3)), 97);
        assert_eq!(penalties.of(&peer, after(now, PENALTY_DECAY_MS * 100)), 0);
    }

    #[test]
    fn a_burst_above_the_quota_costs_one_point() {
        // N-17
        let (mut penalties, now) = (Penalties::new(Duration::from_secs(60)), Instant::now());
        let peer = PeerId::random();
        for ms in 0..900 {
            assert!(!penalties.over_quota(peer, after(now, ms)));
        }
        assert_eq!(penalties.of(&peer, now), 1);
    }

    #[test]
    fn a_flood_that_lasts_leads_to_a_block() {
        // N-17
        let (mut penalties, now) = (Penalties::new(Duration::from_secs(60)), Instant::now());
        let peer = PeerId::random();
        assert!((0..300).any(|second| penalties.over_quota(peer, after(now, second * 1_000))));
    }

    #[test]
    fn a_block_for_penalties_ends_and_an_operators_does_not() {
        // N-17
        let (mut penalties, now) = (Penalties::new(Duration::from_secs(60)), Instant::now());
        let (one, two) = (PeerId::random(), PeerId::random());
        penalties.ban_for_a_while(one, now);
        penalties.ban(two);
        assert!(penalties.expire(after(now, 59_000)).is_empty());
        assert_eq!(penalties.expire(after(now, 60_000)), vec![one]);
        assert!(penalties.is_banned(&two));
        penalties.forgive(&two);
        assert!(!penalties.is_banned(&two));
    }
}
