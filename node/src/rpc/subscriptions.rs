//! Subscriptions over WebSocket. Each one is a task with its own place in the news; one that
//! falls too far behind is closed and told why.

use super::args::Args;
use super::bounds::{FOLLOWED_TRANSACTIONS_MAX, SUBSCRIBER_STALL_MS_MAX};
use super::context::Context;
use super::error::{RpcError, code};
use super::finality;
use super::pool_view::{is_spender, paid_to};
use super::shape;
use super::table::{Handler, Method, optional, required};
use crate::view::{News, Outcome};
use jsonrpsee::core::server::{SubscriptionCloseResponse, SubscriptionMessage};
use jsonrpsee::core::{SubscriptionError, to_json_raw_value};
use jsonrpsee::{PendingSubscriptionSink, SubscriptionSink};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use timecoin_protocol::address::Owner;
use timecoin_protocol::engine::{Admitted, Status};
use timecoin_protocol::hash::Txid;
use timecoin_protocol::transaction::Transaction;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// What a subscription is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Each new block.
    Blocks,
    /// Each change of a transaction's status.
    Finality,
    /// The transactions of one address.
    Address,
}

/// The methods of this subject.
pub const METHODS: &[Method] = &[
    Method {
        name: "subscribeblocks",
        about: "Tells of each new block (WebSocket only; unsubscribeblocks ends it).",
        params: &[],
        result: "subscription id; then notifications `block` with a header as getblockheader's, nTx and fees",
        errors: &[],
        example: "[]",
        unsafe_method: false,
        handler: Handler::Subscription {
            notification: "block",
            unsubscribe: "unsubscribeblocks",
            topic: Topic::Blocks,
        },
    },
    Method {
        name: "subscribefinality",
        about: "Tells of each change of a transaction's status (WebSocket only; unsubscribefinality ends it).",
        params: &[optional("txids", "array", "only of these transactions; all if not given")],
        result: "subscription id; then notifications `finality` with an object as gettransactionfinality's",
        errors: &[],
        example: "[]",
        unsafe_method: false,
        handler: Handler::Subscription {
            notification: "finality",
            unsubscribe: "unsubscribefinality",
            topic: Topic::Finality,
        },
    },
    Method {
        name: "subscribeaddress",
        about: "Tells of transactions that pay an address or spend its money: when they enter the pool, change \
                status, or are in a block (WebSocket only; unsubscribeaddress ends it).",
        params: &[required("address", "string", "whose")],
        result: "subscription id; then notifications `address` with txid, status, received, spends and what belongs \
                 to the status",
        errors: &[code::NOT_FOUND],
        example: r#"["dtime1qz9gjetmex6qv8ef508wwdm9c5etydggsuy9zpx3"]"#,
        unsafe_method: false,
        handler: Handler::Subscription {
            notification: "address",
            unsubscribe: "unsubscribeaddress",
            topic: Topic::Address,
        },
    },
];

/// Which news a subscriber wants, and in what form.
#[derive(Debug)]
enum Filter {
    Blocks,
    Finality(Option<HashSet<Txid>>),
    Address { owner: Owner, followed: HashSet<Txid> },
}

impl Filter {
    fn new(topic: Topic, args: &Args, context: &Context) -> Result<Self, RpcError> {
        Ok(match topic {
            Topic::Blocks => Self::Blocks,
            Topic::Finality => Self::Finality(match args.optional::<Vec<Value>>("txids")? {
                None => None,
                Some(list) => Some(list.iter().map(txid).collect::<Result<_, _>>()?),
            }),
            Topic::Address => {
                let owner = context.owner(&args.required::<String>("address")?)?;
                Self::Address { owner, followed: in_pool(context, &owner) }
            }
        })
    }

    /// The notifications that a piece of news gives.
    fn select(&mut self, news: &News) -> Vec<Value> {
        match (self, news) {
            (Self::Blocks, News::Block(block, delta)) => {
                let mut fields = shape::header(&block.block.header);
                let more = json!({"nTx": delta.txids.len() + 1, "fees": delta.fees, "round": block.commit.round});
                shape::extend(&mut fields, more);
                vec![fields]
            }
            (Self::Finality(wanted), News::Status { txid, status, at, admitted_at }) => {
                let wanted = wanted.as_ref().is_none_or(|wanted| wanted.contains(txid));
                let final_at = matches!(status, Status::Final(_)).then_some(*at);
                let outcome = Outcome { admitted_at: *admitted_at, final_at, ..Outcome::new(status.clone()) };
                if wanted { vec![finality::outcome(txid, &outcome)] } else { Vec::new() }
            }
            (Self::Address { owner, followed }, news) => address_news(owner, followed, news),
            _ => Vec::new(),
        }
    }
}

fn txid(value: &Value) -> Result<Txid, RpcError> {
    let parsed = value.as_str().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| RpcError::bad_parameter("txids", "a list of txids", &super::args::describe(value)))
}

fn concerns(transaction: &Transaction, owner: &Owner) -> bool {
    paid_to(&transaction.body.outputs, owner).0 > 0 || is_spender(transaction, owner)
}

/// Transactions of an address that are in the pool already when the subscription begins.
fn in_pool(context: &Context, owner: &Owner) -> HashSet<Txid> {
    let mine = context.view.pool.iter().filter(|entry| concerns(&entry.transaction, owner));
    mine.map(|entry| *entry.key()).take(FOLLOWED_TRANSACTIONS_MAX).collect()
}

fn address_news(owner: &Owner, followed: &mut HashSet<Txid>, news: &News) -> Vec<Value> {
    match news {
        News::Admitted(transaction, Admitted { txid, conflict, .. }) if concerns(transaction, owner) => {
            if followed.len() < FOLLOWED_TRANSACTIONS_MAX {
                followed.insert(*txid);
            }
            let status = conflict.map_or(Status::Pending, Status::Contested);
            vec![movement(owner, txid, transaction, &status)]
        }
        // What a block holds is told with the block, so that nothing is told twice.
        News::Status { status: Status::Committed(_), .. } => Vec::new(),
        News::Status { txid, status, .. } if followed.contains(txid) => {
            if matches!(status, Status::Rejected(_)) {
                followed.remove(txid);
            }
            let mut fields = finality::status(status);
            shape::extend(&mut fields, json!({"txid": txid}));
            vec![fields]
        }
        News::Block(block, delta) => {
            let status = Status::Committed(block.block.header.height);
            let coinbase = Transaction { body: block.block.coinbase.clone(), witnesses: Vec::new() };
            let transfers = delta.txids.iter().zip(&block.block.transactions);
            std::iter::once((&delta.coinbase, &coinbase))
                .chain(transfers)
                .filter(|(_, transaction)| concerns(transaction, owner))
                .map(|(txid, transaction)| {
                    followed.remove(txid);
                    movement(owner, txid, transaction, &status)
                })
                .collect()
        }
        _ => Vec::new(),
    }
}

fn movement(owner: &Owner, txid: &Txid, transaction: &Transaction, status: &Status) -> Value {
    let mut fields = finality::status(status);
    let received = paid_to(&transaction.body.outputs, owner);
    shape::extend(&mut fields, json!({"txid": txid, "received": received, "spends": is_spender(transaction, owner)}));
    fields
}

/// Serves one subscription from its request to its end.
pub async fn serve(
    topic: Topic,
    args: Result<Args, RpcError>,
    pending: PendingSubscriptionSink,
    context: Arc<Context>,
) -> SubscriptionCloseResponse {
    // Before the pool is read for the filter: what happens in between is in the news.
    let news = context.view.subscribe();
    match args.and_then(|args| Filter::new(topic, &args, &context)) {
        Err(error) => {
            pending.reject(error).await;
            SubscriptionCloseResponse::None
        }
        Ok(filter) => match pending.accept().await {
            Ok(sink) => stream(filter, sink, news, &context).await,
            Err(_) => SubscriptionCloseResponse::None,
        },
    }
}

async fn stream(
    mut filter: Filter,
    sink: SubscriptionSink,
    mut news: Receiver<News>,
    context: &Context,
) -> SubscriptionCloseResponse {
    loop {
        let item = tokio::select! {
            () = sink.closed() => return SubscriptionCloseResponse::None,
            () = context.stop.cancelled() => return closing(&RpcError::stopping()),
            item = news.recv() => item,
        };
        let messages = match item {
            Ok(item) => filter.select(&item),
            Err(RecvError::Lagged(missed)) => return closing(&lagged(missed)),
            Err(RecvError::Closed) => return closing(&RpcError::stopping()),
        };
        for message in &messages {
            let Ok(message) = SubscriptionMessage::new(sink.method_name(), sink.subscription_id(), message) else {
                continue;
            };
            let stall = Duration::from_millis(SUBSCRIBER_STALL_MS_MAX);
            if sink.send_timeout(message, stall).await.is_err() {
                tracing::info!(method = sink.method_name(), "a subscriber does not read; its subscription is closed");
                return closing(&lagged(0));
            }
        }
    }
}

fn lagged(missed: u64) -> RpcError {
    let message = "the subscription is closed: the client reads more slowly than news arrive";
    let hint = "subscribe again, and look up with getblock or gettransactionfinality what was missed";
    RpcError::new(code::MISC, message, "lagged", hint).with("missed", missed)
}

/// The last notification of a subscription: why it ended.
fn closing(error: &RpcError) -> SubscriptionCloseResponse {
    let fields = json!({"code": error.code, "message": error.message, "data": error.data});
    match to_json_raw_value(&fields) {
        Ok(raw) => SubscriptionCloseResponse::NotifErr(SubscriptionError::from_json(raw)),
        Err(_) => SubscriptionCloseResponse::None,
    }
}
