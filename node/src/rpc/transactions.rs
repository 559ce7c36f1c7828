//! Single transactions: look up, decode, build, send.

use super::args::{Args, HexBytes, Verbosity, describe};
use super::bounds::TESTED_TRANSACTIONS_MAX;
use super::build;
use super::context::Context;
use super::error::{RpcError, code, submit_reason};
use super::finality;
use super::shape;
use super::table::{Answer, Handler, Method, optional, required};
use crate::view::SubmitError;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use std::sync::Arc;
use timecoin_protocol::amount::Amount;
use timecoin_protocol::bounds::TRANSACTION_BYTES_MAX;
use timecoin_protocol::codec::{decode, encode};
use timecoin_protocol::engine::Refusal;
use timecoin_protocol::hash::Txid;
use timecoin_protocol::transaction::Transaction;

/// The methods of this subject.
pub const METHODS: &[Method] = &[
    Method {
        name: "getrawtransaction",
        about: "A transaction of the pool or of a block.",
        params: &[
            required("txid", "string", "the transaction"),
            optional("verbose", "boolean|integer", "false (default): canonical bytes in hexadecimal; true: object"),
        ],
        result: "text, or object: txid, size, vin, vout, memo, memo_text, witnesses, hex, status, blockhash, height, \
                 confirmations, time_ms",
        errors: &[code::NOT_FOUND],
        example: r#"["0000000000000000000000000000000000000000000000000000000000000000", true]"#,
        unsafe_method: false,
        handler: Handler::Storage(raw_transaction),
    },
    Method {
        name: "gettransaction",
        about: "A transaction with what its inputs were worth, its fee, and where it stands.",
        params: &[required("txid", "string", "the transaction")],
        result: "object as getrawtransaction's; each of vin has amount, address and lock too; fee; and the fields of \
                 gettransactionfinality",
        errors: &[code::NOT_FOUND],
        example: r#"["0000000000000000000000000000000000000000000000000000000000000000"]"#,
        unsafe_method: false,
        handler: Handler::Storage(transaction),
    },
    Method {
        name: "decoderawtransaction",
        about: "Shows what the bytes of a transaction say; it need not be signed or valid.",
        params: &[required("hex", "string", "canonical bytes in hexadecimal")],
        result: "object: txid, size, vin, vout, memo, memo_text, witnesses, hex",
        errors: &[code::DESERIALIZATION],
        example: r#"["00000000"]"#,
        unsafe_method: false,
        handler: Handler::Memory(decode_raw_transaction),
    },
    Method {
        name: "createrawtransaction",
        about: "Builds an unsigned transaction. What inputs bring and outputs do not take is the fee.",
        params: &[
            required("inputs", "array", "outputs to spend: [{\"txid\": hash, \"vout\": integer}, …]"),
            required(
                "outputs",
                "array|object",
                "{address: units, …}, or a list of {address: units} or {\"amount\": units, \"address\" | \"unbonding\": \
                 address} or {\"amount\": units, \"bond\": {\"validator\": key, \"owner\": address}}",
            ),
            optional("memo", "string|object", "a note of up to 80 bytes: a text, or {\"hex\": bytes}"),
        ],
        result: "text: canonical bytes in hexadecimal, without witnesses",
        errors: &[code::NOT_FOUND, code::INVALID_PARAMETER],
        example: r#"[[], {}]"#,
        unsafe_method: false,
        handler: Handler::Memory(create_raw_transaction),
    },
    Method {
        name: "sendrawtransaction",
        about: "Hands a signed transaction to the network. Answers as soon as this node has taken it; \
                waittransactionfinality says when it is final. Sending it again is harmless.",
        params: &[required("hex", "string", "canonical bytes in hexadecimal")],
        result: "txid",
        errors: &[
            code::MISC,
            code::DESERIALIZATION,
            code::VERIFY,
            code::VERIFY_REJECTED,
            code::ALREADY_IN_CHAIN,
            code::IN_WARMUP,
        ],
        example: r#"["00000000"]"#,
        unsafe_method: false,
        handler: Handler::Waiting(send_raw_transaction),
    },
    Method {
        name: "testmempoolaccept",
        about: "Says whether transactions would be taken, each one by itself, and changes nothing.",
        params: &[required("rawtxs", "array", "canonical bytes in hexadecimal, up to 25 of them")],
        result: "list of objects: txid, allowed, fee, size, conflict; or txid, allowed, reject-reason, reject-details",
        errors: &[code::MISC, code::DESERIALIZATION, code::INVALID_PARAMETER],
        example: r#"[["00000000"]]"#,
        unsafe_method: false,
        handler: Handler::Waiting(test_mempool_accept),
    },
];

fn decoded(bytes: &HexBytes) -> Result<Transaction, RpcError> {
    Ok(decode(&bytes.0, TRANSACTION_BYTES_MAX)?)
}

fn unknown() -> RpcError {
    RpcError::not_found("transaction", "it may never have been sent, or was rejected and forgotten")
}

/// A transaction of the pool or of a block, in JSON with its place.
fn found(context: &Context, txid: &Txid) -> Result<(Transaction, Value), RpcError> {
    if let Some(entry) = context.view.pool.get(txid) {
        let transaction = entry.transaction.as_ref().clone();
        let mut shape = shape::transaction(&transaction, context.network(), false);
        let status = finality::status_name(&entry.status);
        shape::extend(&mut shape, json!({"status": status, "confirmations": 0}));
        return Ok((transaction, shape));
    }
    let stored = context.view.chain.transaction(txid)?.ok_or_else(unknown)?;
    let mut shape = shape::transaction(&stored.transaction, context.network(), stored.position == 0);
    let header = &stored.block.block.header;
    shape::extend(
        &mut shape,
        json!({
            "status": "committed",
            "blockhash": stored.block.commit.block,
            "height": stored.height,
            "position": stored.position,
            "confirmations": context.confirmations(stored.height.0),
            "time": header.time_ms / 1_000,
            "time_ms": header.time_ms,
        }),
    );
    Ok((stored.transaction, shape))
}

fn raw_transaction(context: &Context, args: &Args) -> Answer {
    let verbose = args.optional::<Verbosity>("verbose")?.unwrap_or(Verbosity(0));
    let (transaction, shape) = found(context, &args.required("txid")?)?;
    Ok(if verbose == Verbosity(0) { json!(hex::encode(encode(&transaction))) } else { shape })
}

fn transaction(context: &Context, args: &Args) -> Answer {
    let txid: Txid = args.required("txid")?;
    let (transaction, mut shape) = found(context, &txid)?;
    let is_coinbase = shape.get("position").is_some_and(|position| position == 0);
    if !is_coinbase {
        add_inputs(context, &transaction, &mut shape)?;
    }
    let outcome = context.view.outcome(&txid).ok_or_else(unknown)?;
    shape::extend(&mut shape, finality::outcome(&txid, &outcome));
    Ok(shape)
}

/// Adds what the inputs were worth, and the fee.
fn add_inputs(context: &Context, transaction: &Transaction, shape: &mut Value) -> Result<(), RpcError> {
    let mut spent = Vec::with_capacity(transaction.body.inputs.len());
    for input in &transaction.body.inputs {
        spent.push(context.output(input)?);
    }
    if let Some(vin) = shape.get_mut("vin").and_then(Value::as_array_mut) {
        for (input, output) in vin.iter_mut().zip(&spent) {
            if let Some(output) = output {
                shape::extend(input, Value::Object(shape::output(output, context.network())));
            }
        }
    }
    let brought: Option<Vec<Amount>> = spent.iter().map(|output| output.map(|output| output.amount)).collect();
    let brought = brought.and_then(Amount::checked_sum);
    let fee = brought.zip(transaction.body.output_sum()).and_then(|(brought, taken)| brought.checked_sub(taken));
    shape::extend(shape, json!({"fee": fee}));
    Ok(())
}

fn decode_raw_transaction(context: &Context, args: &Args) -> Answer {
    Ok(shape::transaction(&decoded(&args.required("hex")?)?, context.network(), false))
}

fn create_raw_transaction(context: &Context, args: &Args) -> Answer {
    let body = build::body(args, context)?;
    Ok(json!(hex::encode(encode(&Transaction { body, witnesses: Vec::new() }))))
}

fn send_raw_transaction(context: Arc<Context>, args: Args) -> BoxFuture<'static, Answer> {
    async move {
        let transaction = decoded(&args.required("hex")?)?;
        let txid = transaction.txid();
        match context.view.submit(transaction, false).await {
            // Sending twice is how a client makes sure: not an error (Bitcoin does the same).
            Ok(_) | Err(SubmitError::Refused(Refusal::Known)) => Ok(json!(txid)),
            Err(_) if context.stop.is_cancelled() => Err(RpcError::stopping()),
            Err(error) => Err(RpcError::refused(&error, context.synced()).with("txid", txid.to_string())),
        }
    }
    .boxed()
}

fn test_mempool_accept(context: Arc<Context>, args: Args) -> BoxFuture<'static, Answer> {
    async move {
        let list: Vec<Value> = args.required("rawtxs")?;
        if list.len() > TESTED_TRANSACTIONS_MAX {
            return Err(RpcError::out_of_range("rawtxs", &format!("up to {TESTED_TRANSACTIONS_MAX} transactions")));
        }
        let mut verdicts = Vec::with_capacity(list.len());
        for item in &list {
            let bytes = item.as_str().and_then(|text| hex::decode(text).ok()).map(HexBytes);
            let bytes = bytes
                .ok_or_else(|| RpcError::bad_parameter("rawtxs", "a list of hexadecimal texts", &describe(item)))?;
            verdicts.push(verdict(&context, decoded(&bytes)?).await?);
        }
        Ok(Value::Array(verdicts))
    }
    .boxed()
}

async fn verdict(context: &Context, transaction: Transaction) -> Answer {
    let txid = transaction.txid();
    match context.view.submit(transaction, true).await {
        Ok(admitted) => Ok(json!({
            "txid": txid,
            "allowed": true,
            "fee": admitted.fee,
            "size": admitted.bytes,
            "conflict": admitted.conflict,
        })),
        Err(error @ SubmitError::Busy) => Err(RpcError::refused(&error, context.synced())),
        Err(error) => Ok(json!({
            "txid": txid,
            "allowed": false,
            "reject-reason": submit_reason(&error),
            "reject-details": error.to_string(),
        })),
    }
}
