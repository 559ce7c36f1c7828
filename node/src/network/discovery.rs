//! Whom to dial, and when: bootstrap peers and peers that were connected before, again and again
//! with growing pauses. A peer that cannot be reached or resolved never delays another one.

use super::addresses::{split_peer, usable};
use crate::bounds::{KNOWN_PEERS_MAX, PEERS_WANTED, REDIAL_FIRST_MS, REDIAL_MAX_MS, REDIALS_MAX};
use libp2p::{Multiaddr, PeerId};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Whom an entry stands for: a peer, or whoever answers at a bootstrap address without a peer id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Target {
    /// This peer.
    Peer(PeerId),
    /// Whoever answers there.
    Address(Multiaddr),
}

/// What is known of a target.
#[derive(Clone, Debug, Default)]
struct Known {
    /// Addresses that the operator gave; a bootstrap peer has some.
    given: Vec<Multiaddr>,
    /// Addresses that the peer or others told.
    learned: Vec<Multiaddr>,
    failures: u32,
    /// When to dial next; none while connected or dialling.
    next_dial: Option<Instant>,
}

impl Known {
    fn is_bootstrap(&self) -> bool {
        !self.given.is_empty()
    }

    fn addresses(&self) -> Vec<Multiaddr> {
        let told = self.learned.iter().filter(|address| !self.given.contains(address));
        self.given.iter().chain(told).cloned().collect()
    }

    /// Adds an address of the operator's.
    fn give(&mut self, address: Multiaddr) {
        if !self.given.contains(&address) {
            self.given.push(address);
        }
    }
}

/// A dial that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dial {
    /// Whom.
    pub(super) target: Target,
    /// Where.
    pub(super) addresses: Vec<Multiaddr>,
}

/// The targets and their next dials.
#[derive(Debug)]
pub(super) struct Discovery {
    known: HashMap<Target, Known>,
}

/// The pause after a number of failures: doubled each time up to a limit, and spread by half, so
/// that nodes that lost one another do not meet in lockstep. `chance` is from 0 to 1.
fn pause(failures: u32, chance: f64) -> Duration {
    let doubled = REDIAL_FIRST_MS.saturating_mul(1_u64.checked_shl(failures.min(16)).unwrap_or(u64::MAX));
    Duration::from_millis(doubled.min(REDIAL_MAX_MS)).mul_f64(0.75 + chance / 2.0)
}

impl Discovery {
    /// Knows the bootstrap addresses, all due at once; `own` is this node, which it does not dial.
    pub(super) fn new(bootstrap: &[Multiaddr], own: PeerId, now: Instant) -> Self {
        let mut known: HashMap<Target, Known> = HashMap::new();
        for address in bootstrap {
            let (plain, peer) = split_peer(address.clone());
            if peer == Some(own) {
                continue;
            }
            let target = peer.map_or_else(|| Target::Address(plain.clone()), Target::Peer);
            let entry = Known { next_dial: Some(now), ..Known::default() };
            known.entry(target).or_insert(entry).give(plain);
        }
        Self { known }
    }

    /// Whether this is a bootstrap peer.
    pub(super) fn is_bootstrap(&self, peer: &PeerId) -> bool {
        self.known.get(&Target::Peer(*peer)).is_some_and(Known::is_bootstrap)
    }

    /// Takes dials that are due, leaving out those whom `skip` names (connected, or blocked).
    pub(super) fn due(&mut self, now: Instant, skip: impl Fn(&PeerId) -> bool) -> Vec<Dial> {
        let mut dials = Vec::new();
        for (target, known) in &mut self.known {
            let skipped = matches!(target, Target::Peer(peer) if skip(peer));
            if skipped || known.next_dial.is_none_or(|at| at > now) {
                continue;
            }
            known.next_dial = None;
            dials.push(Dial { target: target.clone(), addresses: known.addresses() });
        }
        dials
    }

    /// Notes that a peer is connected and where it can be reached.
    pub(super) fn connected(&mut self, peer: PeerId, addresses: Vec<Multiaddr>) {
        if self.known.len() >= KNOWN_PEERS_MAX && !self.known.contains_key(&Target::Peer(peer)) {
            self.forget_worst();
        }
        let known = self.known.entry(Target::Peer(peer)).or_default();
        known.failures = 0;
        known.next_dial = None;
        let learned = usable(peer, addresses, None);
        if !learned.is_empty() {
            known.learned = learned;
        }
    }

    /// Notes that the connection with a peer is gone: dial it again soon.
    pub(super) fn lost(&mut self, peer: PeerId, now: Instant, chance: f64) {
        if let Some(known) = self.known.get_mut(&Target::Peer(peer)) {
            known.next_dial = now.checked_add(pause(0, chance));
        }
    }

    /// Notes that a dial was in vain; forgets peers that never answer.
    pub(super) fn failed(&mut self, target: &Target, now: Instant, chance: f64) {
        let Some(known) = self.known.get_mut(target) else { return };
        known.failures = known.failures.saturating_add(1);
        if !known.is_bootstrap() && known.failures >= REDIALS_MAX {
            self.known.remove(target);
            return;
        }
        known.next_dial = now.checked_add(pause(known.failures, chance));
    }

    /// Notes who answers at a bootstrap address that had no peer id.
    pub(super) fn resolved(&mut self, address: &Multiaddr, peer: PeerId) {
        let Some(known) = self.known.remove(&Target::Address(address.clone())) else { return };
        let entry = self.known.entry(Target::Peer(peer)).or_default();
        for address in known.given {
            entry.give(address);
        }
    }

    /// Notes where a peer can be reached that is to be connected as soon as possible.
    pub(super) fn wanted(&mut self, peer: PeerId, addresses: Vec<Multiaddr>, now: Instant) {
        self.connected(peer, addresses);
        if let Some(known) = self.known.get_mut(&Target::Peer(peer)) {
            known.next_dial = Some(now);
        }
    }

    /// Forgets a peer that is not wanted, unless it is a bootstrap peer.
    pub(super) fn forget(&mut self, peer: &PeerId) {
        if !self.is_bootstrap(peer) {
            self.known.remove(&Target::Peer(*peer));
        }
    }

    /// While few peers are connected, every known one that is neither connected nor scheduled is
    /// dialled again; bootstrap peers always are.
    pub(super) fn reschedule(&mut self, connected: usize, now: Instant, is_connected: impl Fn(&PeerId) -> bool) {
        for (target, known) in &mut self.known {
            let wanted = known.is_bootstrap() || connected < PEERS_WANTED;
            let absent = match target {
                Target::Peer(peer) => !is_connected(peer),
                Target::Address(_) => connected < PEERS_WANTED,
            };
            if wanted && absent && known.next_dial.is_none() {
                known.next_dial = now.checked_add(Duration::from_millis(REDIAL_MAX_MS));
            }
        }
    }

    /// Everybody known is due at once, as at the start: this node takes part in the network again.
    pub(super) fn awake(&mut self, now: Instant) {
        for known in self.known.values_mut() {
            known.failures = 0;
            known.next_dial = Some(now);
        }
    }

    fn forget_worst(&mut self) {
        let worst =
            self.known.iter().filter(|(_, known)| !known.is_bootstrap()).max_by_key(|(_, known)| known.failures);
        if let Some(target) = worst.map(|(target, _)| target.clone()) {
            self.known.remove(&target);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bootstrap(peer: PeerId) -> Vec<Multiaddr> {
        vec![format!("/ip4/127.0.0.1/tcp/4000/p2p/{peer}").parse().unwrap()]
    }

    fn later(now: Instant, ms: u64) -> Instant {
        now + Duration::from_millis(ms)
    }

    #[test]
    fn bootstrap_peers_are_dialled_at_once_and_one_dial_has_all_their_addresses() {
        // N-18
        let (peer, now) = (PeerId::random(), Instant::now());
        let mut addresses = bootstrap(peer);
        addresses.push(format!("/ip4/127.0.0.1/udp/4000/quic-v1/p2p/{peer}").parse().unwrap());
        let mut discovery = Discovery::new(&addresses, PeerId::random(), now);
        let dials = discovery.due(now, |_| false);
        assert_eq!(dials.len(), 1);
        assert_eq!(dials[0].addresses.len(), 2);
        assert!(discovery.due(now, |_| false).is_empty(), "a dial on the way is not repeated");
    }

    #[test]
    fn a_node_does_not_dial_itself() {
        let (own, now) = (PeerId::random(), Instant::now());
        assert!(Discovery::new(&bootstrap(own), own, now).due(now, |_| false).is_empty());
    }

    #[test]
    fn a_lost_peer_is_dialled_again_within_a_fraction_of_a_second() {
        // N-18
        let (peer, now) = (PeerId::random(), Instant::now());
        let mut discovery = Discovery::new(&[], PeerId::random(), now);
        discovery.connected(peer, vec!["/ip4/127.0.0.1/tcp/4000".parse().unwrap()]);
        assert!(discovery.due(later(now, 60_000), |_| false).is_empty());
        discovery.lost(peer, now, 1.0);
        assert_eq!(discovery.due(later(now, 200), |_| false).len(), 1);
    }

    #[test]
    fn a_node_that_takes_part_again_dials_everybody_it_knew_at_once() {
        let (peer, other, now) = (PeerId::random(), PeerId::random(), Instant::now());
        let mut discovery = Discovery::new(&bootstrap(peer), PeerId::random(), now);
        discovery.connected(other, vec!["/ip4/127.0.0.1/tcp/4001".parse().unwrap()]);
        discovery.due(now, |_| false);
        discovery.failed(&Target::Peer(peer), now, 0.5);
        assert!(discovery.due(now, |_| false).is_empty());
        discovery.awake(now);
        assert_eq!(discovery.due(now, |_| false).len(), 2);
        assert!(discovery.due(later(now, 60_000), |_| false).is_empty(), "once");
    }

    #[test]
    fn pauses_grow_up_to_a_limit() {
        // N-18
        assert_eq!(pause(0, 0.5), Duration::from_millis(REDIAL_FIRST_MS));
        assert_eq!(pause(3, 0.5), Duration::from_millis(8 * REDIAL_FIRST_MS));
        assert_eq!(pause(u32::MAX, 0.5), Duration::from_millis(REDIAL_MAX_MS));
        assert!(pause(3, 0.0) < pause(3, 1.0));
    }

    #[test]
    fn a_bootstrap_peer_is_never_given_up_and_another_one_is() {
        // N-18
        let (peer, other, mut now) = (PeerId::random(), PeerId::random(), Instant::now());
        let mut discovery = Discovery::new(&bootstrap(peer), PeerId::random(), now);
        discovery.connected(other, vec!["/ip4/127.0.0.1/tcp/4001".parse().unwrap()]);
        discovery.lost(other, now, 0.0);
        let mut dialled = Vec::new();
        for _ in 0..(REDIALS_MAX + 5) {
            now = later(now, 2 * REDIAL_MAX_MS);
            dialled = discovery.due(now, |_| false);
            for dial in &dialled {
                discovery.failed(&dial.target, now, 0.5);
            }
        }
        assert_eq!(dialled.into_iter().map(|dial| dial.target).collect::<Vec<_>>(), vec![Target::Peer(peer)]);
    }

    #[test]
    fn what_a_peer_tells_replaces_what_it_told_before_but_not_what_the_operator_gave() {
        let (peer, now) = (PeerId::random(), Instant::now());
        let mut discovery = Discovery::new(&bootstrap(peer), PeerId::random(), now);
        for port in 5_000..5_020 {
            discovery.connected(peer, vec![format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()]);
        }
        discovery.connected(peer, Vec::new());
        discovery.lost(peer, now, 0.0);
        let dials = discovery.due(later(now, 1_000), |_| false);
        let expected = ["/ip4/127.0.0.1/tcp/4000", "/ip4/127.0.0.1/tcp/5019"].map(|text| text.parse().unwrap());
        assert_eq!(dials[0].addresses, expected);
    }

    #[test]
    fn whoever_answers_at_a_bootstrap_address_becomes_a_bootstrap_peer() {
        let (peer, now) = (PeerId::random(), Instant::now());
        let address: Multiaddr = "/ip4/127.0.0.1/tcp/4000".parse().unwrap();
        let mut discovery = Discovery::new(std::slice::from_ref(&address), PeerId::random(), now);
        assert_eq!(discovery.due(now, |_| false)[0].target, Target::Address(address.clone()));
        discovery.resolved(&address, peer);
        assert!(discovery.is_bootstrap(&peer));
        discovery.lost(peer, now, 0.0);
        assert_eq!(discovery.due(later(now, 1_000), |_| false)[0].target, Target::Peer(peer));
    }

    #[test]
    fn peers_that_are_connected_or_blocked_are_not_dialled() {
        let (peer, now) = (PeerId::random(), Instant::now());
        let mut discovery = Discovery::new(&bootstrap(peer), PeerId::random(), now);
        assert!(discovery.due(now, |each| *each == peer).is_empty());
    }
}
