//! One run from the first coin to the last check.

use super::courier::Couriers;
use super::faults::Faults;
use super::fleet::Fleet;
use super::logs::complaints;
use super::report::{Payments, Report, Tally};
use super::{settle, witness};
use crate::cluster::{Cluster, ClusterOptions};
use crate::endpoints::Endpoints;
use crate::failure::Failure;
use crate::load::Shape;
use crate::load::board::Board;
use crate::load::check::{Evidence, judge_outcome};
use crate::load::funding;
use crate::load::gather::gather;
use crate::load::plan::Plan;
use crate::load::sign::{account_keys, sign};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// Share of payments that spend an output that is in no block yet.
const CHAINED: f64 = 0.1;
/// Number of keys that pay and are paid.
const ACCOUNTS: usize = 100;
/// Longest that a network may take to its next block when all nodes are back.
const RESUME_TIMEOUT: Duration = Duration::from_secs(60);
/// How often it is looked whether there is one.
const RESUME_PERIOD: Duration = Duration::from_millis(20);
/// A run that needs more than so many times its seconds for its kills has failed.
const SECONDS_FACTOR_MAX: u32 = 4;

/// What a run is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// For how long payments are sent; faults happen at least as long.
    pub seconds: u64,
    /// Kills at least; the faults go on until there were so many.
    pub kills: u64,
    /// Transactions per second.
    pub rate: f64,
    /// Share of arrivals that are double spends.
    pub double_spends: f64,
    /// Source of all chance: faults and load.
    pub seed: u64,
    /// Longest that everything may take to settle after the last fault.
    pub settle: Duration,
}

/// Starts a network with `cluster`, treats it badly, and checks what it says afterwards.
///
/// # Errors
/// The run could not be made: a node did not come back, or ended by itself. What does not hold is in
/// the report, not here.
pub async fn run(cluster: &ClusterOptions, options: &Options) -> Result<Report, Failure> {
    let started = Cluster::start(cluster).await?;
    let endpoints = started.endpoints().clone();
    let fleet = Fleet::new(started, cluster).await?;
    Box::pin(Run::new(fleet, &endpoints, *options).await?.finish()).await
}

struct Run {
    options: Options,
    fleet: Fleet,
    tally: Tally,
    board: Arc<Board>,
    couriers: Arc<Couriers>,
    first_height: u64,
    nodes: usize,
}

impl Run {
    /// Makes the coins and signs everything.
    async fn new(fleet: Fleet, endpoints: &Endpoints, options: Options) -> Result<Self, Failure> {
        let nodes = endpoints.nodes.len();
        let shape = Shape {
            rate: options.rate,
            seconds: options.seconds,
            nodes,
            accounts: ACCOUNTS,
            double_spends: options.double_spends,
            chains: CHAINED,
            seed: options.seed,
        };
        let plan = Plan::new(&shape);
        let keys = account_keys(shape.seed, shape.accounts);
        let coins = funding::fund(&fleet.clients()?, endpoints, &keys, plan.coins).await?;
        let signed = sign(&plan, &coins, &keys, &endpoints.genesis_hash)?;
        let board = Arc::new(Board::new(plan, &signed, nodes));
        let couriers = Couriers::new(Arc::clone(&board), fleet.doors(), &signed);
        let first_height = fleet.height().await + 1;
        Ok(Self { options, fleet, tally: Tally::default(), board, couriers, first_height, nodes })
    }

    async fn finish(mut self) -> Result<Report, Failure> {
        let witnesses = witness::listen(&self.fleet.doors(), &self.board);
        self.board.begin();
        let begin = Instant::now();
        let sending = tokio::spawn(Arc::clone(&self.couriers).run());
        self.faults(begin).await?;
        let seconds = begin.elapsed().as_secs_f64();

        let deadline = Instant::now() + self.options.settle;
        let all_sent = ended(sending, deadline).await;
        let clients = self.fleet.clients()?;
        let (couriers, board) = (&self.couriers, &self.board);
        let forgotten = settle::settle(&clients, couriers, board, self.first_height, deadline).await?;
        match funding::drained(&clients, deadline).await {
            // A pool that stays full is one of the things that the checks find.
            Err(Failure::Timeout { .. }) | Ok(()) => {}
            Err(failure) => return Err(failure),
        }
        let findings = gather(&clients, board, self.first_height).await?;
        drop(witnesses);
        let payments = self.payments(&findings.evidence, forgotten);
        let mut violations: Vec<String> = judge_outcome(&findings.evidence).iter().map(ToString::to_string).collect();
        violations.extend(self.undelivered());
        violations.extend((!all_sent).then(|| "some payments were never taken by any node".to_owned()));
        for (log, node) in self.fleet.logs().iter().zip(1..) {
            violations.extend(complaints(node, log)?);
        }
        let clean = self.fleet.stop().await;
        violations.extend((!clean).then(|| "a node did not end as asked".to_owned()));
        Ok(Report {
            nodes: self.nodes,
            seconds,
            rate: self.options.rate,
            seed: self.options.seed,
            harm: self.tally.harm(),
            recovery: self.tally.recovery(),
            payments,
            blocks: findings.blocks.len() as u64,
            violations,
        })
    }

    /// One episode after the other, until time and kills are enough.
    async fn faults(&mut self, begin: Instant) -> Result<(), Failure> {
        let least = Duration::from_secs(self.options.seconds);
        let most = least * SECONDS_FACTOR_MAX;
        for episode in Faults::new(self.options.seed, self.nodes) {
            let (passed, kills) = (begin.elapsed(), self.tally.harm().kills);
            if passed >= least && kills >= self.options.kills {
                break;
            }
            if passed > most {
                return Err(Failure::Timeout { what: "the kills that were asked for", seconds: most.as_secs() });
            }
            tokio::time::sleep(Duration::from_millis(episode.peace_ms)).await;
            self.fleet.suffer(&episode.faults, &self.tally).await?;
            let stall = if episode.storm { Some(self.resumed().await?) } else { None };
            self.tally.episode(episode.storm, stall);
        }
        // Also after the last episode, whatever it was.
        self.resumed().await.map(drop)
    }

    /// Waits for the next block: the network goes on by itself.
    async fn resumed(&self) -> Result<Duration, Failure> {
        let (begin, height) = (Instant::now(), self.fleet.height().await);
        while self.fleet.height().await <= height {
            if begin.elapsed() > RESUME_TIMEOUT {
                return Err(Failure::Timeout {
                    what: "a block after all nodes had come back",
                    seconds: RESUME_TIMEOUT.as_secs(),
                });
            }
            tokio::time::sleep(RESUME_PERIOD).await;
        }
        Ok(begin.elapsed())
    }

    fn payments(&self, evidence: &Evidence, forgotten: u64) -> Payments {
        let records = &self.board.records;
        let count = |holds: &dyn Fn(usize) -> bool| (0..records.len()).filter(|index| holds(*index)).count() as u64;
        let record = |index: usize| records.get(index);
        Payments {
            planned: records.len() as u64,
            accepted: count(&|index| record(index).is_some_and(|record| record.accepted.at_us().is_some())),
            committed: count(&|index| self.board.txids.get(index).is_some_and(|txid| evidence.chain.contains(txid))),
            refused: count(&|index| {
                record(index).is_some_and(|record| record.accepted.at_us().is_none() && record.refusal.get().is_some())
            }),
            pairs: self.board.plan.pairs.len() as u64,
            sent_again: self.couriers.again(),
            forgotten,
        }
    }

    /// Payments without a rival that a node refused.
    fn undelivered(&self) -> Vec<String> {
        let all = self.board.plan.payments.iter().zip(&self.board.records).zip(&self.board.txids);
        let unopposed = all.filter(|((payment, _), _)| payment.pair.is_none());
        let refused = unopposed.filter_map(|((_, record), txid)| {
            let reason = record.refusal.get()?;
            Some(format!("payment {txid} has no rival, but was refused: {reason}"))
        });
        refused.collect()
    }
}

/// Waits for the couriers, and ends them at the deadline. Says whether they had finished.
async fn ended(mut sending: JoinHandle<()>, deadline: Instant) -> bool {
    let finished = matches!(tokio::time::timeout_at(deadline.into(), &mut sending).await, Ok(Ok(())));
    sending.abort();
    finished
}
