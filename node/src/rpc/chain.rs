//! Blocks and the chain as a whole.

use super::args::{Args, BlockId, Verbosity};
use super::context::Context;
use super::error::{RpcError, code};
use super::shape;
use super::table::{Answer, Handler, Method, optional, required};
use serde_json::{Value, json};
use std::sync::Arc;
use timecoin_protocol::block::CommittedBlock;
use timecoin_protocol::codec::encode;
use timecoin_protocol::hash::BlockHash;
use timecoin_protocol::validator::Height;

/// The methods of this subject.
pub const METHODS: &[Method] = &[
    Method {
        name: "getblockchaininfo",
        about: "The state of the chain: height, tip, epoch, supply, and whether this node is level with the network.",
        params: &[],
        result: "object: chain, name, genesis_hash, blocks, bestblockhash, time, time_ms, epoch, validators, \
                 utxo_set, txouts, supply, initialblockdownload",
        errors: &[],
        example: "[]",
        unsafe_method: false,
        handler: Handler::Memory(chain_info),
    },
    Method {
        name: "getblockcount",
        about: "The height of the last block.",
        params: &[],
        result: "integer",
        errors: &[],
        example: "[]",
        unsafe_method: false,
        handler: Handler::Memory(block_count),
    },
    Method {
        name: "getbestblockhash",
        about: "The hash of the last block; at height 0 the genesis hash.",
        params: &[],
        result: "hash",
        errors: &[],
        example: "[]",
        unsafe_method: false,
        handler: Handler::Memory(best_block_hash),
    },
    Method {
        name: "getblockhash",
        about: "The hash of the block at a height; at height 0 the genesis hash.",
        params: &[required("height", "integer", "height, from 0 to that of the last block")],
        result: "hash",
        errors: &[code::INVALID_PARAMETER],
        example: "[0]",
        unsafe_method: false,
        handler: Handler::Storage(block_hash),
    },
    Method {
        name: "getblock",
        about: "A block and its commit.",
        params: &[
            required("block", "string|integer", "hash or height"),
            optional(
                "verbosity",
                "integer|boolean",
                "0: canonical bytes in hexadecimal; 1 (default): object with txids; 2: object with whole transactions",
            ),
        ],
        result: "text, or object: header fields as in getblockheader, round, commit_signatures, size, nTx, tx \
                 (the coinbase first)",
        errors: &[code::NOT_FOUND, code::INVALID_PARAMETER],
        example: "[0, 1]",
        unsafe_method: false,
        handler: Handler::Storage(block),
    },
    Method {
        name: "getblockheader",
        about: "A block's header.",
        params: &[
            required("block", "string|integer", "hash or height"),
            optional("verbose", "boolean|integer", "false: canonical bytes in hexadecimal; true (default): object"),
        ],
        result: "text, or object: hash, height, confirmations, epoch, time, time_ms, proposer, previousblockhash, \
                 nextblockhash, merkleroot, utxo_set, next_validators, parent_commit",
        errors: &[code::NOT_FOUND, code::INVALID_PARAMETER],
        example: "[0]",
        unsafe_method: false,
        handler: Handler::Storage(block_header),
    },
    Method {
        name: "gettxoutsetinfo",
        about: "The set of unspent outputs after the last block: its commitment, count and sum.",
        params: &[],
        result: "object: height, bestblock, utxo_set, txouts, total_amount",
        errors: &[],
        example: "[]",
        unsafe_method: false,
        handler: Handler::Memory(txout_set_info),
    },
];

fn chain_info(context: &Context, _: &Args) -> Answer {
    let (view, state) = (&context.view, context.view.state.load());
    Ok(json!({
        "chain": view.genesis.network,
        "name": view.genesis.name,
        "genesis_hash": view.genesis_hash,
        "blocks": state.height,
        "bestblockhash": state.hash,
        "time": state.time_ms / 1_000,
        "time_ms": state.time_ms,
        "epoch": state.epoch,
        "validators": state.validators.len(),
        "utxo_set": state.utxo_set.commitment(),
        "txouts": state.utxo_count,
        "supply": state.supply,
        "initialblockdownload": !context.synced(),
    }))
}

fn block_count(context: &Context, _: &Args) -> Answer {
    Ok(json!(context.view.state.load().height))
}

fn best_block_hash(context: &Context, _: &Args) -> Answer {
    Ok(json!(context.view.state.load().hash))
}

fn txout_set_info(context: &Context, _: &Args) -> Answer {
    let state = context.view.state.load();
    Ok(json!({
        "height": state.height,
        "bestblock": state.hash,
        "utxo_set": state.utxo_set.commitment(),
        "txouts": state.utxo_count,
        "total_amount": state.supply,
    }))
}

/// A block that was asked for: genesis has a description in the place of a block.
enum Found {
    Genesis,
    Block(Arc<CommittedBlock>),
}

fn find(context: &Context, args: &Args) -> Result<Found, RpcError> {
    let unknown = || RpcError::not_found("block", "the block may be of another network, or not here yet");
    let height = match args.required::<BlockId>("block")? {
        BlockId::Height(height) => within_chain(context, "block", height)?,
        BlockId::Hash(hash) if hash.0 == context.view.genesis_hash.0 => Height(0),
        BlockId::Hash(hash) => context.view.chain.height_of(&hash)?.ok_or_else(unknown)?,
    };
    if height == Height(0) {
        return Ok(Found::Genesis);
    }
    context.view.chain.block(height)?.map(Found::Block).ok_or_else(unknown)
}

fn within_chain(context: &Context, name: &str, height: Height) -> Result<Height, RpcError> {
    let tip = context.view.state.load().height;
    if height > tip {
        return Err(RpcError::out_of_range(name, &format!("a height from 0 to {tip}")).with("blocks", tip.0));
    }
    Ok(height)
}

fn hash_at(context: &Context, height: Height) -> Result<Option<BlockHash>, RpcError> {
    if height == Height(0) {
        return Ok(Some(BlockHash(context.view.genesis_hash.0)));
    }
    Ok(context.view.chain.block(height)?.map(|found| found.commit.block))
}

fn block_hash(context: &Context, args: &Args) -> Answer {
    let height = within_chain(context, "height", args.required::<Height>("height")?)?;
    let hash = hash_at(context, height)?;
    hash.map(|hash| json!(hash)).ok_or_else(|| RpcError::not_found("block", "this node does not hold that block"))
}

fn block(context: &Context, args: &Args) -> Answer {
    let verbosity = args.optional::<Verbosity>("verbosity")?.unwrap_or(Verbosity(1));
    match find(context, args)? {
        Found::Genesis => genesis(context, verbosity),
        Found::Block(block) if verbosity == Verbosity(0) => Ok(json!(hex::encode(encode(block.as_ref())))),
        Found::Block(block) => {
            let shape = shape::block(&block, context.network(), verbosity == Verbosity(2));
            placed(context, block.block.header.height, shape)
        }
    }
}

fn block_header(context: &Context, args: &Args) -> Answer {
    let verbosity = args.optional::<Verbosity>("verbose")?.unwrap_or(Verbosity(1));
    match find(context, args)? {
        Found::Genesis => genesis(context, verbosity),
        Found::Block(block) if verbosity == Verbosity(0) => Ok(json!(hex::encode(encode(&block.block.header)))),
        Found::Block(block) => placed(context, block.block.header.height, shape::header(&block.block.header)),
    }
}

/// Adds what depends on the rest of the chain.
fn placed(context: &Context, height: Height, mut shape: Value) -> Answer {
    let next = if height < context.view.state.load().height { hash_at(context, height.next())? } else { None };
    shape::extend(&mut shape, json!({"confirmations": context.confirmations(height.0), "nextblockhash": next}));
    Ok(shape)
}

/// Genesis is no block: it has outputs, but no header, proposer or commit.
fn genesis(context: &Context, verbosity: Verbosity) -> Answer {
    let genesis = &context.view.genesis;
    if verbosity == Verbosity(0) {
        return Ok(json!(hex::encode(encode(genesis.as_ref()))));
    }
    let shape = json!({
        "hash": context.view.genesis_hash,
        "height": 0,
        "genesis": true,
        "name": genesis.name,
        "time": genesis.time_ms / 1_000,
        "time_ms": genesis.time_ms,
        "nTx": 0,
        "tx": [],
        "outputs": genesis.outputs.len(),
    });
    placed(context, Height(0), shape)
}
