//! The event queue, the network and the clock.

use super::byzantine::Liar;
use super::checks::{Checks, Report, Violation};
use super::node::{Crash, Node, StartError};
use super::workload::{self, Workload};
use super::{Scenario, checks};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::sync::Arc;
use timecoin_protocol::block::Proposal;
use timecoin_protocol::engine::{
    Ask, Destination, Effect, GossipTag, Input, PeerTag, Reply, ReplyTag, Request, RequestId, Response, Source, Time,
};
use timecoin_protocol::genesis::Genesis;
use timecoin_protocol::keys::Verified;
use timecoin_protocol::transaction::Transaction;
use timecoin_protocol::wire::Vote;

const START_MS: u64 = 1_700_000_000_000;
/// Every run goes on until so many epochs have ended.
const EPOCHS_MIN: u64 = 2;
/// After this long a request without an answer has failed.
const REQUEST_TIMEOUT_MS: u64 = 2_000;
/// How long a wallet waits before it hands a payment in again, in milliseconds.
const RESUBMIT_MS: u64 = 1_500;
/// How long a killed node stays down, in milliseconds, at most.
const DOWN_MS_MAX: u64 = 3_000;
/// How long a partition lasts, in milliseconds, at most.
const PARTITION_MS_MAX: u64 = 3_000;

/// Mixes a seed with a salt (splitmix64).
pub(super) fn mix(seed: u64, salt: u64) -> u64 {
    let mut z = seed.wrapping_add(salt.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[derive(Clone, Debug)]
enum Message {
    Transactions(Vec<Arc<Transaction>>),
    Vote(Vote),
    Proposal(Arc<Proposal>),
    Asked(RequestId, Request),
    Answered(RequestId, Answered),
}

#[derive(Clone, Debug)]
enum Answered {
    Reply(Box<Reply>),
    Blocks(Vec<timecoin_protocol::block::CommittedBlock>),
}

#[derive(Debug)]
enum Happening {
    Deliver { from: usize, to: usize, message: Message },
    Failed { node: usize, request: RequestId },
    Wake(usize),
    Submit(usize),
    Crash(usize, Crash),
    Restart(usize),
    Partition { side: u64, one_way: bool },
    Heal,
}

/// One run.
#[derive(Debug)]
pub(super) struct World {
    scenario: Scenario,
    genesis: Arc<Genesis>,
    nodes: Vec<Node>,
    liars: BTreeMap<usize, Liar>,
    workload: Workload,
    queue: BTreeMap<(Time, u64), Happening>,
    sequence: u64,
    now: Time,
    wakes: Vec<Option<Time>>,
    /// Bit i set: node i is on the other side.
    cut: u64,
    /// Whether that side still hears the other one.
    one_way: bool,
    /// Who waits for a reply under which tag.
    asked: BTreeMap<(usize, ReplyTag), (usize, RequestId)>,
    open: BTreeMap<(usize, RequestId), ()>,
    tags: u64,
    rng: ChaCha12Rng,
    checks: Checks,
}

impl World {
    pub fn new(scenario: Scenario) -> Result<Self, Violation> {
        let mut rng = ChaCha12Rng::seed_from_u64(scenario.seed);
        let honest = scenario.validators - scenario.byzantine;
        let coins = scenario.payments + scenario.double_spends;
        let genesis = Arc::new(workload::genesis(scenario.validators, coins, START_MS, scenario.epoch_blocks));
        let counts = (scenario.payments, scenario.double_spends);
        let workload = Workload::draw(&genesis, scenario.validators, honest, counts, scenario.faulty_ms, &mut rng);
        let nodes = (0..scenario.validators)
            .map(|index| {
                let mut seed = [0; 32];
                rng.fill_bytes(&mut seed);
                let skew_ms = rng.next_u64() % scenario.skew_ms.max(1);
                Node::new(Arc::clone(&genesis), workload::key(1, index), seed, (scenario.compact_blocks, skew_ms))
            })
            .collect();
        let checks = Checks::new(&scenario, &genesis);
        let mut world = Self {
            liars: (honest..scenario.validators).map(|index| (index, Liar::default())).collect(),
            wakes: vec![None; scenario.validators],
            genesis,
            nodes,
            workload,
            queue: BTreeMap::new(),
            sequence: 0,
            now: Time(START_MS * 1_000),
            cut: 0,
            one_way: false,
            asked: BTreeMap::new(),
            open: BTreeMap::new(),
            tags: 0,
            rng,
            checks,
            scenario,
        };
        world.plan(honest);
        Ok(world)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.rng.next_u64() % limit.max(1)
    }

    fn index_below(&mut self, limit: usize) -> usize {
        usize::try_from(self.below(u64::try_from(limit).unwrap_or(1))).unwrap_or_default()
    }

    fn chance(&mut self, share: f64) -> bool {
        // 2^-53 steps are fine for chances.
        #[allow(clippy::cast_precision_loss)]
        let point = (self.rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        point < share
    }

    fn at(&mut self, time: Time, happening: Happening) {
        self.sequence += 1;
        self.queue.insert((time, self.sequence), happening);
    }

    /// Faults and payments, all drawn before the run begins.
    fn plan(&mut self, honest: usize) {
        let start = self.now;
        for index in 0..self.workload.submissions.len() {
            let at_ms = self.workload.submissions[index].at_ms;
            self.at(start.plus_ms(1_000 + at_ms), Happening::Submit(index));
        }
        for _ in 0..self.scenario.crashes {
            let at = start.plus_ms(1_000 + self.below(self.scenario.faulty_ms));
            let crash = if self.below(2) == 0 { Crash::BeforeCommit } else { Crash::AfterCommit };
            let node = self.index_below(honest);
            self.at(at, Happening::Crash(node, crash));
        }
        for index in 0..self.scenario.partitions {
            let at = start.plus_ms(1_000 + self.below(self.scenario.faulty_ms));
            let side = self.rng.next_u64();
            self.at(at, Happening::Partition { side, one_way: index % 2 == 1 });
            let length = self.below(PARTITION_MS_MAX);
            self.at(at.plus_ms(length), Happening::Heal);
        }
        self.at(start.plus_ms(1_000 + self.scenario.faulty_ms), Happening::Heal);
    }

    pub fn run(mut self) -> Result<Report, Violation> {
        for node in 0..self.nodes.len() {
            self.restart(node)?;
        }
        let end = self.now.plus_ms(1_000 + self.scenario.faulty_ms + self.scenario.settle_ms);
        while let Some(((at, _), happening)) = self.queue.pop_first() {
            self.now = at;
            self.happen(happening)?;
            let faults_over = at > Time(START_MS * 1_000).plus_ms(2_000 + self.scenario.faulty_ms);
            let epochs_over = self.checks.report.epochs >= EPOCHS_MIN;
            if at > end || (faults_over && epochs_over && self.is_settled()) {
                break;
            }
        }
        if self.checks.report.epochs < EPOCHS_MIN {
            return Err(self.violation(format!("only {} epochs ended", self.checks.report.epochs)));
        }
        let honest = self.nodes.len() - self.scenario.byzantine;
        let result = self.checks.settled(&self.workload, honest);
        result.map_err(|what| self.violation(what))?;
        let mut report = self.checks.report;
        report.compactions = self.nodes.iter().map(|node| node.compactions).sum();
        report.finality_ms.sort_unstable();
        report.fingerprint = mix(self.rng.next_u64(), report.messages);
        Ok(report)
    }

    fn is_settled(&self) -> bool {
        self.checks.settled(&self.workload, self.nodes.len() - self.scenario.byzantine).is_ok()
    }

    fn violation(&self, what: String) -> Violation {
        self.checks.violation(self.now.millis() - START_MS, what)
    }

    fn happen(&mut self, happening: Happening) -> Result<(), Violation> {
        let healing = self.now.millis() > START_MS + 1_000 + self.scenario.faulty_ms;
        match happening {
            Happening::Deliver { from, to, message } => self.deliver(from, to, message),
            Happening::Failed { node, request } => {
                if self.open.remove(&(node, request)).is_some() {
                    return self.turn(node, vec![Input::Failed(request)]);
                }
                Ok(())
            }
            Happening::Wake(node) => {
                if self.wakes[node].is_some_and(|at| at <= self.now) {
                    self.wakes[node] = None;
                    return self.turn(node, vec![Input::Wake]);
                }
                Ok(())
            }
            Happening::Submit(index) => self.submit(index),
            Happening::Crash(node, crash) => {
                if self.nodes[node].is_up() && !healing {
                    self.nodes[node].crash_next = Some(crash);
                    let back = self.now.plus_ms(100 + self.below(DOWN_MS_MAX));
                    self.at(back, Happening::Restart(node));
                }
                Ok(())
            }
            Happening::Restart(node) => self.restart(node),
            Happening::Partition { side, one_way } => {
                self.cut = if healing { 0 } else { side };
                self.one_way = one_way;
                self.checks.report.partitions += u64::from(!healing);
                Ok(())
            }
            Happening::Heal => {
                self.cut = 0;
                Ok(())
            }
        }
    }

    fn restart(&mut self, node: usize) -> Result<(), Violation> {
        if !self.nodes[node].is_up() {
            if self.nodes[node].crash_next.take().is_some() || self.now.millis() > START_MS {
                self.checks.report.crashes += 1;
            }
            let effects = self.nodes[node].start(self.now).map_err(|error| self.broken(node, &error))?;
            self.perform(node, effects)?;
            self.turn(node, vec![Input::Wake])?;
            if !self.liars.contains_key(&node) {
                self.checks.restarted(node, self.nodes[node].disk.blocks());
            }
        } else {
            self.nodes[node].crash_next = None;
        }
        Ok(())
    }

    fn broken(&self, node: usize, error: &StartError) -> Violation {
        self.violation(format!("node {node} cannot go on: {error}"))
    }

    /// A wallet hands its payment in again, to one node after another, until it sees it settled: a
    /// node may refuse it (its parent is on the way), or die with it.
    fn submit(&mut self, index: usize) -> Result<(), Violation> {
        let submission = self.workload.submissions[index].clone();
        if self.checks.is_spent(&submission.transaction) {
            return Ok(());
        }
        self.checks.submitted(&submission.transaction, self.now);
        let honest = self.nodes.len() - self.scenario.byzantine;
        let node = submission.node;
        self.workload.submissions[index].node = (node + 1) % honest;
        let again = self.now.plus_ms(RESUBMIT_MS);
        self.at(again, Happening::Submit(index));
        self.tags += 1;
        let source = Source::Local(ReplyTag(self.tags));
        let transaction = Verified::by_own_hand(submission.transaction);
        self.turn(node, vec![Input::Transactions(source, vec![transaction])])
    }

    fn turn(&mut self, node: usize, inputs: Vec<Input>) -> Result<(), Violation> {
        let effects = self.nodes[node].turn(self.now, inputs).map_err(|error| self.broken(node, &error))?;
        self.perform(node, effects)?;
        if let Some(at) = self.nodes[node].deadline() {
            let at = at.max(Time(self.now.0 + 1));
            if self.wakes[node].is_none_or(|planned| planned > at) {
                self.wakes[node] = Some(at);
                self.at(at, Happening::Wake(node));
            }
        }
        Ok(())
    }

    fn perform(&mut self, node: usize, effects: Vec<Effect>) -> Result<(), Violation> {
        let lying = self.liars.contains_key(&node);
        for effect in effects {
            match effect {
                Effect::PublishTransactions(transactions) => self.gossip(node, &Message::Transactions(transactions)),
                Effect::PublishVote(vote) => self.publish_vote(node, vote)?,
                Effect::PublishProposal(proposal) => self.gossip(node, &Message::Proposal(proposal)),
                Effect::Request(id, to, request) => self.request(node, id, to, request),
                Effect::Reply(tag, reply) => self.reply(node, tag, reply),
                Effect::Event(event) if !lying => {
                    let checked = self.checks.event(node, &event);
                    checked.map_err(|what| self.violation(what))?;
                }
                Effect::Penalty(peer, offence) if !lying => {
                    let honest = self.nodes.len() - self.scenario.byzantine;
                    if usize::try_from(peer.0).is_ok_and(|peer| peer < honest) {
                        return Err(self.violation(format!("node {node} blames honest node {}: {offence:?}", peer.0)));
                    }
                }
                Effect::Verdict(..) | Effect::Penalty(..) | Effect::Event(_) => {}
            }
        }
        Ok(())
    }

    fn publish_vote(&mut self, node: usize, vote: Vote) -> Result<(), Violation> {
        if self.liars.contains_key(&node) {
            let genesis = self.genesis.hash();
            let other = match (&vote, self.nodes[node].key()) {
                (Vote::Block(vote), Some(key)) => Liar::contradict(vote, key, &genesis).map(Vote::Block),
                _ => None,
            };
            for to in (0..self.nodes.len()).filter(|to| *to != node) {
                let told = other.as_ref().filter(|_| to % 2 == 1).unwrap_or(&vote);
                self.send(node, to, Message::Vote(told.clone()));
            }
            return Ok(());
        }
        let checked: Result<(), String> = match &vote {
            Vote::Finality(batch) => checks::Checks::vote_batch(&mut self.checks, node, batch),
            Vote::Block(vote) => self.checks.block_vote(node, vote),
            Vote::Seal(seal) => self.checks.seal(node, seal),
        };
        checked.map_err(|what| self.violation(what))?;
        self.gossip(node, &Message::Vote(vote));
        Ok(())
    }

    fn gossip(&mut self, from: usize, message: &Message) {
        for to in (0..self.nodes.len()).filter(|to| *to != from) {
            self.send(from, to, message.clone());
        }
    }

    fn send(&mut self, from: usize, to: usize, message: Message) {
        let (left, right) = ((self.cut >> (from % 64)) & 1, (self.cut >> (to % 64)) & 1);
        let apart = if self.one_way { left > right } else { left != right };
        let healing = self.now.millis() > START_MS + 1_000 + self.scenario.faulty_ms;
        let loss = if healing { 0.0 } else { self.scenario.loss };
        if apart || self.chance(loss) {
            self.checks.report.lost += 1;
            return;
        }
        if !healing && self.chance(self.scenario.duplication) {
            self.checks.report.duplicated += 1;
            self.schedule(from, to, message.clone());
        }
        self.schedule(from, to, message);
    }

    fn schedule(&mut self, from: usize, to: usize, message: Message) {
        let (least, most) = self.scenario.latency_ms;
        let delay_us = least * 1_000 + self.below((most - least) * 1_000);
        let at = Time(self.now.0 + delay_us);
        self.at(at, Happening::Deliver { from, to, message });
    }

    fn request(&mut self, node: usize, id: RequestId, to: Destination, request: Request) {
        let peer = match to {
            Destination::Validator(key) => {
                self.nodes.iter().position(|other| other.key().is_some_and(|own| own.public() == key))
            }
            Destination::Peer(peer) => usize::try_from(peer.0).ok(),
            Destination::Any => {
                let other = self.index_below(self.nodes.len() - 1);
                Some(if other >= node { other + 1 } else { other })
            }
        };
        self.open.insert((node, id), ());
        let late = self.now.plus_ms(REQUEST_TIMEOUT_MS);
        self.at(late, Happening::Failed { node, request: id });
        if let Some(peer) = peer.filter(|peer| *peer != node && *peer < self.nodes.len()) {
            self.send(node, peer, Message::Asked(id, request));
        }
    }

    fn reply(&mut self, node: usize, tag: ReplyTag, reply: Reply) {
        if let Some((asker, request)) = self.asked.remove(&(node, tag)) {
            self.send(node, asker, Message::Answered(request, Answered::Reply(Box::new(reply))));
        }
    }

    fn deliver(&mut self, from: usize, to: usize, message: Message) -> Result<(), Violation> {
        if !self.nodes[to].is_up() {
            return Ok(());
        }
        self.checks.report.messages += 1;
        let peer = PeerTag(u64::try_from(from).unwrap_or_default());
        let input = match message {
            Message::Transactions(transactions) => {
                self.lie_about(to, &transactions);
                self.tags += 1;
                let bodies = transactions.iter().map(|body| Verified::by_own_hand(body.as_ref().clone())).collect();
                Input::Transactions(Source::Gossip(peer, GossipTag(self.tags)), bodies)
            }
            Message::Vote(vote) => Input::Votes(peer, vec![Verified::by_own_hand(vote)]),
            Message::Proposal(proposal) => {
                Input::Proposal(peer, Box::new(Verified::by_own_hand(proposal.as_ref().clone())))
            }
            Message::Asked(id, request) => return self.asked(from, to, id, request),
            Message::Answered(id, answered) => {
                if self.open.remove(&(to, id)).is_none() {
                    return Ok(());
                }
                match response(answered) {
                    Some(response) => Input::Answered(id, peer, response),
                    None => Input::Failed(id),
                }
            }
        };
        self.turn(to, vec![input])
    }

    fn lie_about(&mut self, node: usize, transactions: &[Arc<Transaction>]) {
        let genesis = self.genesis.hash();
        let Some(liar) = self.liars.get_mut(&node) else { return };
        let Some(key) = self.nodes[node].key() else { return };
        let epoch = self.nodes[node].engine.as_ref().map(|engine| engine.chain_state().epoch).unwrap_or_default();
        let lies = liar.vote_for_all(transactions.iter().map(Arc::as_ref), epoch, key, &genesis);
        for lie in lies {
            self.gossip(node, &Message::Vote(lie));
        }
    }

    fn asked(&mut self, from: usize, to: usize, id: RequestId, request: Request) -> Result<(), Violation> {
        let ask = match request {
            Request::Query(query) if self.liars.contains_key(&to) => {
                let reply = Reply::Query(Liar::answer(&query));
                self.send(to, from, Message::Answered(id, Answered::Reply(Box::new(reply))));
                return Ok(());
            }
            Request::Query(query) => Ask::Query(query.as_ref().clone()),
            Request::Transactions(request) => Ask::Transactions(request),
            Request::Certificates(request) => Ask::Certificates(request),
            Request::Status(request) => Ask::Status(request),
            Request::Blocks(request) => {
                let count = usize::try_from(request.count).unwrap_or_default();
                let blocks = self.nodes[to].disk.blocks_from(request.from, count);
                self.send(to, from, Message::Answered(id, Answered::Blocks(blocks)));
                return Ok(());
            }
        };
        self.tags += 1;
        let tag = ReplyTag(self.tags);
        self.asked.insert((to, tag), (from, id));
        let peer = PeerTag(u64::try_from(from).unwrap_or_default());
        self.turn(to, vec![Input::Asked(peer, tag, ask)])
    }
}

fn response(answered: Answered) -> Option<Response> {
    Some(match answered {
        Answered::Blocks(blocks) => Response::Blocks(blocks.into_iter().map(Verified::by_own_hand).collect()),
        Answered::Reply(reply) => match *reply {
            Reply::Query(answer) => Response::Query(answer),
            Reply::Transactions(bodies) => {
                Response::Transactions(bodies.iter().map(|body| Verified::by_own_hand(body.as_ref().clone())).collect())
            }
            Reply::Certificates(batches) => Response::Certificates(
                batches.iter().map(|batch| Verified::by_own_hand(batch.as_ref().clone())).collect(),
            ),
            Reply::Status(status) => Response::Status(Verified::by_own_hand(status)),
            Reply::Admission(_) => return None,
        },
    })
}
