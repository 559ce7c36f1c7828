//! Addresses: validity, balance, history.

use super::args::{Args, FromParam};
use super::bounds::{BALANCE_PAGE_OUTPUTS, HISTORY_LIMIT_DEFAULT, HISTORY_LIMIT_MAX};
use super::context::Context;
use super::error::{RpcError, code, variant_slug};
use super::finality;
use super::outputs::{Unspent, is_spendable};
use super::pool_view::{PoolView, is_spender, paid_to};
use super::table::{Answer, Handler, Method, optional, required};
use serde_json::{Value, json};
use timecoin_protocol::address::{AddressError, Owner, address_text, parse_any_address};
use timecoin_protocol::amount::Amount;
use timecoin_protocol::hash::Txid;
use timecoin_protocol::transaction::{Lock, Transaction, Utxo};
use timecoin_protocol::validator::Height;

/// The methods of this subject.
pub const METHODS: &[Method] = &[
    Method {
        name: "validateaddress",
        about: "Whether a text is an address of this network, and if not, why.",
        params: &[required("address", "string", "the text")],
        result: "object: isvalid, address, network, owner; or isvalid, network, reason, error",
        errors: &[],
        example: r#"["dtime1qz9gjetmex6qv8ef508wwdm9c5etydggsuy9zpx3"]"#,
        unsafe_method: false,
        handler: Handler::Memory(validate_address),
    },
    Method {
        name: "getbalance",
        about: "The money of an address, in units.",
        params: &[required("address", "string", "whose money")],
        result: "object: spendable (can be spent now: neither spent by the pool nor waiting for anything), final (what \
                 it has once all final transactions are in blocks), committed (after the last block), pending \
                 (on its way by transactions that are not final), bonded, unbonding, outputs (their number after \
                 the last block)",
        errors: &[code::NOT_FOUND],
        example: r#"["dtime1qz9gjetmex6qv8ef508wwdm9c5etydggsuy9zpx3"]"#,
        unsafe_method: false,
        handler: Handler::Storage(balance),
    },
    Method {
        name: "getaddresshistory",
        about: "The transactions that paid an address or spent its money, newest first.",
        params: &[
            required("address", "string", "whose"),
            optional("limit", "integer", "at most so many of blocks (50 if not given, 1000 at most)"),
            optional("before", "object", "`next` of the call before: {\"height\", \"position\"}"),
        ],
        result: "object: pool (those not yet in a block, only without `before`), transactions, next (null at the end). \
                 Each one: txid, status, received, spent, net, and height, position, time_ms if in a block",
        errors: &[code::NOT_FOUND, code::INVALID_PARAMETER],
        example: r#"["dtime1qz9gjetmex6qv8ef508wwdm9c5etydggsuy9zpx3", 50]"#,
        unsafe_method: false,
        handler: Handler::Storage(address_history),
    },
];

fn validate_address(context: &Context, args: &Args) -> Answer {
    let text: String = args.required("address")?;
    let refused = |network: Option<_>, error: AddressError| {
        json!({
            "isvalid": false,
            "network": network,
            "reason": format!("address-{}", variant_slug(&error)),
            "error": error.to_string(),
        })
    };
    Ok(match parse_any_address(&text) {
        Ok((owner, network)) if network == context.network() => json!({
            "isvalid": true,
            "address": address_text(&owner, network),
            "network": network,
            "owner": owner,
        }),
        Ok((_, found)) => refused(Some(found), AddressError::Network { found, expected: context.network() }),
        Err(error) => refused(None, error),
    })
}

/// Sums of units; they never exceed the supply, which fits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
struct Balance {
    spendable: u64,
    #[serde(rename = "final")]
    finally: u64,
    committed: u64,
    pending: u64,
    bonded: u64,
    unbonding: u64,
    outputs: u64,
}

const fn add(sum: &mut u64, amount: Amount) {
    *sum = sum.saturating_add(amount.0);
}

impl Balance {
    fn count_committed(&mut self, utxo: &Utxo, spent: bool, spent_finally: bool, can_spend: bool) {
        self.outputs = self.outputs.saturating_add(1);
        let amount = utxo.output.amount;
        match utxo.output.lock {
            Lock::Bond { .. } => return add(&mut self.bonded, amount),
            Lock::Unbonding(_) if !can_spend => return add(&mut self.unbonding, amount),
            Lock::Unbonding(_) | Lock::Address(_) => {}
        }
        add(&mut self.committed, amount);
        if !spent_finally {
            add(&mut self.finally, amount);
        }
        if !spent {
            add(&mut self.spendable, amount);
        }
    }

    fn count_pool(&mut self, pool: &PoolView) {
        for (outpoint, output, is_final) in pool.made() {
            if !matches!(output.lock, Lock::Address(_)) {
                continue;
            }
            if is_final && !pool.spends_finally(outpoint) {
                add(&mut self.finally, output.amount);
            }
            if !pool.spends(outpoint) {
                add(if is_final { &mut self.spendable } else { &mut self.pending }, output.amount);
            }
        }
    }
}

fn balance(context: &Context, args: &Args) -> Answer {
    let owner = context.owner(&args.required::<String>("address")?)?;
    let sums = context.at_one_height(|state| sum_up(context, &owner, state.height))?;
    super::context::answer(sums)
}

fn sum_up(context: &Context, owner: &Owner, tip: Height) -> Result<Balance, RpcError> {
    let unbonding_blocks = context.view.genesis.params.unbonding_blocks;
    let mut pool = PoolView::read(&context.view, owner);
    let mut sums = Balance::default();
    let mut after = None;
    loop {
        let page = context.view.chain.utxos_of(owner, after, BALANCE_PAGE_OUTPUTS)?;
        for (outpoint, utxo) in &page {
            let can_spend = is_spendable(&Unspent::Committed(*utxo), tip.0, unbonding_blocks);
            sums.count_committed(utxo, pool.spends(outpoint), pool.spends_finally(outpoint), can_spend);
            // A block may have come since the pool was read, or its transactions may not have left
            // the pool yet: no output counts twice.
            pool.forget(outpoint);
        }
        after = page.last().map(|(outpoint, _)| *outpoint);
        if page.len() < BALANCE_PAGE_OUTPUTS {
            break;
        }
    }
    sums.count_pool(&pool);
    Ok(sums)
}

/// A place in the history of an address: entries below it are older.
#[derive(Clone, Copy, Debug)]
struct Before(Height, u32);

impl FromParam for Before {
    const EXPECTED: &'static str = "{\"height\": integer, \"position\": integer}";
    fn from_param(value: &Value) -> Option<Self> {
        let height = value.get("height")?.as_u64()?;
        Some(Self(Height(height), value.get("position")?.as_u64()?.try_into().ok()?))
    }
}

fn address_history(context: &Context, args: &Args) -> Answer {
    let owner = context.owner(&args.required::<String>("address")?)?;
    let limit = args.optional("limit")?.unwrap_or(HISTORY_LIMIT_DEFAULT);
    if limit == 0 || limit > HISTORY_LIMIT_MAX {
        return Err(RpcError::out_of_range("limit", &format!("1 to {HISTORY_LIMIT_MAX}")));
    }
    let before = args.optional::<Before>("before")?.map(|Before(height, position)| (height, position));
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    context.at_one_height(|_| {
        let pool = if before.is_none() { pool_history(context, &owner)? } else { Vec::new() };
        let page = context.view.chain.history_of(&owner, before, limit)?;
        let last = page.last().filter(|_| page.len() == limit);
        let next = last.map(|(height, position, _)| json!({"height": height, "position": position}));
        let listed: Result<Vec<Value>, RpcError> =
            page.iter().map(|(_, _, txid)| committed_entry(context, &owner, txid)).collect();
        Ok(json!({"pool": pool, "transactions": listed?, "next": next}))
    })
}

fn pool_history(context: &Context, owner: &Owner) -> Result<Vec<Value>, RpcError> {
    let concerned: Vec<_> = context
        .view
        .pool
        .iter()
        .filter(|entry| {
            let transaction = &entry.transaction;
            paid_to(&transaction.body.outputs, owner).0 > 0 || is_spender(transaction, owner)
        })
        .map(|entry| (entry.admitted_at, entry.admitted.txid, entry.transaction.clone(), entry.status.clone()))
        .collect();
    let mut entries = Vec::with_capacity(concerned.len());
    for (admitted_at, txid, transaction, status) in concerned {
        let mut fields = flow(context, owner, &txid, &transaction, false)?;
        super::shape::extend(&mut fields, finality::status(&status));
        super::shape::extend(&mut fields, json!({"admitted_ms": admitted_at.millis()}));
        entries.push((admitted_at, fields));
    }
    entries.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    Ok(entries.into_iter().map(|(_, fields)| fields).collect())
}

fn committed_entry(context: &Context, owner: &Owner, txid: &Txid) -> Answer {
    let stored = context.view.chain.transaction(txid)?;
    let stored = stored.ok_or_else(|| RpcError::internal(format!("transaction {txid} is listed, but not stored")))?;
    let coinbase = stored.position == 0;
    let mut fields = flow(context, owner, txid, &stored.transaction, coinbase)?;
    super::shape::extend(&mut fields, finality::status(&timecoin_protocol::engine::Status::Committed(stored.height)));
    let time_ms = stored.block.block.header.time_ms;
    super::shape::extend(
        &mut fields,
        json!({"position": stored.position, "coinbase": coinbase, "time_ms": time_ms, "time": time_ms / 1_000}),
    );
    Ok(fields)
}

/// What a transaction brought to an owner and took from it.
fn flow(context: &Context, owner: &Owner, txid: &Txid, transaction: &Transaction, coinbase: bool) -> Answer {
    let received = paid_to(&transaction.body.outputs, owner);
    let mut spent = Amount::ZERO;
    if !coinbase && is_spender(transaction, owner) {
        for input in &transaction.body.inputs {
            let output = context.output(input)?.filter(|output| output.lock.owner() == owner);
            spent = output.and_then(|output| spent.checked_add(output.amount)).unwrap_or(spent);
        }
    }
    let net = i128::from(received.0) - i128::from(spent.0);
    Ok(json!({"txid": txid, "received": received, "spent": spent, "net": i64::try_from(net).ok()}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use timecoin_protocol::transaction::Output;

    fn utxo(units: u64, lock: Lock) -> Utxo {
        Utxo { output: Output { amount: Amount(units), lock }, height: 1, coinbase: false }
    }

    #[test]
    fn money_that_a_final_payment_took_is_committed_but_no_longer_ours() {
        let mut sums = Balance::default();
        let lock = Lock::Address(Owner([1; 20]));
        sums.count_committed(&utxo(1, lock), false, false, true);
        sums.count_committed(&utxo(20, lock), true, false, true);
        sums.count_committed(&utxo(300, lock), true, true, true);
        assert_eq!((sums.committed, sums.finally, sums.spendable, sums.outputs), (321, 21, 1, 3));
    }

    #[test]
    fn collateral_is_counted_apart_until_it_can_be_spent() {
        let mut sums = Balance::default();
        let owner = Owner([1; 20]);
        let validator = timecoin_protocol::keys::PublicKey([2; 32]);
        sums.count_committed(&utxo(5, Lock::Bond { validator, owner }), false, false, false);
        sums.count_committed(&utxo(7, Lock::Unbonding(owner)), false, false, false);
        sums.count_committed(&utxo(9, Lock::Unbonding(owner)), false, false, true);
        assert_eq!((sums.bonded, sums.unbonding, sums.committed, sums.spendable), (5, 7, 9, 9));
    }
}
