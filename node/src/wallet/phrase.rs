//! Recovery phrases (BIP-39, English) and the keys derived from them (SLIP-0010, ed25519).
//!
//! ed25519 has hardened derivation only, so addresses cannot be derived from a public key:
//! there are no watch-only wallets of this kind. The path is `m/44'/coin'/account'/0'/index'`.
//! TimeCoin has no coin type registered in SLIP-44. On mainnet the wallet uses the bytes of
//! "TIME" as a number, 1414090053, which nobody has registered either; elsewhere it uses 1,
//! which SLIP-44 gives to the test networks of all coins.

use bip39::{Language, Mnemonic};
use std::fmt;
use timecoin_protocol::address::NetworkKind;
use timecoin_protocol::keys::SecretKey;
use zeroize::{Zeroize, Zeroizing};

/// Coin type on mainnet: the ASCII bytes "TIME", big-endian. Not registered in SLIP-44.
pub const COIN_TYPE_MAINNET: u32 = u32::from_be_bytes(*b"TIME");
/// Coin type of all test networks (SLIP-44).
pub const COIN_TYPE_TEST: u32 = 1;
/// BIP-44's purpose field.
const PURPOSE: u32 = 44;
/// The chain of receiving addresses; change goes back to addresses of the same chain.
const CHAIN: u32 = 0;
/// Bytes of chance in a new phrase: 24 words.
const ENTROPY_BYTES: usize = 32;

/// Why a text is not a recovery phrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhraseError {
    /// Wrong words, number of words, or checksum.
    #[error("not a recovery phrase: {0}")]
    Malformed(bip39::Error),
}

/// A recovery phrase; wiped from memory when dropped, and not shown by `Debug`.
#[derive(Clone)]
pub struct Phrase(Mnemonic);

impl Drop for Phrase {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Phrase({} words)", self.0.word_count())
    }
}

impl Phrase {
    /// A new phrase of 24 words, from the operating system's chance.
    ///
    /// # Errors
    /// Never for a full set of random bytes; the type is that of [`from_entropy`](Self::from_entropy).
    pub fn generate() -> Result<Self, PhraseError> {
        let entropy = Zeroizing::new(rand::random::<[u8; ENTROPY_BYTES]>());
        Self::from_entropy(entropy.as_slice())
    }

    /// The phrase for these bytes of chance: 16, 20, 24, 28 or 32.
    ///
    /// # Errors
    /// Another number of bytes.
    pub fn from_entropy(entropy: &[u8]) -> Result<Self, PhraseError> {
        Mnemonic::from_entropy_in(Language::English, entropy).map(Self).map_err(PhraseError::Malformed)
    }

    /// Reads English words; spaces and capitals do not matter.
    ///
    /// # Errors
    /// A word that is not in the list, a wrong number of words, or a wrong checksum.
    pub fn parse(words: &str) -> Result<Self, PhraseError> {
        let tidy = Zeroizing::new(words.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase());
        Mnemonic::parse_in_normalized(Language::English, &tidy).map(Self).map_err(PhraseError::Malformed)
    }

    /// The words, separated by spaces.
    #[must_use]
    pub fn words(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.to_string())
    }

    /// The bytes of chance behind the words.
    #[must_use]
    pub fn entropy(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.0.to_entropy())
    }

    /// The keys of an account with these indices, in order. The slow part of BIP-39 is done once.
    #[must_use]
    pub fn keys(&self, network: NetworkKind, account: u32, indices: std::ops::Range<u32>) -> Vec<SecretKey> {
        let seed = Zeroizing::new(self.0.to_seed_normalized(""));
        indices
            .map(|index| {
                let path = [PURPOSE, coin_type(network), account, CHAIN, index];
                let key = Zeroizing::new(slip10_ed25519::derive_ed25519_private_key(seed.as_slice(), &path));
                SecretKey::from_seed(&key)
            })
            .collect()
    }
}

const fn coin_type(network: NetworkKind) -> u32 {
    match network {
        NetworkKind::Mainnet => COIN_TYPE_MAINNET,
        NetworkKind::Testnet | NetworkKind::Devnet => COIN_TYPE_TEST,
    }
}

/// The derivation path as text.
#[must_use]
pub fn path_text(network: NetworkKind, account: u32, index: u32) -> String {
    format!("m/{PURPOSE}'/{}'/{account}'/{CHAIN}'/{index}'", coin_type(network))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phrase_survives_its_words_and_its_entropy() {
        let phrase = Phrase::generate().unwrap();
        assert_eq!(Phrase::parse(&phrase.words()).unwrap().words(), phrase.words());
        assert_eq!(Phrase::from_entropy(&phrase.entropy()).unwrap().words(), phrase.words());
        assert_eq!(phrase.words().split(' ').count(), 24);
    }

    #[test]
    fn a_wrong_word_and_a_wrong_checksum_are_refused() {
        let abandon = |last: &str| format!("{} {last}", ["abandon"; 11].join(" "));
        assert!(Phrase::parse(&abandon("about")).is_ok());
        assert!(Phrase::parse(&abandon("abandon")).is_err());
        assert!(Phrase::parse(&abandon("bitcoin")).is_err());
        assert!(Phrase::parse("abandon about").is_err());
    }

    #[test]
    fn spaces_and_capitals_do_not_matter() {
        let text = format!("  {}\n About ", ["Abandon"; 11].join("  "));
        assert!(Phrase::parse(&text).is_ok());
    }

    #[test]
    fn networks_accounts_and_indices_have_keys_of_their_own() {
        let phrase = Phrase::from_entropy(&[7; 16]).unwrap();
        let mut keys = phrase.keys(NetworkKind::Devnet, 0, 0..3);
        keys.extend(phrase.keys(NetworkKind::Devnet, 1, 0..3));
        keys.extend(phrase.keys(NetworkKind::Mainnet, 0, 0..3));
        let mut public: Vec<_> = keys.iter().map(SecretKey::public).collect();
        public.sort_unstable();
        public.dedup();
        assert_eq!(public.len(), 9);
    }

    #[test]
    fn a_phrase_is_not_shown_by_debug() {
        assert_eq!(format!("{:?}", Phrase::from_entropy(&[0; 16]).unwrap()), "Phrase(12 words)");
    }

    #[test]
    fn the_path_is_hardened_throughout() {
        assert_eq!(path_text(NetworkKind::Mainnet, 0, 5), "m/44'/1414090053'/0'/0'/5'");
        assert_eq!(path_text(NetworkKind::Devnet, 2, 0), "m/44'/1'/2'/0'/0'");
    }
}
