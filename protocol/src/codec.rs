//! The one canonical encoding (`SPEC.md` W-1…W-3): bincode 2 with little-endian, variable-length
//! integers, behind this module so that nothing else names the library.
//!
//! bincode alone accepts integers that are longer than need be and ignores trailing bytes. Here
//! bytes decode only if they are exactly what the value encodes to (W-2), so one value has one
//! encoding and a hash of bytes is a hash of the value.

use alloc::vec::Vec;
use bincode::enc::EncoderImpl;
use bincode::enc::write::{SizeWriter, Writer};
use bincode::error::EncodeError;
pub use bincode::{Decode, Encode};

/// Why bytes were refused. The sender is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// More bytes than the limit of this kind of message.
    #[error("message of {len} bytes is above the limit of {max} bytes")]
    TooLong {
        /// Bytes received.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// The bytes are not an encoding of the type.
    #[error("malformed message")]
    Malformed,
    /// The bytes decode, but are not the canonical encoding of what they decode to.
    #[error("message is not in canonical form")]
    NotCanonical,
}

/// Upper bounds for what a decoder may claim for containers, in bytes, for messages of up to
/// [`SHORT_BYTES_MAX`], up to [`MEDIUM_BYTES_MAX`], and longer ones (W-3). Every element costs
/// at least one byte on the wire and the largest are some hundred bytes in memory.
const SHORT_CLAIM_MAX: usize = 1024 * 1024;
const MEDIUM_CLAIM_MAX: usize = 8 * 1024 * 1024;
const LONG_CLAIM_MAX: usize = 32 * 1024 * 1024;
const SHORT_BYTES_MAX: usize = 4 * 1024;
const MEDIUM_BYTES_MAX: usize = 64 * 1024;

/// The canonical bytes of `value`.
#[must_use]
pub fn encode<T: Encode>(value: &T) -> Vec<u8> {
    // Encoding into memory fails only for values that cannot be encoded at all (a poisoned lock,
    // a pre-epoch system time); no type of this crate has one.
    bincode::encode_to_vec(value, bincode::config::standard()).unwrap_or_default()
}

/// Length of the canonical bytes of `value`.
#[must_use]
pub fn encoded_len<T: Encode>(value: &T) -> usize {
    let mut sizer = EncoderImpl::new(SizeWriter::default(), bincode::config::standard());
    if value.encode(&mut sizer).is_err() {
        return 0;
    }
    sizer.into_writer().bytes_written
}

/// Decodes canonical bytes of at most `max` bytes.
///
/// # Errors
/// [`DecodeError`] if the bytes are too long, malformed, or not canonical (W-2).
pub fn decode<T: Encode + Decode<()>>(bytes: &[u8], max: usize) -> Result<T, DecodeError> {
    if bytes.len() > max {
        return Err(DecodeError::TooLong { len: bytes.len(), max });
    }
    let (value, consumed) = match bytes.len() {
        len if len <= SHORT_BYTES_MAX => decode_within::<T, SHORT_CLAIM_MAX>(bytes),
        len if len <= MEDIUM_BYTES_MAX => decode_within::<T, MEDIUM_CLAIM_MAX>(bytes),
        _ => decode_within::<T, LONG_CLAIM_MAX>(bytes),
    }?;
    if consumed != bytes.len() || !encodes_to(&value, bytes) {
        return Err(DecodeError::NotCanonical);
    }
    Ok(value)
}

/// A length that claims more memory than `CLAIM_MAX` fails before anything is allocated for it.
fn decode_within<T: Decode<()>, const CLAIM_MAX: usize>(bytes: &[u8]) -> Result<(T, usize), DecodeError> {
    bincode::decode_from_slice(bytes, bincode::config::standard().with_limit::<CLAIM_MAX>())
        .map_err(|_| DecodeError::Malformed)
}

/// Whether `bytes` are the canonical encoding of `value`; allocates nothing.
fn encodes_to<T: Encode>(value: &T, bytes: &[u8]) -> bool {
    let mut encoder = EncoderImpl::new(Expect(bytes), bincode::config::standard());
    value.encode(&mut encoder).is_ok() && encoder.into_writer().0.is_empty()
}

/// Takes only the bytes that it expects.
struct Expect<'a>(&'a [u8]);

impl Writer for Expect<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0 = self.0.strip_prefix(bytes).ok_or(EncodeError::UnexpectedEnd)?;
        Ok(())
    }
}

/// Encodes a type as one of its fields, and decodes it from there by a function that gives
/// `None` for what breaks the type's own rules (W-2).
macro_rules! encode_as_field {
    ($name:ty, $field:ident: $inner:ty, $check:expr) => {
        impl bincode::Encode for $name {
            fn encode<E: bincode::enc::Encoder>(&self, encoder: &mut E) -> Result<(), bincode::error::EncodeError> {
                self.$field.encode(encoder)
            }
        }

        impl<C> bincode::Decode<C> for $name {
            fn decode<D: bincode::de::Decoder<Context = C>>(
                decoder: &mut D,
            ) -> Result<Self, bincode::error::DecodeError> {
                let inner: $inner = bincode::Decode::decode(decoder)?;
                $check(inner).ok_or(bincode::error::DecodeError::Other("breaks a rule of its type"))
            }
        }

        bincode::impl_borrow_decode!($name);
    };
}
pub(crate) use encode_as_field;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec;
    use bincode::de::Decoder;
    use proptest::prelude::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
    enum Kind {
        Nothing,
        Number(u32),
        Pair { left: u16, right: bool },
    }

    #[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
    struct Everything {
        small: u8,
        number: u64,
        wide: u128,
        signed: i32,
        kinds: Vec<Kind>,
        maybe: Option<u16>,
        bytes: [u8; 3],
        text: String,
    }

    /// Written by hand from W-1, byte for byte.
    #[test]
    fn the_encoding_is_the_one_of_w_1() {
        let value = Everything {
            small: 255,
            number: 250,
            wide: 1 << 64,
            signed: -2,
            kinds: vec![Kind::Nothing, Kind::Number(251), Kind::Pair { left: 65_535, right: true }],
            maybe: Some(7),
            bytes: [1, 2, 3],
            text: "é".into(),
        };
        let mut expected = vec![255, 250];
        expected.extend([254, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        expected.extend([3]); // -2 in zigzag
        expected.extend([3, 0, 1, 251, 251, 0, 2, 251, 255, 255, 1]);
        expected.extend([1, 7, 1, 2, 3, 2, 0xc3, 0xa9]);
        assert_eq!(encode(&value), expected);
        assert_eq!(encoded_len(&value), expected.len());
        assert_eq!(decode(&expected, 100), Ok(value));
    }

    #[test]
    fn integers_take_the_fewest_bytes_w_1() {
        let edges: [(u64, &[u8]); 7] = [
            (0, &[0]),
            (250, &[250]),
            (251, &[251, 251, 0]),
            (65_535, &[251, 255, 255]),
            (65_536, &[252, 0, 0, 1, 0]),
            (u64::from(u32::MAX), &[252, 255, 255, 255, 255]),
            (1 << 32, &[253, 0, 0, 0, 0, 1, 0, 0, 0]),
        ];
        for (number, bytes) in edges {
            assert_eq!(encode(&number), bytes);
            assert_eq!(decode::<u64>(bytes, 16), Ok(number));
        }
    }

    #[test]
    fn integers_that_are_longer_than_need_be_are_refused_w_2() {
        let long: [&[u8]; 4] = [
            &[251, 250, 0],
            &[252, 255, 255, 0, 0],
            &[253, 1, 0, 0, 0, 0, 0, 0, 0],
            &[253, 255, 255, 255, 255, 0, 0, 0, 0],
        ];
        for bytes in long {
            assert_eq!(decode::<u64>(bytes, 16), Err(DecodeError::NotCanonical), "{bytes:?}");
        }
        // A length, an enum tag.
        assert_eq!(decode::<Vec<u8>>(&[251, 1, 0, 9], 16), Err(DecodeError::NotCanonical));
        assert_eq!(decode::<Kind>(&[251, 0, 0], 16), Err(DecodeError::NotCanonical));
    }

    #[test]
    fn trailing_and_missing_bytes_are_refused_w_2() {
        assert_eq!(decode::<u64>(&[1, 0], 16), Err(DecodeError::NotCanonical));
        assert_eq!(decode::<u64>(&[], 16), Err(DecodeError::Malformed));
        assert_eq!(decode::<[u8; 4]>(&[1, 2, 3], 16), Err(DecodeError::Malformed));
    }

    #[test]
    fn values_that_the_type_does_not_have_are_refused_w_1() {
        assert_eq!(decode::<bool>(&[2], 16), Err(DecodeError::Malformed));
        assert_eq!(decode::<Option<u8>>(&[2, 0], 16), Err(DecodeError::Malformed));
        assert_eq!(decode::<Kind>(&[3], 16), Err(DecodeError::Malformed));
        assert_eq!(decode::<u16>(&[252, 0, 0, 1, 0], 16), Err(DecodeError::Malformed));
        assert_eq!(decode::<u64>(&[255], 16), Err(DecodeError::Malformed));
        assert_eq!(decode::<String>(&[1, 0xff], 16), Err(DecodeError::Malformed));
    }

    #[test]
    fn a_message_above_its_limit_is_not_looked_at_w_3() {
        assert_eq!(decode::<u64>(&[0; 17], 16), Err(DecodeError::TooLong { len: 17, max: 16 }));
    }

    /// A kilobyte in memory for one byte on the wire; decoding one is a failure of the test.
    struct Huge(#[allow(dead_code)] [u8; 1024]);

    impl Encode for Huge {
        fn encode<E: bincode::enc::Encoder>(&self, _: &mut E) -> Result<(), EncodeError> {
            Ok(())
        }
    }

    impl<C> Decode<C> for Huge {
        fn decode<D: Decoder<Context = C>>(_: &mut D) -> Result<Self, bincode::error::DecodeError> {
            panic!("an element was decoded, so memory for the container had been taken");
        }
    }

    #[test]
    fn an_absurd_length_fails_before_memory_is_taken_w_3() {
        for length in [1 << 11, 1 << 20, 1 << 40, u64::MAX] {
            assert_eq!(decode::<Vec<Huge>>(&encode(&length), 16).err(), Some(DecodeError::Malformed), "{length}");
            assert_eq!(decode::<Vec<Vec<u8>>>(&encode(&length), 16), Err(DecodeError::Malformed), "{length}");
        }
    }

    proptest! {
        #[test]
        fn every_number_round_trips(number: u64, other: u16) {
            prop_assert_eq!(decode(&encode(&(number, other)), 16), Ok((number, other)));
            prop_assert_eq!(encoded_len(&(number, other)), encode(&(number, other)).len());
        }

        #[test]
        fn what_decodes_encodes_to_the_same_bytes(bytes in prop::collection::vec(prop_oneof![0_u8..5, any::<u8>()], 0..60)) {
            if let Ok(value) = decode::<Everything>(&bytes, 100) {
                prop_assert_eq!(encode(&value), bytes);
            }
        }
    }
}
