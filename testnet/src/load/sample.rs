//! Looks at the pools and the processes at regular times while a run lasts.

use super::usage::{ProcessUsage, UsageMeter};
use crate::endpoints::Endpoints;
use crate::rpc::{NodeClient, PoolInfo};
use futures::future::join_all;
use serde::Serialize;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How often.
const PERIOD: Duration = Duration::from_millis(250);

/// The largest pool of all nodes at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PoolSample {
    /// Milliseconds from the start of the run.
    pub at_ms: u64,
    /// Transactions in no block.
    pub size: u64,
    /// Of these, not final yet.
    pub undecided: u64,
}

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    /// In order of time.
    pub pools: Vec<PoolSample>,
    /// Nodes whose process is known, then the generator.
    pub usages: Vec<ProcessUsage>,
}

/// A sampler in the background.
#[derive(Debug)]
pub struct Sampler {
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<Samples>,
}

impl Sampler {
    /// Begins.
    #[must_use]
    pub fn start(clients: Vec<Arc<NodeClient>>, endpoints: &Endpoints) -> Self {
        let nodes = endpoints.nodes.iter().filter_map(|node| Some((format!("node {}", node.number), node.pid?)));
        let meter = UsageMeter::new(nodes.chain([("generator".to_owned(), std::process::id())]));
        let (stop, stopped) = oneshot::channel();
        Self { stop, task: tokio::spawn(sample(clients, meter, stopped)) }
    }

    /// Ends, and gives what was seen.
    pub async fn finish(self) -> Samples {
        // If the task is gone already, its join says so below.
        let _ = self.stop.send(());
        self.task.await.unwrap_or_default()
    }
}

async fn sample(
    clients: Vec<Arc<NodeClient>>,
    mut meter: Option<UsageMeter>,
    mut stopped: oneshot::Receiver<()>,
) -> Samples {
    let start = Instant::now();
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut pools = Vec::new();
    loop {
        let last = tokio::select! {
            _ = ticks.tick() => false,
            _ = &mut stopped => true,
        };
        let at_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        pools.push(PoolSample { at_ms, ..pool(&clients).await });
        if let Some(meter) = &mut meter {
            meter.look();
        }
        if last {
            return Samples { pools, usages: meter.map(UsageMeter::finish).unwrap_or_default() };
        }
    }
}

/// The largest pool now; a node that does not answer is left out.
async fn pool(clients: &[Arc<NodeClient>]) -> PoolSample {
    let infos = join_all(clients.iter().map(|client| client.call::<PoolInfo>("getmempoolinfo", json!([])))).await;
    let infos: Vec<PoolInfo> = infos.into_iter().flatten().collect();
    PoolSample {
        at_ms: 0,
        size: infos.iter().map(|info| info.size).max().unwrap_or_default(),
        undecided: infos.iter().map(|info| info.size.saturating_sub(info.finished)).max().unwrap_or_default(),
    }
}
