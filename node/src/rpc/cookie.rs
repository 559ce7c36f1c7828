//! The cookie: a password made anew at each start, in a file that only the node's user can read.

use rand::TryRng;
use std::fs::{OpenOptions, symlink_metadata};
use std::io::{Error, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// User name that goes with the cookie's password, as Bitcoin has it.
pub const COOKIE_USER: &str = "__cookie__";

/// A cookie file of this run.
#[derive(Debug)]
pub struct Cookie {
    path: PathBuf,
    content: String,
}

impl Cookie {
    /// Makes a password and writes `__cookie__:<password>` to `path`, mode 0600, in the place of a
    /// file that an earlier run left there.
    ///
    /// # Errors
    /// The path is a symbolic link or a directory, cannot be written, or the system has no
    /// randomness.
    pub fn create(path: &Path) -> Result<Self, Error> {
        remove_old(path)?;
        let mut password = [0_u8; 32];
        rand::rngs::SysRng.try_fill_bytes(&mut password).map_err(Error::other)?;
        let content = format!("{COOKIE_USER}:{}", hex::encode(password));
        let mut options = OpenOptions::new();
        // `create_new` neither follows a link nor opens what somebody else put there meanwhile.
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let named = |error: Error| {
            Error::new(error.kind(), format!("cannot write the cookie file {}: {error}", path.display()))
        };
        let mut file = options.open(path).map_err(named)?;
        file.write_all(content.as_bytes()).and_then(|()| file.sync_all()).map_err(named)?;
        Ok(Self { path: path.to_owned(), content })
    }

    /// What a request's `Authorization` header must be.
    #[must_use]
    pub fn authorization(&self) -> String {
        format!("Basic {}", base64(self.content.as_bytes()))
    }

    /// Removes the file, if it is still the one of this run.
    pub fn remove(&self) {
        match std::fs::read_to_string(&self.path) {
            Ok(content) if content == self.content => {
                if let Err(error) = std::fs::remove_file(&self.path) {
                    tracing::warn!(path = %self.path.display(), %error, "the cookie file cannot be removed");
                }
            }
            _ => tracing::debug!(path = %self.path.display(), "the cookie file is gone or not ours"),
        }
    }
}

fn remove_old(path: &Path) -> Result<(), Error> {
    let refused = |what: &str| {
        let text = format!("the cookie file {} is {what}; remove it, or choose another path", path.display());
        Err(Error::new(ErrorKind::InvalidInput, text))
    };
    match symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(found) if found.is_symlink() => refused("a symbolic link"),
        Ok(found) if !found.is_file() => refused("not a file"),
        Ok(_) => std::fs::remove_file(path),
    }
}

/// Standard base64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let group = at(0) << 16 | at(1) << 8 | at(2);
        for (position, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let digit = usize::try_from(group >> shift & 63).ok().and_then(|value| DIGITS.get(value));
            let padded = position > chunk.len();
            text.push(if padded { '=' } else { digit.map_or('=', |digit| char::from(*digit)) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_gives_the_vectors_of_rfc_4648() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[cfg(unix)]
    #[test]
    fn only_the_user_of_the_node_can_read_the_cookie() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cookie");
        let _cookie = Cookie::create(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn each_start_makes_a_new_password_in_the_place_of_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cookie");
        let first = Cookie::create(&path).unwrap();
        let second = Cookie::create(&path).unwrap();
        assert_ne!(first.authorization(), second.authorization());
        first.remove();
        assert!(path.exists(), "the cookie of the running node stays");
        second.remove();
        assert!(!path.exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_symbolic_link_is_refused_and_its_target_untouched() {
        let dir = tempfile::tempdir().unwrap();
        let (target, path) = (dir.path().join("target"), dir.path().join("cookie"));
        std::fs::write(&target, "precious").unwrap();
        std::os::unix::fs::symlink(&target, &path).unwrap();
        assert!(Cookie::create(&path).unwrap_err().to_string().contains("symbolic link"));
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "precious");
    }
}
