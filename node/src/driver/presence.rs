//! Keeps this node findable and connected: announces it, dials the nodes of validators that are
//! not connected, remembers them in a file.

use super::clock::Clock;
use super::directory::Directory;
use super::known_peers::{KnownPeer, KnownPeers};
use crate::bounds::{ANNOUNCE_FIRST_MS, ANNOUNCE_MAX_MS, DIAL_FIRST_MS, DIAL_MAX_MS};
use crate::network::{Command, GossipId, PeerInfo};
use crate::view::{MasternodeEntry, View};
use arc_swap::ArcSwap;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use timecoin_protocol::bounds::{ANNOUNCED_ADDRESS_BYTES_MAX, ANNOUNCED_ADDRESSES_MAX};
use timecoin_protocol::codec::encode;
use timecoin_protocol::engine::Time;
use timecoin_protocol::keys::{SecretKey, Verified};
use timecoin_protocol::wire::{Announcement, Topic};
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often due announcements and dials are looked for.
const TICK: Duration = Duration::from_millis(100);
/// How often the list of peers is renewed, and the file of known peers if they changed.
const REFRESH_MS: u64 = 1_000;

/// Pauses that double from `first_ms` to `max_ms`.
#[derive(Clone, Copy, Debug)]
struct Pauses {
    next_at: Time,
    pause_ms: u64,
    first_ms: u64,
    max_ms: u64,
}

impl Pauses {
    const fn new(first_ms: u64, max_ms: u64) -> Self {
        Self { next_at: Time(0), pause_ms: first_ms, first_ms, max_ms }
    }

    /// Whether it is time again; if so, the next pause begins.
    fn is_due(&mut self, now: Time) -> bool {
        let due = now >= self.next_at;
        if due {
            self.next_at = now.plus_ms(self.pause_ms);
            self.pause_ms = self.pause_ms.saturating_mul(2).min(self.max_ms);
        }
        due
    }

    /// Begins again with the first pause, from now on.
    fn restart(&mut self, now: Time) {
        self.pause_ms = self.first_ms;
        self.next_at = self.next_at.min(now.plus_ms(self.first_ms));
    }
}

/// The task's state.
#[derive(Debug)]
pub struct Presence {
    view: Arc<View>,
    directory: Arc<Directory>,
    commands: mpsc::Sender<Command>,
    clock: Clock,
    key: Option<SecretKey>,
    external: Vec<Multiaddr>,
    connected: Arc<ArcSwap<Vec<PeerInfo>>>,
    file: KnownPeers,
    announcing: Pauses,
    dialling: HashMap<PeerId, Pauses>,
    refresh_at: Time,
    saved: Vec<KnownPeer>,
}

/// What [`Presence`] is told from outside.
#[derive(Debug)]
pub struct Tidings {
    /// Checked announcements, each to get a verdict.
    pub announcements: mpsc::Receiver<(GossipId, Verified<Announcement>)>,
    /// A peer became ready, or an address was added.
    pub arrivals: watch::Receiver<()>,
}

impl Presence {
    /// Presence of the node that `directory` is of; `key` signs its announcements, `external` are the
    /// addresses to announce instead of those listened on, `connected` is the network's list.
    #[must_use]
    pub fn new(
        directory: Arc<Directory>,
        commands: mpsc::Sender<Command>,
        clock: Clock,
        key: Option<SecretKey>,
        external: Vec<Multiaddr>,
        connected: Arc<ArcSwap<Vec<PeerInfo>>>,
        data_dir: &Path,
    ) -> Self {
        Self {
            view: Arc::clone(directory.view()),
            directory,
            commands,
            clock,
            key,
            external,
            connected,
            file: KnownPeers::new(data_dir),
            announcing: Pauses::new(ANNOUNCE_FIRST_MS, ANNOUNCE_MAX_MS),
            dialling: HashMap::new(),
            refresh_at: Time(0),
            saved: Vec::new(),
        }
    }

    /// Works until told to stop.
    pub async fn run(mut self, mut tidings: Tidings, stop: CancellationToken) {
        self.dial_known().await;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                announcement = tidings.announcements.recv() => match announcement {
                    Some((id, announcement)) => self.judge(id, &announcement),
                    None => break,
                },
                arrival = tidings.arrivals.changed() => match arrival {
                    Ok(()) => self.announcing.restart(self.clock.now()),
                    Err(_) => break,
                },
                _ = tick.tick() => self.tick().await,
            }
        }
        self.save().await;
    }

    fn judge(&self, id: GossipId, announcement: &Announcement) {
        let verdict = self.directory.accept(announcement, self.clock.now().millis());
        self.command(Command::Verdict(id, verdict));
    }

    async fn tick(&mut self) {
        let now = self.clock.now();
        self.announce(now);
        self.dial_missing(now);
        if now >= self.refresh_at {
            self.refresh_at = now.plus_ms(REFRESH_MS);
            self.view.peers.store(self.connected.load_full());
            self.directory.renew_nodes();
            self.save().await;
        }
    }

    /// N-34: a node with a validator key says where it is, often at first and when peers come.
    fn announce(&mut self, now: Time) {
        let Some(key) = &self.key else { return };
        if !self.announcing.is_due(now) {
            return;
        }
        let addresses = self.own_addresses();
        let bytes = addresses.iter().map(Multiaddr::to_vec).collect();
        let announcement =
            Announcement::sign(self.view.peer_id.to_bytes(), bytes, now.millis(), key, &self.view.genesis_hash);
        let entry = MasternodeEntry { peer: self.view.peer_id, addresses, announced_ms: now.millis() };
        self.view.masternodes.insert(key.public(), entry);
        self.command(Command::Publish(Topic::Masternodes, encode(&announcement)));
    }

    fn own_addresses(&self) -> Vec<Multiaddr> {
        if !self.external.is_empty() {
            return announced(&self.external);
        }
        announced(&self.view.listening.load())
    }

    fn dial_missing(&mut self, now: Time) {
        // N-35: those who vote need to be connected with all others who do.
        if self.key.is_none() {
            return;
        }
        let missing = self.directory.missing();
        self.dialling.retain(|peer, _| missing.iter().any(|(other, _)| other == peer));
        for (peer, addresses) in missing {
            let pauses = self.dialling.entry(peer).or_insert_with(|| Pauses::new(DIAL_FIRST_MS, DIAL_MAX_MS));
            if pauses.is_due(now) {
                self.command(Command::Dial(peer, addresses));
            }
        }
    }

    /// Dials everybody in the file once; the network goes on by itself with those who answer.
    async fn dial_known(&mut self) {
        let file = self.file.clone();
        let Ok(known) = tokio::task::spawn_blocking(move || file.read()).await else { return };
        for (peer, addresses) in &known {
            if *peer != self.view.peer_id {
                self.command(Command::Dial(*peer, addresses.clone()));
            }
        }
        self.saved = known;
    }

    /// Writes the file if the nodes changed; one that is forgotten by all stays until then.
    async fn save(&mut self) {
        let own = self.view.peer_id;
        let others = self.view.masternodes.iter().filter(|entry| entry.peer != own);
        let mut known: Vec<KnownPeer> = others.map(|entry| (entry.peer, entry.addresses.clone())).collect();
        known.sort_unstable_by_key(|(peer, _)| *peer);
        if known.is_empty() || known == self.saved {
            return;
        }
        let (file, peers) = (self.file.clone(), known.clone());
        match tokio::task::spawn_blocking(move || file.write(&peers)).await {
            Ok(Ok(())) => self.saved = known,
            Ok(Err(error)) => tracing::warn!(%error, "the file of known peers cannot be written"),
            Err(error) => tracing::warn!(%error, "the file of known peers was not written"),
        }
    }

    fn command(&self, command: Command) {
        if self.commands.try_send(command).is_err() {
            self.view.overload.commands.count();
        }
    }
}

/// Addresses worth announcing: loopback ones only if there are no others, none that is too long,
/// without the peer id, which the announcement names anyway.
fn announced(addresses: &[Multiaddr]) -> Vec<Multiaddr> {
    let plain = |address: &Multiaddr| -> Multiaddr {
        address.iter().filter(|part| !matches!(part, Protocol::P2p(_))).collect()
    };
    let all: Vec<Multiaddr> =
        addresses.iter().map(plain).filter(|address| address.len() <= ANNOUNCED_ADDRESS_BYTES_MAX).collect();
    let (loopback, others): (Vec<Multiaddr>, Vec<Multiaddr>) = all.into_iter().partition(is_loopback);
    let mut chosen = if others.is_empty() { loopback } else { others };
    chosen.truncate(ANNOUNCED_ADDRESSES_MAX);
    chosen
}

fn is_loopback(address: &Multiaddr) -> bool {
    match address.iter().next() {
        Some(Protocol::Ip4(ip)) => ip.is_loopback(),
        Some(Protocol::Ip6(ip)) => ip.is_loopback(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<Multiaddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn n_34_loopback_addresses_are_announced_only_for_want_of_others() {
        let mixed = addresses(&["/ip4/127.0.0.1/tcp/1", "/ip4/192.0.2.7/tcp/1", "/dns4/a.example/tcp/1"]);
        assert_eq!(announced(&mixed), addresses(&["/ip4/192.0.2.7/tcp/1", "/dns4/a.example/tcp/1"]));
        let local = addresses(&["/ip4/127.0.0.1/tcp/1", "/ip6/::1/udp/2/quic-v1"]);
        assert_eq!(announced(&local), local);
    }

    #[test]
    fn the_peer_id_is_not_part_of_an_announced_address() {
        let named = vec![addresses(&["/ip4/192.0.2.7/tcp/1"])[0].clone().with(Protocol::P2p(PeerId::random()))];
        assert_eq!(announced(&named), addresses(&["/ip4/192.0.2.7/tcp/1"]));
    }

    #[test]
    fn n_34_n_35_pauses_double_up_to_their_limit_and_begin_anew() {
        let mut pauses = Pauses::new(10, 30);
        let mut now = Time(0);
        let mut seen = Vec::new();
        for _ in 0..4 {
            assert!(pauses.is_due(now));
            assert!(!pauses.is_due(now));
            seen.push((pauses.next_at.0 - now.0) / 1_000);
            now = pauses.next_at;
        }
        assert_eq!(seen, [10, 20, 30, 30]);
        pauses.is_due(now);
        pauses.restart(now);
        assert_eq!(pauses.next_at, now.plus_ms(10));
    }
}
