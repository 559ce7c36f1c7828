//! The keystore: a recovery phrase encrypted under a passphrase.
//!
//! One JSON object: a header in the clear (version, network, addresses, how the key is
//! stretched) and the phrase's entropy under ChaCha20-Poly1305 with a key by Argon2id. The header
//! is authenticated with it, so a changed address or network is noticed when it is unlocked.

use super::phrase::Phrase;
use super::private_file::{PrivateFileError, create_private, read_private, replace_private};
use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, KeyInit, Nonce};
use serde::{Deserialize, Serialize};
use std::path::Path;
use timecoin_protocol::address::{NetworkKind, Owner, address_text};
use timecoin_protocol::keys::SecretKey;
use zeroize::Zeroizing;

/// Version of the format.
const VERSION: u32 = 1;
/// Account of BIP-44 that wallets use.
const ACCOUNT: u32 = 0;
/// Memory of a new keystore's Argon2id, in KiB.
const MEMORY_KIB: u32 = 64 * 1024;
/// Passes of a new keystore's Argon2id.
const PASSES: u32 = 3;
/// Most memory that a keystore may ask for, in KiB: a file must not exhaust the machine.
const MEMORY_KIB_MAX: u32 = 1024 * 1024;
/// Most passes that a keystore may ask for.
const PASSES_MAX: u32 = 32;
/// Most lanes that a keystore may ask for.
const LANES_MAX: u32 = 16;
/// Most addresses of one wallet.
pub const ADDRESSES_MAX: usize = 10_000;

/// Why a keystore cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// The file.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// Not a keystore.
    #[error("not a keystore file: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A newer format.
    #[error("the keystore has version {0}; this program reads version {VERSION}")]
    Version(u32),
    /// Parameters outside of sane bounds.
    #[error("the keystore asks for more memory or time than is sensible ({memory_kib} KiB, {passes} passes)")]
    Cost {
        /// Memory, in KiB.
        memory_kib: u32,
        /// Passes.
        passes: u32,
    },
    /// It cannot be decrypted.
    #[error("wrong passphrase, or the keystore was changed or damaged")]
    Locked,
    /// The cipher refused to encrypt.
    #[error("the keystore cannot be encrypted")]
    Cipher,
    /// As many addresses as a wallet has.
    #[error("the wallet has {ADDRESSES_MAX} addresses already")]
    TooManyAddresses,
}

/// How the key is stretched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stretching {
    function: StretchingFunction,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StretchingFunction {
    Argon2id,
}

/// What is authenticated in the clear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    version: u32,
    network: NetworkKind,
    addresses: Vec<String>,
    stretching: Stretching,
    cipher: CipherName,
    nonce: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum CipherName {
    ChaCha20Poly1305,
}

/// A keystore as it is in its file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keystore {
    header: Header,
    ciphertext: String,
}

/// An open wallet.
#[derive(Debug)]
pub struct UnlockedWallet {
    /// Its recovery phrase.
    pub phrase: Phrase,
    /// Its network.
    pub network: NetworkKind,
    keys: Vec<SecretKey>,
}

impl UnlockedWallet {
    /// A wallet with its first address.
    #[must_use]
    pub fn new(phrase: Phrase, network: NetworkKind) -> Self {
        let keys = phrase.keys(network, ACCOUNT, 0..1);
        Self { phrase, network, keys }
    }

    /// The keys of all addresses, oldest first.
    #[must_use]
    pub fn keys(&self) -> &[SecretKey] {
        &self.keys
    }

    /// The texts of all addresses, oldest first.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        self.keys.iter().map(|key| address_text(&Owner::from(&key.public()), self.network)).collect()
    }

    /// Adds addresses until there are `count`; fewer than there are changes nothing.
    ///
    /// # Errors
    /// More than [`ADDRESSES_MAX`].
    pub fn extend_to(&mut self, count: usize) -> Result<(), KeystoreError> {
        if count > ADDRESSES_MAX {
            return Err(KeystoreError::TooManyAddresses);
        }
        let index = |count: usize| u32::try_from(count).map_err(|_| KeystoreError::TooManyAddresses);
        self.keys.extend(self.phrase.keys(self.network, ACCOUNT, index(self.keys.len())?..index(count)?));
        Ok(())
    }

    /// Encrypts it under a passphrase, with fresh salt and nonce.
    ///
    /// # Errors
    /// The cipher refused.
    pub fn seal(&self, passphrase: &str) -> Result<Keystore, KeystoreError> {
        self.seal_at(passphrase, MEMORY_KIB, PASSES)
    }

    fn seal_at(&self, passphrase: &str, memory_kib: u32, passes: u32) -> Result<Keystore, KeystoreError> {
        let header = Header {
            version: VERSION,
            network: self.network,
            addresses: self.addresses(),
            stretching: Stretching {
                function: StretchingFunction::Argon2id,
                memory_kib,
                passes,
                lanes: 1,
                salt: hex::encode(rand::random::<[u8; 16]>()),
            },
            cipher: CipherName::ChaCha20Poly1305,
            nonce: hex::encode(rand::random::<[u8; 12]>()),
        };
        let (cipher, nonce) = header.cipher(passphrase)?;
        let (entropy, aad) = (self.phrase.entropy(), serde_json::to_vec(&header)?);
        let ciphertext = cipher
            .encrypt(&nonce, Payload { msg: entropy.as_slice(), aad: &aad })
            .map_err(|_| KeystoreError::Cipher)?;
        Ok(Keystore { header, ciphertext: hex::encode(ciphertext) })
    }
}

impl Header {
    fn cipher(&self, passphrase: &str) -> Result<(ChaCha20Poly1305, Nonce), KeystoreError> {
        let Stretching { memory_kib, passes, lanes, .. } = self.stretching;
        let absurd = || KeystoreError::Cost { memory_kib, passes };
        if memory_kib > MEMORY_KIB_MAX || passes > PASSES_MAX || lanes > LANES_MAX {
            return Err(absurd());
        }
        let params = Params::new(memory_kib, passes, lanes, None).map_err(|_| absurd())?;
        let mut salt = [0; 16];
        hex::decode_to_slice(&self.stretching.salt, &mut salt).map_err(|_| KeystoreError::Locked)?;
        let mut nonce = [0; 12];
        hex::decode_to_slice(&self.nonce, &mut nonce).map_err(|_| KeystoreError::Locked)?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.as_bytes(), &salt, key.as_mut_slice())
            .map_err(|_| absurd())?;
        Ok((ChaCha20Poly1305::new(&Key::from(*key)), Nonce::from(nonce)))
    }
}

impl Keystore {
    /// Reads a keystore file; its secret stays encrypted.
    ///
    /// # Errors
    /// [`KeystoreError`]: the file is missing, open to others, malformed, or of a newer version.
    pub fn read(path: &Path) -> Result<Self, KeystoreError> {
        let keystore: Self = serde_json::from_slice(&read_private(path)?)?;
        if keystore.header.version != VERSION {
            return Err(KeystoreError::Version(keystore.header.version));
        }
        Ok(keystore)
    }

    /// Writes a new keystore file; never overwrites one.
    ///
    /// # Errors
    /// The file exists, or cannot be written.
    pub fn create(&self, path: &Path) -> Result<(), KeystoreError> {
        Ok(create_private(path, &serde_json::to_vec_pretty(self)?)?)
    }

    /// Writes the keystore over the one that is there, whole or not at all.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn replace(&self, path: &Path) -> Result<(), KeystoreError> {
        Ok(replace_private(path, &serde_json::to_vec_pretty(self)?)?)
    }

    /// Its network, as the file says.
    #[must_use]
    pub const fn network(&self) -> NetworkKind {
        self.header.network
    }

    /// Its addresses, as the file says; what they are is certain only once it is unlocked.
    #[must_use]
    pub fn addresses(&self) -> &[String] {
        &self.header.addresses
    }

    /// Decrypts it.
    ///
    /// # Errors
    /// [`KeystoreError::Locked`] if the passphrase is wrong or anything in the file was changed.
    pub fn unlock(&self, passphrase: &str) -> Result<UnlockedWallet, KeystoreError> {
        let (cipher, nonce) = self.header.cipher(passphrase)?;
        let ciphertext = hex::decode(&self.ciphertext).map_err(|_| KeystoreError::Locked)?;
        let aad = serde_json::to_vec(&self.header)?;
        let entropy = cipher
            .decrypt(&nonce, Payload { msg: &ciphertext, aad: &aad })
            .map(Zeroizing::new)
            .map_err(|_| KeystoreError::Locked)?;
        let phrase = Phrase::from_entropy(&entropy).map_err(|_| KeystoreError::Locked)?;
        let mut wallet = UnlockedWallet::new(phrase, self.header.network);
        wallet.extend_to(self.header.addresses.len())?;
        Ok(wallet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wallet() -> UnlockedWallet {
        let mut wallet = UnlockedWallet::new(Phrase::from_entropy(&[3; 32]).unwrap(), NetworkKind::Devnet);
        wallet.extend_to(3).unwrap();
        wallet
    }

    /// Cheap stretching: these tests are about the rest.
    fn keystore() -> Keystore {
        wallet().seal_at("open sesame", 64, 1).unwrap()
    }

    #[test]
    fn the_right_passphrase_opens_it_and_no_other() {
        let open = keystore().unlock("open sesame").unwrap();
        assert_eq!(open.addresses(), wallet().addresses());
        assert_eq!(open.phrase.words(), wallet().phrase.words());
        assert!(matches!(keystore().unlock("open sesam"), Err(KeystoreError::Locked)));
        assert!(matches!(keystore().unlock(""), Err(KeystoreError::Locked)));
    }

    #[test]
    fn every_changed_part_is_noticed() {
        let changes: [fn(&mut Keystore); 6] = [
            |k| k.header.network = NetworkKind::Mainnet,
            |k| k.header.addresses[1] = k.header.addresses[0].clone(),
            |k| drop(k.header.addresses.pop()),
            |k| k.header.stretching.passes = 2,
            |k| k.header.nonce.replace_range(0..2, if k.header.nonce.starts_with("00") { "01" } else { "00" }),
            |k| k.ciphertext.replace_range(0..2, if k.ciphertext.starts_with("00") { "01" } else { "00" }),
        ];
        for (at, change) in changes.into_iter().enumerate() {
            let mut changed = keystore();
            change(&mut changed);
            assert!(matches!(changed.unlock("open sesame"), Err(KeystoreError::Locked)), "change {at}");
        }
    }

    #[test]
    fn a_file_cannot_ask_for_all_memory() {
        let mut greedy = keystore();
        greedy.header.stretching.memory_kib = u32::MAX;
        assert!(matches!(greedy.unlock("open sesame"), Err(KeystoreError::Cost { .. })));
    }

    #[test]
    fn it_survives_its_file_and_hides_its_secret() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("wallet.json");
        let keystore = keystore();
        keystore.create(&path).unwrap();
        assert!(keystore.create(&path).is_err(), "a keystore is never overwritten by a new one");
        let read = Keystore::read(&path).unwrap();
        assert_eq!(read, keystore);
        assert_eq!(read.unlock("open sesame").unwrap().addresses(), read.addresses());
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&hex::encode([3_u8; 32])));
    }

    #[test]
    fn a_new_keystore_is_costly_to_guess_at() {
        let sealed = wallet().seal("x").unwrap();
        let Stretching { memory_kib, passes, .. } = sealed.header.stretching;
        assert!(memory_kib >= 64 * 1024 && passes >= 3);
        assert!(sealed.unlock("x").is_ok());
    }
}
