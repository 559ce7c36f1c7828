//! Sets of small numbers as bits (`SPEC.md` E-5, N-6): number `i` is bit `i mod 8`, counted from the
//! lowest, of byte `i div 8`. No zero byte ends one, so a set has one form (W-2).

use crate::codec::encode_as_field;
use alloc::vec::Vec;

/// A set of numbers. Its encoding is that of its bytes; bytes that end in zero do not decode.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bitmap {
    bytes: Vec<u8>,
}

encode_as_field!(Bitmap, bytes: Vec<u8>, Bitmap::in_form);

impl Bitmap {
    fn in_form(bytes: Vec<u8>) -> Option<Self> {
        (bytes.last() != Some(&0)).then_some(Self { bytes })
    }

    /// Its length in bytes, without the length that stands before them when it is encoded.
    #[must_use]
    pub const fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether `number` is in the set.
    #[must_use]
    pub fn contains(&self, number: usize) -> bool {
        self.bytes.get(number / 8).is_some_and(|byte| byte >> (number % 8) & 1 == 1)
    }

    /// The numbers in the set, ascending.
    pub fn numbers(&self) -> impl Iterator<Item = usize> + '_ {
        let bits = |(at, byte): (usize, &u8)| {
            let byte = *byte;
            (0..8_usize).filter(move |bit| byte >> bit & 1 == 1).map(move |bit| at * 8 + bit)
        };
        self.bytes.iter().enumerate().flat_map(bits)
    }
}

impl FromIterator<usize> for Bitmap {
    fn from_iter<I: IntoIterator<Item = usize>>(numbers: I) -> Self {
        let mut bytes = Vec::new();
        for number in numbers {
            let at = number / 8;
            if bytes.len() <= at {
                bytes.resize(at + 1, 0);
            }
            if let Some(byte) = bytes.get_mut(at) {
                *byte |= 1_u8 << (number % 8);
            }
        }
        Self { bytes }
    }
}

#[cfg(test)]
mod tests {
    //! Rules: E-5, N-6, W-2.

    use super::*;
    use crate::codec::{DecodeError, decode, encode};
    use alloc::collections::BTreeSet;
    use proptest::prelude::*;

    #[test]
    fn bits_count_from_the_lowest_of_the_first_byte_e_5() {
        let bitmap: Bitmap = [9, 0, 7].into_iter().collect();
        assert_eq!(encode(&bitmap), [2, 0b1000_0001, 0b0000_0010]);
        assert_eq!(encode(&Bitmap::default()), [0]);
    }

    #[test]
    fn a_bitmap_that_ends_in_zero_does_not_decode_w_2() {
        assert_eq!(decode::<Bitmap>(&[2, 1, 0], 9), Err(DecodeError::Malformed));
        assert_eq!(decode::<Bitmap>(&[1, 0], 9), Err(DecodeError::Malformed));
        assert!(decode::<Bitmap>(&[2, 0, 1], 9).is_ok());
    }

    proptest! {
        #[test]
        fn a_bitmap_holds_what_was_put_into_it(numbers in prop::collection::btree_set(0_usize..2_000, 0..60)) {
            let bitmap: Bitmap = numbers.iter().copied().collect();
            prop_assert_eq!(bitmap.numbers().collect::<BTreeSet<_>>(), numbers.clone());
            prop_assert!((0..2_100).all(|number| bitmap.contains(number) == numbers.contains(&number)));
            prop_assert_eq!(decode::<Bitmap>(&encode(&bitmap), 1_000), Ok(bitmap));
            let backwards: Vec<usize> = numbers.iter().rev().copied().collect();
            prop_assert_eq!(backwards.into_iter().collect::<Bitmap>(), numbers.into_iter().collect::<Bitmap>());
        }
    }

    #[test]
    fn no_number_is_beyond_the_end() {
        assert!(!Bitmap::default().contains(usize::MAX));
        assert_eq!(Bitmap::default().numbers().count(), 0);
    }
}
