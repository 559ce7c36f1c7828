//! This node and its peers.

use super::args::Args;
use super::context::Context;
use super::error::code;
use super::table::{Answer, Handler, Method, required};
use serde_json::{Value, json};
use timecoin_protocol::bounds::{FEE_UNITS_MIN, FEE_UNITS_PER_BYTE_MIN};

/// The methods of this subject.
pub const METHODS: &[Method] = &[
    Method {
        name: "getnetworkinfo",
        about: "This node on the network.",
        params: &[],
        result: "object: version, subversion, network, genesis_hash, peer_id, localaddresses, networkactive, \
                 connections, connections_in, connections_out, minfee, minfee_per_byte",
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
    Method {
        name: "setnetworkactive",
        about: "Cuts this node off from the network, or lets it take part again: without it, the node has no \
                connection, makes none and takes none. RPC goes on. A node starts with it.",
        params: &[required("state", "boolean", "true: take part; false: cut off")],
        result: "boolean: the state that was asked for; connections are closed a moment later",
        errors: &[code::METHOD_NOT_FOUND],
        example: "[false]",
        unsafe_method: true,
        handler: Handler::Memory(set_network_active),
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
        "networkactive": *view.network_active.borrow(),
        "connections": peers.len(),
        "connections_in": inbound,
        "connections_out": peers.len() - inbound,
        "minfee": FEE_UNITS_MIN,
        "minfee_per_byte": FEE_UNITS_PER_BYTE_MIN,
    }))
}

fn set_network_active(context: &Context, args: &Args) -> Answer {
    let state: bool = args.required("state")?;
    context.view.network_active.send_replace(state);
    Ok(json!(state))
}

fn peer_info(context: &Context, _: &Args) -> Answer {
    let peers: Result<Vec<Value>, _> = context.view.peers.load().iter().map(super::context::answer).collect();
    Ok(Value::Array(peers?))
}
