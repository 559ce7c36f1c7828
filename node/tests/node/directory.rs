//! The directory: which announcements count, and whom a message for a validator goes to
//! (`SPEC.md` N-30…N-33).

use crate::support::{Fixture, fixture, validator};
use libp2p::PeerId;
use std::sync::Arc;
use timecoin_node::bounds::{ANNOUNCED_STRANGERS_MAX, ANNOUNCEMENT_AHEAD_MS_MAX, ANNOUNCEMENT_DISTANCE_MS_MIN};
use timecoin_node::driver::directory::Directory;
use timecoin_protocol::engine::Verdict;
use timecoin_protocol::keys::SecretKey;
use timecoin_protocol::wire::Announcement;

const NOW_MS: u64 = 1_800_000_000_000;

fn directory() -> (Directory, Fixture) {
    let fixture = fixture();
    (Directory::new(Arc::clone(&fixture.view)), fixture)
}

fn announcement(key: &SecretKey, peer: PeerId, time_ms: u64, fixture: &Fixture) -> Announcement {
    let address: libp2p::Multiaddr = "/ip4/192.0.2.1/tcp/4".parse().unwrap();
    Announcement::sign(peer.to_bytes(), vec![address.to_vec()], time_ms, key, &fixture.view.genesis_hash)
}

#[test]
fn n_35_a_validators_node_is_found_only_while_it_is_connected_and_missed_while_not() {
    let (directory, fixture) = directory();
    let (key, peer) = (validator(0), PeerId::random());
    assert_eq!(directory.accept(&announcement(&key, peer, NOW_MS, &fixture), NOW_MS), Verdict::Accept);
    assert_eq!(directory.node_of(&key.public()), None);
    assert_eq!(directory.missing(), [(peer, vec!["/ip4/192.0.2.1/tcp/4".parse().unwrap()])]);
    directory.peer_ready(peer);
    assert_eq!(directory.node_of(&key.public()), Some(peer));
    assert!(directory.missing().is_empty());
    directory.peer_gone(&peer);
    assert_eq!(directory.node_of(&key.public()), None);
}

#[test]
fn n_30_an_announcement_without_a_proper_peer_id_or_address_is_rejected() {
    let (directory, fixture) = directory();
    let good = announcement(&validator(0), PeerId::random(), NOW_MS, &fixture);
    let no_peer = Announcement { peer_id: vec![1, 2, 3], ..good.clone() };
    let no_address = Announcement { addresses: vec![vec![0xff; 5]], ..good.clone() };
    let too_many = Announcement { addresses: vec![good.addresses[0].clone(); 100], ..good };
    for bad in [no_peer, no_address, too_many] {
        assert_eq!(directory.accept(&bad, NOW_MS), Verdict::Reject);
    }
    assert!(fixture.view.masternodes.is_empty());
}

#[test]
fn n_31_an_announcement_from_the_future_is_ignored() {
    let (directory, fixture) = directory();
    let limit = NOW_MS + ANNOUNCEMENT_AHEAD_MS_MAX;
    let at = |time| announcement(&validator(0), PeerId::random(), time, &fixture);
    assert_eq!(directory.accept(&at(limit + 1), NOW_MS), Verdict::Ignore);
    assert_eq!(directory.accept(&at(limit), NOW_MS), Verdict::Accept);
}

#[test]
fn n_32_the_latest_announcement_wins_and_repetition_in_haste_is_not_forwarded() {
    let (directory, fixture) = directory();
    let (old, new) = (PeerId::random(), PeerId::random());
    let node = || fixture.view.masternodes.get(&validator(0).public()).unwrap().peer;
    let at = |peer, time| announcement(&validator(0), peer, time, &fixture);
    assert_eq!(directory.accept(&at(old, NOW_MS), NOW_MS), Verdict::Accept);
    for time in [NOW_MS - 1_000, NOW_MS, NOW_MS + ANNOUNCEMENT_DISTANCE_MS_MIN - 1] {
        assert_eq!(directory.accept(&at(new, time), NOW_MS), Verdict::Ignore);
        assert_eq!(node(), old);
    }
    assert_eq!(directory.accept(&at(new, NOW_MS + ANNOUNCEMENT_DISTANCE_MS_MIN), NOW_MS), Verdict::Accept);
    assert_eq!(node(), new);
}

#[test]
fn n_33_a_bounded_number_of_strangers_is_kept_and_none_is_forwarded() {
    let (directory, fixture) = directory();
    for number in 0..=ANNOUNCED_STRANGERS_MAX {
        let mut seed = [77; 32];
        seed[..8].copy_from_slice(&number.to_le_bytes());
        let key = SecretKey::from_seed(&seed);
        let stranger = announcement(&key, PeerId::random(), NOW_MS, &fixture);
        assert_eq!(directory.accept(&stranger, NOW_MS), Verdict::Ignore);
    }
    assert_eq!(fixture.view.masternodes.len(), ANNOUNCED_STRANGERS_MAX);
    assert!(directory.missing().is_empty(), "strangers are not dialled");
    let member = announcement(&validator(3), PeerId::random(), NOW_MS, &fixture);
    assert_eq!(directory.accept(&member, NOW_MS), Verdict::Accept, "they take no validator's place");
}

#[test]
fn any_peer_is_another_one_each_time() {
    let (directory, _fixture) = directory();
    assert_eq!(directory.any(), None);
    let peers: Vec<PeerId> = (0..3).map(|_| PeerId::random()).collect();
    peers.iter().for_each(|peer| directory.peer_ready(*peer));
    let mut round: Vec<_> = (0..3).map(|_| directory.any().unwrap()).collect();
    let first = round[0];
    assert_eq!(directory.any(), Some(first), "then it begins anew");
    round.sort();
    let mut all = peers;
    all.sort();
    assert_eq!(round, all);
}

#[test]
fn n_19_the_network_is_told_which_peers_are_nodes_of_validators_and_of_nobody_else() {
    let (directory, fixture) = directory();
    let (member, stranger) = (PeerId::random(), PeerId::random());
    let nodes = directory.nodes();
    for (key, peer) in [(validator(0), member), (SecretKey::from_seed(&[99; 32]), stranger)] {
        directory.accept(&announcement(&key, peer, NOW_MS, &fixture), NOW_MS);
    }
    assert!(nodes.load().is_empty());
    directory.renew_nodes();
    assert_eq!(nodes.load().iter().copied().collect::<Vec<_>>(), [member]);
}
