//! Values whose signatures were all checked, by their type (`SPEC.md` K-2).

use super::{SignatureCheck, verify_batch};
use crate::hash::GenesisHash;
use alloc::vec;
use alloc::vec::Vec;
use rand_core::CryptoRng;

/// Something that carries signatures which can be checked without any state.
pub trait Signed {
    /// Appends every signature that must hold.
    fn signature_checks(&self, genesis: &GenesisHash, checks: &mut Vec<SignatureCheck>);
}

/// Signatures already found valid, so that none is ever checked twice.
pub trait SignatureCache {
    /// Whether this very check has passed before.
    fn contains(&self, check: &SignatureCheck) -> bool;
    /// Remembers a check that passed.
    fn insert(&self, check: &SignatureCheck);
}

/// A cache that remembers nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCache;

impl SignatureCache for NoCache {
    fn contains(&self, _: &SignatureCheck) -> bool {
        false
    }
    fn insert(&self, _: &SignatureCheck) {}
}

/// A value whose signatures were all checked. Can be made only by [`verify_all`] (or by signing
/// it oneself, [`Verified::by_own_hand`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// Wraps what this node signed itself, or read back from its own journal.
    #[must_use]
    pub const fn by_own_hand(value: T) -> Self {
        Self(value)
    }

    /// The value.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> core::ops::Deref for Verified<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

/// Checks the signatures of all `items` in one batch, except those that `cache` knows. The result
/// has one entry for each item, in order: the item, or `None` if any of its signatures is bad.
pub fn verify_all<T: Signed>(
    items: Vec<T>,
    genesis: &GenesisHash,
    cache: &impl SignatureCache,
    rng: &mut impl CryptoRng,
) -> Vec<Option<Verified<T>>> {
    let mut checks = Vec::new();
    let mut ends = Vec::with_capacity(items.len());
    for item in &items {
        item.signature_checks(genesis, &mut checks);
        ends.push(checks.len());
    }
    let fresh: Vec<usize> =
        (0..checks.len()).filter(|at| checks.get(*at).is_some_and(|check| !cache.contains(check))).collect();
    let batch: Vec<SignatureCheck> = fresh.iter().filter_map(|at| checks.get(*at).copied()).collect();
    let mut valid = vec![true; checks.len()];
    for ((at, check), verdict) in fresh.iter().zip(&batch).zip(verify_batch(&batch, rng)) {
        if verdict {
            cache.insert(check);
        }
        if let Some(slot) = valid.get_mut(*at) {
            *slot = verdict;
        }
    }
    let mut start = 0;
    items
        .into_iter()
        .zip(ends)
        .map(|(item, end)| {
            let good = valid.get(start..end).is_some_and(|verdicts| verdicts.iter().all(|verdict| *verdict));
            start = end;
            good.then_some(Verified(item))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::SecretKey;
    use super::*;
    use core::cell::RefCell;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    const GENESIS: GenesisHash = GenesisHash([7; 32]);

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(1)
    }

    /// Signatures of one key, those at `bad` with a bit turned.
    fn checks(count: u8, bad: &[u8]) -> Vec<SignatureCheck> {
        let key = SecretKey::from_seed(&[1; 32]);
        let check = |at: u8| {
            let mut signature = key.sign(&[at; 32]);
            signature.0[0] ^= u8::from(bad.contains(&at));
            SignatureCheck { key: key.public(), digest: [at; 32], signature }
        };
        (0..count).map(check).collect()
    }

    /// An item with any number of signatures.
    #[derive(Debug)]
    struct Item(Vec<SignatureCheck>);

    impl Signed for Item {
        fn signature_checks(&self, _: &GenesisHash, checks: &mut Vec<SignatureCheck>) {
            checks.extend(&self.0);
        }
    }

    #[derive(Default)]
    struct Remembering {
        known: RefCell<Vec<SignatureCheck>>,
    }

    impl SignatureCache for Remembering {
        fn contains(&self, check: &SignatureCheck) -> bool {
            self.known.borrow().contains(check)
        }
        fn insert(&self, check: &SignatureCheck) {
            self.known.borrow_mut().push(*check);
        }
    }

    #[test]
    fn an_item_is_verified_only_if_all_its_signatures_are_valid() {
        let all = checks(9, &[4]);
        let items = vec![Item(all[..2].to_vec()), Item(all[2..6].to_vec()), Item(vec![]), Item(all[6..].to_vec())];
        let verified = verify_all(items, &GENESIS, &NoCache, &mut rng());
        let passed: Vec<bool> = verified.iter().map(Option::is_some).collect();
        assert_eq!(passed, [true, false, true, true]);
        assert_eq!(verified[3].as_ref().unwrap().0.0, all[6..]);
    }

    #[test]
    fn only_valid_signatures_are_remembered_and_those_are_not_checked_again() {
        let all = checks(9, &[4]);
        let cache = Remembering::default();
        let judge = |checks: &[SignatureCheck]| {
            verify_all(vec![Item(checks.to_vec())], &GENESIS, &cache, &mut rng())[0].is_some()
        };
        assert!(!judge(&all));
        assert_eq!(cache.known.borrow().len(), 8);
        assert!(!cache.contains(&all[4]));
        assert!(judge(&all[..4]));
        assert_eq!(cache.known.borrow().len(), 8, "nothing was checked again");
        cache.insert(&all[4]);
        assert!(judge(&all), "the cache is believed");
    }
}
