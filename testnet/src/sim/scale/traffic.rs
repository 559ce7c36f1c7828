//! What is counted: every message that is sent, and its bytes with the framing of libp2p.

use timecoin_protocol::codec::encoded_len;
use timecoin_protocol::wire::Topic;

/// Bytes of `/timecoin/1/<genesis hash>/`, with which all topics and protocols begin (N-1).
const NAME_PREFIX_BYTES: u64 = 77;
/// Around a gossip message: three protobuf fields and lengths, a yamux header, a noise frame.
const GOSSIP_FRAME_BYTES: u64 = 10 + 12 + 18;
/// Around a request or a response: multistream-select's header, the length, three yamux headers (open or
/// close, data, window), two noise frames.
const REQUEST_FRAME_BYTES: u64 = 20 + 2 + 4 + 36 + 36;
/// The id of a payment.
const ID_BYTES: u64 = 32;
/// An entry of an IHAVE (N-12), and what is around the list besides the topic.
const IHAVE_ENTRY_BYTES: u64 = 22;

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Payments in gossip.
    Payments,
    /// Prepare and Commit votes in gossip, and bundles with at least one of them.
    Votes,
    /// Proposals, block votes and all other votes in gossip.
    Blocks,
    /// Queries and answers of sampling.
    Sampling,
    /// Requests for what is missing and for the status, and their answers.
    Requests,
    /// Offers of gossip to peers outside of the mesh (IHAVE).
    Offers,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 6] =
        [Self::Payments, Self::Votes, Self::Blocks, Self::Sampling, Self::Requests, Self::Offers];

    /// A word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Payments => "payments",
            Self::Votes => "votes",
            Self::Blocks => "blocks",
            Self::Sampling => "sampling",
            Self::Requests => "requests",
            Self::Offers => "offers",
        }
    }
}

/// Messages and bytes that were sent, by all nodes together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Sum {
    /// Messages, copies counted each.
    pub messages: u64,
    /// Bytes, framing included, TCP and IP not.
    pub bytes: u64,
}

/// What was sent, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Traffic {
    kinds: [Sum; 6],
    /// Batches of votes that validators signed, and votes in them.
    pub vote_batches: u64,
    /// Votes in these.
    pub votes: u64,
    /// Copies of batches of votes that were sent, in bundles.
    pub vote_batch_copies: u64,
    /// Of the bytes of votes, those of the ids of payments.
    pub vote_id_bytes: u64,
    /// Copies of bundles of votes of all kinds that were sent, and votes in them.
    pub bundles: u64,
    /// Votes in these.
    pub bundle_votes: u64,
}

/// What a bundle of votes is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct BundleSize {
    /// Votes of all kinds.
    pub votes: u64,
    /// Of these, batches of Prepare or Commit votes.
    pub batches: u64,
    /// Payments that these are for.
    pub payments: u64,
    /// Bytes of these batches.
    pub batch_bytes: u64,
    /// Bytes of the other votes.
    pub other_bytes: u64,
}

impl BundleSize {
    /// Adds a vote of so many bytes; a batch is for so many payments.
    pub fn add(&mut self, bytes: usize, payments: Option<usize>) {
        self.votes += 1;
        match payments {
            Some(payments) => {
                self.batches += 1;
                self.payments += payments as u64;
                self.batch_bytes += bytes as u64;
            }
            None => self.other_bytes += bytes as u64,
        }
    }
}

impl Traffic {
    /// What was sent of one kind.
    #[must_use]
    pub fn of(&self, kind: Kind) -> Sum {
        self.kinds.get(kind as usize).copied().unwrap_or_default()
    }

    /// What was sent of all kinds.
    #[must_use]
    pub fn total(&self) -> Sum {
        self.kinds.iter().fold(Sum::default(), |sum, kind| Sum {
            messages: sum.messages + kind.messages,
            bytes: sum.bytes + kind.bytes,
        })
    }

    fn add(&mut self, kind: Kind, messages: u64, bytes_each: u64) {
        if let Some(sum) = self.kinds.get_mut(kind as usize) {
            sum.messages += messages;
            sum.bytes += messages * bytes_each;
        }
    }

    /// A gossip message of `bytes` bytes in so many copies.
    pub(super) fn gossip(&mut self, kind: Kind, topic: Topic, bytes: u64, copies: u64) {
        self.add(kind, copies, bytes + GOSSIP_FRAME_BYTES + NAME_PREFIX_BYTES + topic.name().len() as u64);
    }

    /// A batch of votes for so many payments, said for the first time.
    pub(super) fn vote_batch(&mut self, votes: u64) {
        self.vote_batches += 1;
        self.votes += votes;
    }

    /// A bundle of votes, in so many copies. It is a message about payments if it has a vote for one; of
    /// its bytes each kind has its own, and the framing is the message's.
    pub(super) fn bundle(&mut self, size: &BundleSize, copies: u64) {
        let kind = if size.batches > 0 { Kind::Votes } else { Kind::Blocks };
        self.gossip(kind, Topic::Votes, encoded_len(&size.votes) as u64, copies);
        for (kind, bytes) in [(Kind::Votes, size.batch_bytes), (Kind::Blocks, size.other_bytes)] {
            if let Some(sum) = self.kinds.get_mut(kind as usize) {
                sum.bytes += copies * bytes;
            }
        }
        self.vote_batch_copies += copies * size.batches;
        self.vote_id_bytes += copies * size.payments * ID_BYTES;
        self.bundles += copies;
        self.bundle_votes += copies * size.votes;
    }

    /// A request, or the answer to one, of `bytes` bytes; `protocol` is the last part of its name.
    pub(super) fn request(&mut self, kind: Kind, protocol: &str, bytes: u64) {
        self.add(kind, 1, bytes + REQUEST_FRAME_BYTES + NAME_PREFIX_BYTES + protocol.len() as u64);
    }

    /// So many IHAVEs of so many messages each.
    pub(super) fn offers(&mut self, topic: Topic, offers: u64, ids: u64) {
        let bytes = ids * IHAVE_ENTRY_BYTES + GOSSIP_FRAME_BYTES + NAME_PREFIX_BYTES + topic.name().len() as u64;
        self.add(Kind::Offers, offers, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_copy_counts_with_its_framing_and_the_total_is_the_sum_of_the_kinds() {
        let mut traffic = Traffic::default();
        traffic.gossip(Kind::Payments, Topic::Transactions, 132, 4);
        traffic.request(Kind::Sampling, "query", 34);
        traffic.offers(Topic::Blocks, 6, 100);
        let payment = 132 + 40 + 77 + "transactions".len() as u64;
        assert_eq!(traffic.of(Kind::Payments), Sum { messages: 4, bytes: 4 * payment });
        assert_eq!(traffic.of(Kind::Sampling), Sum { messages: 1, bytes: 34 + 98 + 77 + 5 });
        assert_eq!(traffic.of(Kind::Offers).messages, 6);
        let bytes: u64 = Kind::ALL.iter().map(|kind| traffic.of(*kind).bytes).sum();
        assert_eq!(traffic.total(), Sum { messages: 11, bytes });
    }

    #[test]
    fn a_copy_of_a_bundle_is_one_message_and_each_kind_of_vote_has_its_bytes() {
        const FRAME: u64 = 40 + 77 + 5;
        let mut traffic = Traffic::default();
        let mut mixed = BundleSize::default();
        mixed.add(170, Some(1));
        mixed.add(202, Some(2));
        mixed.add(150, None);
        traffic.bundle(&mixed, 4);
        assert_eq!(traffic.of(Kind::Votes), Sum { messages: 4, bytes: 4 * (FRAME + 1 + 170 + 202) });
        assert_eq!(traffic.of(Kind::Blocks), Sum { messages: 0, bytes: 4 * 150 });
        assert_eq!((traffic.vote_id_bytes, traffic.vote_batch_copies), (4 * 3 * 32, 4 * 2));
        assert_eq!((traffic.bundles, traffic.bundle_votes), (4, 4 * 3));
        let mut blocks = BundleSize::default();
        (0..300).for_each(|_| blocks.add(150, None));
        traffic.bundle(&blocks, 1);
        let bytes = 4 * 150 + FRAME + 3 + 300 * 150;
        assert_eq!(traffic.of(Kind::Blocks), Sum { messages: 1, bytes }, "a long list has a longer head");
    }

    #[test]
    fn the_prefix_of_names_is_as_long_as_n_1_says() {
        assert_eq!(NAME_PREFIX_BYTES, "/timecoin/1//".len() as u64 + 64);
    }
}
