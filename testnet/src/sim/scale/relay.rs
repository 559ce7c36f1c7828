//! How votes spread: no bundle is forwarded, but each node puts what it had not seen into its own next
//! one, which goes to all its peers in the mesh, also to those that it has the votes from.

use super::bundle::{Bundle, Outgoing, VoteId};
use super::mesh::HOP_US;
use super::traffic::Traffic;
use super::votes::Votes;
use std::collections::BTreeMap;
use timecoin_protocol::wire::Vote;

/// A way to a peer in the mesh.
#[derive(Clone, Copy, Debug)]
struct Link {
    to: usize,
    delay_us: u64,
}

/// What happens at a node.
#[derive(Debug)]
enum Step {
    /// Votes of its own are ready.
    Said(Vec<VoteId>),
    /// A bundle arrives.
    Arrived { from: usize, bundle: Bundle },
    /// Votes that came with a bundle, and were new, have been checked.
    Checked { from: usize, votes: Vec<VoteId> },
    /// What waits may be due.
    Alarm,
}

/// Votes that a node takes in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Delivery {
    pub node: usize,
    /// Who brought them first.
    pub from: usize,
    pub votes: Vec<Vote>,
}

/// The votes of all nodes, and what is on its way.
#[derive(Debug)]
pub(super) struct Relay {
    links: Vec<Vec<Link>>,
    silent: Vec<bool>,
    votes: Votes,
    outgoing: Vec<Outgoing>,
    /// Nodes for which an alarm is set.
    alarmed: Vec<bool>,
    /// By time in microseconds, and in the order in which they were caused.
    steps: BTreeMap<(u64, u64), (usize, Step)>,
    caused: u64,
}

impl Relay {
    /// Over a mesh: the peers of each node in it, how many it is connected with in all, and the delay of a link in microseconds.
    /// Silent nodes take nothing in.
    pub fn new(
        peers: &[Vec<usize>],
        connected: usize,
        silent: Vec<bool>,
        delay_us: &dyn Fn(usize, usize) -> u64,
    ) -> Self {
        let nodes = peers.len();
        let takers = silent.iter().filter(|silent| !**silent).count();
        let link = |from: usize, to: usize| Link { to, delay_us: delay_us(from, to) };
        Self {
            links: (0..).zip(peers).map(|(node, peers)| peers.iter().map(|peer| link(node, *peer)).collect()).collect(),
            silent,
            votes: Votes::new(nodes, takers),
            outgoing: (0..nodes).map(|_| Outgoing::new(connected)).collect(),
            alarmed: vec![false; nodes],
            steps: BTreeMap::new(),
            caused: 0,
        }
    }

    /// Votes of a node leave at `at_us`, without those that it has heard from others.
    pub fn say(&mut self, node: usize, votes: Vec<Vote>, at_us: u64, traffic: &mut Traffic) {
        let ids: Vec<VoteId> = votes.into_iter().map(|vote| self.votes.number(vote)).collect();
        let said = self.votes.unseen(node, &ids);
        for id in &said {
            if let Some(Vote::Finality(batch)) = self.votes.take(*id) {
                traffic.vote_batch(batch.txids.len() as u64);
            }
        }
        if !said.is_empty() {
            self.cause(at_us, node, Step::Said(said));
        }
    }

    /// Goes on to a moment; gives what nodes take in until then, in order.
    pub fn advance(&mut self, until_us: u64, traffic: &mut Traffic) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        while let Some(first) = self.steps.first_entry().filter(|first| first.key().0 <= until_us) {
            let ((now_us, _), (node, step)) = first.remove_entry();
            match step {
                Step::Said(votes) => {
                    let votes = votes.iter().map(|id| (*id, self.votes.bytes(*id)));
                    let bundles = self.outgoing[node].say(votes, now_us);
                    self.send(node, bundles, now_us, traffic);
                }
                Step::Arrived { from, bundle } => {
                    let votes = self.votes.unseen(node, &bundle);
                    if !votes.is_empty() {
                        self.cause(now_us + HOP_US, node, Step::Checked { from, votes });
                    }
                }
                Step::Checked { from, votes } => {
                    let sizes = votes.iter().map(|id| (*id, self.votes.bytes(*id)));
                    let bundles = self.outgoing[node].pass_on(sizes, now_us);
                    self.send(node, bundles, now_us, traffic);
                    let votes = votes.iter().filter_map(|id| self.votes.take(*id)).collect();
                    deliveries.push(Delivery { node, from, votes });
                }
                Step::Alarm => {
                    self.alarmed[node] = false;
                    let bundle = self.outgoing[node].leave_if_due(now_us);
                    self.send(node, bundle, now_us, traffic);
                }
            }
            self.set_alarm(node);
        }
        deliveries
    }

    fn send(&mut self, node: usize, bundles: impl IntoIterator<Item = Bundle>, now_us: u64, traffic: &mut Traffic) {
        let links = std::mem::take(&mut self.links[node]);
        for bundle in bundles {
            traffic.bundle(&self.votes.measure(&bundle), links.len() as u64);
            for link in links.iter().filter(|link| !self.silent[link.to]) {
                let step = Step::Arrived { from: node, bundle: Bundle::clone(&bundle) };
                self.steps.insert((now_us + link.delay_us, self.caused), (link.to, step));
                self.caused += 1;
            }
        }
        self.links[node] = links;
    }

    /// Sees to it that what waits leaves. An alarm is never late: another bundle only moves the time on.
    fn set_alarm(&mut self, node: usize) {
        if !self.alarmed[node]
            && let Some(due_us) = self.outgoing[node].due_us()
        {
            self.alarmed[node] = true;
            self.cause(due_us, node, Step::Alarm);
        }
    }

    fn cause(&mut self, at_us: u64, node: usize, step: Step) {
        self.steps.insert((at_us, self.caused), (node, step));
        self.caused += 1;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::mesh::{links, tests::below};
    use super::super::traffic::Kind;
    use super::*;
    use std::sync::Arc;
    use timecoin_protocol::block::{BlockPhase, BlockVote};
    use timecoin_protocol::finality::{Phase, VoteBatch};
    use timecoin_protocol::hash::{GenesisHash, Txid};
    use timecoin_protocol::keys::SecretKey;
    use timecoin_protocol::validator::{Epoch, Height, Round};

    const TURN_US: u64 = 1_000;

    /// A Prepare vote for payment `number`.
    pub fn ballot(number: u8) -> Vote {
        let (key, txids) = (SecretKey::from_seed(&[1; 32]), vec![Txid([number; 32])]);
        Vote::Finality(Arc::new(VoteBatch::sign(Epoch(0), Phase::Prepare, txids, &key, &GenesisHash([7; 32]))))
    }

    /// A prevote.
    pub fn block_vote() -> Vote {
        let (key, prevote) = (SecretKey::from_seed(&[1; 32]), BlockPhase::Prevote);
        let vote = BlockVote::sign(Epoch(0), Height(1), Round(0), prevote, None, &key, &GenesisHash([7; 32]));
        Vote::Block(vote)
    }

    /// Peers outside of the mesh, of whom nothing else is seen.
    const MANY: usize = 100;

    /// A line 0 - 1 - 2 of 10 ms each, and a link 0 - 2 of 35 ms.
    fn triangle() -> Relay {
        let peers = [vec![1, 2], vec![0, 2], vec![1, 0]];
        Relay::new(&peers, MANY, vec![false; 3], &|a, b| if a + b == 2 { 35_000 } else { 10_000 })
    }

    fn delivered(node: usize, from: usize, numbers: &[u8]) -> Delivery {
        Delivery { node, from, votes: numbers.iter().map(|number| ballot(*number)).collect() }
    }

    #[test]
    fn a_vote_is_checked_taken_and_passed_on_and_who_was_first_is_named() {
        let (mut relay, mut traffic) = (triangle(), Traffic::default());
        relay.say(0, vec![ballot(1)], TURN_US, &mut traffic);
        assert!(relay.advance(11_999, &mut traffic).is_empty(), "on the way and checked for 1 ms");
        assert_eq!(relay.advance(12_000, &mut traffic), [delivered(1, 0, &[1])]);
        assert_eq!(relay.advance(23_000, &mut traffic), [delivered(2, 1, &[1])], "1 is faster than 0");
        assert!(relay.advance(u64::MAX, &mut traffic).is_empty(), "never twice");
        // Each passes it on once, to both others, also to whom it has it from.
        assert_eq!((traffic.of(Kind::Votes).messages, traffic.vote_batch_copies), (6, 6));
        assert_eq!((traffic.vote_batches, traffic.votes), (1, 1));
        assert!(relay.steps.is_empty());
    }

    #[test]
    fn votes_that_come_one_after_the_other_are_passed_on_together() {
        let (mut relay, mut traffic) = (triangle(), Traffic::default());
        for number in 0..5 {
            relay.say(0, vec![ballot(number)], u64::from(number) * 2_000, &mut traffic);
        }
        let taken = relay.advance(u64::MAX, &mut traffic);
        let numbers = |node| -> Vec<Vec<Vote>> {
            taken.iter().filter(|one| one.node == node).map(|one| one.votes.clone()).collect()
        };
        assert_eq!(numbers(1).len(), 5, "own votes do not wait");
        // The first was passed on at once, the rest ten milliseconds later.
        assert_eq!(numbers(2), [delivered(2, 1, &[0]).votes, delivered(2, 1, &[1, 2, 3, 4]).votes]);
        // Five bundles of 0, two of 1 and two of 2, to two peers each; in all of them each vote once.
        assert_eq!((traffic.bundles, traffic.bundle_votes), (18, 30));
    }

    #[test]
    fn votes_of_one_turn_share_a_bundle_and_what_others_have_said_is_not_said_again() {
        let (mut relay, mut traffic) = (triangle(), Traffic::default());
        relay.say(0, vec![ballot(1), ballot(2), block_vote()], 0, &mut traffic);
        let taken = relay.advance(11_000, &mut traffic);
        assert_eq!(taken.iter().map(|one| one.votes.len()).collect::<Vec<_>>(), [3]);
        let before = traffic.clone();
        relay.say(1, vec![ballot(2)], 11_000, &mut traffic);
        assert_eq!((traffic.vote_batches, traffic.votes), (2, 2));
        relay.advance(11_000, &mut traffic);
        assert_eq!(traffic, before);
    }

    #[test]
    fn everybody_takes_each_vote_once_although_some_are_silent() {
        const NODES: usize = 300;
        let silent: Vec<bool> = (0..NODES).map(|node| node % 10 == 3).collect();
        let mut chance = below();
        let peers = links(NODES, &mut chance);
        let delay = |a: usize, b: usize| 1_000 + (a.abs_diff(b) as u64 % 10) * 10_000;
        let (mut relay, mut traffic) = (Relay::new(&peers, MANY, silent.clone(), &delay), Traffic::default());
        let speakers: Vec<usize> = (0..NODES).filter(|node| !silent[*node]).take(40).collect();
        let ballots: Vec<Vote> = (0..).take(speakers.len()).map(ballot).collect();
        for (ballot, node) in ballots.iter().zip(&speakers) {
            relay.say(*node, vec![ballot.clone()], chance(30_000) as u64, &mut traffic);
        }
        let mut counts = vec![vec![0; speakers.len()]; NODES];
        for delivery in relay.advance(u64::MAX, &mut traffic) {
            assert!(peers[delivery.node].contains(&delivery.from) && !silent[delivery.from]);
            for vote in &delivery.votes {
                let number = ballots.iter().position(|ballot| ballot == vote).unwrap();
                counts[delivery.node][number] += 1;
            }
        }
        for (node, counts) in counts.iter().enumerate() {
            for (count, speaker) in counts.iter().zip(&speakers) {
                assert_eq!(*count, usize::from(!silent[node] && node != *speaker), "{node} {speaker}");
            }
        }
        // Each speaking node passes each vote on once, to all its peers.
        let speaking = peers.iter().zip(&silent).filter(|(_, silent)| !**silent);
        let links: usize = speaking.map(|(peers, _)| peers.len()).sum();
        assert_eq!(traffic.vote_batch_copies, (links * speakers.len()) as u64);
        assert!(traffic.of(Kind::Votes).messages < traffic.vote_batch_copies / 2, "votes share bundles");
    }
}
