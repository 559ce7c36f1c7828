//! Listens to what nodes say of payments. The ids are known before anything is sent, so a node is
//! asked for these only, and tells nothing else.

use super::board::Board;
use crate::failure::Failure;
use crate::rpc::{NodeClient, Standing};
use futures::StreamExt as _;
use jsonrpsee::core::client::Subscription;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use timecoin_protocol::hash::Txid;
use tokio::task::JoinSet;

/// Ids in one subscription: as many as fit a request of 4 MiB.
const TXIDS_PER_SUBSCRIPTION: usize = 40_000;
/// Pause before a subscription that ended is opened again.
const REOPEN_PAUSE: Duration = Duration::from_millis(100);
/// Payments that one pass of [`catch_up`] asks for at once.
const QUESTIONS_AT_ONCE: usize = 256;

/// Opens the subscriptions of one node and listens in the background; the tasks end when `tasks` is
/// dropped.
pub async fn listen(
    tasks: &mut JoinSet<()>,
    client: &Arc<NodeClient>,
    node: usize,
    board: &Arc<Board>,
) -> Result<(), Failure> {
    for txids in board.watched_at(node).chunks(TXIDS_PER_SUBSCRIPTION) {
        let stream = client.subscribe_finality(txids).await?;
        tasks.spawn(follow(client.clone(), node, board.clone(), txids.to_vec(), stream));
    }
    Ok(())
}

async fn follow(
    client: Arc<NodeClient>,
    node: usize,
    board: Arc<Board>,
    txids: Vec<Txid>,
    mut stream: Subscription<Standing>,
) {
    loop {
        while let Some(item) = stream.next().await {
            if let Ok(standing) = item {
                board.note(node, &standing, board.now_us());
            }
        }
        // The node closes a subscription that falls behind. What was missed is asked for at the end.
        board.gaps.fetch_add(1, Ordering::Relaxed);
        stream = loop {
            tokio::time::sleep(REOPEN_PAUSE).await;
            if let Ok(stream) = client.subscribe_finality(&txids).await {
                break stream;
            }
        };
    }
}

/// Asks the nodes for payments that nothing was heard of; what they say is noted as of now, so a
/// gap in the news can only make finality look slower.
pub async fn catch_up(clients: &[Arc<NodeClient>], board: &Board) -> Result<(), Failure> {
    let mut questions = Vec::new();
    for (index, (payment, record)) in board.plan.payments.iter().zip(&board.records).enumerate() {
        let txid = board.txids.get(index).copied();
        match payment.pair {
            Some(pair) if board.settled_us(pair).is_none() => {
                questions.extend((0..clients.len()).filter_map(|node| Some((node, txid?))));
            }
            _ if record.is_open() => questions.extend(txid.map(|txid| (payment.node, txid))),
            _ => {}
        }
    }
    let answers = questions.into_iter().filter_map(|(node, txid)| {
        let client = clients.get(node)?;
        Some(async move { (node, standing(client, &txid).await) })
    });
    let mut answers = futures::stream::iter(answers).buffer_unordered(QUESTIONS_AT_ONCE);
    while let Some((node, answer)) = answers.next().await {
        if let Some(standing) = answer? {
            board.note(node, &standing, board.now_us());
        }
    }
    Ok(())
}

/// Where a payment stands at a node; `None` if the node does not know it.
pub async fn standing(client: &NodeClient, txid: &Txid) -> Result<Option<Standing>, Failure> {
    match client.call("gettransactionfinality", json!([txid])).await {
        Ok(standing) => Ok(Some(standing)),
        Err(error) if error.reason() == "unknown-transaction" => Ok(None),
        Err(error) => Err(error.into()),
    }
}
