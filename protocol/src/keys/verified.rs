//! Values whose signatures were all checked, by their type (`SPEC.md` K-2).

use super::{SignatureCheck, verify_groups};
use crate::hash::GenesisHash;
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

/// Checks the signatures of all groups in one batch, except those that `cache` knows (K-3). The result has one entry for each group, in
/// order: the group, or `None` if any signature in it is bad (K-4).
pub fn verify_all<T: Signed>(
    groups: Vec<Vec<T>>,
    genesis: &GenesisHash,
    cache: &impl SignatureCache,
    rng: &mut impl CryptoRng,
) -> Vec<Option<Vec<Verified<T>>>> {
    let unknown = |group: &Vec<T>| {
        let mut checks = Vec::new();
        group.iter().for_each(|item| item.signature_checks(genesis, &mut checks));
        checks.retain(|check| !cache.contains(check));
        checks
    };
    let checks: Vec<Vec<SignatureCheck>> = groups.iter().map(unknown).collect();
    let verdicts = verify_groups(&checks.iter().map(Vec::as_slice).collect::<Vec<_>>(), rng);
    let judged = groups.into_iter().zip(checks).zip(verdicts);
    judged
        .map(|((group, checks), holds)| {
            holds.then(|| {
                checks.iter().for_each(|check| cache.insert(check));
                group.into_iter().map(Verified).collect()
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::SecretKey;
    use super::*;
    use alloc::vec;
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
    fn a_group_is_verified_only_if_all_its_signatures_are_valid_k_4() {
        let all = checks(9, &[4]);
        let item = |range: core::ops::Range<usize>| Item(all[range].to_vec());
        let groups =
            vec![vec![item(0..2)], vec![item(2..3), item(3..6)], vec![item(0..0)], vec![item(6..8), item(8..9)]];
        let verified = verify_all(groups, &GENESIS, &NoCache, &mut rng());
        let passed: Vec<bool> = verified.iter().map(Option::is_some).collect();
        assert_eq!(passed, [true, false, true, true]);
        let last: Vec<_> = verified[3].iter().flatten().map(|item| item.0.0.len()).collect();
        assert_eq!(last, [2, 1]);
    }

    #[test]
    fn signatures_of_a_good_group_are_remembered_and_not_checked_again() {
        let all = checks(9, &[4]);
        let cache = Remembering::default();
        let judge = |checks: &[SignatureCheck]| {
            verify_all(vec![vec![Item(checks.to_vec())]], &GENESIS, &cache, &mut rng())[0].is_some()
        };
        assert!(!judge(&all));
        assert!(cache.known.borrow().is_empty(), "which of them are good was not asked");
        assert!(judge(&all[..4]) && judge(&all[..4]));
        assert_eq!(cache.known.borrow().len(), 4, "nothing was checked again");
        cache.insert(&all[4]);
        assert!(judge(&all), "the cache is believed");
    }
}
