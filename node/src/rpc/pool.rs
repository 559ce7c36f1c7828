//! The pool: transactions that are in no block yet.

use super::args::{Args, Verbosity};
use super::context::Context;
use super::error::{RpcError, code};
use super::finality;
use super::shape;
use super::table::{Answer, Handler, Method, optional, required};
use crate::view::PoolEntry;
use serde_json::{Map, Value, json};
use timecoin_protocol::bounds::{
    BLOCK_BYTES_MAX, BLOCK_TRANSACTIONS_MAX, FEE_UNITS_MIN, FEE_UNITS_PER_BYTE_MIN, TRANSACTION_BYTES_MAX,
};
use timecoin_protocol::hash::Txid;
use timecoin_protocol::ledger::fee_min;

/// The methods of this subject.
pub const METHODS: &[Method] = &[
    Method {
        name: "getmempoolinfo",
        about: "Size and state of the pool.",
        params: &[],
        result: "object: size (transactions), bytes, final (waiting for a block only), contested, orphans (waiting \
                 for unknown inputs; not counted in size), minfee, minfee_per_byte",
        errors: &[],
        example: "[]",
        unsafe_method: false,
        handler: Handler::Memory(mempool_info),
    },
    Method {
        name: "getrawmempool",
        about: "The transactions of the pool.",
        params: &[optional("verbose", "boolean|integer", "false (default): txids; true: entries by txid")],
        result: "list of txids in their order, or object: txid to what getmempoolentry answers",
        errors: &[],
        example: "[true]",
        unsafe_method: false,
        handler: Handler::Memory(raw_mempool),
    },
    Method {
        name: "getmempoolentry",
        about: "One transaction of the pool.",
        params: &[required("txid", "string", "the transaction")],
        result: "object: size, fee, time, time_ms, status, final, conflict, path, depends (parents in the pool)",
        errors: &[code::NOT_FOUND],
        example: r#"["0000000000000000000000000000000000000000000000000000000000000000"]"#,
        unsafe_method: false,
        handler: Handler::Memory(mempool_entry),
    },
    Method {
        name: "estimatefee",
        about: "The fee with which a transaction finds room in the next block, by what waits in the pool now.",
        params: &[optional("bytes", "integer", "encoded size of the transaction (250 if not given)")],
        result: "object: fee, fee_per_byte_milli (thousandths of a unit for each byte), minimum, bytes",
        errors: &[code::INVALID_PARAMETER],
        example: "[250]",
        unsafe_method: false,
        handler: Handler::Memory(estimate_fee),
    },
];

/// A payment of one input and two outputs is about so long, in bytes.
const USUAL_TRANSACTION_BYTES: u64 = 250;

fn mempool_info(context: &Context, _: &Args) -> Answer {
    let gauges = context.view.gauges.load();
    Ok(json!({
        "size": gauges.pool_transactions,
        "bytes": gauges.pool_bytes,
        "final": gauges.pool_final,
        "contested": gauges.pool_contested,
        "orphans": gauges.orphans,
        "minfee": FEE_UNITS_MIN,
        "minfee_per_byte": FEE_UNITS_PER_BYTE_MIN,
    }))
}

fn raw_mempool(context: &Context, args: &Args) -> Answer {
    let verbose = args.optional::<Verbosity>("verbose")?.unwrap_or(Verbosity(0)) > Verbosity(0);
    if !verbose {
        let mut txids: Vec<Txid> = context.view.pool.iter().map(|entry| *entry.key()).collect();
        txids.sort_unstable();
        return super::context::answer(txids);
    }
    let in_pool = |txid: &Txid| context.view.pool.contains_key(txid);
    // One entry at a time: `in_pool` must not look while a shard of the map is held.
    let entries: Vec<PoolEntry> = context.view.pool.iter().map(|entry| entry.value().clone()).collect();
    let shapes: Map<String, Value> =
        entries.iter().map(|entry| (entry.admitted.txid.to_string(), entry_shape(entry, in_pool))).collect();
    Ok(Value::Object(shapes))
}

fn mempool_entry(context: &Context, args: &Args) -> Answer {
    let txid: Txid = args.required("txid")?;
    let entry = context.view.pool.get(&txid).map(|entry| entry.value().clone());
    let hint = "`gettransactionfinality` says whether it is in a block or was rejected";
    let entry = entry.ok_or_else(|| RpcError::not_found("pool-transaction", hint))?;
    Ok(entry_shape(&entry, |txid| context.view.pool.contains_key(txid)))
}

fn entry_shape(entry: &PoolEntry, in_pool: impl Fn(&Txid) -> bool) -> Value {
    let mut depends: Vec<Txid> = entry.transaction.body.inputs.iter().map(|input| input.txid).collect();
    depends.sort_unstable();
    depends.dedup();
    depends.retain(in_pool);
    let admitted_ms = entry.admitted_at.millis();
    let mut fields = json!({
        "size": entry.admitted.bytes,
        "fee": entry.admitted.fee,
        "time": admitted_ms / 1_000,
        "time_ms": admitted_ms,
        "conflict": entry.admitted.conflict,
        "depends": depends,
    });
    shape::extend(&mut fields, finality::status(&entry.status));
    fields
}

fn estimate_fee(context: &Context, args: &Args) -> Answer {
    let bytes = args.optional("bytes")?.unwrap_or(USUAL_TRANSACTION_BYTES);
    let size = usize::try_from(bytes).unwrap_or(usize::MAX);
    if size == 0 || size > TRANSACTION_BYTES_MAX {
        return Err(RpcError::out_of_range("bytes", &format!("1 to {TRANSACTION_BYTES_MAX}")));
    }
    let waiting: Vec<(u64, usize)> =
        context.view.pool.iter().map(|entry| (entry.admitted.fee.0, entry.admitted.bytes)).collect();
    let rate_milli = rate_to_beat_milli(waiting, size);
    let minimum = fee_min(size).0;
    // Rounded up: the rate must be beaten, not missed by a fraction of a unit.
    let fee = minimum.max(rate_milli.saturating_mul(bytes).div_ceil(1_000));
    Ok(json!({"fee": fee, "fee_per_byte_milli": rate_milli, "minimum": minimum, "bytes": bytes}))
}

/// The fee rate that gets `size` bytes into the next block, in thousandths of a unit for each byte:
/// the minimum while there is room, else just above the best of those who find none.
fn rate_to_beat_milli(mut waiting: Vec<(u64, usize)>, size: usize) -> u64 {
    let rate = |(fee, bytes): &(u64, usize)| {
        let bytes = u64::try_from(*bytes).unwrap_or(u64::MAX).max(1);
        fee.saturating_mul(1_000) / bytes
    };
    waiting.sort_by_key(|entry| std::cmp::Reverse(rate(entry)));
    let mut used = size;
    for (at, entry) in waiting.iter().enumerate() {
        used = used.saturating_add(entry.1);
        if used > BLOCK_BYTES_MAX || at + 1 >= BLOCK_TRANSACTIONS_MAX {
            return rate(entry).saturating_add(1).max(FEE_UNITS_PER_BYTE_MIN * 1_000);
        }
    }
    FEE_UNITS_PER_BYTE_MIN * 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_there_is_room_the_minimum_is_enough() {
        assert_eq!(rate_to_beat_milli(Vec::new(), 250), 1_000);
        assert_eq!(rate_to_beat_milli(vec![(1_000_000, 250); 100], 250), 1_000);
    }

    #[test]
    fn when_the_next_block_is_full_the_last_that_fits_must_be_beaten() {
        let crowd = BLOCK_BYTES_MAX / 1_000 + 10;
        let mut waiting = vec![(5_000, 1_000); crowd];
        waiting.extend(vec![(2_000, 1_000); 50]);
        assert_eq!(rate_to_beat_milli(waiting, 250), 5_001);
    }
}
