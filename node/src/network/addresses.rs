//! Which of the addresses that a peer claims to have are kept.

use crate::bounds::{ADDRESS_BYTES_MAX, ADDRESSES_PER_PEER_MAX};
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};

/// Whether an address has a host of this machine only.
fn is_loopback(address: &Multiaddr) -> bool {
    address.iter().any(|part| match part {
        Protocol::Ip4(ip) => ip.is_loopback(),
        Protocol::Ip6(ip) => ip.is_loopback(),
        _ => false,
    })
}

/// Whether an address is one that this node's transports can dial.
fn is_dialable(address: &Multiaddr) -> bool {
    let mut parts = address.iter();
    let host = match parts.next() {
        Some(Protocol::Ip4(ip)) => !ip.is_unspecified() && !ip.is_multicast() && !ip.is_broadcast(),
        Some(Protocol::Ip6(ip)) => !ip.is_unspecified() && !ip.is_multicast(),
        Some(Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_)) => true,
        _ => false,
    };
    let port = match parts.next() {
        Some(Protocol::Tcp(port)) => port != 0,
        Some(Protocol::Udp(port)) => port != 0 && parts.next() == Some(Protocol::QuicV1),
        _ => false,
    };
    host && port && parts.next().is_none()
}

/// The address without a trailing `/p2p/<peer id>`, and that peer id.
pub(super) fn split_peer(mut address: Multiaddr) -> (Multiaddr, Option<PeerId>) {
    let peer = match address.iter().last() {
        Some(Protocol::P2p(peer)) => Some(peer),
        _ => None,
    };
    if peer.is_some() {
        address.pop();
    }
    (address, peer)
}

/// The addresses of `peer` worth keeping, seen from a connection with `remote`: short, dialable,
/// few. Loopback addresses count only from a peer on this machine; private ones always, for whole
/// networks live on them.
pub(super) fn usable(peer: PeerId, claimed: Vec<Multiaddr>, remote: Option<&Multiaddr>) -> Vec<Multiaddr> {
    let local = remote.is_none_or(is_loopback);
    let mut kept: Vec<Multiaddr> = Vec::new();
    for address in claimed {
        if address.len() > ADDRESS_BYTES_MAX || kept.len() >= ADDRESSES_PER_PEER_MAX {
            continue;
        }
        let (address, named) = split_peer(address);
        let right_peer = named.is_none_or(|named| named == peer);
        let reachable = is_dialable(&address) && (local || !is_loopback(&address));
        if right_peer && reachable && !kept.contains(&address) {
            kept.push(address);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(texts: &[&str]) -> Vec<Multiaddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn only_addresses_that_can_be_dialled_are_kept() {
        let remote = "/ip4/10.0.0.7/tcp/4000".parse().unwrap();
        let good = parse(&["/ip4/10.0.0.7/tcp/4001", "/ip6/2001:db8::1/udp/4001/quic-v1", "/dns4/node.example/tcp/1"]);
        let bad = parse(&[
            "/ip4/0.0.0.0/tcp/1",
            "/ip4/10.0.0.7/tcp/0",
            "/ip4/10.0.0.7/udp/9",
            "/ip4/10.0.0.7/tcp/1/ws",
            "/ip4/127.0.0.1/tcp/4001",
            "/unix/socket",
        ]);
        let claimed = bad.into_iter().chain(good.clone()).collect();
        assert_eq!(usable(PeerId::random(), claimed, Some(&remote)), good);
    }

    #[test]
    fn loopback_is_kept_from_a_peer_on_this_machine() {
        let claimed = parse(&["/ip4/127.0.0.1/tcp/4001"]);
        let remote = "/ip4/127.0.0.1/tcp/50000".parse().unwrap();
        assert_eq!(usable(PeerId::random(), claimed.clone(), Some(&remote)), claimed);
    }

    #[test]
    fn addresses_of_somebody_else_and_repetitions_are_dropped() {
        let peer = PeerId::random();
        let plain: Multiaddr = "/ip4/10.0.0.7/tcp/4001".parse().unwrap();
        let own = plain.clone().with(Protocol::P2p(peer));
        let foreign = "/ip4/10.0.0.8/tcp/4001".parse::<Multiaddr>().unwrap().with(Protocol::P2p(PeerId::random()));
        assert_eq!(usable(peer, vec![own, foreign, plain.clone()], None), vec![plain]);
    }

    #[test]
    fn a_long_list_is_cut_off() {
        let claimed = (1..100_u16).map(|port| format!("/ip4/10.0.0.7/tcp/{port}").parse().unwrap()).collect();
        assert_eq!(usable(PeerId::random(), claimed, None).len(), ADDRESSES_PER_PEER_MAX);
    }
}
