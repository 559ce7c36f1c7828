//! Signatures found valid, so that none is ever checked twice: gossip, answers to requests and
//! block sync share one cache.

use crate::bounds::SIGNATURES_CACHED_MAX;
use dashmap::DashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use timecoin_protocol::keys::{SignatureCache, SignatureCheck};

/// Two generations of whole checks (key, digest, signature): a hit is equality, not a hash that
/// might collide. When the younger generation is full the older one is forgotten.
#[derive(Debug)]
pub struct CheckedSignatures {
    generations: [DashSet<SignatureCheck>; 2],
    young: AtomicUsize,
    in_young: AtomicUsize,
    generation_max: usize,
}

impl Default for CheckedSignatures {
    fn default() -> Self {
        Self::with_generation(SIGNATURES_CACHED_MAX)
    }
}

impl CheckedSignatures {
    fn with_generation(generation_max: usize) -> Self {
        Self {
            generations: [DashSet::new(), DashSet::new()],
            young: AtomicUsize::new(0),
            in_young: AtomicUsize::new(0),
            generation_max,
        }
    }

    const fn generation(&self, at: usize) -> &DashSet<SignatureCheck> {
        let [even, odd] = &self.generations;
        if at.is_multiple_of(2) { even } else { odd }
    }
}

impl SignatureCache for CheckedSignatures {
    fn contains(&self, check: &SignatureCheck) -> bool {
        self.generations.iter().any(|generation| generation.contains(check))
    }

    fn insert(&self, check: &SignatureCheck) {
        let young = self.young.load(Ordering::Acquire);
        if !self.generation(young).insert(*check) {
            return;
        }
        // Only the insertion that fills the generation turns over; threads that are still filling
        // the old one add at most one entry each.
        if self.in_young.fetch_add(1, Ordering::AcqRel) + 1 == self.generation_max {
            let old = young.wrapping_add(1);
            self.generation(old).clear();
            self.in_young.store(0, Ordering::Release);
            self.young.store(old, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use timecoin_protocol::keys::{PublicKey, Signature};

    fn check(number: u8) -> SignatureCheck {
        SignatureCheck { key: PublicKey([1; 32]), digest: [number; 32], signature: Signature([3; 64]) }
    }

    #[test]
    fn a_check_is_remembered_for_at_least_a_generation_and_at_most_two() {
        let cache = CheckedSignatures::with_generation(4);
        (0..4).for_each(|number| cache.insert(&check(number)));
        assert!((0..4).all(|number| cache.contains(&check(number))));
        (4..8).for_each(|number| cache.insert(&check(number)));
        assert!(!cache.contains(&check(0)), "the first generation is gone");
        assert!((4..8).all(|number| cache.contains(&check(number))));
    }

    #[test]
    fn another_signature_for_the_same_digest_is_another_check() {
        let cache = CheckedSignatures::default();
        cache.insert(&check(1));
        let forged = SignatureCheck { signature: Signature([4; 64]), ..check(1) };
        assert!(!cache.contains(&forged));
    }
}
