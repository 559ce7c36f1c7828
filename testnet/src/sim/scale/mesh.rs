//! The mesh of one gossip topic, as gossipsub keeps it: when a message of each node reaches the
//! others, and how many copies of it are sent. Votes, which are not forwarded, go their own ways over
//! such a mesh (`relay`).
//!
//! Delays of links do not change within a run, so the first copy takes the shortest way, and the ways
//! of all messages of a node are the same. A node passes a message on to its mesh except to whom
//! it has it from, and to those whose copy came while it was judging its own.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Peers of a node in the mesh, as wished and at most (`mesh_n`, `mesh_n_high` of the node's settings).
const DEGREE: usize = 8;
const DEGREE_MAX: usize = 12;
/// From arrival to passing on: signature check, verdict and queues, in microseconds.
pub(super) const HOP_US: u64 = 1_000;

/// Where a message of one node arrives when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reach {
    /// Delay in milliseconds and node, in order of delay; without the origin.
    pub arrivals: Vec<(u32, u32)>,
    /// Copies that are sent, by all nodes together.
    pub copies: u64,
}

/// A mesh among nodes.
#[derive(Debug)]
pub(super) struct Mesh {
    peers: Vec<Vec<usize>>,
    reach: Vec<Reach>,
}

impl Mesh {
    /// A mesh at random. `forwards` says who passes messages on; `delay_us` is the delay of a link;
    /// `below` draws a number below its argument.
    pub fn new(
        forwards: &[bool],
        delay_us: &dyn Fn(usize, usize) -> u64,
        below: &mut dyn FnMut(usize) -> usize,
    ) -> Self {
        let peers = links(forwards.len(), below);
        let reach = (0..peers.len())
            .map(|origin| {
                if forwards.get(origin) == Some(&true) {
                    spread(origin, &peers, forwards, delay_us)
                } else {
                    Reach::default()
                }
            })
            .collect();
        Self { peers, reach }
    }

    /// How messages of `origin` spread; nothing for one that sends none.
    pub fn reach(&self, origin: usize) -> Option<&Reach> {
        self.reach.get(origin)
    }

    /// Number of peers of a node in the mesh.
    pub fn degree(&self, node: usize) -> usize {
        self.peers.get(node).map_or(0, Vec::len)
    }
}

/// Each node links itself to others at random until it has as many as it wishes; none gets too many.
pub(super) fn links(nodes: usize, below: &mut dyn FnMut(usize) -> usize) -> Vec<Vec<usize>> {
    let mut peers: Vec<Vec<usize>> = vec![Vec::new(); nodes];
    let mut turns: Vec<usize> = (0..nodes).collect();
    shuffle(&mut turns, below);
    for node in turns {
        let mut others: Vec<usize> = (0..nodes).filter(|other| *other != node).collect();
        shuffle(&mut others, below);
        for other in others {
            let count = |at: usize| peers.get(at).map_or(usize::MAX, Vec::len);
            // A small network is meshed fully.
            let full = nodes > DEGREE_MAX + 1 && (count(node) >= DEGREE || count(other) >= DEGREE_MAX);
            if full || peers.get(node).is_some_and(|known| known.contains(&other)) {
                continue;
            }
            for (at, peer) in [(node, other), (other, node)] {
                if let Some(known) = peers.get_mut(at) {
                    known.push(peer);
                }
            }
        }
    }
    peers
}

fn shuffle(items: &mut [usize], below: &mut dyn FnMut(usize) -> usize) {
    for end in (1..items.len()).rev() {
        items.swap(end, below(end + 1));
    }
}

/// Shortest ways from `origin` through those who forward (Dijkstra), and the copies on all links.
fn spread(origin: usize, peers: &[Vec<usize>], forwards: &[bool], delay_us: &dyn Fn(usize, usize) -> u64) -> Reach {
    let mut arrival = vec![u64::MAX; peers.len()];
    let mut source = vec![usize::MAX; peers.len()];
    let mut queue = BinaryHeap::from([Reverse((0, origin, origin))]);
    let mut arrivals = Vec::with_capacity(peers.len());
    while let Some(Reverse((at, node, from))) = queue.pop() {
        let (Some(known), Some(links)) = (arrival.get_mut(node), peers.get(node)) else { continue };
        if *known != u64::MAX {
            continue;
        }
        *known = at;
        if let Some(slot) = source.get_mut(node) {
            *slot = from;
        }
        if node != origin {
            let millis = u32::try_from(at.div_ceil(1_000)).unwrap_or(u32::MAX);
            arrivals.push((millis, u32::try_from(node).unwrap_or(u32::MAX)));
        }
        if forwards.get(node) == Some(&true) {
            let leaves = if node == origin { at } else { at + HOP_US };
            queue.extend(links.iter().map(|next| Reverse((leaves + delay_us(node, *next), *next, node))));
        }
    }
    let leaves = |node: usize| {
        let at = arrival.get(node).copied().filter(|at| *at != u64::MAX && forwards.get(node) == Some(&true))?;
        Some(if node == origin { at } else { at + HOP_US })
    };
    let mut copies = 0;
    for (node, links) in peers.iter().enumerate() {
        let Some(leaves_at) = leaves(node) else { continue };
        let spared = |peer: &usize| {
            source.get(node) == Some(peer) && node != origin
                || leaves(*peer).is_some_and(|at| node != origin && at + delay_us(*peer, node) <= leaves_at)
        };
        copies += links.iter().filter(|peer| !spared(peer)).count() as u64;
    }
    Reach { arrivals, copies }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn below() -> impl FnMut(usize) -> usize {
        let mut salt = 0;
        move |limit| {
            salt += 1;
            usize::try_from(crate::sim::chance::mix(7, salt) % u64::try_from(limit).unwrap()).unwrap()
        }
    }

    #[test]
    fn a_small_network_is_meshed_fully_and_a_large_one_as_gossipsub_does() {
        let small = links(13, &mut below());
        assert!(small.iter().all(|peers| peers.len() == 12));
        let large = links(300, &mut below());
        for (node, peers) in large.iter().enumerate() {
            assert!((6..=DEGREE_MAX).contains(&peers.len()), "{}", peers.len());
            assert!(peers.iter().all(|peer| *peer != node && large[*peer].contains(&node)), "links go both ways");
        }
    }

    #[test]
    fn a_message_takes_the_shortest_way_and_a_hop_costs_time() {
        // A line 0 - 1 - 2 of 10 ms each, and a link 0 - 2 of 30 ms.
        let peers = vec![vec![1, 2], vec![0, 2], vec![1, 0]];
        let delay = |a: usize, b: usize| if a + b == 2 { 30_000 } else { 10_000 };
        let reach = spread(0, &peers, &[true; 3], &delay);
        assert_eq!(reach.arrivals, [(10, 1), (21, 2)]);
        // 0 to both; 1 to 2; 2 not back to 1, whom it has it from, but to 0, whose copy is on its way.
        assert_eq!(reach.copies, 4);
    }

    #[test]
    fn who_does_not_forward_is_gone_around_and_still_receives() {
        let peers = vec![vec![1, 2], vec![0, 2], vec![1, 0]];
        let delay = |a: usize, b: usize| if a + b == 2 { 30_000 } else { 10_000 };
        let reach = spread(0, &peers, &[true, false, true], &delay);
        assert_eq!(reach.arrivals, [(10, 1), (30, 2)]);
        assert_eq!(reach.copies, 3, "0 to both, 2 to 1");
    }

    #[test]
    fn a_message_reaches_everybody_although_some_are_silent() {
        let mut below = below();
        let forwards: Vec<bool> = (0..300).map(|node| node % 10 != 3).collect();
        let mesh = Mesh::new(&forwards, &|a, b| 1_000 + (a.abs_diff(b) as u64 % 10) * 10_000, &mut below);
        let reach = mesh.reach(0).unwrap();
        assert_eq!(reach.arrivals.len(), 299);
        assert!(reach.arrivals.is_sorted());
        assert!((4 * 250..9 * 300).contains(&reach.copies), "{}", reach.copies);
        assert_eq!(mesh.reach(3), Some(&Reach::default()), "a silent node sends nothing");
    }
}
