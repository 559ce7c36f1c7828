//! The server itself: help, description, uptime, stop.

use super::args::Args;
use super::context::{Context, now};
use super::error::{RpcError, code};
use super::table::{self, Answer, Handler, Method, optional};
use serde_json::json;

/// The methods of this subject.
pub const METHODS: &[Method] = &[
    Method {
        name: "help",
        about: "The list of methods, or all there is to say about one.",
        params: &[optional("method", "string", "which")],
        result: "text",
        errors: &[code::NOT_FOUND],
        example: r#"["getblock"]"#,
        unsafe_method: false,
        handler: Handler::Memory(help),
    },
    Method {
        name: "rpc.discover",
        about: "All methods in machine-readable form (OpenRPC).",
        params: &[],
        result: "object: openrpc, info, methods",
        errors: &[],
        example: "[]",
        unsafe_method: false,
        handler: Handler::Memory(discover),
    },
    Method {
        name: "uptime",
        about: "How long this node has been running, in seconds.",
        params: &[],
        result: "integer",
        errors: &[],
        example: "[]",
        unsafe_method: false,
        handler: Handler::Memory(uptime),
    },
    Method {
        name: "stop",
        about: "Asks the node to stop; it finishes what it is doing first.",
        params: &[],
        result: "text",
        errors: &[code::METHOD_NOT_FOUND],
        example: "[]",
        unsafe_method: true,
        handler: Handler::Memory(stop),
    },
];

/// What a code means, in a few words.
#[must_use]
pub const fn code_meaning(code: i32) -> &'static str {
    match code {
        code::MISC => "the call could not be done now",
        code::NOT_FOUND => "an address is invalid, or what was named does not exist",
        code::INVALID_PARAMETER => "a parameter is out of range",
        code::DESERIALIZATION => "bytes cannot be decoded",
        code::VERIFY => "a transaction spends what this node does not know",
        code::VERIFY_REJECTED => "a transaction is refused by the rules or by the pool",
        code::ALREADY_IN_CHAIN => "a transaction is in a block already",
        code::IN_WARMUP => "the node is starting, catching up or stopping",
        code::METHOD_NOT_FOUND => "no such method, or it is not allowed",
        code::INVALID_PARAMS => "a parameter is missing, unknown or of the wrong type",
        _ => "the node failed",
    }
}

fn help(_: &Context, args: &Args) -> Answer {
    let Some(name) = args.optional::<String>("method")? else { return Ok(json!(table::overview())) };
    let hint = "`help` without a parameter lists all methods";
    table::method(&name).map(|method| json!(method.help())).ok_or_else(|| RpcError::not_found("method", hint))
}

fn discover(_: &Context, _: &Args) -> Answer {
    Ok(table::discover())
}

fn uptime(context: &Context, _: &Args) -> Answer {
    Ok(json!(now().micros_since(context.view.started_at) / 1_000_000))
}

fn stop(context: &Context, _: &Args) -> Answer {
    tracing::info!("asked over RPC to stop");
    context.stop.cancel();
    Ok(json!("timed stopping"))
}
