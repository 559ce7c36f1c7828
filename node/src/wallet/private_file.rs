//! Files that only their owner may read: mode 0600, written whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Why a private file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    /// There is one already; nothing was changed.
    #[error("{} exists already and is not overwritten; move it away first", .0.display())]
    Exists(PathBuf),
    /// There is none.
    #[error("{} does not exist", .0.display())]
    Missing(PathBuf),
    /// Others may read it.
    #[error("{} is readable by others (mode {mode:o}); run `chmod 600 {}`", path.display(), path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not what it should hold.
    #[error("{} does not hold {expected}", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// The system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// "read" or "write".
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PrivateFileError {
    move |source| PrivateFileError::Io { action, path: path.to_owned(), source }
}

/// Writes a new file; makes its directory if need be. Never overwrites, not even in a race.
///
/// # Errors
/// [`PrivateFileError`]: it exists, or the system refused.
pub fn create_private(path: &Path, content: &[u8]) -> Result<(), PrivateFileError> {
    let temporary = write_beside(path, content)?;
    temporary.persist_noclobber(path).map_err(|error| match error.error.kind() {
        io::ErrorKind::AlreadyExists => PrivateFileError::Exists(path.to_owned()),
        _ => failed("write", path)(error.error),
    })?;
    sync_directory(path)
}

/// Writes a file in place of the one that is there; a crash leaves the old one or the new one.
///
/// # Errors
/// The system refused.
pub fn replace_private(path: &Path, content: &[u8]) -> Result<(), PrivateFileError> {
    let temporary = write_beside(path, content)?;
    temporary.persist(path).map_err(|error| failed("write", path)(error.error))?;
    sync_directory(path)
}

/// A durable temporary file in the directory of `path`; temporary files have mode 0600.
fn write_beside(path: &Path, content: &[u8]) -> Result<tempfile::NamedTempFile, PrivateFileError> {
    let directory = directory_of(path);
    std::fs::create_dir_all(directory).map_err(failed("write", directory))?;
    let write = || {
        let mut temporary = tempfile::NamedTempFile::new_in(directory)?;
        temporary.write_all(content)?;
        temporary.as_file().sync_all()?;
        Ok(temporary)
    };
    write().map_err(failed("write", path))
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A renamed file survives a power failure only once its directory is durable too.
fn sync_directory(path: &Path) -> Result<(), PrivateFileError> {
    File::open(directory_of(path)).and_then(|directory| directory.sync_all()).map_err(failed("write", path))
}

/// Reads a private file, unless others may read it too.
///
/// # Errors
/// [`PrivateFileError`]: missing, open to others, or the system refused.
pub fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, PrivateFileError> {
    let file = OpenOptions::new().read(true).open(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => PrivateFileError::Missing(path.to_owned()),
        _ => failed("read", path)(source),
    })?;
    check_mode(&file, path)?;
    let mut content = Zeroizing::new(Vec::new());
    io::Read::read_to_end(&mut &file, &mut content).map_err(failed("read", path))?;
    Ok(content)
}

#[cfg(unix)]
fn check_mode(file: &File, path: &Path) -> Result<(), PrivateFileError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = file.metadata().map_err(failed("read", path))?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(PrivateFileError::Open { path: path.to_owned(), mode }) }
}

#[cfg(not(unix))]
fn check_mode(_file: &File, _path: &Path) -> Result<(), PrivateFileError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_never_overwrites() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/secret");
        create_private(&path, b"first").unwrap();
        assert!(matches!(create_private(&path, b"second"), Err(PrivateFileError::Exists(_))));
        assert_eq!(read_private(&path).unwrap().as_slice(), b"first");
        replace_private(&path, b"third").unwrap();
        assert_eq!(read_private(&path).unwrap().as_slice(), b"third");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no temporary file is left");
    }

    #[cfg(unix)]
    #[test]
    fn files_are_private_and_must_stay_so() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        create_private(&path, b"x").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = read_private(&path).unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
}
