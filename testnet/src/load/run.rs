//! One run from the first coin to the last check.

use super::board::Board;
use super::check::judge;
use super::funding;
use super::gather::gather;
use super::plan::{Plan, Shape};
use super::report::{Report, Surroundings};
use super::sample::Sampler;
use super::send::Sender;
use super::sign::{account_keys, sign};
use super::watch;
use crate::endpoints::Endpoints;
use crate::failure::Failure;
use crate::rpc::{ChainInfo, NodeClient};
use futures::future::try_join_all;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How often it is looked whether everything is settled.
const SETTLE_PERIOD: Duration = Duration::from_millis(50);
/// How long without any news before the nodes are asked directly.
const SILENCE: Duration = Duration::from_secs(3);

/// Two connections with each node: one to send on, so that answers do not queue behind news.
#[derive(Debug)]
pub struct Connections {
    /// For calls.
    pub calls: Vec<Arc<NodeClient>>,
    /// For news.
    pub news: Vec<Arc<NodeClient>>,
}

impl Connections {
    /// Connects with every node.
    ///
    /// # Errors
    /// One does not answer, or belongs to another network.
    pub async fn open(endpoints: &Endpoints) -> Result<Self, Failure> {
        let connect = async || try_join_all(endpoints.sockets().map(NodeClient::connect)).await;
        let shared = |clients: Vec<NodeClient>| clients.into_iter().map(Arc::new).collect();
        let connections = Self { calls: shared(connect().await?), news: shared(connect().await?) };
        for client in &connections.calls {
            let info: ChainInfo = client.call("getblockchaininfo", json!([])).await?;
            if info.genesis_hash != endpoints.genesis_hash.to_string() {
                return Err(Failure::OtherNetwork { url: client.url().to_owned(), genesis_hash: info.genesis_hash });
            }
        }
        Ok(connections)
    }
}

/// Runs `shape` against a network: makes the coins, signs everything, sends it in time, waits until
/// all is settled (at most `settle`), and checks.
///
/// # Errors
/// The run could not be made or judged. What does not hold is in the report, not here.
pub async fn run(
    connections: &Connections,
    endpoints: &Endpoints,
    shape: &Shape,
    settle: Duration,
) -> Result<Report, Failure> {
    let plan = Plan::new(shape);
    let keys = account_keys(shape.seed, shape.accounts);
    let coins = funding::fund(&connections.calls, endpoints, &keys, plan.coins).await?;
    let signed = sign(&plan, &coins, &keys, &endpoints.genesis_hash)?;
    let board = Board::new(plan, &signed, connections.calls.len());
    let first_height = height(&connections.calls).await? + 1;

    let board = Arc::new(board);
    let mut news = JoinSet::new();
    for (node, client) in connections.news.iter().enumerate() {
        watch::listen(&mut news, client, node, &board).await?;
    }
    let sampler = Sampler::start(connections.calls.clone(), endpoints);
    let mut senders = JoinSet::new();
    board.begin();
    for (node, client) in connections.calls.iter().enumerate() {
        senders.spawn(Sender::new(client.clone(), board.clone(), node, &signed).run());
    }
    while senders.join_next().await.is_some() {}
    let samples = sampler.finish().await;

    settled(connections, &board, settle).await?;
    let findings = gather(&connections.calls, &board, first_height).await?;
    let violations = judge(&findings.evidence);
    Ok(Report::new(shape, &board, Surroundings { samples, blocks: findings.blocks, violations }))
}

/// The lowest tip: blocks above it may hold payments of the run.
async fn height(clients: &[Arc<NodeClient>]) -> Result<u64, Failure> {
    let heights = clients.iter().map(|client| client.call::<u64>("getblockcount", json!([])));
    Ok(try_join_all(heights).await?.into_iter().min().unwrap_or_default())
}

/// Waits until every accepted payment is in a block or rejected and every pool is empty; after
/// `settle` it gives up, and the checks will say what is missing.
async fn settled(connections: &Connections, board: &Board, settle: Duration) -> Result<(), Failure> {
    let deadline = Instant::now() + settle;
    let (mut open, mut changed) = (board.open(), Instant::now());
    while open > 0 && Instant::now() < deadline {
        tokio::time::sleep(SETTLE_PERIOD).await;
        let now_open = board.open();
        if now_open != open {
            (open, changed) = (now_open, Instant::now());
        } else if changed.elapsed() > SILENCE {
            watch::catch_up(&connections.calls, board).await?;
            (open, changed) = (board.open(), Instant::now());
        }
    }
    match funding::drained(&connections.calls, deadline).await {
        // A pool that stays full is one of the things that the checks find.
        Err(Failure::Timeout { .. }) | Ok(()) => Ok(()),
        Err(failure) => Err(failure),
    }
}
