//! Every decoder against bytes that no honest node sends (W-2, W-3): it never panics, and what it
//! takes, it takes in one form only; the bounds of N-2 and N-8 hold.

use crate::samples::{BYTES_MAX, Sample, samples};
use proptest::prelude::*;
use std::sync::OnceLock;
use timecoin_protocol::codec::{DecodeError, decode, encode};
use timecoin_protocol::transaction::Transaction;
use timecoin_protocol::wire::{BlocksResponse, Query};

fn all() -> &'static [Sample] {
    static ALL: OnceLock<Vec<Sample>> = OnceLock::new();
    ALL.get_or_init(samples)
}

/// What decodes must encode to the same bytes.
fn check(sample: &Sample, bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(again) = (sample.reencode)(bytes) {
        prop_assert_eq!(&again, bytes, "{} has two encodings", sample.name);
    }
    Ok(())
}

/// One way to damage an encoding.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Set(usize, u8),
    Flip(usize, u8),
    Insert(usize, u8),
    Remove(usize),
    Truncate(usize),
    Repeat(usize, usize),
}

impl Damage {
    fn apply(self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let within = |at: usize| at % bytes.len();
        match self {
            Self::Set(at, byte) => {
                let at = within(at);
                bytes[at] = byte;
            }
            Self::Flip(at, bit) => {
                let at = within(at);
                bytes[at] ^= 1 << (bit % 8);
            }
            Self::Insert(at, byte) => bytes.insert(within(at), byte),
            Self::Remove(at) => {
                bytes.remove(within(at));
            }
            Self::Truncate(at) => bytes.truncate(within(at)),
            Self::Repeat(from, to) => {
                let (from, to) = (within(from).min(within(to)), within(from).max(within(to)));
                let part = bytes[from..to].to_vec();
                bytes.splice(to..to, part);
            }
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = || any::<usize>();
    // Markers of longer integers, and the small numbers of tags and lengths.
    let byte = || prop_oneof![0_u8..5, 250_u8..=255, any::<u8>()];
    prop_oneof![
        (at(), byte()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        (at(), any::<u8>()).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        (at(), byte()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        at().prop_map(Damage::Remove),
        at().prop_map(Damage::Truncate),
        (at(), at()).prop_map(|(from, to)| Damage::Repeat(from, to)),
    ]
}

proptest! {
    #[test]
    fn random_bytes_are_refused_or_canonical(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for sample in all() {
            check(sample, &bytes)?;
        }
    }

    #[test]
    fn small_numbers_are_refused_or_canonical(bytes in prop::collection::vec(0_u8..4, 0..400)) {
        for sample in all() {
            check(sample, &bytes)?;
        }
    }

    #[test]
    fn damaged_encodings_are_refused_or_canonical(damages in prop::collection::vec(damage(), 1..4)) {
        for sample in all() {
            let mut bytes = sample.bytes.clone();
            damages.iter().for_each(|damage| damage.apply(&mut bytes));
            check(sample, &bytes)?;
        }
    }
}

#[test]
fn a_byte_too_many_is_refused_w_2() {
    for sample in all() {
        for extra in [0, 1, 255] {
            let bytes: Vec<u8> = sample.bytes.iter().copied().chain([extra]).collect();
            assert_eq!((sample.reencode)(&bytes), Err(DecodeError::NotCanonical), "{}", sample.name);
        }
    }
}

#[test]
fn every_byte_is_needed_w_2() {
    for sample in all() {
        for len in 0..sample.bytes.len() {
            assert!((sample.reencode)(&sample.bytes[..len]).is_err(), "{len} bytes of {}", sample.name);
        }
    }
}

/// Lengthens the integer at the start of an encoding, keeping its value.
fn lengthened(bytes: &[u8]) -> Vec<u8> {
    let mut long = vec![251, bytes[0], 0];
    long.extend(&bytes[1..]);
    long
}

#[test]
fn a_length_that_is_longer_than_need_be_is_refused_w_2() {
    let transaction = encode(&crate::samples::payment());
    assert!(decode::<Transaction>(&transaction, BYTES_MAX).is_ok());
    assert_eq!(decode::<Transaction>(&lengthened(&transaction), BYTES_MAX), Err(DecodeError::NotCanonical));
}

#[test]
fn absurd_lengths_are_refused_w_3() {
    for length in [1_u64 << 16, 1 << 24, 1 << 32, 1 << 48, u64::MAX] {
        let bytes = encode(&length);
        assert_eq!(decode::<BlocksResponse>(&bytes, BYTES_MAX), Err(DecodeError::Malformed));
        let query = [vec![0], bytes].concat();
        assert_eq!(decode::<Query>(&query, BYTES_MAX), Err(DecodeError::Malformed));
    }
}

#[test]
fn a_message_above_its_limit_is_refused_w_3() {
    let bytes = encode(&crate::samples::payment());
    let max = bytes.len() - 1;
    assert_eq!(decode::<Transaction>(&bytes, max), Err(DecodeError::TooLong { len: bytes.len(), max }));
}
