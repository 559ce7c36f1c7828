//! What a client is told when a call fails: Bitcoin's codes, and in `data` a reason for programs
//! and a hint for people.

use crate::store::StoreError;
use crate::view::SubmitError;
use jsonrpsee::types::ErrorObjectOwned;
use serde_json::{Map, Value, json};
use std::fmt::Debug;
use timecoin_protocol::codec::DecodeError;
use timecoin_protocol::engine::{Refusal, RejectReason};
use timecoin_protocol::ledger::TransactionError;

/// Error codes, with Bitcoin's meanings where Bitcoin has them.
pub mod code {
    /// Anything that has no code of its own.
    pub const MISC: i32 = -1;
    /// An address or a thing that was named does not exist.
    pub const NOT_FOUND: i32 = -5;
    /// A parameter of the right type is out of range or makes no sense.
    pub const INVALID_PARAMETER: i32 = -8;
    /// Bytes cannot be decoded.
    pub const DESERIALIZATION: i32 = -22;
    /// A transaction spends what this node does not know.
    pub const VERIFY: i32 = -25;
    /// A transaction is refused by the rules or by the pool.
    pub const VERIFY_REJECTED: i32 = -26;
    /// A transaction is in a block already.
    pub const ALREADY_IN_CHAIN: i32 = -27;
    /// The node is starting, catching up, or stopping.
    pub const IN_WARMUP: i32 = -28;
    /// JSON-RPC: parameters of the wrong type, missing, or unknown.
    pub const INVALID_PARAMS: i32 = -32602;
    /// JSON-RPC: the node failed.
    pub const INTERNAL: i32 = -32603;
    /// JSON-RPC: no such method, or not allowed here.
    pub const METHOD_NOT_FOUND: i32 = -32601;
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct RpcError {
    /// One of [`code`].
    pub code: i32,
    /// What was wrong, for people.
    pub message: String,
    /// `reason` (a slug for programs), `hint` (what to do), and what belongs to the reason.
    pub data: Map<String, Value>,
}

impl RpcError {
    /// An error with a reason slug and a hint.
    #[must_use]
    pub fn new(code: i32, message: impl Into<String>, reason: impl Into<String>, hint: &str) -> Self {
        let mut data = Map::new();
        data.insert("reason".to_owned(), Value::String(reason.into()));
        data.insert("hint".to_owned(), json!(hint));
        Self { code, message: message.into(), data }
    }

    /// Adds something machine-readable to the data.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.data.insert(name.to_owned(), value.into());
        self
    }

    /// Something named by the caller does not exist here.
    #[must_use]
    pub fn not_found(what: &str, hint: &str) -> Self {
        let reason = format!("unknown-{what}");
        Self::new(code::NOT_FOUND, format!("no such {what} is known to this node"), reason, hint)
    }

    /// A parameter of the right type has an impossible value.
    #[must_use]
    pub fn out_of_range(name: &str, expected: &str) -> Self {
        let message = format!("parameter `{name}` is out of range: expected {expected}");
        Self::new(code::INVALID_PARAMETER, message, "out-of-range", "see `help` with the name of the method")
            .with("parameter", name)
    }

    /// A parameter is missing or has the wrong type.
    #[must_use]
    pub fn bad_parameter(name: &str, expected: &str, found: &str) -> Self {
        let message = format!("parameter `{name}`: expected {expected}, found {found}");
        Self::new(code::INVALID_PARAMS, message, "bad-parameter", "see `help` with the name of the method")
            .with("parameter", name)
    }

    /// The node ends before the call could be answered.
    #[must_use]
    pub fn stopping() -> Self {
        Self::new(code::IN_WARMUP, "the node is stopping", "stopping", "ask again once it has started")
    }

    /// The node itself failed; the log has more.
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(code::INTERNAL, message, "internal", "the node's log says more")
    }

    /// Why a transaction was not taken. `synced`: whether the node is level with the network.
    #[must_use]
    pub fn refused(error: &SubmitError, synced: bool) -> Self {
        let message = error.to_string();
        let plain = |code, hint| Self::new(code, message.clone(), submit_reason(error), hint);
        match error {
            SubmitError::Signature => plain(code::VERIFY_REJECTED, "sign it again, for this network and with the keys of its inputs"),
            SubmitError::Busy => plain(code::MISC, "nothing is wrong with the transaction; try again in a moment"),
            SubmitError::Refused(refusal) => match refusal {
                Refusal::Invalid(_) => plain(code::VERIFY_REJECTED, "the transaction must be changed; it cannot become valid by waiting"),
                Refusal::MissingInput(outpoint) if !synced => Self::new(
                    code::IN_WARMUP,
                    format!("{message}; this node is still catching up"),
                    "syncing",
                    "wait until `getblockchaininfo` shows `initialblockdownload: false`, then send it again",
                )
                .with("outpoint", outpoint.to_string()),
                Refusal::MissingInput(outpoint) => plain(
                    code::VERIFY,
                    "if its parent was sent elsewhere a moment ago, try again; else the output is spent or does not exist",
                )
                .with("outpoint", outpoint.to_string()),
                Refusal::SpentByFinal { outpoint, by } => {
                    plain(code::VERIFY_REJECTED, "that money is spent for good; build a transaction with other inputs")
                        .with("outpoint", outpoint.to_string())
                        .with("conflict", by.to_string())
                }
                Refusal::TooManyConflicts(outpoint) => plain(
                    code::VERIFY_REJECTED,
                    "wait until one of the conflicting transactions wins; `getmempoolentry` shows them",
                )
                .with("outpoint", outpoint.to_string()),
                Refusal::ChainTooLong { max } => {
                    plain(code::VERIFY_REJECTED, "wait until an ancestor is final, then send it again").with("max", *max)
                }
                Refusal::PoolFull { needed_milli } => {
                    plain(code::VERIFY_REJECTED, "pay a higher fee, or send it again later")
                        .with("needed_milliunits_per_byte", *needed_milli)
                }
                Refusal::Known => plain(code::ALREADY_IN_CHAIN, "nothing to do: `gettransactionfinality` says where it stands"),
                Refusal::Committed(height) => {
                    plain(code::ALREADY_IN_CHAIN, "nothing to do: it is in a block").with("height", height.0)
                }
            },
        }
    }
}

/// Reason slug of a refusal.
#[must_use]
pub fn submit_reason(error: &SubmitError) -> String {
    match error {
        SubmitError::Refused(Refusal::Invalid(error)) => rule_slug(error),
        SubmitError::Refused(refusal) => variant_slug(refusal),
        SubmitError::Signature => "bad-signature".to_owned(),
        SubmitError::Busy => "busy".to_owned(),
    }
}

/// Reason slug of a rejection.
#[must_use]
pub fn reject_reason(reason: &RejectReason) -> String {
    match reason {
        RejectReason::Invalid(error) => rule_slug(error),
        other => variant_slug(other),
    }
}

/// What a wallet may do about a rejection.
#[must_use]
pub const fn reject_hint(reason: &RejectReason) -> &'static str {
    match reason {
        RejectReason::Conflict(_) => "another transaction spent the same money; build a new one with other inputs",
        RejectReason::Ancestor(_) => "a transaction that it builds on was rejected; build a new one with other inputs",
        RejectReason::Evicted => {
            "the pool was full of transactions that pay more; send it again with a higher fee, or later"
        }
        RejectReason::Expired => "an input never became known; send its parent first, then send it again",
        RejectReason::Invalid(_) => "it breaks a rule of the ledger; build a new one",
    }
}

/// The name of a broken ledger rule, as a slug.
fn rule_slug(error: &TransactionError) -> String {
    error.code().replace('_', "-")
}

/// The name of an enum variant in lower case with dashes: `MissingInput(..)` → `missing-input`.
#[must_use]
pub fn variant_slug(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    let mut slug = String::new();
    for character in text.chars().take_while(char::is_ascii_alphanumeric) {
        if character.is_ascii_uppercase() && !slug.is_empty() {
            slug.push('-');
        }
        slug.push(character.to_ascii_lowercase());
    }
    slug
}

impl From<StoreError> for RpcError {
    fn from(error: StoreError) -> Self {
        Self::internal(format!("the database cannot be read: {error}")).with("reason", "storage")
    }
}

impl From<DecodeError> for RpcError {
    fn from(error: DecodeError) -> Self {
        Self::new(
            code::DESERIALIZATION,
            format!("not a transaction: {error}"),
            variant_slug(&error),
            "give the whole transaction in hexadecimal, as `createrawtransaction` or a wallet made it",
        )
    }
}

impl From<RpcError> for ErrorObjectOwned {
    fn from(error: RpcError) -> Self {
        Self::owned(error.code, error.message, Some(Value::Object(error.data)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use timecoin_protocol::hash::Txid;
    use timecoin_protocol::transaction::OutPoint;
    use timecoin_protocol::validator::Height;

    fn outpoint() -> OutPoint {
        OutPoint { txid: Txid([7; 32]), index: 3 }
    }

    fn refused(refusal: Refusal) -> RpcError {
        RpcError::refused(&SubmitError::Refused(refusal), true)
    }

    #[test]
    fn a_slug_is_the_variant_name_in_lower_case_with_dashes() {
        assert_eq!(variant_slug(&Refusal::MissingInput(outpoint())), "missing-input");
        assert_eq!(variant_slug(&Refusal::ChainTooLong { max: 2 }), "chain-too-long");
        assert_eq!(variant_slug(&Refusal::Known), "known");
    }

    #[test]
    fn every_refusal_has_the_code_that_bitcoin_gives_it() {
        let spent = Refusal::SpentByFinal { outpoint: outpoint(), by: Txid([9; 32]) };
        for (refusal, code) in [
            (Refusal::MissingInput(outpoint()), code::VERIFY),
            (spent, code::VERIFY_REJECTED),
            (Refusal::TooManyConflicts(outpoint()), code::VERIFY_REJECTED),
            (Refusal::ChainTooLong { max: 25 }, code::VERIFY_REJECTED),
            (Refusal::PoolFull { needed_milli: 1 }, code::VERIFY_REJECTED),
            (Refusal::Known, code::ALREADY_IN_CHAIN),
            (Refusal::Committed(Height(4)), code::ALREADY_IN_CHAIN),
        ] {
            let error = refused(refusal.clone());
            assert_eq!(error.code, code, "{refusal:?}");
            assert_eq!(error.message, refusal.to_string());
            assert_eq!(error.data["reason"], variant_slug(&refusal));
            assert!(error.data["hint"].as_str().is_some_and(|hint| hint.len() > 10));
        }
    }

    #[test]
    fn a_broken_rule_is_named_by_its_stable_name() {
        let error = refused(Refusal::Invalid(TransactionError::MemoTooLong(81)));
        assert_eq!((error.code, &error.data["reason"]), (code::VERIFY_REJECTED, &json!("memo-too-long")));
    }

    #[test]
    fn an_unknown_input_on_a_node_that_is_behind_blames_the_node() {
        let error = RpcError::refused(&SubmitError::Refused(Refusal::MissingInput(outpoint())), false);
        assert_eq!((error.code, &error.data["reason"]), (code::IN_WARMUP, &json!("syncing")));
    }

    #[test]
    fn a_conflict_names_the_transaction_that_won() {
        let error = refused(Refusal::SpentByFinal { outpoint: outpoint(), by: Txid([9; 32]) });
        assert_eq!(error.data["conflict"], "09".repeat(32));
    }
}
