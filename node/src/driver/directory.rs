//! Where validators can be reached: their announcements, and which peers are connected
//! (`SPEC.md` N-30…N-33).

use crate::bounds::{ANNOUNCED_STRANGERS_MAX, ANNOUNCEMENT_AHEAD_MS_MAX, ANNOUNCEMENT_DISTANCE_MS_MIN};
use crate::view::{MasternodeEntry, View};
use arc_swap::ArcSwap;
use libp2p::{Multiaddr, PeerId};
use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use timecoin_protocol::engine::Verdict;
use timecoin_protocol::keys::PublicKey;
use timecoin_protocol::wire::Announcement;

/// Peers that are connected and identified.
#[derive(Debug, Default)]
struct Ready {
    peers: BTreeSet<PeerId>,
    /// The peer asked last when any would do.
    last: Option<PeerId>,
}

/// The directory; announcements live in [`View::masternodes`].
#[derive(Debug)]
pub struct Directory {
    view: Arc<View>,
    ready: Mutex<Ready>,
    /// Nodes of present validators, as of the last renewal.
    nodes: Arc<ArcSwap<HashSet<PeerId>>>,
}

impl Directory {
    /// An empty directory over `view`.
    #[must_use]
    pub fn new(view: Arc<View>) -> Self {
        Self { view, ready: Mutex::default(), nodes: Arc::default() }
    }

    /// What readers see of this node.
    #[must_use]
    pub const fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// Nodes of validators of this epoch and the next one, for the network (N-19).
    #[must_use]
    pub fn nodes(&self) -> Arc<ArcSwap<HashSet<PeerId>>> {
        Arc::clone(&self.nodes)
    }

    /// Brings [`Self::nodes`] up to date.
    pub fn renew_nodes(&self) {
        let state = self.view.state.load();
        let members = self.view.masternodes.iter().filter(|entry| state.is_validator(entry.key()));
        let nodes = members.map(|entry| entry.peer).collect();
        if **self.nodes.load() != nodes {
            self.nodes.store(Arc::new(nodes));
        }
    }

    fn ready(&self) -> MutexGuard<'_, Ready> {
        // Nothing in this file panics while it holds the lock.
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A peer is connected and identified.
    pub fn peer_ready(&self, peer: PeerId) {
        self.ready().peers.insert(peer);
    }

    /// A peer's last connection is gone.
    pub fn peer_gone(&self, peer: &PeerId) {
        self.ready().peers.remove(peer);
    }

    /// Whether a peer is connected and identified.
    #[must_use]
    pub fn is_ready(&self, peer: &PeerId) -> bool {
        self.ready().peers.contains(peer)
    }

    /// The connected node of a validator.
    #[must_use]
    pub fn node_of(&self, validator: &PublicKey) -> Option<PeerId> {
        let peer = self.view.masternodes.get(validator)?.peer;
        self.is_ready(&peer).then_some(peer)
    }

    /// Some connected peer, another one each time.
    #[must_use]
    pub fn any(&self) -> Option<PeerId> {
        use std::ops::Bound::{Excluded, Unbounded};
        let mut ready = self.ready();
        let after = ready.last.and_then(|last| ready.peers.range((Excluded(last), Unbounded)).next().copied());
        let next = after.or_else(|| ready.peers.first().copied());
        ready.last = next;
        next
    }

    /// Takes an announcement whose signature was checked; says whether to forward it.
    pub fn accept(&self, announcement: &Announcement, now_ms: u64) -> Verdict {
        // N-30: it names a peer and addresses; anything else no honest node signs.
        let Some(entry) = entry_of(announcement) else { return Verdict::Reject };
        // N-31: one from the future would shut out all that follow it.
        if announcement.time_ms > now_ms.saturating_add(ANNOUNCEMENT_AHEAD_MS_MAX) {
            return Verdict::Ignore;
        }
        let known = self.view.masternodes.get(&announcement.validator).map(|known| known.announced_ms);
        // N-32: the latest wins, and nobody makes others forward more than a few in a second.
        if known.is_some_and(|known| announcement.time_ms < known.saturating_add(ANNOUNCEMENT_DISTANCE_MS_MIN)) {
            return Verdict::Ignore;
        }
        let is_validator = self.view.state.load().is_validator(&announcement.validator);
        // N-33: others may be validators once this node has caught up; a bounded number is kept.
        if !is_validator && known.is_none() && self.strangers() >= ANNOUNCED_STRANGERS_MAX {
            return Verdict::Ignore;
        }
        self.view.masternodes.insert(announcement.validator, entry);
        if is_validator { Verdict::Accept } else { Verdict::Ignore }
    }

    fn strangers(&self) -> usize {
        let state = self.view.state.load();
        self.view.masternodes.iter().filter(|entry| !state.is_validator(entry.key())).count()
    }

    /// Nodes of present validators that are not connected, this node's own left out.
    #[must_use]
    pub fn missing(&self) -> Vec<(PeerId, Vec<Multiaddr>)> {
        let state = self.view.state.load();
        let members = self.view.masternodes.iter().filter(|entry| state.is_validator(entry.key()));
        members
            .filter(|entry| entry.peer != self.view.peer_id && !self.is_ready(&entry.peer))
            .map(|entry| (entry.peer, entry.addresses.clone()))
            .collect()
    }
}

fn entry_of(announcement: &Announcement) -> Option<MasternodeEntry> {
    if !announcement.has_valid_size() {
        return None;
    }
    let peer = PeerId::from_bytes(&announcement.peer_id).ok()?;
    let addresses: Result<Vec<Multiaddr>, _> =
        announcement.addresses.iter().map(|bytes| Multiaddr::try_from(bytes.clone())).collect();
    Some(MasternodeEntry { peer, addresses: addresses.ok()?, announced_ms: announcement.time_ms })
}
