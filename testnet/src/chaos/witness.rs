//! Listens to what every node says of payments, whenever it is up: what a node has once called
//! final must hold, also if the node is killed in the same moment.

use super::fleet::Doors;
use crate::load::board::Board;
use crate::rpc::{NodeClient, Standing};
use futures::StreamExt as _;
use futures::stream::select_all;
use jsonrpsee::core::client::Subscription;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Ids in one subscription: as many as fit a request of 4 MiB.
const TXIDS_PER_SUBSCRIPTION: usize = 40_000;
/// Pause before a node is asked again.
const PAUSE: Duration = Duration::from_millis(100);

/// Listens to all nodes; the tasks end when the set is dropped.
pub fn listen(doors: &Doors, board: &Arc<Board>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for node in 0..doors.len() {
        tasks.spawn(follow(Arc::clone(doors), node, Arc::clone(board)));
    }
    tasks
}

async fn follow(doors: Doors, node: usize, board: Arc<Board>) {
    let Some(door) = doors.get(node) else { return };
    let mut door = door.subscribe();
    loop {
        // The end of all doors is the end of the run.
        let Ok(client) = door.wait_for(Option::is_some).await.map(|client| client.clone()) else { return };
        if let Some(client) = client
            && let Some(streams) = subscribe(&client, &board).await
        {
            let mut news = select_all(streams);
            while let Some(item) = news.next().await {
                if let Ok(standing) = item {
                    board.note(node, &standing, board.now_us());
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn subscribe(client: &NodeClient, board: &Board) -> Option<Vec<Subscription<Standing>>> {
    let mut streams = Vec::new();
    for txids in board.txids.chunks(TXIDS_PER_SUBSCRIPTION) {
        streams.push(client.subscribe_finality(txids).await.ok()?);
    }
    Some(streams)
}
