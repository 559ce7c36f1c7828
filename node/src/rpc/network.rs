//! This node and its peers.

use super::args::Args;
use super::context::Context;
use super::table::{Answer, Handler, Method};
use serde_json::{Value, json};
use timecoin_protocol::bounds::{FEE_UNITS_MIN, FEE_UNITS_PER_BYTE_MIN};

/// The methods of this subject.
pub const METHODS: &[Method] = &[
    Method {
        name: "getnetworkinfo",
        about: "This node on the network.",
        params: &[],
        result: "object: version, subversion, network, genesis_hash, peer_id, localaddresses, connections, \
                 connections_in, connections_out, minfee, minfee_per_byte",
        errors: &[],
        example: "[]",
        unsafe_method: false,
        handler: Handler::Memory(network_info),
    },
    Method {
        name: "getpeerinfo",
        about: "The connected peers.",
        params: &[],
        result: "list of objects: peer_id, address, inbound, agent, ping_us, connected_at (seconds since 1970), penalty",
        errors: &[],
        example: "[]",
        unsafe_method: false,
        handler: Handler::Memory(peer_info),
    },
];

fn network_info(context: &Context, _: &Args) -> Answer {
    let view = &context.view;
    let peers = view.peers.load();
    let inbound = peers.iter().filter(|peer| peer.inbound).count();
    let listening: Vec<String> = view.listening.load().iter().map(ToString::to_string).collect();
    Ok(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "subversion": concat!("/timed:", env!("CARGO_PKG_VERSION"), "/"),
        "network": view.network(),
        "genesis_hash": view.genesis_hash,
        "peer_id": view.peer_id.to_string(),
        "localaddresses": listening,
        "connections": peers.len(),
        "connections_in": inbound,
        "connections_out": peers.len() - inbound,
        "minfee": FEE_UNITS_MIN,
        "minfee_per_byte": FEE_UNITS_PER_BYTE_MIN,
    }))
}

fn peer_info(context: &Context, _: &Args) -> Answer {
    let peers: Result<Vec<Value>, _> = context.view.peers.load().iter().map(super::context::answer).collect();
    Ok(Value::Array(peers?))
}
