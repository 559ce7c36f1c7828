//! Where a payment stands, and waiting until it is final.

use super::args::Args;
use super::bounds::{WAIT_MS_DEFAULT, WAIT_MS_MAX};
use super::context::Context;
use super::error::{RpcError, code, reject_hint, reject_reason};
use super::shape;
use super::table::{Answer, Handler, Method, optional, required};
use super::waiters::is_terminal;
use crate::store::StoredTransaction;
use crate::view::Outcome;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use timecoin_protocol::codec::encode;
use timecoin_protocol::engine::{Fallback, Path, RejectReason, Status};
use timecoin_protocol::hash::{Txid, merkle_path};
use timecoin_protocol::transaction::Transaction;

/// The methods of this subject.
pub const METHODS: &[Method] = &[
    Method {
        name: "gettransactionfinality",
        about: "Where a transaction stands: pending, contested, prepared, final, committed or rejected. Of the last \
                three, no one takes back the first two; `final` says whether it is one of them.",
        params: &[
            required("txid", "string", "the transaction"),
            optional(
                "proof",
                "boolean",
                "true: with a proof that needs nothing but the validator set: the certificate's votes, or after the \
                 block the header, commit and Merkle path (default false)",
            ),
        ],
        result: "object: txid, status, final, path (sampled or block), path_reason (of a block: certified, contested, \
                 silent or unseen; both null if it became final before this node started), conflict, height, reason, hint, \
                 admitted_ms, final_ms, finality_ms (from admission to finality at this node), proof",
        errors: &[code::NOT_FOUND],
        example: r#"["0000000000000000000000000000000000000000000000000000000000000000", true]"#,
        unsafe_method: false,
        handler: Handler::Waiting(transaction_finality),
    },
    Method {
        name: "waittransactionfinality",
        about: "Waits until a transaction is final, in a block, or rejected. A transaction that is not known yet is \
                waited for too. In a batch, the requests after it wait as well.",
        params: &[
            required("txid", "string", "the transaction"),
            optional("timeout_ms", "integer", "milliseconds to wait at most: 30000 if not given, 600000 at most"),
        ],
        result: "object as gettransactionfinality's without proof; status is final, committed or rejected",
        errors: &[code::MISC, code::NOT_FOUND, code::INVALID_PARAMETER, code::IN_WARMUP],
        example: r#"["0000000000000000000000000000000000000000000000000000000000000000", 5000]"#,
        unsafe_method: false,
        handler: Handler::Waiting(wait_transaction_finality),
    },
];

/// The word for a status.
#[must_use]
pub const fn status_name(status: &Status) -> &'static str {
    match status {
        Status::Pending => "pending",
        Status::Contested(_) => "contested",
        Status::Prepared => "prepared",
        Status::Final(_) => "final",
        Status::Committed(_) => "committed",
        Status::Rejected(_) => "rejected",
    }
}

/// The fields that say what a status is.
#[must_use]
pub fn status(status: &Status) -> Value {
    let mut fields = json!({
        "status": status_name(status),
        "final": matches!(status, Status::Final(_) | Status::Committed(_)),
    });
    let more = match status {
        Status::Pending | Status::Prepared => json!({}),
        Status::Contested(other) => json!({
            "conflict": other,
            "hint": "another transaction spends the same money; at most one of them becomes final",
        }),
        Status::Final(path) => json!({"path": path_name(*path), "path_reason": path_reason(*path)}),
        Status::Committed(height) => json!({"height": height}),
        Status::Rejected(reason) => json!({
            "reason": reject_reason(reason),
            "reason_text": reject_text(reason),
            "hint": reject_hint(reason),
            "conflict": if let RejectReason::Conflict(other) = reason { Some(other) } else { None },
            "ancestor": if let RejectReason::Ancestor(other) = reason { Some(other) } else { None },
        }),
    };
    shape::extend(&mut fields, more);
    fields
}

fn reject_text(reason: &RejectReason) -> String {
    match reason {
        RejectReason::Conflict(other) => format!("its money was spent by {other}"),
        RejectReason::Ancestor(other) => format!("its ancestor {other} was rejected"),
        RejectReason::Evicted => "pushed out of a full pool".to_owned(),
        RejectReason::Expired => "waited too long for an unknown input".to_owned(),
        RejectReason::Invalid(error) => error.to_string(),
    }
}

/// A transaction's status with its times.
#[must_use]
pub fn outcome(txid: &Txid, outcome: &Outcome) -> Value {
    let mut fields = status(&outcome.status);
    let micros = outcome.admitted_at.zip(outcome.final_at).map(|(admitted, at)| at.micros_since(admitted));
    shape::extend(
        &mut fields,
        json!({
            "txid": txid,
            "path": outcome.path.map(path_name),
            "path_reason": outcome.path.and_then(path_reason),
            "admitted_ms": outcome.admitted_at.map(|at| at.millis()),
            "final_ms": outcome.final_at.map(|at| at.millis()),
            "finality_ms": micros.map(|micros| micros / 1_000),
        }),
    );
    fields
}

/// The word for the way in which a transaction became final.
#[must_use]
pub const fn path_name(path: Path) -> &'static str {
    match path {
        Path::Sampled => "sampled",
        Path::Block(_) => "block",
    }
}

/// Why it came to a block, if it did.
const fn path_reason(path: Path) -> Option<Fallback> {
    match path {
        Path::Sampled => None,
        Path::Block(fallback) => Some(fallback),
    }
}

fn unknown() -> RpcError {
    RpcError::not_found("transaction", "it may never have been sent, or was rejected and forgotten")
}

async fn look_up(context: &Arc<Context>, txid: Txid) -> Result<Option<Outcome>, RpcError> {
    match context.recent_outcome(&txid) {
        Some(outcome) => Ok(Some(outcome)),
        None => context.blocking(move |context| Ok(context.view.outcome(&txid))).await,
    }
}

fn transaction_finality(context: Arc<Context>, args: Args) -> BoxFuture<'static, Answer> {
    async move {
        let txid: Txid = args.required("txid")?;
        let found = look_up(&context, txid).await?.ok_or_else(unknown)?;
        let mut fields = outcome(&txid, &found);
        if args.optional("proof")?.unwrap_or(false) {
            let proof = match found.status {
                Status::Committed(_) => context.blocking(move |context| block_proof(context, &txid)).await?,
                _ => context.view.certificate(txid).await.map(|certificate| json!({"certificate": certificate})),
            };
            shape::extend(&mut fields, json!({"proof": proof}));
        }
        Ok(fields)
    }
    .boxed()
}

fn block_proof(context: &Context, txid: &Txid) -> Result<Option<Value>, RpcError> {
    Ok(context.view.chain.transaction(txid)?.and_then(|stored| inclusion(&stored)))
}

/// Header, commit and Merkle path: proves that a quorum committed the transaction.
fn inclusion(stored: &StoredTransaction) -> Option<Value> {
    let block = &stored.block.block;
    let mut txids = vec![block.coinbase.txid()];
    txids.extend(block.transactions.iter().map(Transaction::txid));
    let path = merkle_path(&txids, usize::try_from(stored.position).ok()?)?;
    Some(json!({
        "header": hex::encode(encode(&block.header)),
        "commit": hex::encode(encode(&stored.block.commit)),
        "path": path,
    }))
}

fn wait_transaction_finality(context: Arc<Context>, args: Args) -> BoxFuture<'static, Answer> {
    async move {
        let txid: Txid = args.required("txid")?;
        let timeout_ms = args.optional("timeout_ms")?.unwrap_or(WAIT_MS_DEFAULT);
        if timeout_ms > WAIT_MS_MAX {
            return Err(RpcError::out_of_range("timeout_ms", &format!("up to {WAIT_MS_MAX} milliseconds")));
        }
        wait(&context, txid, Duration::from_millis(timeout_ms)).await
    }
    .boxed()
}

async fn wait(context: &Arc<Context>, txid: Txid, timeout: Duration) -> Answer {
    // The place in the queue comes before the look: what happens in between is in the news.
    let mut place = context.waiters.join(txid).ok_or_else(too_many)?;
    if let Some(found) = look_up(context, txid).await?.filter(|found| is_terminal(&found.status)) {
        return Ok(outcome(&txid, &found));
    }
    tokio::select! {
        () = context.stop.cancelled() => Err(RpcError::stopping()),
        told = &mut place.outcome => match told {
            Ok(found) => Ok(outcome(&txid, &found)),
            Err(_) => Err(RpcError::stopping()),
        },
        () = tokio::time::sleep(timeout) => match look_up(context, txid).await? {
            Some(found) if is_terminal(&found.status) => Ok(outcome(&txid, &found)),
            Some(found) => Err(timed_out(&found.status)),
            None => Err(unknown()),
        },
    }
}

fn too_many() -> RpcError {
    RpcError::new(code::MISC, "too many clients wait for finality", "busy", "try again, or poll gettransactionfinality")
}

fn timed_out(at: &Status) -> RpcError {
    let name = status_name(at);
    let error = RpcError::new(
        code::MISC,
        format!("not final yet: the transaction is {name}"),
        "timeout",
        "it may still become final: wait again",
    );
    error.with("status", name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use timecoin_protocol::engine::Time;
    use timecoin_protocol::validator::Height;

    const TXID: Txid = Txid([1; 32]);

    #[test]
    fn a_final_transaction_says_how_and_how_fast_it_became_so() {
        let found = Outcome {
            admitted_at: Some(Time(1_000_000)),
            final_at: Some(Time(1_250_900)),
            ..Outcome::new(Status::Final(Path::Sampled))
        };
        assert_eq!(
            outcome(&TXID, &found),
            json!({
                "txid": TXID, "status": "final", "final": true, "path": "sampled", "path_reason": null,
                "admitted_ms": 1_000, "final_ms": 1_250, "finality_ms": 250,
            })
        );
    }

    #[test]
    fn a_committed_transaction_is_final_and_has_a_height() {
        let found =
            Outcome { path: Some(Path::Block(Fallback::Contested)), ..Outcome::new(Status::Committed(Height(9))) };
        let shape = outcome(&TXID, &found);
        assert_eq!(
            (&shape["status"], &shape["final"], &shape["height"]),
            (&json!("committed"), &json!(true), &json!(9))
        );
        assert_eq!(shape["finality_ms"], Value::Null);
        assert_eq!((&shape["path"], &shape["path_reason"]), (&json!("block"), &json!("contested")));
    }

    #[test]
    fn every_rejection_has_a_reason_a_text_and_a_hint() {
        let other = Txid([2; 32]);
        for (reason, slug) in [
            (RejectReason::Conflict(other), "conflict"),
            (RejectReason::Ancestor(other), "ancestor"),
            (RejectReason::Evicted, "evicted"),
            (RejectReason::Expired, "expired"),
        ] {
            let shape = status(&Status::Rejected(reason));
            assert_eq!(
                (&shape["status"], &shape["final"], &shape["reason"]),
                (&json!("rejected"), &json!(false), &json!(slug))
            );
            assert!(shape["reason_text"].is_string() && shape["hint"].is_string());
        }
        let conflict = status(&Status::Rejected(RejectReason::Conflict(other)));
        assert_eq!(conflict["conflict"], json!(other));
    }

    #[test]
    fn a_contested_transaction_names_its_rival() {
        assert_eq!(status(&Status::Contested(TXID))["conflict"], json!(TXID));
    }
}
