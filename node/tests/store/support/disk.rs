//! A disk in memory that can lose its power.

use redb::StorageBackend;
use std::io;
use std::sync::{Arc, Mutex};

/// One write, or change of length, that no sync has made durable yet.
#[derive(Clone, Debug)]
enum Unsynced {
    Write(u64, Vec<u8>),
    Len(u64),
}

#[derive(Debug, Default)]
struct State {
    durable: Vec<u8>,
    current: Vec<u8>,
    unsynced: Vec<Unsynced>,
    /// Writes and syncs until the power fails; none: never.
    left: Option<u64>,
}

/// A handle on the disk; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<Mutex<State>>);

impl Disk {
    /// Lets `operations` more writes and syncs succeed, and no more.
    pub fn fail_after(&self, operations: u64) {
        self.0.lock().unwrap().left = Some(operations);
    }

    /// What is on the disk when power comes back: everything synced, and of the rest what
    /// `survives` says, in any combination, as a disk that reorders its writes would have it.
    pub fn after_power_loss(&self, mut survives: impl FnMut() -> bool) -> Self {
        let state = self.0.lock().unwrap();
        let mut bytes = state.durable.clone();
        for change in &state.unsynced {
            match change {
                Unsynced::Len(len) => bytes.resize(*len as usize, 0),
                Unsynced::Write(offset, data) if survives() => write(&mut bytes, *offset, data),
                Unsynced::Write(..) => {}
            }
        }
        Self(Arc::new(Mutex::new(State { durable: bytes.clone(), current: bytes, ..State::default() })))
    }
}

impl State {
    fn spend(&mut self) -> io::Result<()> {
        match &mut self.left {
            Some(0) => Err(io::Error::other("the disk has no power")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

fn write(bytes: &mut Vec<u8>, offset: u64, data: &[u8]) {
    let start = offset as usize;
    bytes.resize(bytes.len().max(start + data.len()), 0);
    bytes[start..start + data.len()].copy_from_slice(data);
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.lock().unwrap();
        let start = offset as usize;
        let bytes = state.current.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.spend()?;
        state.current.resize(len as usize, 0);
        state.unsynced.push(Unsynced::Len(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.spend()?;
        state.unsynced.clear();
        state.durable = state.current.clone();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.spend()?;
        write(&mut state.current, offset, data);
        state.unsynced.push(Unsynced::Write(offset, data.to_vec()));
        Ok(())
    }
}
