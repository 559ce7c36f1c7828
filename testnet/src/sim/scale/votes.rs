//! All votes of a run: each has a number, and for each node it is known which ones it has seen.

use super::bundle::VoteId;
use super::traffic::BundleSize;
use std::collections::HashMap;
use timecoin_protocol::codec::encode;
use timecoin_protocol::hash::{Domain, hash_bytes};
use timecoin_protocol::wire::Vote;

/// A vote.
#[derive(Debug)]
struct Entry {
    bytes: usize,
    /// Number of payments, if it is a batch of Prepare or Commit votes.
    payments: Option<usize>,
    /// The vote itself, and how many nodes have not taken it yet; nothing once all have.
    body: Option<(Vote, usize)>,
}

/// The votes, and who has seen which.
#[derive(Debug)]
pub(super) struct Votes {
    /// Same bytes, same vote: several nodes may find the same evidence.
    numbers: HashMap<[u8; 32], VoteId>,
    entries: Vec<Entry>,
    /// One bit of each vote, for each node: nearly all that comes has been seen, which is found out
    /// by looking here alone.
    seen: Vec<Vec<u64>>,
    /// Nodes that take votes.
    takers: usize,
}

impl Votes {
    /// None yet, of `nodes` nodes of which `takers` take votes.
    pub fn new(nodes: usize, takers: usize) -> Self {
        Self { numbers: HashMap::new(), entries: Vec::new(), seen: vec![Vec::new(); nodes], takers }
    }

    /// The number of a vote.
    pub fn number(&mut self, vote: Vote) -> VoteId {
        let encoded = encode(&vote);
        let next = u32::try_from(self.entries.len()).unwrap_or(VoteId::MAX);
        let id = *self.numbers.entry(hash_bytes(Domain::MessageId, &encoded)).or_insert(next);
        if id == next {
            let payments = match &vote {
                Vote::Finality(batch) => Some(batch.txids.len()),
                _ => None,
            };
            self.entries.push(Entry { bytes: encoded.len(), payments, body: Some((vote, self.takers)) });
            let words = self.entries.len().div_ceil(64);
            self.seen.iter_mut().for_each(|row| row.resize(words, 0));
        }
        id
    }

    /// Those of `votes` that a node has not seen before; now it has.
    pub fn unseen(&mut self, node: usize, votes: &[VoteId]) -> Vec<VoteId> {
        let row = &mut self.seen[node];
        let mut unseen = Vec::new();
        for id in votes {
            let (word, bit) = (&mut row[*id as usize / 64], 1 << (id % 64));
            if *word & bit == 0 {
                *word |= bit;
                unseen.push(*id);
            }
        }
        unseen
    }

    /// A node takes a vote; what all have taken is dropped.
    pub fn take(&mut self, id: VoteId) -> Option<Vote> {
        let body = &mut self.entries[id as usize].body;
        let (vote, lacking) = body.as_mut()?;
        *lacking -= 1;
        if *lacking > 0 { Some(vote.clone()) } else { body.take().map(|(vote, _)| vote) }
    }

    /// Size of a vote in bytes.
    pub fn bytes(&self, id: VoteId) -> usize {
        self.entries[id as usize].bytes
    }

    /// What a bundle is made of.
    pub fn measure(&self, votes: &[VoteId]) -> BundleSize {
        let mut size = BundleSize::default();
        for id in votes {
            let entry = &self.entries[*id as usize];
            size.add(entry.bytes, entry.payments);
        }
        size
    }
}

#[cfg(test)]
mod tests {
    use super::super::relay::tests::{ballot, block_vote};
    use super::*;

    #[test]
    fn a_node_has_each_vote_for_unseen_once() {
        let mut votes = Votes::new(2, 2);
        let ids: Vec<VoteId> = (0..130).map(|number| votes.number(ballot(number))).collect();
        assert_eq!(votes.unseen(0, &ids[..70]), ids[..70]);
        assert_eq!(votes.unseen(0, &ids[60..]), ids[70..]);
        assert!(votes.unseen(0, &ids).is_empty());
        assert_eq!(votes.unseen(1, &ids), ids, "another node has seen none");
    }

    #[test]
    fn the_same_bytes_are_the_same_vote() {
        let mut votes = Votes::new(2, 2);
        let first = votes.number(ballot(1));
        assert_ne!(first, votes.number(ballot(2)));
        assert_eq!(first, votes.number(ballot(1)));
    }

    #[test]
    fn what_all_have_taken_is_dropped_and_its_size_still_known() {
        let mut votes = Votes::new(3, 2);
        let id = votes.number(ballot(1));
        assert_eq!([votes.take(id), votes.take(id)], [Some(ballot(1)), Some(ballot(1))]);
        assert!(votes.entries[0].body.is_none());
        assert_eq!(votes.take(id), None);
        assert_eq!(votes.bytes(id), encode(&ballot(1)).len());
    }

    #[test]
    fn a_bundle_is_measured_by_what_is_in_it() {
        let mut votes = Votes::new(1, 1);
        let ids = [ballot(1), block_vote(), ballot(2)].map(|vote| votes.number(vote));
        let [ballot, block] = [votes.bytes(ids[0]), votes.bytes(ids[1])].map(|bytes| bytes as u64);
        let wanted = BundleSize { votes: 3, batches: 2, payments: 2, batch_bytes: 2 * ballot, other_bytes: block };
        assert_eq!(votes.measure(&ids), wanted);
    }
}
