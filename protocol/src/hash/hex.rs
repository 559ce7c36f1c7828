//! Bytes that people see as hexadecimal text.

/// A string of hexadecimal digits was not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} hexadecimal digits")]
pub struct HexError {
    /// How many digits there must be.
    pub expected: usize,
}

/// Exactly `2 * N` hexadecimal digits of either case.
pub(crate) fn parse_hex<const N: usize>(text: &str) -> Result<[u8; N], HexError> {
    let error = HexError { expected: N * 2 };
    let mut out = [0; N];
    let pairs = text.as_bytes().chunks_exact(2);
    if text.len() != N * 2 {
        return Err(error);
    }
    for (slot, pair) in out.iter_mut().zip(pairs) {
        if let [high, low] = pair {
            *slot = digit(*high).ok_or(error)? << 4 | digit(*low).ok_or(error)?;
        }
    }
    Ok(out)
}

/// The 32 bytes of 64 digits that are written in the source. Anything else does not compile.
#[allow(clippy::indexing_slicing, clippy::panic, reason = "runs while compiling")]
pub(super) const fn const_hex(text: &str) -> [u8; 32] {
    let mut out = [0; 32];
    let mut rest = text.as_bytes();
    let mut at = 0;
    while let [high, low, more @ ..] = rest {
        let (Some(high), Some(low)) = (digit(*high), digit(*low)) else { panic!("not hexadecimal") };
        out[at] = high << 4 | low;
        at += 1;
        rest = more;
    }
    assert!(at == out.len() && rest.is_empty(), "not 64 digits");
    out
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Two digits for each byte, as many as there is room for.
pub(crate) fn write_hex(bytes: &[u8], digits: &mut [u8]) {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble };
    for (byte, pair) in bytes.iter().zip(digits.chunks_exact_mut(2)) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
}

/// Defines a newtype of `N` bytes that is shown, parsed and serialized as hexadecimal text.
macro_rules! hex_newtype {
    ($(#[$doc:meta])* $name:ident, $n:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, $crate::codec::Encode, $crate::codec::Decode)]
        pub struct $name(pub [u8; $n]);

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                let mut digits = [0; $n * 2];
                $crate::hash::write_hex(&self.0, &mut digits);
                f.write_str(core::str::from_utf8(&digits).unwrap_or_default())
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl core::str::FromStr for $name {
            type Err = $crate::hash::HexError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $crate::hash::parse_hex(text).map(Self)
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <alloc::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use hex_newtype;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    hex_newtype!(
        /// Two bytes.
        Pair, 2
    );

    #[test]
    fn bytes_are_shown_and_read_as_lowercase_hexadecimal() {
        assert_eq!(Pair([0x0a, 0xff]).to_string(), "0aff");
        assert_eq!("0aff".parse(), Ok(Pair([0x0a, 0xff])));
        assert_eq!("0AfF".parse(), Ok(Pair([0x0a, 0xff])));
        assert_eq!(serde_json::to_string(&Pair([1, 2])).unwrap(), "\"0102\"");
        assert_eq!(serde_json::from_str::<Pair>("\"0102\"").unwrap(), Pair([1, 2]));
    }

    #[test]
    fn anything_but_the_right_number_of_digits_is_refused() {
        for text in ["", "0", "0af", "0aff0", "0aff00", "0x0a", "0agf", "+a+f", " aff", "é0f", "éé"] {
            assert_eq!(text.parse::<Pair>(), Err(HexError { expected: 4 }), "{text}");
        }
    }
}
