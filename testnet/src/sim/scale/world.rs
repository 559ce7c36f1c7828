//! The clock: what happens in each millisecond, and what is found out on the way.

use super::ledger::SharedLedger;
use super::liar::Liar;
use super::network::{Gossip, HEARTBEAT_MS, Happening, Network, below, list_len};
use super::payments::{self, Submission};
use super::relay::Delivery;
use super::report::{Outcome, Percentiles, Stages};
use super::traffic::{Kind, Traffic};
use super::validator::{Conduct, Validator};
use super::{ScaleError, Shape};
use crate::sim::{Scenario, workload};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::collections::HashMap;
use std::sync::Arc;
use timecoin_protocol::block::CommittedBlock;
use timecoin_protocol::codec::encoded_len;
use timecoin_protocol::engine::{
    Ask, Config, Destination, Effect, Event, Input, Path, PeerTag, Reply, ReplyTag, Request, RequestId, Response,
    Source, Status, Time, Tuning,
};
use timecoin_protocol::finality::Phase;
use timecoin_protocol::genesis::Genesis;
use timecoin_protocol::hash::{BlockHash, Txid};
use timecoin_protocol::keys::{PublicKey, Verified};
use timecoin_protocol::ledger::genesis_state;
use timecoin_protocol::validator::Height;
use timecoin_protocol::wire::Vote;

/// When the simulated network begins, in milliseconds since 1970.
const START_MS: u64 = 1_700_000_000_000;
/// When the first payment is handed in, in milliseconds after that.
const WARM_UP_MS: u64 = 1_000;
/// Time between blocks, in milliseconds: some blocks fall into a run of seconds.
const BLOCK_INTERVAL_MS: u64 = 4_000;
/// Blocks of an epoch: as on a devnet.
const EPOCH_BLOCKS: u64 = 60;
/// How long payments may take to be final everywhere after the last one, in milliseconds.
const SETTLE_MS: u64 = 30_000;

/// What is known of a payment.
#[derive(Debug, Default)]
struct Fate {
    /// Honest validators at which it is final.
    finals: usize,
}

/// Times from being handed in, of payments without a rival, in milliseconds.
#[derive(Debug, Default)]
struct Times {
    at_origin: Vec<u32>,
    known: Vec<u32>,
    voted: Vec<u32>,
    prepared: Vec<u32>,
    finalized: Vec<u32>,
}

/// One run.
#[derive(Debug)]
pub(super) struct World {
    shape: Shape,
    genesis: Arc<Genesis>,
    validators: Vec<Validator>,
    by_key: HashMap<PublicKey, usize>,
    honest: usize,
    network: Network,
    submissions: Vec<Submission>,
    by_txid: HashMap<Txid, usize>,
    fates: Vec<Fate>,
    times: Times,
    by_block: usize,
    /// Who waits for the reply with this tag.
    asked: HashMap<ReplyTag, (usize, RequestId)>,
    next_tag: u64,
    blocks: Vec<Arc<CommittedBlock>>,
    now_ms: u64,
}

impl World {
    pub fn new(shape: Shape) -> Result<Self, ScaleError> {
        let mut rng = ChaCha12Rng::seed_from_u64(shape.seed);
        let (count, byzantine) = (shape.validators, shape.byzantine_count());
        let crowd = Scenario {
            weights: vec![1; count],
            payments: shape.payments(),
            epoch_blocks: EPOCH_BLOCKS,
            ..Scenario::calm(0)
        };
        let mut genesis = workload::genesis(&crowd, START_MS);
        genesis.params.block_interval_ms = BLOCK_INTERVAL_MS;
        let genesis = Arc::new(genesis);
        let mut conducts: Vec<Conduct> = (0..count).map(|_| Conduct::Honest).collect();
        // Wherever they are: the first of an order by chance.
        let mut order: Vec<usize> = (0..count).collect();
        (1..count).rev().for_each(|end| order.swap(end, below(&mut rng, end + 1)));
        for (number, node) in order.iter().take(byzantine).enumerate() {
            conducts[*node] = if number < byzantine / 2 { Conduct::Silent } else { Conduct::Lying(Liar::default()) };
        }
        let (state, ledger) = (genesis_state(&genesis)?, SharedLedger::at_genesis(&genesis));
        let validators: Vec<Validator> = (0_usize..)
            .zip(conducts)
            .map(|(index, conduct)| {
                let key = workload::key(1, index);
                let mut seed = [0; 32];
                rng.fill_bytes(&mut seed);
                let tuning = Tuning::default();
                let config = Config {
                    genesis: Arc::clone(&genesis),
                    key: Some(key.clone()),
                    tuning,
                    past: timecoin_protocol::engine::Past::default(),
                    seed,
                };
                Validator::new(config, conduct, key, state.clone(), ledger.clone())
            })
            .collect();
        let honest: Vec<usize> = (0..count).filter(|node| validators[*node].is_honest()).collect();
        let sizes = (shape.payments(), shape.rate, byzantine > 0);
        let submissions = payments::draw(&genesis, count, sizes, &honest, &mut |limit| below(&mut rng, limit));
        let silent = validators.iter().map(Validator::is_silent).collect();
        let mut world = Self {
            network: Network::new(silent, shape.regions, rng)?,
            by_key: (0..).zip(&validators).map(|(index, one)| (one.key.public(), index)).collect(),
            by_txid: (0..).zip(&submissions).map(|(index, one): (usize, _)| (one.txid, index)).collect(),
            fates: submissions.iter().map(|_| Fate::default()).collect(),
            honest: honest.len(),
            times: Times::default(),
            by_block: 0,
            asked: HashMap::new(),
            next_tag: 0,
            blocks: Vec::new(),
            now_ms: 0,
            shape,
            genesis,
            validators,
            submissions,
        };
        for index in 0..world.submissions.len() {
            let at = WARM_UP_MS + world.submissions[index].at_ms;
            world.network.at(at, Happening::Submit(index));
        }
        Ok(world)
    }

    const fn now(&self) -> Time {
        Time((START_MS + self.now_ms) * 1_000)
    }

    pub fn run(mut self) -> Result<Outcome, ScaleError> {
        let now = self.now();
        for node in 0..self.validators.len() {
            let effects = self.validators[node].start(now)?;
            self.perform(node, effects)?;
        }
        let last_ms = WARM_UP_MS + u64::from(self.shape.seconds) * 1_000;
        while self.now_ms < last_ms || self.missing() > 0 {
            if self.now_ms > last_ms + SETTLE_MS {
                let wanted = self.submissions.iter().filter(|one| one.rival.is_none()).count() * self.honest;
                return Err(ScaleError::NotFinal { missing: self.missing(), wanted, seconds: SETTLE_MS / 1_000 });
            }
            if self.now_ms == WARM_UP_MS {
                self.network.traffic = Traffic::default();
            }
            self.tick()?;
            self.now_ms += 1;
        }
        Ok(self.outcome())
    }

    fn tick(&mut self) -> Result<(), ScaleError> {
        for Delivery { node, from, votes } in self.network.votes(self.now_ms) {
            let votes = votes.into_iter().map(Verified::by_own_hand).collect();
            self.validators[node].take(Input::Votes(PeerTag(from as u64), votes));
        }
        while let Some(happenings) = self.network.due(self.now_ms) {
            for happening in happenings {
                self.happen(happening);
            }
        }
        if self.now_ms.is_multiple_of(HEARTBEAT_MS) {
            self.network.heartbeat();
        }
        let now = self.now();
        for node in 0..self.validators.len() {
            if self.validators[node].is_due(now) {
                let effects = self.validators[node].turn(now)?;
                self.perform(node, effects)?;
            }
        }
        Ok(())
    }

    /// Pairs of a payment without a rival and an honest validator at which it is not final yet.
    fn missing(&self) -> usize {
        let lone = self.submissions.iter().zip(&self.fates).filter(|(one, _)| one.rival.is_none());
        lone.map(|(_, fate)| self.honest - fate.finals).sum()
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Spread { from, sent_ms, next, gossip } => {
                let reached = self.network.reached((from, sent_ms, next, std::rc::Rc::clone(&gossip)), self.now_ms);
                for node in reached {
                    self.validators[node].take(gossip.input(from));
                    if let Gossip::Payments(payments) = gossip.as_ref() {
                        self.lie(node, payments);
                    }
                }
            }
            Happening::Asked { from, to, id, request } => self.asked(from, to, id, *request),
            Happening::Answered { from, to, id, response } => {
                self.validators[to].take(Input::Answered(id, PeerTag(from as u64), *response));
            }
            Happening::Failed { node, id } => self.validators[node].take(Input::Failed(id)),
            Happening::Submit(index) => {
                let one = &self.submissions[index];
                let body = Verified::by_own_hand(one.transaction.clone());
                self.validators[one.node].take(Input::Transactions(Source::Local(ReplyTag(u64::MAX)), vec![body]));
            }
        }
    }

    fn lie(&mut self, node: usize, payments: &[Arc<timecoin_protocol::transaction::Transaction>]) {
        let validator = &mut self.validators[node];
        let Some(epoch) = validator.engine().map(|engine| engine.chain_state().epoch) else { return };
        let Conduct::Lying(liar) = &mut validator.conduct else { return };
        let hash = self.genesis.hash();
        let votes: Vec<Vote> =
            payments.iter().flat_map(|payment| liar.hear(payment, epoch, &validator.key, &hash)).collect();
        self.network.say(node, votes, self.now_ms);
    }

    fn asked(&mut self, from: usize, to: usize, id: RequestId, request: Request) {
        let ask = match request {
            Request::Query(query) => {
                if let Conduct::Lying(liar) = &self.validators[to].conduct {
                    let answer = liar.answer(&query);
                    let cost = (Kind::Sampling, "query", encoded_len(&answer));
                    return self.network.answer((to, from), id, Response::Query(answer), cost, self.now_ms);
                }
                Ask::Query(query.as_ref().clone())
            }
            Request::Transactions(request) => Ask::Transactions(request),
            Request::Certificates(request) => Ask::Certificates(request),
            Request::Status(request) => Ask::Status(request),
            Request::Blocks(request) => {
                let has = |block: &&Arc<CommittedBlock>| {
                    let height = block.block.header.height;
                    let tip = self.validators[to].engine().map_or(Height(0), |engine| engine.chain_state().height);
                    height >= request.from && height <= tip
                };
                let blocks: Vec<CommittedBlock> =
                    self.blocks.iter().filter(has).take(request.count as usize).map(|b| b.as_ref().clone()).collect();
                let cost = (Kind::Requests, "blocks", list_len(blocks.iter()));
                let response = Response::Blocks(blocks.into_iter().map(Verified::by_own_hand).collect());
                return self.network.answer((to, from), id, response, cost, self.now_ms);
            }
        };
        self.next_tag += 1;
        let tag = ReplyTag(self.next_tag);
        self.asked.insert(tag, (from, id));
        self.validators[to].take(Input::Asked(PeerTag(from as u64), tag, ask));
    }

    /// What leaves a node.
    fn perform(&mut self, node: usize, effects: Vec<Effect>) -> Result<(), ScaleError> {
        let mut votes = Vec::new();
        for effect in effects {
            match effect {
                Effect::PublishTransactions(payments) => {
                    self.network.publish(node, Gossip::Payments(payments), self.now_ms);
                }
                Effect::PublishVote(vote) => {
                    self.note_vote(node, &vote);
                    votes.push(vote);
                }
                Effect::PublishProposal(proposal) => {
                    self.network.publish(node, Gossip::Proposal(proposal), self.now_ms);
                }
                Effect::Request(id, to, request) => {
                    let to = match to {
                        Destination::Validator(key) => self.by_key.get(&key).copied(),
                        Destination::Peer(peer) => usize::try_from(peer.0).ok(),
                        Destination::Any => (self.validators.len() > 1).then(|| self.network.anybody_but(node)),
                    };
                    self.network.request((node, to), id, request, self.now_ms);
                }
                Effect::Reply(tag, reply) => self.reply(node, tag, reply),
                Effect::Event(event) if self.validators[node].is_honest() => self.note(node, event)?,
                Effect::Verdict(..) | Effect::Penalty(..) | Effect::Event(_) => {}
            }
        }
        self.network.say(node, votes, self.now_ms);
        Ok(())
    }

    fn reply(&mut self, node: usize, tag: ReplyTag, reply: Reply) {
        let Some((asker, id)) = self.asked.remove(&tag) else { return };
        let (response, cost) = match reply {
            Reply::Query(answer) => {
                let cost = (Kind::Sampling, "query", encoded_len(&answer));
                (Response::Query(answer), cost)
            }
            Reply::Transactions(bodies) => {
                let cost = (Kind::Requests, "transactions", list_len(bodies.iter()));
                let bodies = bodies.iter().map(|body| Verified::by_own_hand(body.as_ref().clone())).collect();
                (Response::Transactions(bodies), cost)
            }
            Reply::Certificates(batches) => {
                let cost = (Kind::Requests, "certificates", list_len(batches.iter()));
                let batches = batches.iter().map(|batch| Verified::by_own_hand(batch.as_ref().clone())).collect();
                (Response::Certificates(batches), cost)
            }
            Reply::Status(status) => {
                let cost = (Kind::Requests, "status", encoded_len(&status));
                (Response::Status(Verified::by_own_hand(status)), cost)
            }
            Reply::Admission(_) => return,
        };
        self.network.answer((node, asker), id, response, cost, self.now_ms);
    }

    fn note_vote(&mut self, node: usize, vote: &Vote) {
        if let Vote::Finality(batch) = vote
            && batch.phase == Phase::Prepare
            && self.validators[node].is_honest()
        {
            for txid in &batch.txids {
                if let Some((_, ms)) = self.since(txid) {
                    self.times.voted.push(ms);
                }
            }
        }
    }

    /// A payment without a rival, and how long ago it was handed in.
    fn since(&self, txid: &Txid) -> Option<(usize, u32)> {
        let index = *self.by_txid.get(txid)?;
        let one = self.submissions.get(index).filter(|one| one.rival.is_none())?;
        Some((index, u32::try_from(self.now_ms - WARM_UP_MS - one.at_ms).unwrap_or(u32::MAX)))
    }

    /// News of an honest validator.
    fn note(&mut self, node: usize, event: Event) -> Result<(), ScaleError> {
        match event {
            Event::Admitted { admitted, .. } => {
                if let Some((_, ms)) = self.since(&admitted.txid) {
                    self.times.known.push(ms);
                }
            }
            Event::Status { txid, status: Status::Prepared, .. } => {
                if let Some((_, ms)) = self.since(&txid) {
                    self.times.prepared.push(ms);
                }
            }
            Event::Status { txid, status: Status::Final(path), .. } => self.note_final(node, &txid, path)?,
            Event::Block { block, .. } => self.note_block(block)?,
            _ => {}
        }
        Ok(())
    }

    fn note_final(&mut self, node: usize, txid: &Txid, path: Path) -> Result<(), ScaleError> {
        let Some(index) = self.by_txid.get(txid).copied() else { return Ok(()) };
        self.fates[index].finals += 1;
        self.by_block += usize::from(matches!(path, Path::Block(_)));
        if let Some(rival) = self.submissions[index].rival
            && self.fates[rival].finals > 0
        {
            return Err(ScaleError::Conflict(*txid, self.submissions[rival].txid));
        }
        if let Some((_, ms)) = self.since(txid) {
            self.times.finalized.push(ms);
            if self.submissions[index].node == node {
                self.times.at_origin.push(ms);
            }
        }
        Ok(())
    }

    fn note_block(&mut self, block: Arc<CommittedBlock>) -> Result<(), ScaleError> {
        let hash = |block: &CommittedBlock| -> BlockHash { block.block.header.hash() };
        let height = block.block.header.height;
        match self.blocks.iter().find(|known| known.block.header.height == height) {
            Some(known) if hash(known) != hash(&block) => Err(ScaleError::Fork(height)),
            Some(_) => Ok(()),
            None => {
                self.blocks.push(block);
                Ok(())
            }
        }
    }

    fn outcome(mut self) -> Outcome {
        self.network.settle();
        let silent = self.validators.iter().filter(|one| one.is_silent()).count();
        let pairs = self.submissions.iter().zip(&self.fates).filter(|(one, _)| one.rival.is_some());
        Outcome {
            silent,
            lying: self.validators.len() - silent - self.honest,
            payments: self.submissions.len(),
            double_spends: pairs.clone().count() / 2,
            double_spends_settled: pairs.filter(|(_, fate)| fate.finals == self.honest).count(),
            finality: Percentiles::of(self.times.at_origin),
            stages: Stages {
                known: Percentiles::of(self.times.known),
                voted: Percentiles::of(self.times.voted),
                prepared: Percentiles::of(self.times.prepared),
                finalized: Percentiles::of(self.times.finalized),
            },
            by_block: self.by_block,
            blocks: self.blocks.len() as u64,
            length_ms: self.now_ms - WARM_UP_MS,
            traffic: self.network.traffic,
            shape: self.shape,
        }
    }
}
