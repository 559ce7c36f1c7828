//! Addresses: the hash of a public key, and its bech32m text (`SPEC.md` ).

use crate::hash::{Domain, hash_bytes, hex_newtype};
use crate::keys::PublicKey;
use alloc::string::String;
use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32m, Hrp};

hex_newtype!(
    /// The first 20 bytes of the hash of a public key: who may spend an output.
    Owner, 20
);

impl From<&PublicKey> for Owner {
    fn from(key: &PublicKey) -> Self {
        let hash = hash_bytes(Domain::Address, &key.0);
        let mut owner = [0; 20];
        for (to, from) in owner.iter_mut().zip(hash) {
            *to = from;
        }
        Self(owner)
    }
}

/// Which kind of network an address is for; it decides the text's prefix.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, crate::codec::Encode, crate::codec::Decode, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum NetworkKind {
    /// Real money: `time1…`.
    Mainnet,
    /// Public tests: `ttime1…`.
    Testnet,
    /// Local development: `dtime1…`.
    Devnet,
}

impl NetworkKind {
    /// The human-readable part of this network's addresses.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Mainnet => "time",
            Self::Testnet => "ttime",
            Self::Devnet => "dtime",
        }
    }

    const fn of_prefix(prefix: &str) -> Option<Self> {
        match prefix.as_bytes() {
            b"time" => Some(Self::Mainnet),
            b"ttime" => Some(Self::Testnet),
            b"dtime" => Some(Self::Devnet),
            _ => None,
        }
    }
}

/// Why a text is not an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not bech32m, or the checksum is wrong: a typing mistake.
    #[error("not a valid address: the checksum does not match; check it for typing mistakes")]
    Checksum,
    /// The prefix is of no network of TimeCoin.
    #[error("not a TimeCoin address: it must begin with time1, ttime1 or dtime1")]
    Prefix,
    /// The address is for another network.
    #[error("this address is for {found:?}, this network is {expected:?}")]
    Network {
        /// Network of the address.
        found: NetworkKind,
        /// Network wanted.
        expected: NetworkKind,
    },
    /// A version other than 0, not 20 bytes, or padded with anything but zero bits.
    #[error("an address of an unknown version or length")]
    Version,
}

/// Version of the address payload: 0 is the hash of one ed25519 key.
const VERSION: u8 = 0;

/// The bech32m text of `owner` on a network.
#[must_use]
pub fn address_text(owner: &Owner, network: NetworkKind) -> String {
    let mut payload = [VERSION; 21];
    for (to, from) in payload.iter_mut().skip(1).zip(owner.0) {
        *to = from;
    }
    // A fixed prefix and 21 bytes are always encodable.
    bech32::encode::<Bech32m>(Hrp::parse_unchecked(network.prefix()), &payload).unwrap_or_default()
}

/// Reads an address of any network.
///
/// # Errors
/// [`AddressError`] says what is wrong with the text.
pub fn parse_any_address(text: &str) -> Result<(Owner, NetworkKind), AddressError> {
    let checked = CheckedHrpstring::new::<Bech32m>(text).map_err(|_| AddressError::Checksum)?;
    let prefix = checked.hrp().to_lowercase();
    let network = NetworkKind::of_prefix(&prefix).ok_or(AddressError::Prefix)?;
    let mut bytes = checked.byte_iter();
    let mut owner = [0; 20];
    if bytes.next() != Some(VERSION) || bytes.len() != owner.len() {
        return Err(AddressError::Version);
    }
    for (to, from) in owner.iter_mut().zip(bytes) {
        *to = from;
    }
    let owner = Owner(owner);
    // One owner has one text: bech32m alone ignores what the last characters pad with.
    if !address_text(&owner, network).eq_ignore_ascii_case(text) {
        return Err(AddressError::Version);
    }
    Ok((owner, network))
}

/// Reads an address of `network`.
///
/// # Errors
/// [`AddressError`] says what is wrong with the text.
pub fn parse_address(text: &str, network: NetworkKind) -> Result<Owner, AddressError> {
    let (owner, found) = parse_any_address(text)?;
    if found == network { Ok(owner) } else { Err(AddressError::Network { found, expected: network }) }
}

#[cfg(test)]
mod tests {
    //! Rules.

    use super::*;
    use alloc::string::ToString;
    use alloc::vec::Vec;
    use bech32::primitives::iter::Fe32IterExt as _;
    use bech32::{ByteIterExt as _, Fe32};
    use proptest::prelude::*;

    const NETWORKS: [NetworkKind; 3] = [NetworkKind::Mainnet, NetworkKind::Testnet, NetworkKind::Devnet];

    #[test]
    fn an_owner_is_the_start_of_the_hash_of_its_key_a_1() {
        let key = PublicKey([9; 32]);
        assert_eq!(Owner::from(&key).0, hash_bytes(Domain::Address, &key.0)[..20]);
    }

    #[test]
    fn the_text_of_an_address_names_its_network_a_2() {
        let texts = NETWORKS.map(|network| address_text(&Owner([0; 20]), network));
        assert!(texts[0].starts_with("time1q"));
        assert!(texts[1].starts_with("ttime1q"));
        assert!(texts[2].starts_with("dtime1q"));
        assert_eq!(texts[0].len(), "time1".len() + 34 + 6);
    }

    #[test]
    fn an_address_of_another_network_is_refused_by_name_a_2() {
        let text = address_text(&Owner([1; 20]), NetworkKind::Testnet);
        let error = parse_address(&text, NetworkKind::Mainnet).unwrap_err();
        assert_eq!(error, AddressError::Network { found: NetworkKind::Testnet, expected: NetworkKind::Mainnet });
        assert_eq!(parse_address(&text, NetworkKind::Testnet), Ok(Owner([1; 20])));
    }

    #[test]
    fn capitals_are_read_but_not_mixed_case_a_2() {
        let text = address_text(&Owner([1; 20]), NetworkKind::Mainnet);
        assert_eq!(parse_any_address(&text.to_uppercase()), Ok((Owner([1; 20]), NetworkKind::Mainnet)));
        assert_eq!(parse_any_address(&text.replacen('t', "T", 1)), Err(AddressError::Checksum));
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_reason_a_2() {
        let encode =
            |prefix: &str, bytes: &[u8]| bech32::encode::<Bech32m>(Hrp::parse(prefix).unwrap(), bytes).unwrap();
        assert_eq!(parse_any_address(""), Err(AddressError::Checksum));
        assert_eq!(parse_any_address("time1"), Err(AddressError::Checksum));
        assert_eq!(parse_any_address("bitcoin"), Err(AddressError::Checksum));
        assert_eq!(parse_any_address(&encode("bc", &[0; 21])), Err(AddressError::Prefix));
        assert_eq!(parse_any_address(&encode("time", &[])), Err(AddressError::Version));
        assert_eq!(parse_any_address(&encode("time", &[0; 20])), Err(AddressError::Version));
        assert_eq!(parse_any_address(&encode("time", &[0; 22])), Err(AddressError::Version));
        assert_eq!(parse_any_address(&encode("time", &[1; 21])), Err(AddressError::Version));
        let old = bech32::encode::<bech32::Bech32>(Hrp::parse("time").unwrap(), &[0; 21]).unwrap();
        assert_eq!(parse_any_address(&old), Err(AddressError::Checksum), "bech32 is not bech32m");
    }

    /// 21 bytes fill 33 characters and 3 of 5 bits of one more: its other bits, and a 35th
    /// character, are lost when bytes are taken out.
    #[test]
    fn texts_that_differ_in_padding_alone_are_not_the_same_address_a_2() {
        let with_end = |last: u8, extra: Option<Fe32>| -> String {
            let mut symbols: Vec<Fe32> = [VERSION; 21].into_iter().bytes_to_fes().collect();
            *symbols.last_mut().unwrap() = Fe32::try_from(last).unwrap();
            symbols.extend(extra);
            symbols.into_iter().with_checksum::<Bech32m>(&Hrp::parse("time").unwrap()).chars().collect()
        };
        assert_eq!(with_end(0, None), address_text(&Owner([0; 20]), NetworkKind::Mainnet));
        for padding in 1..4 {
            assert_eq!(parse_any_address(&with_end(padding, None)), Err(AddressError::Version));
        }
        assert_eq!(parse_any_address(&with_end(0, Some(Fe32::Q))), Err(AddressError::Version));
    }

    proptest! {
        #[test]
        fn addresses_round_trip(bytes: [u8; 20], network in prop::sample::select(NETWORKS.to_vec())) {
            let text = address_text(&Owner(bytes), network);
            prop_assert_eq!(parse_address(&text, network), Ok(Owner(bytes)));
        }

        #[test]
        fn a_typing_mistake_is_noticed(bytes: [u8; 20], at in 0_usize..40, letter in "[ -~]") {
            let text = address_text(&Owner(bytes), NetworkKind::Mainnet);
            let mut typed: Vec<char> = text.chars().collect();
            let at = at % typed.len();
            typed[at] = letter.chars().next().unwrap();
            let typed: String = typed.into_iter().collect();
            prop_assume!(typed != text);
            prop_assert!(parse_any_address(&typed).is_err(), "{} was read", typed);
        }

        #[test]
        fn any_text_is_judged_without_panic(text in ".{0,100}") {
            if let Ok((owner, network)) = parse_any_address(&text) {
                prop_assert_eq!(address_text(&owner, network), text.to_string());
            }
        }
    }
}
