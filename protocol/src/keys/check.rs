//! The one rule by which every signature is judged, alone and in a batch (`SPEC.md` K-2…K-4).

use super::{PublicKey, Signature};
use alloc::vec;
use alloc::vec::Vec;
use rand_core::CryptoRng;

/// One signature to check: `signature` by `key` over `digest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SignatureCheck {
    /// Who is said to have signed.
    pub key: PublicKey,
    /// What was signed (see [`crate::hash::signing_digest`]).
    pub digest: [u8; 32],
    /// The signature.
    pub signature: Signature,
}

/// Whether one signature is valid by ZIP-215 (K-2).
#[must_use]
pub fn verify(check: &SignatureCheck) -> bool {
    let signature = ed25519_zebra::Signature::from(check.signature.0);
    ed25519_zebra::VerificationKey::try_from(check.key.0).is_ok_and(|key| key.verify(&signature, &check.digest).is_ok())
}

/// Whether all of many signatures are valid: the same as [`verify`] says of each (K-3). `rng` must be unpredictable to whoever made
/// the signatures.
#[must_use]
pub fn verify_batch(checks: &[SignatureCheck], rng: &mut impl CryptoRng) -> bool {
    if checks.len() < BATCH_MIN { checks.iter().all(verify) } else { batch_holds(checks, rng) }
}

/// Judges groups of signatures, each as a whole: one entry for each, whether all of it are valid. All are checked as one batch; if that
/// fails each group is one of its own, and nobody looks for the culprit in it (K-4).
#[must_use]
pub fn verify_groups(groups: &[&[SignatureCheck]], rng: &mut impl CryptoRng) -> Vec<bool> {
    let all = verify_batch(&groups.concat(), rng);
    match groups {
        _ if all => vec![true; groups.len()],
        [_] => vec![false],
        _ => groups.iter().map(|group| verify_batch(group, rng)).collect(),
    }
}

/// Below this many signatures a batch is no faster than single checks.
const BATCH_MIN: usize = 4;

/// The batch equation (K-3): a random combination of the single equations.
fn batch_holds(checks: &[SignatureCheck], rng: &mut impl CryptoRng) -> bool {
    let mut batch = ed25519_zebra::batch::Verifier::new();
    for check in checks {
        let signature = ed25519_zebra::Signature::from(check.signature.0);
        batch.queue((ed25519_zebra::VerificationKeyBytes::from(check.key.0), signature, &check.digest));
    }
    batch.verify(rng).is_ok()
}

#[cfg(test)]
mod tests {
    //! Rules: K-2, K-3, K-4.

    use super::super::SecretKey;
    use super::*;
    use proptest::prelude::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    fn key(index: u8) -> SecretKey {
        SecretKey::from_seed(&[index; 32])
    }

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(1)
    }

    /// Checks by seven keys in turn, those at `bad` with a bit of their signature turned.
    fn checks(count: usize, bad: &[usize]) -> Vec<SignatureCheck> {
        let check = |at: usize| {
            let digest = [at as u8; 32];
            let signer = key((at % 7) as u8);
            let mut signature = signer.sign(&digest);
            signature.0[at % 32] ^= u8::from(bad.contains(&at));
            SignatureCheck { key: signer.public(), digest, signature }
        };
        (0..count).map(check).collect()
    }

    #[test]
    fn a_signature_holds_for_its_key_and_digest_only_k_2() {
        let check = SignatureCheck { key: key(1).public(), digest: [5; 32], signature: key(1).sign(&[5; 32]) };
        assert!(verify(&check));
        assert!(!verify(&SignatureCheck { key: key(2).public(), ..check }));
        assert!(!verify(&SignatureCheck { digest: [6; 32], ..check }));
        for at in 0..64 {
            let mut signature = check.signature;
            signature.0[at] ^= 1;
            assert!(!verify(&SignatureCheck { signature, ..check }), "byte {at}");
        }
    }

    #[test]
    fn a_batch_holds_only_if_every_signature_does_k_3() {
        for bad in [&[][..], &[0], &[63], &[31, 32], &[0, 1, 2, 3], &[5, 20, 21, 40, 63]] {
            assert_eq!(verify_batch(&checks(64, bad), &mut rng()), bad.is_empty(), "{bad:?}");
        }
    }

    #[test]
    fn a_group_with_a_bad_signature_fails_as_a_whole_and_spoils_no_other_k_4() {
        for bad in [&[][..], &[0], &[19], &[5, 12, 13]] {
            let checks = checks(20, bad);
            // Of one to eight signatures, and an empty one.
            let bounds = [0, 1, 3, 3, 12, 20];
            let groups: Vec<_> = bounds.windows(2).map(|ends| &checks[ends[0]..ends[1]]).collect();
            let holds = |ends: &[usize]| !bad.iter().any(|at| (ends[0]..ends[1]).contains(at));
            let expected: Vec<bool> = bounds.windows(2).map(holds).collect();
            assert_eq!(verify_groups(&groups, &mut rng()), expected);
            assert_eq!(verify_groups(&[&checks], &mut rng()), [bad.is_empty()]);
        }
        assert!(verify_groups(&[], &mut rng()).is_empty());
    }

    #[test]
    fn a_key_that_is_no_point_spoils_only_its_own_group_k_4() {
        let mut checks = checks(20, &[]);
        checks[9].key = PublicKey([2; 32]);
        assert!(ed25519_zebra::VerificationKey::try_from([2; 32]).is_err());
        let groups: Vec<_> = checks.chunks(5).collect();
        assert_eq!(verify_groups(&groups, &mut rng()), [true, false, true, true]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_batch_says_what_single_checks_say_k_3(count in 0_usize..40, bad in prop::collection::vec(0_usize..40, 0..40), seed: u64) {
            let checks = checks(count, &bad);
            let single: Vec<bool> = checks.iter().map(verify).collect();
            let mut rng = ChaCha20Rng::seed_from_u64(seed);
            prop_assert_eq!(verify_batch(&checks, &mut rng), single.iter().all(|holds| *holds));
            let groups: Vec<_> = checks.chunks(1).collect();
            prop_assert_eq!(verify_groups(&groups, &mut rng), single);
        }
    }
}
