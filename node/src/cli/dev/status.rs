//! What the network does, as it goes: one line that is redrawn on a terminal, a line every 10 s elsewhere.

use super::network::RunningNetwork;
use crate::cli::output::Output;
use crate::node::Node;
use crate::view::News;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::{IsTerminal, Write, stdout};
use std::time::{Duration, Instant};
use timecoin_protocol::engine::Status;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// How often the line is redrawn on a terminal.
const REDRAW_PERIOD: Duration = Duration::from_millis(500);
/// How often a line is printed elsewhere.
const PRINT_PERIOD: Duration = Duration::from_secs(10);
/// Blocks of this last while count for payments per second.
const RATE_WINDOW: Duration = Duration::from_secs(10);
/// Payments of which the median finality is taken.
const SAMPLES_MAX: usize = 1_000;

/// What was seen lately.
#[derive(Debug, Default)]
struct Recent {
    /// When blocks came, and how many payments each held.
    blocks: VecDeque<(Instant, usize)>,
    /// From admission to finality, in microseconds.
    finality_us: VecDeque<u64>,
}

impl Recent {
    fn note(&mut self, news: &News) {
        match news {
            News::Block(block, _) => self.blocks.push_back((Instant::now(), block.block.transactions.len())),
            News::Status { status: Status::Final(_), at, admitted_at: Some(admitted), .. } => {
                self.finality_us.push_back(at.micros_since(*admitted));
                if self.finality_us.len() > SAMPLES_MAX {
                    self.finality_us.pop_front();
                }
            }
            News::Status { .. } | News::Admitted(..) | News::Evidence(_) | News::Poll { .. } | News::FinalityLost => {}
        }
    }

    /// Payments per second in blocks, over the window that ends now.
    fn rate(&mut self, now: Instant) -> f64 {
        while self.blocks.front().is_some_and(|(at, _)| now.duration_since(*at) > RATE_WINDOW) {
            self.blocks.pop_front();
        }
        let payments: usize = self.blocks.iter().map(|(_, payments)| payments).sum();
        f64::from(u32::try_from(payments).unwrap_or(u32::MAX)) / RATE_WINDOW.as_secs_f64()
    }

    fn median_ms(&self) -> Option<f64> {
        let mut sorted: Vec<u64> = self.finality_us.iter().copied().collect();
        sorted.sort_unstable();
        let median = sorted.get(sorted.len() / 2)?;
        Some(f64::from(u32::try_from(*median).unwrap_or(u32::MAX)) / 1_000.0)
    }
}

/// One line.
#[derive(Debug)]
struct Snapshot {
    height: u64,
    peers: usize,
    pool: usize,
    rate: f64,
    median_ms: Option<f64>,
}

impl Snapshot {
    fn take(node: &Node, recent: &mut Recent) -> Self {
        let gauges = node.view.gauges.load();
        Self {
            height: gauges.height,
            peers: node.view.peers.load().len(),
            pool: gauges.pool_transactions,
            rate: recent.rate(Instant::now()),
            median_ms: recent.median_ms(),
        }
    }

    fn text(&self) -> String {
        let Self { height, peers, pool, rate, .. } = self;
        let finality = self.median_ms.map_or_else(|| "-".to_owned(), |median| format!("{median:.1} ms"));
        format!("height {height}  peers {peers}  pool {pool}  {rate:.1} tx/s  finality p50 {finality}")
    }

    fn json(&self) -> Value {
        json!({
            "event": "status", "height": self.height, "peers": self.peers, "pool": self.pool,
            "tx_per_s": self.rate, "finality_p50_ms": self.median_ms,
        })
    }
}

/// What node 1 sees from now on.
#[derive(Debug)]
pub struct Watch<'a> {
    node: &'a Node,
    news: Receiver<News>,
    recent: Recent,
}

impl<'a> Watch<'a> {
    /// Begins to watch; `None` if there is no node.
    pub fn new(network: &'a RunningNetwork) -> Option<Self> {
        let node = network.nodes.first()?;
        Some(Self { node, news: node.view.subscribe(), recent: Recent::default() })
    }

    /// Shows it, for as long as this is polled.
    pub async fn show(mut self, output: Output) -> Infallible {
        let live = is_live(output);
        let mut ticks = tokio::time::interval(if live { REDRAW_PERIOD } else { PRINT_PERIOD });
        loop {
            tokio::select! {
                // What has happened counts before it is shown.
                biased;
                () = next(&mut self.news, &mut self.recent) => {}
                _ = ticks.tick() => draw(&Snapshot::take(self.node, &mut self.recent), live, output),
            }
        }
    }
}

async fn next(news: &mut Receiver<News>, recent: &mut Recent) {
    match news.recv().await {
        Ok(news) => recent.note(&news),
        // Figures of what was missed are lost; the next ones are right again.
        Err(RecvError::Lagged(_)) => {}
        Err(RecvError::Closed) => std::future::pending().await,
    }
}

fn is_live(output: Output) -> bool {
    !output.json && stdout().is_terminal()
}

fn draw(snapshot: &Snapshot, live: bool, output: Output) {
    if live {
        // Carriage return and "erase line" (ECMA-48), so that the line is redrawn in place.
        let mut out = stdout().lock();
        let _ = write!(out, "\r\x1b[2K{}", snapshot.text()).and_then(|()| out.flush());
    } else {
        output.result(&snapshot.json(), || snapshot.text());
    }
}

/// Ends the line that was redrawn, so that what follows begins at its own.
pub fn end_line(output: Output) {
    if is_live(output) {
        anstream::println!();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_that_of_the_last_payments() {
        let mut recent = Recent::default();
        assert_eq!(recent.median_ms(), None);
        recent.finality_us.extend([9_000, 1_000, 5_000]);
        assert_eq!(recent.median_ms(), Some(5.0));
    }

    #[test]
    fn only_blocks_of_the_window_count_for_the_rate() {
        let mut recent = Recent::default();
        let start = Instant::now();
        recent.blocks.extend([(start, 100), (start + RATE_WINDOW, 50)]);
        assert!((recent.rate(start + RATE_WINDOW) - 15.0).abs() < 1e-9);
        assert!((recent.rate(start + RATE_WINDOW + Duration::from_secs(1)) - 5.0).abs() < 1e-9);
    }
}
