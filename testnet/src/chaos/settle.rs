//! After the last fault: every payment that a node has taken reaches its end.

use super::courier::Couriers;
use crate::failure::Failure;
use crate::load::board::Board;
use crate::load::watch::standing;
use crate::rpc::{BlockInfo, NodeClient};
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::json;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use timecoin_protocol::hash::Txid;

/// How often it is looked what is missing.
const PERIOD: Duration = Duration::from_millis(200);
/// How long payments that are missing are waited for before the nodes are asked whether they know
/// them at all.
const PATIENCE: Duration = Duration::from_secs(3);
/// Blocks, and questions, on the way at once.
const AT_ONCE: usize = 16;

/// What the chain holds so far.
#[derive(Debug)]
struct Chain {
    next: u64,
    txids: HashSet<Txid>,
}

/// Waits until each payment that was taken is in a block, or its rival is; after `deadline` it
/// returns, and the checks say what is missing. A payment that no node knows any more is sent
/// again: its node was killed before it could tell anybody. Gives how many these were.
///
/// # Errors
/// A node does not answer.
pub async fn settle(
    clients: &[Arc<NodeClient>],
    couriers: &Couriers,
    board: &Board,
    first_height: u64,
    deadline: Instant,
) -> Result<u64, Failure> {
    let mut chain = Chain { next: first_height, txids: HashSet::new() };
    let mut lost = 0;
    let mut asked = Instant::now();
    loop {
        chain.read_on(clients).await?;
        let open: Vec<usize> = (0..board.records.len()).filter(|index| is_open(board, &chain, *index)).collect();
        if open.is_empty() || Instant::now() > deadline {
            return Ok(lost);
        }
        if asked.elapsed() > PATIENCE {
            asked = Instant::now();
            for index in unknown(clients, board, &open).await? {
                lost += 1;
                let delivery = couriers.deliver(index);
                // The loop's own deadline is the limit of all attempts.
                let _ = tokio::time::timeout_at(deadline.into(), delivery).await;
            }
        }
        tokio::time::sleep(PERIOD).await;
    }
}

fn is_open(board: &Board, chain: &Chain, index: usize) -> bool {
    let Some(record) = board.records.get(index) else { return false };
    let in_chain = |index: usize| board.txids.get(index).is_some_and(|txid| chain.txids.contains(txid));
    let pair = board.plan.payments.get(index).and_then(|payment| payment.pair);
    let rival =
        pair.and_then(|pair| board.plan.pairs.get(pair)).and_then(|pair| pair.iter().find(|half| **half != index));
    record.accepted.at_us().is_some() && !in_chain(index) && !rival.is_some_and(|rival| in_chain(*rival))
}

/// Those that no node knows.
async fn unknown(clients: &[Arc<NodeClient>], board: &Board, open: &[usize]) -> Result<Vec<usize>, Failure> {
    let questions = open.iter().map(|index| async move {
        let Some(txid) = board.txids.get(*index) else { return Ok(None) };
        for client in clients {
            if standing(client, txid).await?.is_some() {
                return Ok(None);
            }
        }
        Ok::<_, Failure>(Some(*index))
    });
    let found: Vec<Option<usize>> = futures::stream::iter(questions).buffered(AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

impl Chain {
    /// Reads the blocks that have come since the last time, from the first node.
    async fn read_on(&mut self, clients: &[Arc<NodeClient>]) -> Result<(), Failure> {
        let Some(client) = clients.first() else { return Ok(()) };
        let tip: u64 = client.call("getblockcount", json!([])).await?;
        let blocks = (self.next..=tip).map(|height| client.call::<BlockInfo>("getblock", json!([height, 1])));
        let blocks: Vec<BlockInfo> = futures::stream::iter(blocks).buffered(AT_ONCE).try_collect().await?;
        self.txids.extend(blocks.iter().flat_map(|block| block.tx.iter().copied()));
        self.next = self.next.max(tip + 1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::board::tests::{board, txid};

    #[test]
    fn a_payment_is_open_until_it_or_its_rival_is_in_the_chain() {
        let board = board(2, &[0, 1, 0, 1], &[[1, 2]]);
        let mut chain = Chain { next: 1, txids: HashSet::new() };
        let open = |chain: &Chain| -> Vec<usize> { (0..4).filter(|index| is_open(&board, chain, *index)).collect() };
        assert_eq!(open(&chain), [] as [usize; 0], "nothing was taken yet");
        board.records.iter().take(3).for_each(|record| record.accepted.set(1));
        assert_eq!(open(&chain), [0, 1, 2]);
        chain.txids.insert(txid(2));
        assert_eq!(open(&chain), [0], "its rival lost");
        chain.txids.insert(txid(0));
        assert_eq!(open(&chain), [] as [usize; 0]);
    }
}
