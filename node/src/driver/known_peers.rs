//! `peers.json`: the nodes of validators that were known when the node last looked, so that it
//! finds the network again when no bootstrap peer answers. A hint only: what is wrong in it costs
//! a dial.

use crate::bounds::KNOWN_NODES_MAX;
use libp2p::{Multiaddr, PeerId};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const FILE: &str = "peers.json";
const NEW_FILE: &str = "peers.json.new";

/// A peer and its addresses.
pub type KnownPeer = (PeerId, Vec<Multiaddr>);

#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Entry {
    peer_id: String,
    addresses: Vec<Multiaddr>,
}

/// The file in a data directory.
#[derive(Clone, Debug)]
pub struct KnownPeers {
    dir: PathBuf,
}

impl KnownPeers {
    /// The file in `dir`.
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// What the file holds; nothing, and a line in the log, if it cannot be read. Blocks the thread.
    #[must_use]
    pub fn read(&self) -> Vec<KnownPeer> {
        let path = self.dir.join(FILE);
        let entries: Vec<Entry> = match fs::read(&path).map(|bytes| serde_json::from_slice(&bytes)) {
            Ok(Ok(entries)) => entries,
            Ok(Err(error)) => {
                tracing::warn!(path = %path.display(), %error, "the file of known peers is ignored");
                return Vec::new();
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the file of known peers cannot be read");
                return Vec::new();
            }
        };
        let peer = |entry: Entry| Some((entry.peer_id.parse().ok()?, entry.addresses));
        entries.into_iter().take(KNOWN_NODES_MAX).filter_map(peer).collect()
    }

    /// Replaces the file in one step: a crash leaves the old one or the new one. Blocks the thread.
    ///
    /// # Errors
    /// The disk failed.
    pub fn write(&self, peers: &[KnownPeer]) -> io::Result<()> {
        let entries: Vec<Entry> = peers
            .iter()
            .take(KNOWN_NODES_MAX)
            .map(|(peer, addresses)| Entry { peer_id: peer.to_string(), addresses: addresses.clone() })
            .collect();
        let new = self.dir.join(NEW_FILE);
        let mut file = File::create(&new)?;
        serde_json::to_writer_pretty(&mut file, &entries)?;
        file.write_all(b"\n")?;
        file.sync_data()?;
        fs::rename(&new, self.dir.join(FILE))
    }

    /// Removes the file, for nodes whose addresses are new at each start: a dial to where nobody
    /// listens any more takes seconds to fail over QUIC, and holds up dials to where they are now.
    pub fn forget(&self) {
        let path = self.dir.join(FILE);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "the file of known peers cannot be removed");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let file = KnownPeers::new(dir.path());
        assert!(file.read().is_empty(), "no file yet");
        let peers: Vec<KnownPeer> =
            vec![(PeerId::random(), vec!["/ip4/10.0.0.1/tcp/7".parse().unwrap()]), (PeerId::random(), Vec::new())];
        file.write(&peers).unwrap();
        assert_eq!(file.read(), peers);
        file.forget();
        assert!(file.read().is_empty());
    }

    #[test]
    fn a_damaged_file_is_ignored() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), "[{").unwrap();
        assert!(KnownPeers::new(dir.path()).read().is_empty());
    }
}
