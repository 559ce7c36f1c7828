//! Unspent outputs, as a wallet may spend them now: after the last block and after the pool.

use super::args::{Args, FromParam};
use super::bounds::{UNSPENT_LIMIT_DEFAULT, UNSPENT_LIMIT_MAX};
use super::build::outpoint;
use super::context::Context;
use super::error::{RpcError, code};
use super::finality::status_name;
use super::pool_view::{PoolView, is_spent_by_pool};
use super::shape;
use super::table::{Answer, Handler, Method, optional, required};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use timecoin_protocol::address::Owner;
use timecoin_protocol::hash::Txid;
use timecoin_protocol::ledger::ChainState;
use timecoin_protocol::transaction::{Lock, OutPoint, Output, Utxo};

/// The methods of this subject.
pub const METHODS: &[Method] = &[
    Method {
        name: "gettxout",
        about: "One output, if it is unspent.",
        params: &[
            required("txid", "string", "the transaction that made it"),
            required("n", "integer", "its position, from 0"),
            optional(
                "include_mempool",
                "boolean",
                "true (default): outputs of pool transactions count, and what pool transactions spend does not",
            ),
        ],
        result: "null if it is spent or unknown, or object: bestblock, status, amount, address, lock, height, \
                 confirmations, coinbase",
        errors: &[],
        example: r#"["0000000000000000000000000000000000000000000000000000000000000000", 0]"#,
        unsafe_method: false,
        handler: Handler::Storage(txout),
    },
    Method {
        name: "listunspent",
        about: "The outputs that an address can build on now: those after the last block (status committed) and \
                those of final transactions that wait for a block (status final), without what any pool \
                transaction spends.",
        params: &[
            required("address", "string", "whose outputs"),
            optional(
                "options",
                "object",
                "limit: at most so many (1000 if not given, 10000 at most); after: the last outpoint of the call \
                 before, {\"txid\", \"vout\"} or \"txid:vout\"",
            ),
        ],
        result: "list, in order of outpoint, of objects: txid, vout, amount, address, lock, status, height, \
                 confirmations, coinbase, spendable. Fewer than limit: these are the last",
        errors: &[code::NOT_FOUND, code::INVALID_PARAMETER],
        example: r#"["dtime1qz9gjetmex6qv8ef508wwdm9c5etydggsuy9zpx3", {"limit": 100}]"#,
        unsafe_method: false,
        handler: Handler::Storage(list_unspent),
    },
];

/// An output that nobody has spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unspent {
    /// In the set after the last block.
    Committed(Utxo),
    /// Made by a final transaction that no block holds yet.
    Final(Output),
}

impl Unspent {
    const fn output(&self) -> &Output {
        match self {
            Self::Committed(utxo) => &utxo.output,
            Self::Final(output) => output,
        }
    }
}

/// Whether a plain transfer may spend the output in the next block (L-8, L-9).
#[must_use]
pub fn is_spendable(unspent: &Unspent, tip: u64, unbonding_blocks: u64) -> bool {
    match (unspent.output().lock, unspent) {
        (Lock::Address(_), _) => true,
        (Lock::Unbonding(_), Unspent::Committed(utxo)) => {
            tip.saturating_add(1) >= utxo.height.saturating_add(unbonding_blocks)
        }
        _ => false,
    }
}

fn unspent_shape(context: &Context, outpoint: &OutPoint, unspent: &Unspent, state: &ChainState) -> Value {
    let mut fields = json!({
        "txid": outpoint.txid,
        "vout": outpoint.index,
        "spendable": is_spendable(unspent, state.height.0, context.view.genesis.params.unbonding_blocks),
    });
    shape::extend(&mut fields, Value::Object(shape::output(unspent.output(), context.network())));
    shape::extend(&mut fields, place(unspent, state));
    fields
}

fn place(unspent: &Unspent, state: &ChainState) -> Value {
    match unspent {
        Unspent::Committed(utxo) => json!({
            "status": "committed",
            "height": utxo.height,
            "confirmations": (state.height.0 + 1).saturating_sub(utxo.height),
            "coinbase": utxo.coinbase,
        }),
        Unspent::Final(_) => json!({"status": "final", "height": null, "confirmations": 0, "coinbase": false}),
    }
}

fn txout(context: &Context, args: &Args) -> Answer {
    let txid: Txid = args.required("txid")?;
    let outpoint = OutPoint { txid, index: args.required("n")? };
    let with_pool = args.optional("include_mempool")?.unwrap_or(true);
    context.at_one_height(|state| one_output(context, &outpoint, with_pool, state))
}

fn one_output(context: &Context, outpoint: &OutPoint, with_pool: bool, state: &ChainState) -> Answer {
    if with_pool && is_spent_by_pool(&context.view, outpoint) {
        return Ok(Value::Null);
    }
    let mut fields = json!({"bestblock": state.hash});
    if let Some(utxo) = context.view.chain.utxo(outpoint)? {
        shape::extend(&mut fields, Value::Object(shape::output(&utxo.output, context.network())));
        shape::extend(&mut fields, place(&Unspent::Committed(utxo), state));
        return Ok(fields);
    }
    let Some(entry) = with_pool.then(|| context.view.pool.get(&outpoint.txid)).flatten() else {
        return Ok(Value::Null);
    };
    let index = usize::try_from(outpoint.index).unwrap_or(usize::MAX);
    let Some(output) = entry.transaction.body.outputs.get(index) else { return Ok(Value::Null) };
    shape::extend(&mut fields, Value::Object(shape::output(output, context.network())));
    shape::extend(&mut fields, place(&Unspent::Final(*output), state));
    shape::extend(&mut fields, json!({"status": status_name(&entry.status)}));
    Ok(fields)
}

/// Where and how far a list goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Page {
    limit: usize,
    after: Option<OutPoint>,
}

impl FromParam for Page {
    const EXPECTED: &'static str = "{\"limit\": integer, \"after\": outpoint}, each optional";
    fn from_param(value: &Value) -> Option<Self> {
        let fields = value.as_object()?;
        if fields.keys().any(|name| name != "limit" && name != "after") {
            return None;
        }
        let limit = fields.get("limit").map_or(Some(UNSPENT_LIMIT_DEFAULT), Value::as_u64)?;
        let after = match fields.get("after") {
            None | Some(Value::Null) => None,
            Some(value) => Some(outpoint(value)?),
        };
        Some(Self { limit: usize::try_from(limit).ok()?, after })
    }
}

fn list_unspent(context: &Context, args: &Args) -> Answer {
    let owner = context.owner(&args.required::<String>("address")?)?;
    let default = Page { limit: usize::try_from(UNSPENT_LIMIT_DEFAULT).unwrap_or(usize::MAX), after: None };
    let page = args.optional("options")?.unwrap_or(default);
    if page.limit == 0 || u64::try_from(page.limit).is_ok_and(|limit| limit > UNSPENT_LIMIT_MAX) {
        return Err(RpcError::out_of_range("limit", &format!("1 to {UNSPENT_LIMIT_MAX}")));
    }
    context.at_one_height(|state| {
        let found = unspent(context, &owner, page)?;
        Ok(found.iter().map(|(outpoint, unspent)| unspent_shape(context, outpoint, unspent, state)).collect())
    })
}

/// The first `page.limit` outputs after `page.after` that nobody spent, in order of outpoint.
fn unspent(context: &Context, owner: &Owner, page: Page) -> Result<BTreeMap<OutPoint, Unspent>, RpcError> {
    // The pool is read first: a transaction that is committed in between is then still in this
    // snapshot, and its output is replaced by the committed one below.
    let pool = PoolView::read(&context.view, owner);
    let mut found: BTreeMap<OutPoint, Unspent> = pool
        .final_outputs()
        .filter(|(outpoint, _)| page.after.is_none_or(|after| *outpoint > after))
        .map(|(outpoint, output)| (outpoint, Unspent::Final(output)))
        .collect();
    let mut after = page.after;
    let mut taken = 0;
    while taken < page.limit {
        let utxos = context.view.chain.utxos_of(owner, after, page.limit)?;
        let more = utxos.len() == page.limit;
        after = utxos.last().map(|(outpoint, _)| *outpoint);
        for (outpoint, utxo) in utxos.into_iter().filter(|(outpoint, _)| !pool.spends(outpoint)) {
            taken += 1;
            found.insert(outpoint, Unspent::Committed(utxo));
        }
        if !more {
            break;
        }
    }
    // What is beyond the limit comes again in the next page.
    while found.len() > page.limit {
        found.pop_last();
    }
    Ok(found)
}
