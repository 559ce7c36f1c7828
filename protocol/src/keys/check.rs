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

/// Judges many signatures; the result has one entry for each check, equal to what [`verify`]
/// says of it alone (K-3). A batch that fails is halved until the culprits are found (K-4).
/// `rng` must be unpredictable to whoever made the signatures.
#[must_use]
pub fn verify_batch(checks: &[SignatureCheck], rng: &mut impl CryptoRng) -> Vec<bool> {
    let mut verdicts = vec![true; checks.len()];
    judge(checks, &mut verdicts, false, rng);
    verdicts
}

/// Below this many signatures a batch is no faster than single checks.
const BATCH_MIN: usize = 4;

/// `has_culprit` spares the check of a batch that cannot hold.
fn judge(checks: &[SignatureCheck], verdicts: &mut [bool], has_culprit: bool, rng: &mut impl CryptoRng) {
    if checks.len() < BATCH_MIN {
        for (check, verdict) in checks.iter().zip(verdicts) {
            *verdict = verify(check);
        }
        return;
    }
    if !has_culprit && batch_holds(checks, rng) {
        return;
    }
    let half = checks.len() / 2;
    let (left, right) = checks.split_at(half);
    let (left_verdicts, right_verdicts) = verdicts.split_at_mut(half);
    judge(left, left_verdicts, false, rng);
    let right_has_culprit = left_verdicts.iter().all(|verdict| *verdict);
    judge(right, right_verdicts, right_has_culprit, rng);
}

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
    fn a_batch_that_fails_names_the_culprits_k_4() {
        for bad in [&[][..], &[0], &[63], &[31, 32], &[0, 1, 2, 3], &[5, 20, 21, 40, 63]] {
            let checks = checks(64, bad);
            let verdicts = verify_batch(&checks, &mut rng());
            let found: Vec<usize> = (0..64).filter(|at| !verdicts[*at]).collect();
            assert_eq!(found, bad);
        }
    }

    #[test]
    fn a_key_that_is_no_point_spoils_only_its_own_signatures_k_4() {
        let mut checks = checks(20, &[]);
        checks[9].key = PublicKey([2; 32]);
        assert!(ed25519_zebra::VerificationKey::try_from([2; 32]).is_err());
        let verdicts = verify_batch(&checks, &mut rng());
        assert!((0..20).all(|at| verdicts[at] == (at != 9)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_batch_says_of_each_what_a_single_check_says_k_3(count in 0_usize..40, bad in prop::collection::vec(0_usize..40, 0..40), seed: u64) {
            let checks = checks(count, &bad);
            let verdicts = verify_batch(&checks, &mut ChaCha20Rng::seed_from_u64(seed));
            let single: Vec<bool> = checks.iter().map(verify).collect();
            prop_assert_eq!(verdicts, single);
        }
    }
}
