//! Votes that were passed on (`SPEC.md` N-36): the same ones come from several peers, and each is checked, handed in and
//! passed on once.

use crate::bounds::{VOTES_SEEN_MAX, VOTES_SEEN_MS};
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use timecoin_protocol::hash::{Domain, DomainHasher};

/// Bytes of a name; as of the id of a message (N-12).
const NAME_BYTES: usize = 20;

/// Names a vote: a hash of its bytes, signature included, so that nobody can make another vote look like it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VoteName([u8; NAME_BYTES]);

impl VoteName {
    /// The name of an encoded vote.
    #[must_use]
    pub fn of(vote: &[u8]) -> Self {
        let mut name = [0; NAME_BYTES];
        DomainHasher::new(Domain::MessageId).update(vote).fill(&mut name);
        Self(name)
    }
}

/// Votes seen for at least [`VOTES_SEEN_MS`], unless there are too many. A vote that is forgotten while copies of it are still on
/// their way would be passed on again, so the time is much longer than any way.
#[derive(Debug)]
pub struct SeenVotes(Mutex<Generations>);

#[derive(Debug)]
struct Generations {
    young: HashSet<VoteName>,
    old: HashSet<VoteName>,
    since: Instant,
}

impl SeenVotes {
    /// Nothing was seen.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self(Mutex::new(Generations { young: HashSet::new(), old: HashSet::new(), since: now }))
    }

    /// Whether a vote was seen.
    #[must_use]
    pub fn contains(&self, vote: &VoteName) -> bool {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.young.contains(vote) || seen.old.contains(vote)
    }

    /// Notes a vote; says whether it is new.
    pub fn insert(&self, vote: VoteName, now: Instant) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_old = now.saturating_duration_since(seen.since) >= Duration::from_millis(VOTES_SEEN_MS);
        if is_old || seen.young.len() >= VOTES_SEEN_MAX {
            seen.old = std::mem::take(&mut seen.young);
            seen.since = now;
        }
        !seen.old.contains(&vote) && seen.young.insert(vote)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vote_is_new_once_and_again_when_it_was_forgotten_n_36() {
        let (begin, vote) = (Instant::now(), VoteName::of(b"vote"));
        let seen = SeenVotes::new(begin);
        let after = |ms| begin + Duration::from_millis(ms);
        assert!(!seen.contains(&vote) && seen.insert(vote, begin) && seen.contains(&vote));
        assert!(!seen.insert(vote, begin));
        // It is in the younger half until this turns old, and then in the older one.
        for later in [VOTES_SEEN_MS - 1, VOTES_SEEN_MS, 2 * VOTES_SEEN_MS - 1] {
            assert!(!seen.insert(vote, after(later)), "{later}");
        }
        assert!(seen.insert(vote, after(2 * VOTES_SEEN_MS)));
    }

    #[test]
    fn another_byte_makes_another_vote() {
        assert_ne!(VoteName::of(b"vote 1"), VoteName::of(b"vote 2"));
    }
}
