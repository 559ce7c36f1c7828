//! Reads what `createrawtransaction` is told into a transaction body.

use super::args::{Args, describe};
use super::context::Context;
use super::error::RpcError;
use serde_json::{Map, Value};
use timecoin_protocol::amount::Amount;
use timecoin_protocol::bounds::{INPUTS_MAX, MEMO_BYTES_MAX, OUTPUTS_MAX};
use timecoin_protocol::keys::PublicKey;
use timecoin_protocol::transaction::{Lock, OutPoint, Output, TransactionBody};

/// The body that the parameters `inputs`, `outputs` and `memo` describe.
///
/// # Errors
/// One of them is not understood, or there are more than a transaction may have (L-2).
pub fn body(args: &Args, context: &Context) -> Result<TransactionBody, RpcError> {
    let inputs: Vec<Value> = args.required("inputs")?;
    let inputs: Vec<OutPoint> = inputs.iter().map(input).collect::<Result<_, _>>()?;
    if inputs.len() > INPUTS_MAX {
        return Err(RpcError::out_of_range("inputs", &format!("up to {INPUTS_MAX} inputs")));
    }
    let outputs = outputs(args.value("outputs"), context)?;
    if outputs.len() > OUTPUTS_MAX {
        return Err(RpcError::out_of_range("outputs", &format!("up to {OUTPUTS_MAX} outputs")));
    }
    Ok(TransactionBody { inputs, outputs, memo: memo(args.value("memo"))? })
}

/// An outpoint as `{"txid": hash, "vout": integer}`.
fn input(value: &Value) -> Result<OutPoint, RpcError> {
    outpoint(value).ok_or_else(|| {
        RpcError::bad_parameter("inputs", "objects {\"txid\": hash, \"vout\": integer}", &value.to_string())
    })
}

/// An outpoint as `{"txid": hash, "vout": integer}` or as the text `txid:vout`.
#[must_use]
pub fn outpoint(value: &Value) -> Option<OutPoint> {
    if let Some((txid, index)) = value.as_str().and_then(|text| text.split_once(':')) {
        return Some(OutPoint { txid: txid.parse().ok()?, index: index.parse().ok()? });
    }
    let txid = value.get("txid")?.as_str()?.parse().ok()?;
    let index = value.get("vout")?.as_u64()?.try_into().ok()?;
    Some(OutPoint { txid, index })
}

fn outputs(value: Option<&Value>, context: &Context) -> Result<Vec<Output>, RpcError> {
    match value {
        Some(Value::Array(list)) => {
            let made: Result<Vec<Vec<Output>>, RpcError> = list
                .iter()
                .map(|item| match item {
                    Value::Object(fields) if fields.contains_key("amount") => Ok(vec![long_output(fields, context)?]),
                    Value::Object(fields) => short_outputs(fields, context),
                    other => Err(not_output(other)),
                })
                .collect();
            Ok(made?.concat())
        }
        Some(Value::Object(fields)) => short_outputs(fields, context),
        Some(other) => Err(not_output(other)),
        None => Err(RpcError::bad_parameter("outputs", "a list or an object", "nothing")),
    }
}

fn not_output(value: &Value) -> RpcError {
    RpcError::bad_parameter("outputs", "{address: units}, see help createrawtransaction", &describe(value))
}

fn units(value: &Value) -> Result<Amount, RpcError> {
    let expected = "a whole number of units (1 TIME is 100000000 units)";
    value.as_u64().map(Amount).ok_or_else(|| RpcError::bad_parameter("outputs", expected, &describe(value)))
}

/// `{address: units, …}`
fn short_outputs(fields: &Map<String, Value>, context: &Context) -> Result<Vec<Output>, RpcError> {
    let one = |(address, amount): (&String, &Value)| {
        Ok(Output { amount: units(amount)?, lock: Lock::Address(context.owner(address)?) })
    };
    fields.iter().map(one).collect()
}

/// `{"amount": units, "address" | "unbonding" | "bond": …}`
fn long_output(fields: &Map<String, Value>, context: &Context) -> Result<Output, RpcError> {
    let amount = units(fields.get("amount").unwrap_or(&Value::Null))?;
    let wrong = || not_output(&Value::Object(fields.clone()));
    let mut kinds = fields.iter().filter(|(name, _)| name.as_str() != "amount");
    let (Some((kind, value)), None) = (kinds.next(), kinds.next()) else { return Err(wrong()) };
    let lock = match kind.as_str() {
        "address" => Lock::Address(context.owner(value.as_str().ok_or_else(wrong)?)?),
        "unbonding" => Lock::Unbonding(context.owner(value.as_str().ok_or_else(wrong)?)?),
        "bond" => {
            let text = |name: &str| value.get(name).and_then(Value::as_str).ok_or_else(wrong);
            let expected = "the validator's public key in 64 hexadecimal digits";
            let validator: PublicKey = text("validator")?
                .parse()
                .map_err(|_| RpcError::bad_parameter("outputs", expected, &describe(value)))?;
            Lock::Bond { validator, owner: context.owner(text("owner")?)? }
        }
        _ => return Err(wrong()),
    };
    Ok(Output { amount, lock })
}

fn memo(value: Option<&Value>) -> Result<Vec<u8>, RpcError> {
    let memo = match value {
        None => Vec::new(),
        Some(Value::String(text)) => text.clone().into_bytes(),
        Some(other) => {
            let bytes = other.get("hex").and_then(Value::as_str).and_then(|text| hex::decode(text).ok());
            bytes.ok_or_else(|| RpcError::bad_parameter("memo", "a text or {\"hex\": bytes}", &describe(other)))?
        }
    };
    if memo.len() > MEMO_BYTES_MAX {
        return Err(RpcError::out_of_range("memo", &format!("up to {MEMO_BYTES_MAX} bytes")));
    }
    Ok(memo)
}
