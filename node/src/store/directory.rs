//! The data directory: whose it is, and that only one node uses it (`SPEC.md` D-8).

use super::StoreError;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The file that marks a data directory of TimeCoin and is locked while a node uses it.
pub const LOCK_FILE: &str = "LOCK";
const LOCK_TEXT: &[u8] = b"A running TimeCoin node locks this file. It marks the directory: leave it here.\n";

/// Files that may be in a directory before the first start: keys, vote histories, settings, the genesis
/// description, the RPC cookie and logs, as `timed` and an operator put them there.
const EARLY_SUFFIXES: [&str; 7] = ["key", "history", "toml", "json", "cookie", "log", "env"];

/// A data directory that belongs to this process until the value is dropped, or the process dies.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Creates the directory if there is none (mode 0700) and takes its lock.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::Foreign`], or [`StoreError::Io`].
    pub fn acquire(dir: &Path) -> Result<Self, StoreError> {
        create(dir).map_err(failed("create the directory", dir))?;
        let path = dir.join(LOCK_FILE);
        if !path.exists()
            && let Some(found) = foreign_file(dir).map_err(failed("read the directory", dir))?
        {
            return Err(StoreError::Foreign { dir: dir.to_owned(), found });
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed("open the lock file", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::InUse { dir: dir.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(failed("lock", &path)(error)),
        }
        file.write_all(LOCK_TEXT).map_err(failed("write the lock file", &path))?;
        Ok(Self { _file: file })
    }
}

fn create(dir: &Path) -> std::io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// The first name, by order, of what an operator or `timed` did not put there.
fn foreign_file(dir: &Path) -> std::io::Result<Option<String>> {
    let mut foreign = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let name = PathBuf::from(entry?.file_name());
        let suffix = name.extension().and_then(|suffix| suffix.to_str()).unwrap_or_default();
        let hidden = name.to_string_lossy().starts_with('.');
        if !hidden && !EARLY_SUFFIXES.contains(&suffix) {
            foreign.push(name.to_string_lossy().into_owned());
        }
    }
    Ok(foreign.into_iter().min())
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { what, path, source }
}
