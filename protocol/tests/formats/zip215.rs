//! The one signature rule (K-2, K-3) on inputs made to divide verifiers: points of small and mixed
//! order, points and scalars that are not in canonical form. The expected verdicts come from the
//! ZIP-215 equation written out below with plain curve operations.

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT as B, EIGHT_TORSION};
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sha2::{Digest, Sha512};
use std::sync::OnceLock;
use timecoin_protocol::keys::{PublicKey, SecretKey, Signature, SignatureCheck, verify, verify_batch, verify_groups};

const DIGEST: [u8; 32] = *b"thirty-two bytes that are signed";

/// The order of the base point, little-endian: 2^252 + 27742317777372353535851937790883648493.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

struct Case {
    name: String,
    check: SignatureCheck,
    valid: bool,
}

fn challenge(r: &[u8; 32], key: &[u8; 32], message: &[u8]) -> Scalar {
    let hash = Sha512::new().chain_update(r).chain_update(key).chain_update(message).finalize();
    Scalar::from_bytes_mod_order_wide(&hash.into())
}

fn halves(signature: &Signature) -> ([u8; 32], [u8; 32]) {
    let (r, s) = signature.0.split_at(32);
    (r.try_into().unwrap(), s.try_into().unwrap())
}

/// ZIP-215: A and R decompress, in canonical form or not; s is below the order; and
/// [8][s]B = [8]R + [8][k]A.
fn reference(check: &SignatureCheck) -> bool {
    let (r, s) = halves(&check.signature);
    let points = (CompressedEdwardsY(check.key.0).decompress(), CompressedEdwardsY(r).decompress());
    let (Some(key), Some(nonce)) = points else { return false };
    let Some(s) = Option::<Scalar>::from(Scalar::from_canonical_bytes(s)) else { return false };
    let k = challenge(&r, &check.key.0, &check.digest);
    (s * B - nonce - k * key).mul_by_cofactor().is_identity()
}

fn case(name: String, key: [u8; 32], r: [u8; 32], s: [u8; 32], valid: bool) -> Case {
    let signature = Signature([r, s].concat().try_into().unwrap());
    Case { name, check: SignatureCheck { key: PublicKey(key), digest: DIGEST, signature }, valid }
}

fn compressed(point: EdwardsPoint) -> [u8; 32] {
    point.compress().to_bytes()
}

/// The fourteen encodings of points of small order: eight canonical, six not.
fn small_order_encodings() -> Vec<[u8; 32]> {
    let encoding = |first: u8, middle: u8, last: u8| {
        let mut bytes = [middle; 32];
        (bytes[0], bytes[31]) = (first, last);
        bytes
    };
    let mut all: Vec<_> = EIGHT_TORSION.iter().map(|point| compressed(*point)).collect();
    all.push(encoding(0x01, 0x00, 0x80)); // y = 1, and a sign for x = 0
    all.push(encoding(0xec, 0xff, 0xff)); // y = -1, likewise
    all.push(encoding(0xed, 0xff, 0x7f)); // y = p, which is 0
    all.push(encoding(0xed, 0xff, 0xff));
    all.push(encoding(0xee, 0xff, 0x7f)); // y = p + 1, which is 1
    all.push(encoding(0xee, 0xff, 0xff));
    all
}

/// Any signature of a small-order key with s = 0 and a small-order R holds, for every message.
fn small_order_cases(cases: &mut Vec<Case>) {
    let encodings = small_order_encodings();
    for (i, key) in encodings.iter().enumerate() {
        for (j, r) in encodings.iter().enumerate() {
            cases.push(case(format!("small order A {i}, R {j}"), *key, *r, [0; 32], true));
        }
        let name = format!("small order A {i}, R 0, s = order");
        cases.push(case(name, *key, encodings[0], ORDER, false));
    }
}

/// Keys and nonces that are a multiple of the base point plus a point of small order.
fn mixed_order_cases(cases: &mut Vec<Case>) {
    let (secret, nonce) = (Scalar::from(0x5eed_u64), Scalar::from(0x0000_17ce_u64));
    for (i, key_torsion) in EIGHT_TORSION.iter().enumerate() {
        for (j, nonce_torsion) in EIGHT_TORSION.iter().enumerate() {
            let key = compressed(secret * B + key_torsion);
            let r = compressed(nonce * B + nonce_torsion);
            let s = nonce + challenge(&r, &key, &DIGEST) * secret;
            cases.push(case(format!("mixed order A {i}, R {j}"), key, r, s.to_bytes(), true));
            let wrong = (s + Scalar::ONE).to_bytes();
            cases.push(case(format!("mixed order A {i}, R {j}, s + 1"), key, r, wrong, false));
        }
    }
}

/// One of key and nonce of small order, the other honest.
fn half_honest_cases(cases: &mut Vec<Case>) {
    let (secret, nonce) = (Scalar::from(77_u64), Scalar::from(99_u64));
    for (i, encoding) in small_order_encodings().into_iter().enumerate() {
        let key = compressed(secret * B);
        let s = challenge(&encoding, &key, &DIGEST) * secret;
        cases.push(case(format!("honest A, small order R {i}"), key, encoding, s.to_bytes(), true));
        let r = compressed(nonce * B);
        cases.push(case(format!("small order A {i}, honest R"), encoding, r, nonce.to_bytes(), true));
        cases.push(case(format!("small order A {i}, honest R, s = 0"), encoding, r, [0; 32], false));
    }
}

/// Adds 256-bit numbers, little-endian.
fn plus(a: [u8; 32], b: [u8; 32]) -> [u8; 32] {
    let mut carry = 0;
    std::array::from_fn(|at| {
        let sum = u16::from(a[at]) + u16::from(b[at]) + carry;
        carry = sum >> 8;
        sum as u8
    })
}

/// An honest signature, and forms of it that are no longer one.
fn honest_cases(cases: &mut Vec<Case>) {
    let signer = SecretKey::from_seed(&[3; 32]);
    let key = signer.public().0;
    let (r, s) = halves(&signer.sign(&DIGEST));
    cases.push(case("honest".into(), key, r, s, true));
    cases.push(case("s + order".into(), key, r, plus(s, ORDER), false));
    cases.push(case("s + 2 order".into(), key, r, plus(plus(s, ORDER), ORDER), false));
    for bit in 5..8 {
        let mut high = s;
        high[31] |= 1 << bit;
        cases.push(case(format!("s with bit {}", 248 + bit), key, r, high, false));
    }
    let no_point = [2; 32];
    assert!(CompressedEdwardsY(no_point).decompress().is_none());
    cases.push(case("A is no point".into(), no_point, r, s, false));
    cases.push(case("R is no point".into(), key, no_point, s, false));
    for (i, torsion) in EIGHT_TORSION.iter().enumerate().skip(1) {
        let shifted = CompressedEdwardsY(key).decompress().unwrap() + torsion;
        cases.push(case(format!("honest, with the key shifted by {i}"), compressed(shifted), r, s, false));
    }
}

fn cases() -> &'static [Case] {
    static CASES: OnceLock<Vec<Case>> = OnceLock::new();
    CASES.get_or_init(|| {
        let mut cases = Vec::new();
        honest_cases(&mut cases);
        half_honest_cases(&mut cases);
        mixed_order_cases(&mut cases);
        small_order_cases(&mut cases);
        cases
    })
}

/// Verdicts on messages of four times the same signature: so many that the batch equation is used for each of them, too.
fn verdicts(checks: &[SignatureCheck], seed: u64) -> Vec<bool> {
    let messages: Vec<_> = checks.iter().map(|check| [*check; 4]).collect();
    let messages: Vec<_> = messages.iter().map(<[_; 4]>::as_slice).collect();
    verify_groups(&messages, &mut ChaCha20Rng::seed_from_u64(seed))
}

fn holds(checks: &[SignatureCheck], seed: u64) -> bool {
    verify_batch(checks, &mut ChaCha20Rng::seed_from_u64(seed))
}

#[test]
fn the_small_order_encodings_are_fourteen_and_distinct() {
    let all: std::collections::BTreeSet<_> = small_order_encodings().into_iter().collect();
    assert_eq!(all.len(), 14);
    for encoding in all {
        assert!(CompressedEdwardsY(encoding).decompress().unwrap().is_small_order());
    }
}

#[test]
fn a_single_check_follows_zip_215_k_2() {
    assert!(cases().len() > 380);
    for Case { name, check, valid } in cases() {
        assert_eq!(reference(check), *valid, "the equation: {name}");
        assert_eq!(verify(check), *valid, "{name}");
    }
}

#[test]
fn a_batch_of_one_kind_follows_zip_215_k_3() {
    for Case { name, check, valid } in cases() {
        // As many of the same as make sure that the batch equation is used.
        assert_eq!(holds(&[*check; 4], 1), *valid, "{name}");
    }
}

#[test]
fn honest_company_changes_no_verdict_k_3() {
    let honest = |index: u8| {
        let key = SecretKey::from_seed(&[index; 32]);
        SignatureCheck { key: key.public(), digest: [index; 32], signature: key.sign(&[index; 32]) }
    };
    for Case { name, check, valid } in cases() {
        let batch = [honest(1), honest(2), *check, honest(4), honest(5)];
        assert_eq!(holds(&batch, 2), *valid, "{name}");
    }
}

#[test]
fn all_together_are_judged_as_each_alone_k_3() {
    let checks: Vec<_> = cases().iter().map(|case| case.check).collect();
    let expected: Vec<_> = cases().iter().map(|case| case.valid).collect();
    for seed in 0..3 {
        assert_eq!(verdicts(&checks, seed), expected);
    }
    let (valid, _): (Vec<_>, Vec<_>) = cases().iter().partition(|case| case.valid);
    let valid: Vec<_> = valid.into_iter().map(|case| case.check).collect();
    assert!(holds(&valid, 9));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_company_changes_no_verdict_k_3(chosen in prop::collection::vec(0_usize..400, 1..24), seed: u64) {
        let chosen: Vec<&Case> = chosen.iter().map(|at| &cases()[at % cases().len()]).collect();
        let checks: Vec<_> = chosen.iter().map(|case| case.check).collect();
        let expected: Vec<_> = chosen.iter().map(|case| case.valid).collect();
        prop_assert_eq!(verdicts(&checks, seed), expected.clone());
        prop_assert_eq!(holds(&checks, seed), expected.iter().all(|valid| *valid));
    }

    #[test]
    fn damaged_cases_are_judged_as_the_equation_judges_k_2(at in 0_usize..400, byte in 0_usize..96, bit in 0_u8..8) {
        let mut check = cases()[at % cases().len()].check;
        match byte {
            0..64 => check.signature.0[byte] ^= 1 << bit,
            _ => check.key.0[byte - 64] ^= 1 << bit,
        }
        let expected = reference(&check);
        prop_assert_eq!(verify(&check), expected);
        prop_assert_eq!(holds(&[check; 4], 5), expected);
    }
}

/// A selection for implementations in other languages; written as `golden_vectors.rs` says.
#[test]
fn edge_cases_are_those_of_the_vectors_k_2() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/zip215.json");
    let chosen = cases().iter().take(20).chain(cases().iter().skip(20).step_by(7));
    let entry = |case: &Case| {
        let SignatureCheck { key, signature, .. } = case.check;
        serde_json::json!({ "name": case.name, "key": key, "signature": signature, "valid": case.valid })
    };
    let found = serde_json::json!({ "message": hex::encode(DIGEST), "cases": chosen.map(entry).collect::<Vec<_>>() });
    if std::env::var_os("TIMECOIN_WRITE_VECTORS").is_some() {
        std::fs::write(path, serde_json::to_string_pretty(&found).unwrap() + "\n").unwrap();
        return;
    }
    let expected: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(found, expected);
}
