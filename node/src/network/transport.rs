//! TCP and QUIC with DNS in front, and listening on them.

use super::behaviour::{Behaviour, BehaviourEvent};
use super::config::{NetworkConfig, NetworkError};
use futures::StreamExt;
use libp2p::core::transport::{ListenerId, TransportError};
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, Swarm, SwarmBuilder, dns, noise, quic, tcp, yamux};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

/// How long listening may take to begin.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(5);
/// A QUIC connection without a sign of life is given up after so long, in milliseconds.
const QUIC_IDLE_TIMEOUT_MS: u32 = 5_000;
/// A sign of life is sent so often.
const QUIC_KEEP_ALIVE: Duration = Duration::from_millis(1_500);
/// A connection that no protocol uses is closed after so long.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

// Each step of libp2p's builder has a type of its own that cannot be written down.
macro_rules! transports {
    ($keypair:expr) => {
        SwarmBuilder::with_existing_identity($keypair)
            .with_tokio()
            .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)
            .map_err(|error| NetworkError::Setup(error.to_string()))?
            .with_quic_config(quick_to_notice)
    };
}

macro_rules! finished {
    ($builder:expr, $behaviour:expr) => {
        $builder
            .with_behaviour(|_| $behaviour)
            .map_err(|error| NetworkError::Setup(error.to_string()))?
            .with_swarm_config(|config| config.with_idle_connection_timeout(IDLE_TIMEOUT))
            .build()
    };
}

/// A peer that was killed says no goodbye over QUIC. Until its connection is given up, gossip and
/// requests go into the void although it may have restarted and connected again.
fn quick_to_notice(mut config: quic::Config) -> quic::Config {
    config.max_idle_timeout = QUIC_IDLE_TIMEOUT_MS;
    config.keep_alive_interval = QUIC_KEEP_ALIVE;
    config
}

/// A swarm that neither listens nor dials yet. Where the system has no usable DNS configuration,
/// a default one is taken: names may not resolve then, but addresses in numbers still work.
pub(super) fn swarm(keypair: Keypair, behaviour: Behaviour) -> Result<Swarm<Behaviour>, NetworkError> {
    match transports!(keypair.clone()).with_dns() {
        Ok(builder) => Ok(finished!(builder, behaviour)),
        Err(error) => {
            tracing::warn!(%error, "the system has no usable DNS configuration");
            let fallback = (dns::ResolverConfig::default(), dns::ResolverOpts::default());
            Ok(finished!(transports!(keypair).with_dns_config(fallback.0, fallback.1), behaviour))
        }
    }
}

/// What came of listening.
pub(super) struct Listening {
    /// The real addresses.
    pub(super) addresses: Vec<Multiaddr>,
    /// What else happened meanwhile, for the swarm task to handle.
    pub(super) early: Vec<SwarmEvent<BehaviourEvent>>,
}

/// Listens on all addresses; returns the real ones once each listener has at least one.
///
/// # Errors
/// [`NetworkError::Listen`] names the address that cannot be listened on.
pub(super) async fn listen(swarm: &mut Swarm<Behaviour>, config: &NetworkConfig) -> Result<Listening, NetworkError> {
    let mut missing = HashMap::new();
    for address in &config.listen {
        let failed = |source| NetworkError::Listen { address: address.clone(), source };
        check_free(address).map_err(failed)?;
        let listener = swarm.listen_on(address.clone()).map_err(|error| failed(cause(error)))?;
        missing.insert(listener, address.clone());
    }
    let mut listening = Listening { addresses: Vec::new(), early: Vec::new() };
    while !missing.is_empty() {
        let Ok(event) = tokio::time::timeout(LISTEN_TIMEOUT, swarm.select_next_some()).await else {
            return Err(first_failed(missing, io::ErrorKind::TimedOut.into()));
        };
        match event {
            SwarmEvent::NewListenAddr { listener_id, address } => {
                missing.remove(&listener_id);
                listening.addresses.push(address);
            }
            SwarmEvent::ListenerClosed { listener_id, reason, .. } => {
                let source = reason.err().unwrap_or_else(|| io::ErrorKind::NotConnected.into());
                if let Some(address) = missing.remove(&listener_id) {
                    return Err(NetworkError::Listen { address, source });
                }
            }
            event => listening.early.push(event),
        }
    }
    Ok(listening)
}

fn first_failed(missing: HashMap<ListenerId, Multiaddr>, source: io::Error) -> NetworkError {
    let address = missing.into_values().next().unwrap_or_else(Multiaddr::empty);
    NetworkError::Listen { address, source }
}

fn cause(error: TransportError<io::Error>) -> io::Error {
    match error {
        TransportError::MultiaddrNotSupported(_) => {
            io::Error::new(io::ErrorKind::Unsupported, "neither a TCP nor a QUIC address")
        }
        TransportError::Other(error) => error,
    }
}

/// Whether the address can be bound. libp2p shares TCP ports, so that two nodes could listen on one
/// port and each get half of the connections: a listener that does not share finds out first. For
/// QUIC, libp2p hides the system's error deep inside its own.
fn check_free(address: &Multiaddr) -> io::Result<()> {
    let mut parts = address.iter();
    let ip = match parts.next() {
        Some(Protocol::Ip4(ip)) => IpAddr::V4(ip),
        Some(Protocol::Ip6(ip)) => IpAddr::V6(ip),
        _ => return Ok(()),
    };
    match parts.next() {
        Some(Protocol::Tcp(port)) if port != 0 => TcpListener::bind(SocketAddr::new(ip, port)).map(drop),
        Some(Protocol::Udp(port)) if port != 0 => UdpSocket::bind(SocketAddr::new(ip, port)).map(drop),
        _ => Ok(()),
    }
}
