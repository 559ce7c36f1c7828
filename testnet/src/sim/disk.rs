//! The disk of a simulated node: it loses power, fills up, and forgets what was not synced.
//!
//! The files are what redb writes to ([`StorageBackend`]). A write is seen at once by whoever reads
//! the file, as with the cache of an operating system; it is on the disk only after a sync. When
//! the power fails, any part of the unsynced writes survives, each one up to any byte.

use redb::StorageBackend;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use timecoin_node::store::Disks;

/// One of a node's three files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileName {
    Journal,
    Blocks,
    Ledger,
}

/// What happens to writes that no sync has made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// The process died, the machine did not: all of them are there.
    Nothing,
    /// All are gone.
    Everything,
    /// Of each one nothing survives, or all, or all up to some byte.
    Torn,
}

#[derive(Clone, Debug)]
enum Unsynced {
    Write(usize, Vec<u8>),
    Len(usize),
}

/// A file: what a sync made durable, what is written, and the difference, in order.
#[derive(Clone, Debug, Default)]
struct Image {
    durable: Vec<u8>,
    current: Vec<u8>,
    unsynced: Vec<Unsynced>,
}

#[derive(Debug, Default)]
struct State {
    images: [Image; 3],
    /// Handles from before a restart are dead.
    incarnation: u64,
    /// Writes and syncs until the power fails.
    left: Option<u64>,
    without_power: bool,
    is_full: bool,
    forgets_syncs: bool,
    syncs: u64,
    writes: u64,
}

/// A node's disk; clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk(Arc<Mutex<State>>);

/// The durable bytes of all files at one moment.
#[derive(Clone, Debug)]
pub(super) struct Backup {
    journal: Vec<u8>,
    blocks: Vec<u8>,
    ledger: Vec<u8>,
}

impl Disk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Files for a process that starts now. Those of an earlier one fail from here on.
    pub fn files(&self) -> Disks<File> {
        let mut state = self.state();
        state.incarnation += 1;
        let file = |name| File { disk: self.clone(), name, incarnation: state.incarnation };
        Disks { journal: file(FileName::Journal), blocks: file(FileName::Blocks), ledger: file(FileName::Ledger) }
    }

    /// Lets `operations` more writes and syncs succeed; then the power fails.
    pub fn fail_power_after(&self, operations: u64) {
        self.state().left = Some(operations);
    }

    /// The power does not fail any more.
    pub fn keep_power(&self) {
        self.state().left = None;
    }

    /// Whether the power has failed.
    pub fn is_without_power(&self) -> bool {
        self.state().without_power
    }

    /// The process is gone, and nothing it still holds can write.
    pub fn detach(&self) {
        self.state().incarnation += 1;
    }

    /// Power is back, or the process was only killed: what is left of unsynced writes.
    pub fn recover(&self, loss: Loss, mut below: impl FnMut(u64) -> u64) {
        let mut state = self.state();
        state.incarnation += 1;
        (state.left, state.without_power) = (None, false);
        for image in &mut state.images {
            image.recover(loss, &mut below);
        }
    }

    /// While a disk is full, files do not grow and some writes fail.
    pub fn set_full(&self, is_full: bool) {
        self.state().is_full = is_full;
    }

    /// Whether it is full.
    pub fn is_full(&self) -> bool {
        self.state().is_full
    }

    /// A disk that says that it synced and did not, as a broken controller does. Nothing can be
    /// safe on it; a checker must notice.
    pub fn forget_syncs(&self) {
        self.state().forgets_syncs = true;
    }

    /// Syncs so far.
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// Whether everything written to a file is durable. Its length may not be: redb cuts off free
    /// space after the sync of a commit.
    pub fn is_synced(&self, name: FileName) -> bool {
        !self.state().images[name as usize].unsynced.iter().any(|change| matches!(change, Unsynced::Write(..)))
    }

    /// Copies everything.
    pub fn backup(&self) -> Backup {
        let state = self.state();
        let durable = |name: FileName| state.images[name as usize].durable.clone();
        Backup {
            journal: durable(FileName::Journal),
            blocks: durable(FileName::Blocks),
            ledger: durable(FileName::Ledger),
        }
    }

    /// Puts some files of a backup back.
    pub fn restore(&self, backup: &Backup, files: &[FileName]) {
        let mut state = self.state();
        for name in files {
            let bytes = match name {
                FileName::Journal => &backup.journal,
                FileName::Blocks => &backup.blocks,
                FileName::Ledger => &backup.ledger,
            };
            state.images[*name as usize] = Image::of(bytes.clone());
        }
    }

    /// Loses some files.
    pub fn lose(&self, files: &[FileName]) {
        let mut state = self.state();
        for name in files {
            state.images[*name as usize] = Image::default();
        }
    }
}

impl Image {
    fn of(bytes: Vec<u8>) -> Self {
        Self { durable: bytes.clone(), current: bytes, unsynced: Vec::new() }
    }

    fn sync(&mut self) {
        for change in std::mem::take(&mut self.unsynced) {
            match change {
                Unsynced::Write(at, bytes) => write(&mut self.durable, at, &bytes),
                Unsynced::Len(len) => self.durable.resize(len, 0),
            }
        }
    }

    fn recover(&mut self, loss: Loss, below: &mut impl FnMut(u64) -> u64) {
        match loss {
            Loss::Nothing => self.sync(),
            Loss::Everything => self.unsynced.clear(),
            Loss::Torn => {
                for change in std::mem::take(&mut self.unsynced) {
                    match (change, below(3)) {
                        (_, 0) => {}
                        (Unsynced::Len(len), _) => self.durable.resize(len, 0),
                        (Unsynced::Write(at, bytes), 1) => write(&mut self.durable, at, &bytes),
                        (Unsynced::Write(at, bytes), _) => {
                            let end = usize::try_from(below(bytes.len() as u64 + 1)).unwrap_or_default();
                            write(&mut self.durable, at, &bytes[..end]);
                        }
                    }
                }
            }
        }
        self.current.clone_from(&self.durable);
    }
}

fn write(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[at..end].copy_from_slice(bytes);
}

impl State {
    /// One more write or sync; the one at which the power fails is among the unsynced ones.
    fn spend(&mut self) -> io::Result<()> {
        match &mut self.left {
            Some(0) => {
                self.without_power = true;
                Err(io::Error::other("the power failed"))
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Deterministic, and about every fourth.
    fn is_refused(&self) -> bool {
        self.is_full && self.writes % 4 == 3
    }
}

/// A handle on one file, of one process.
#[derive(Clone, Debug)]
pub(super) struct File {
    disk: Disk,
    name: FileName,
    incarnation: u64,
}

impl File {
    fn with<T>(&self, act: impl FnOnce(&mut State, usize) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.disk.state();
        if state.without_power || state.incarnation != self.incarnation {
            return Err(io::Error::other("the process is gone"));
        }
        act(&mut state, self.name as usize)
    }
}

fn place(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(io::Error::other)
}

impl StorageBackend for File {
    fn len(&self) -> io::Result<u64> {
        self.with(|state, file| Ok(state.images[file].current.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.with(|state, file| {
            let start = place(offset)?;
            let bytes = state.images[file].current.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
            out.copy_from_slice(bytes);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(|state, file| {
            let len = place(len)?;
            if state.is_full && len > state.images[file].current.len() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let spent = state.spend();
            state.images[file].unsynced.push(Unsynced::Len(len));
            spent?;
            state.images[file].current.resize(len, 0);
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|state, file| {
            state.spend()?;
            state.syncs += 1;
            if !state.forgets_syncs {
                state.images[file].sync();
            }
            Ok(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.with(|state, file| {
            let start = place(offset)?;
            state.writes += 1;
            if state.is_refused() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let spent = state.spend();
            let image = &mut state.images[file];
            image.unsynced.push(Unsynced::Write(start, data.to_vec()));
            spent?;
            write(&mut image.current, start, data);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests;
