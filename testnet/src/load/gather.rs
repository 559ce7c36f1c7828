//! Asks every node for what [`check`](super::check) judges.

use super::board::Board;
use super::check::{Evidence, PairEvidence, PaymentEvidence};
use super::watch::standing;
use crate::failure::Failure;
use crate::rpc::{BlockInfo, NodeClient, OutputSet, PoolInfo, Standing};
use futures::future::try_join_all;
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use timecoin_protocol::codec::decode;
use timecoin_protocol::genesis::Genesis;

/// Longest that the nodes may take to be at one height at one moment.
const AGREE_TIMEOUT: Duration = Duration::from_secs(30);
/// How often they are asked.
const AGREE_PERIOD: Duration = Duration::from_millis(20);
/// Questions on the way at once.
const QUESTIONS_AT_ONCE: usize = 128;
/// Blocks on the way at once.
const BLOCKS_AT_ONCE: usize = 4;
/// Largest genesis description, in bytes.
const GENESIS_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What was found out after a run.
#[derive(Clone, Debug)]
pub struct Findings {
    /// What is judged.
    pub evidence: Evidence,
    /// Blocks of the run: payments in each one, and its bytes.
    pub blocks: Vec<(u64, u64)>,
}

/// Gathers it. `first_height` is that of the first block of the run.
///
/// # Errors
/// A node does not answer, or the nodes do not reach one height.
pub async fn gather(clients: &[Arc<NodeClient>], board: &Board, first_height: u64) -> Result<Findings, Failure> {
    let genesis = genesis(clients).await?;
    let outputs = same_height(clients).await?;
    let height = outputs.iter().map(|outputs| outputs.height).min().unwrap_or_default();
    let headers = try_join_all(clients.iter().map(|client| block(client, height))).await?;
    let chain = chain(clients, first_height, height).await?;
    let pools = clients.iter().map(|client| client.call::<PoolInfo>("getmempoolinfo", json!([])));
    let pools = try_join_all(pools).await?.into_iter().map(|pool| pool.size).collect();
    let evidence = Evidence {
        outputs,
        headers: headers.into_iter().map(|block| (block.hash, block.utxo_set)).collect(),
        genesis_units: genesis.outputs.iter().map(|output| output.amount.units()).sum(),
        reward_units: genesis.params.block_reward_units,
        chain: chain.iter().flat_map(|block| block.tx.iter().copied()).collect(),
        payments: payments(board),
        pairs: pairs(clients, board).await?,
        pools,
    };
    let payments_in = |block: &BlockInfo| (block.tx.len() as u64).saturating_sub(1);
    Ok(Findings { evidence, blocks: chain.iter().map(|block| (payments_in(block), block.size)).collect() })
}

async fn genesis(clients: &[Arc<NodeClient>]) -> Result<Genesis, Failure> {
    let malformed = |why: &str| Failure::Runtime(std::io::Error::other(format!("the genesis is malformed: {why}")));
    let first = clients.first().ok_or_else(|| malformed("no node"))?;
    let text: String = first.call("getblock", json!([0, 0])).await?;
    let bytes = hex::decode(text).map_err(|error| malformed(&error.to_string()))?;
    decode(&bytes, GENESIS_BYTES_MAX).map_err(|error| malformed(&error.to_string()))
}

/// Asks until all nodes answer with the same height; blocks come all the time.
async fn same_height(clients: &[Arc<NodeClient>]) -> Result<Vec<OutputSet>, Failure> {
    let deadline = Instant::now() + AGREE_TIMEOUT;
    loop {
        let calls = clients.iter().map(|client| client.call::<OutputSet>("gettxoutsetinfo", json!([])));
        let outputs = try_join_all(calls).await?;
        let height = outputs.first().map(|outputs| outputs.height);
        if outputs.iter().all(|outputs| Some(outputs.height) == height) {
            return Ok(outputs);
        }
        if Instant::now() > deadline {
            return Err(Failure::Timeout { what: "one height at every node", seconds: AGREE_TIMEOUT.as_secs() });
        }
        tokio::time::sleep(AGREE_PERIOD).await;
    }
}

async fn block(client: &NodeClient, height: u64) -> Result<BlockInfo, Failure> {
    Ok(client.call("getblock", json!([height, 1])).await?)
}

/// The blocks of the run from the first node: the others have the same if their last one is.
async fn chain(clients: &[Arc<NodeClient>], first: u64, last: u64) -> Result<Vec<BlockInfo>, Failure> {
    let Some(client) = clients.first() else { return Ok(Vec::new()) };
    let blocks = (first..=last).map(|height| block(client, height));
    futures::stream::iter(blocks).buffered(BLOCKS_AT_ONCE).try_collect().await
}

fn payments(board: &Board) -> Vec<PaymentEvidence> {
    let all = board.plan.payments.iter().zip(&board.records).zip(&board.txids);
    let unopposed = all.filter(|((payment, _), _)| payment.pair.is_none());
    let evidence = unopposed.map(|((_, record), txid)| PaymentEvidence {
        txid: *txid,
        accepted: record.accepted.at_us().is_some(),
        was_final: record.finished.at_us().or(record.remote.at_us()).is_some(),
    });
    evidence.collect()
}

async fn pairs(clients: &[Arc<NodeClient>], board: &Board) -> Result<Vec<PairEvidence>, Failure> {
    let accepted = |index: &usize| board.records.get(*index).is_some_and(|record| record.accepted.at_us().is_some());
    let begun = board.plan.pairs.iter().enumerate().filter(|(_, halves)| halves.iter().any(accepted));
    let questions = begun.map(|(pair, halves)| pair_evidence(clients, board, pair, *halves));
    futures::stream::iter(questions)
        .buffer_unordered(QUESTIONS_AT_ONCE)
        .try_filter_map(|found| async { Ok(found) })
        .try_collect()
        .await
}

async fn pair_evidence(
    clients: &[Arc<NodeClient>],
    board: &Board,
    pair: usize,
    [first, second]: [usize; 2],
) -> Result<Option<PairEvidence>, Failure> {
    let (Some(a), Some(b)) = (board.txids.get(first), board.txids.get(second)) else { return Ok(None) };
    let mut standings: Vec<[Option<Standing>; 2]> = Vec::with_capacity(clients.len());
    for client in clients {
        standings.push([standing(client, a).await?, standing(client, b).await?]);
    }
    let was_final = [0, 1].map(|half| (0..clients.len()).any(|node| board.half_final_us(pair, half, node).is_some()));
    Ok(Some(PairEvidence { txids: [*a, *b], standings, was_final, settled_ms: settled_ms(board, pair, first) }))
}

/// From the intended moment of sending, so that a late generator does not flatter.
pub fn settled_ms(board: &Board, pair: usize, first: usize) -> Option<u64> {
    let due_us = board.plan.payments.get(first)?.due_us;
    Some(board.settled_us(pair)?.saturating_sub(due_us) / 1_000)
}
