//! Files with one ed25519 secret key: the 64 hexadecimal digits of its RFC 8032 seed. Validator
//! keys and node keys are kept like this, readable by their owner only.

use super::private_file::{PrivateFileError, create_private, read_private};
use std::path::Path;
use timecoin_protocol::keys::SecretKey;
use zeroize::Zeroizing;

/// Writes a key into a new file.
///
/// # Errors
/// The file exists, or cannot be written.
pub fn create_key(path: &Path, key: &SecretKey) -> Result<(), PrivateFileError> {
    let seed = Zeroizing::new(key.seed());
    let mut text = Zeroizing::new(hex::encode(seed.as_slice()));
    text.push('\n');
    create_private(path, text.as_bytes())
}

/// Reads a key.
///
/// # Errors
/// The file is missing, readable by others, or does not hold a key.
pub fn read_key(path: &Path) -> Result<SecretKey, PrivateFileError> {
    let content = read_private(path)?;
    let malformed = || PrivateFileError::Malformed { path: path.to_owned(), expected: "a key (64 hexadecimal digits)" };
    let mut seed = Zeroizing::new([0; 32]);
    hex::decode_to_slice(content.trim_ascii(), seed.as_mut_slice()).map_err(|_| malformed())?;
    Ok(SecretKey::from_seed(&seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("validator.key");
        let key = SecretKey::from_seed(&[9; 32]);
        create_key(&path, &key).unwrap();
        assert_eq!(read_key(&path).unwrap().public(), key.public());
    }

    #[test]
    fn a_file_without_a_key_is_named_in_the_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("validator.key");
        create_private(&path, b"hello").unwrap();
        assert!(read_key(&path).unwrap_err().to_string().contains("validator.key does not hold a key"));
    }
}
