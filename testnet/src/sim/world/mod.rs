//! The event queue, the clock, and what happens in which order.

mod envelope;
mod faults;
mod messages;
mod plan;
mod turns;

use super::byzantine::{Habits, Knowledge, Liar};
use super::chance::Chance;
use super::checks::Checks;
use super::network::{Cut, Network};
use super::node::Node;
use super::regions::Regions;
use super::report::{Invariant, Report, Violation};
use super::scenario::Scenario;
use super::trace::{Print, Trace, short};
use super::workload::{self, Workload};
use envelope::Envelope;
use faults::NodeFault;
use messages::{OnTheWay, Question};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use timecoin_protocol::engine::{Effect, Input, ReplyTag, RequestId, Source, Time};
use timecoin_protocol::genesis::Genesis;
use timecoin_protocol::hash::GenesisHash;
use timecoin_protocol::keys::Verified;

/// When each run begins, in milliseconds since 1970 UTC.
const START_MS: u64 = 1_700_000_000_000;
/// How long nodes run before payments and faults begin, in milliseconds.
const WARM_UP_MS: u64 = 1_000;
/// Every run goes on until so many epochs have ended.
const EPOCHS_MIN: u64 = 2;
/// How long a wallet waits before it hands a payment in again, in milliseconds.
const RESUBMIT_MS: u64 = 1_500;

#[derive(Debug)]
enum Happening {
    Deliver {
        from: usize,
        to: usize,
        message: Rc<Envelope>,
    },
    /// A request of a node's process has had no answer for too long.
    Unanswered {
        node: usize,
        request: RequestId,
        serial: u64,
    },
    Turn(usize),
    /// The disk is done with a turn of a node's process.
    Release {
        node: usize,
        life: u64,
        effects: Vec<Effect>,
    },
    Submit(usize),
    Strike(usize, NodeFault),
    Cut(Cut),
    Mend,
    Start(usize),
    DiskAgain(usize),
    HealAll,
}

/// One run.
#[derive(Debug)]
pub(super) struct World {
    scenario: Scenario,
    hash: GenesisHash,
    nodes: Vec<Node>,
    habits: BTreeMap<usize, Habits>,
    knowledge: Knowledge,
    workload: Workload,
    queue: BTreeMap<(Time, u64), Happening>,
    sequence: u64,
    now: Time,
    network: Network,
    /// Who waits for a reply under which tag.
    asked: BTreeMap<(usize, ReplyTag), Question>,
    /// Requests that wait for an answer.
    open: BTreeMap<(usize, RequestId), OnTheWay>,
    tags: u64,
    chance: Chance,
    checks: Checks,
    trace: Trace,
}

impl World {
    pub fn new(scenario: Scenario, print: Option<Print>) -> Result<Self, Violation> {
        let mut chance = Chance::new(scenario.seed);
        let genesis: Arc<Genesis> = Arc::new(workload::genesis(&scenario, START_MS));
        let workload = Workload::draw(&genesis, &scenario, &mut chance);
        let count = scenario.weights.len();
        let nodes = (0..count).map(|index| Node::new(Arc::clone(&genesis), workload::key(1, index), chance.bytes()));
        let nodes: Vec<Node> = nodes.collect();
        let checks = Checks::new(&scenario, &genesis, &workload);
        let regions = Regions::measured().map_err(|error| checks.violation(0, error.to_string()))?;
        let now = Time(START_MS * 1_000);
        let mut world = Self {
            habits: (scenario.honest()..count).map(|index| (index, Habits::draw(&mut chance))).collect(),
            network: Network::new(scenario.network.clone(), regions, count, &mut chance),
            trace: Trace::new(now, print),
            knowledge: Knowledge::default(),
            hash: genesis.hash(),
            nodes,
            workload,
            queue: BTreeMap::new(),
            sequence: 0,
            now,
            asked: BTreeMap::new(),
            open: BTreeMap::new(),
            tags: 0,
            chance,
            checks,
            scenario,
        };
        world.plan();
        Ok(world)
    }

    fn at(&mut self, time: Time, happening: Happening) {
        self.sequence += 1;
        self.queue.insert((time, self.sequence), happening);
    }

    fn after_ms(&mut self, millis: u64, happening: Happening) {
        self.at(self.now.plus_ms(millis), happening);
    }

    /// Payments and faults, all drawn before the run begins.
    fn plan(&mut self) {
        for (node, habits) in &self.habits {
            self.trace.note(self.now, node, || format!("n{node} lies: {habits:?}"));
        }
        for index in 0..self.workload.submissions.len() {
            let at_ms = self.workload.submissions[index].at_ms;
            self.after_ms(WARM_UP_MS + at_ms, Happening::Submit(index));
        }
        self.plan_faults();
        self.after_ms(WARM_UP_MS + self.scenario.faulty_ms, Happening::HealAll);
        for node in 0..self.nodes.len() {
            self.nodes[node].sync_us = self.scenario.disks.sync_us;
            self.nodes[node].peers = self.nodes.len() - 1;
            self.nodes[node].believes_all = self.scenario.disks.believes_all;
            if self.scenario.disks.forgets_syncs {
                self.nodes[node].disk.forget_syncs();
            }
            self.after_ms(0, Happening::Start(node));
        }
    }

    /// Runs to the end.
    pub fn run(mut self) -> Result<Report, Violation> {
        let end = self.now.plus_ms(WARM_UP_MS + self.scenario.faulty_ms + self.scenario.settle_ms);
        while let Some(((at, _), happening)) = self.queue.pop_first() {
            self.now = at;
            self.happen(happening).map_err(|what| self.violation(what))?;
            if at > end || (self.network.healed && self.is_settled()) {
                break;
            }
        }
        let epochs = self.checks.report.epochs;
        if epochs < EPOCHS_MIN {
            return Err(self.violation(format!("only {epochs} epochs ended")));
        }
        self.checks.settled(&self.workload, self.scenario.honest()).map_err(|what| self.violation(what))?;
        Ok(self.report())
    }

    fn report(mut self) -> Report {
        let ended = self.workload.lone.len() + self.workload.pairs.len() + self.workload.chained.len();
        let report = &mut self.checks.report;
        *report.checks.entry(Invariant::Settled).or_default() += u64::try_from(ended).unwrap_or(u64::MAX);
        report.syncs = self.nodes.iter().map(|node| node.disk.syncs()).sum();
        report.finality_ms.sort_unstable();
        report.trace = self.trace.fingerprint();
        self.checks.report
    }

    fn is_settled(&self) -> bool {
        let honest = self.scenario.honest();
        self.checks.report.epochs >= EPOCHS_MIN
            && self.workload.outstanding == 0
            && self.nodes.iter().take(honest).all(Node::speaks)
            && self.checks.settled(&self.workload, honest).is_ok()
    }

    fn violation(&self, what: String) -> Violation {
        self.checks.violation(self.now.millis() - START_MS, what)
    }

    fn happen(&mut self, happening: Happening) -> Result<(), String> {
        match happening {
            Happening::Deliver { from, to, message } => return self.deliver(from, to, &message),
            Happening::Turn(node) => return self.turn(node),
            Happening::Release { node, life, effects } => return self.release(node, life, effects),
            Happening::Start(node) => return self.start(node),
            Happening::Strike(node, fault) => return self.strike(node, fault),
            Happening::Unanswered { node, request, serial } => self.unanswered(node, request, serial),
            Happening::Submit(index) => self.submit(index),
            Happening::Cut(cut) => self.cut(cut),
            Happening::Mend => self.mend(),
            Happening::DiskAgain(node) => self.disk_again(node),
            Happening::HealAll => self.heal_all(),
        }
        Ok(())
    }

    /// A wallet hands its payment in again, to one node after another, until it sees it settled: a
    /// node may refuse it (its parent is on the way), or die with it.
    fn submit(&mut self, index: usize) {
        let submission = self.workload.submissions[index].clone();
        // Whoever spends twice hands the second half in although the first may be final.
        let is_first = !std::mem::replace(&mut self.workload.submissions[index].handed_in, true);
        self.workload.outstanding -= usize::from(is_first);
        if !is_first && self.checks.has_ended(&submission.transaction) {
            return;
        }
        self.checks.submitted(&submission.transaction, self.now);
        let node = submission.node;
        self.workload.submissions[index].node = (node + 1) % self.scenario.honest();
        self.after_ms(RESUBMIT_MS, Happening::Submit(index));
        let txid = submission.transaction.txid().0;
        self.trace.note(self.now, (node, txid), || format!("n{node} gets {} from its wallet", short(&txid)));
        let source = Source::Local(ReplyTag(self.next_tag()));
        let transaction = Verified::by_own_hand(submission.transaction);
        self.receive(node, Input::Transactions(source, vec![transaction]));
    }

    fn next_tag(&mut self) -> u64 {
        self.tags += 1;
        self.tags
    }

    /// A node that lies, if it does.
    fn liar(&self, node: usize) -> Option<Liar<'_>> {
        let habits = *self.habits.get(&node)?;
        Some(Liar { habits, key: self.nodes[node].key()?, genesis: &self.hash })
    }

    fn is_honest(&self, node: usize) -> bool {
        node < self.scenario.honest()
    }
}
