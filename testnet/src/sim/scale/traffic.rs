//! What is counted: every message that is sent, and its bytes with the framing of libp2p.

use timecoin_protocol::wire::Topic;

/// Bytes of `/timecoin/1/<genesis hash>/`, with which all topics and protocols begin (N-1).
const NAME_PREFIX_BYTES: u64 = 77;
/// Around a gossip message: three protobuf fields and lengths, a yamux header, a noise frame.
const GOSSIP_FRAME_BYTES: u64 = 10 + 12 + 18;
/// Around a request or a response: multistream-select's header, the length, three yamux headers (open or
/// close, data, window), two noise frames.
const REQUEST_FRAME_BYTES: u64 = 20 + 2 + 4 + 36 + 36;
/// An entry of an IHAVE (N-12), and what is around the list besides the topic.
const IHAVE_ENTRY_BYTES: u64 = 22;

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Payments in gossip.
    Payments,
    /// Prepare and Commit votes in gossip.
    Votes,
    /// Proposals and block votes in gossip.
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
    /// Of the bytes of votes, those of the ids of payments.
    pub vote_id_bytes: u64,
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

    /// A batch of votes for so many payments, in so many copies.
    pub(super) fn vote_batch(&mut self, bytes: u64, votes: u64, copies: u64) {
        self.gossip(Kind::Votes, Topic::Votes, bytes, copies);
        self.vote_batches += 1;
        self.votes += votes;
        self.vote_id_bytes += votes * 32 * copies;
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
        traffic.vote_batch(132, 1, 4);
        traffic.request(Kind::Sampling, "query", 34);
        traffic.offers(Topic::Votes, 6, 100);
        let vote = 132 + 40 + 77 + 5;
        assert_eq!(traffic.of(Kind::Votes), Sum { messages: 4, bytes: 4 * vote });
        assert_eq!(traffic.vote_id_bytes, 4 * 32);
        assert_eq!(traffic.of(Kind::Sampling), Sum { messages: 1, bytes: 34 + 98 + 77 + 5 });
        assert_eq!(traffic.of(Kind::Offers).messages, 6);
        let bytes: u64 = Kind::ALL.iter().map(|kind| traffic.of(*kind).bytes).sum();
        assert_eq!(traffic.total(), Sum { messages: 11, bytes });
    }

    #[test]
    fn the_prefix_of_names_is_as_long_as_n_1_says() {
        assert_eq!(NAME_PREFIX_BYTES, "/timecoin/1//".len() as u64 + 64);
    }
}
