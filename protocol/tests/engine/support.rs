//! One engine among four validators of equal weight, whose other three are played by the test.

use std::cell::Cell;
use std::convert::Infallible;
use std::sync::Arc;
use timecoin_protocol::address::{NetworkKind, Owner};
use timecoin_protocol::amount::Amount;
use timecoin_protocol::bitmap::Bitmap;
use timecoin_protocol::block::{BlockPhase, BlockVote, Commit, CommitSignature, CompactBlock, Evidence, Proposal};
use timecoin_protocol::engine::{
    Ask, Config, Effect, Engine, GossipTag, Input, Journal, MemoryLedger, Past, PeerTag, Record, Reply, ReplyTag,
    Request, RequestId, Response, Source, Time, Tuning, Turn,
};
use timecoin_protocol::finality::{Phase, Seal, VoteBatch};
use timecoin_protocol::genesis::{Genesis, Params};
use timecoin_protocol::hash::{BlockHash, Txid};
use timecoin_protocol::keys::{SecretKey, Verified};
use timecoin_protocol::ledger::{BlockParts, build_block, genesis_state};
use timecoin_protocol::transaction::{Lock, OutPoint, Output, Transaction, TransactionBody};
use timecoin_protocol::validator::{Epoch, Height, Round, ValidatorIndex};
use timecoin_protocol::wire::{Answer, Opinion, StatusRequest, StatusResponse, Vote};

pub const COIN: u64 = 1_000_000_000;
pub const FEE: u64 = 20_000;
pub const COINS: usize = 80;
pub const VALIDATORS: usize = 4;
thread_local! {
    /// Blocks of an epoch: so many that only tests of its end see it. Each test has a thread of its own.
    pub static EPOCH_BLOCKS: Cell<u64> = const { Cell::new(1_000) };
}
const START_MS: u64 = 1_700_000_000_000;

/// What survives a restart.
#[derive(Debug, Default)]
pub struct Disk(pub Vec<Record>);

impl Journal for Disk {
    type Error = Infallible;

    fn append(&mut self, records: &[Record]) -> Result<(), Infallible> {
        self.0.extend_from_slice(records);
        Ok(())
    }
}

pub fn wallet(n: usize) -> SecretKey {
    let mut seed = [2; 32];
    seed[..8].copy_from_slice(&n.to_le_bytes());
    SecretKey::from_seed(&seed)
}

/// Validator keys, in the order of the set.
pub fn keys() -> Vec<SecretKey> {
    let mut keys: Vec<_> = (1..=4_u8).map(|n| SecretKey::from_seed(&[0x40 + n; 32])).collect();
    keys.sort_by_key(SecretKey::public);
    keys
}

/// Whose turn it is at a height, in round 0.
pub fn turn(height: u64) -> usize {
    let node = Node::new(0);
    let key = node.engine.validators().proposer(Height(height), Round(0)).unwrap().key;
    keys().iter().position(|own| own.public() == key).unwrap()
}

pub fn genesis() -> Genesis {
    let bonds = keys().into_iter().map(|key| {
        let lock = Lock::Bond { validator: key.public(), owner: Owner::from(&key.public()) };
        Output { amount: Amount(100_000_000_000), lock }
    });
    let coins =
        (0..COINS).map(|n| Output { amount: Amount(COIN), lock: Lock::Address(Owner::from(&wallet(n).public())) });
    Genesis {
        name: "engine tests".into(),
        network: NetworkKind::Devnet,
        time_ms: START_MS,
        params: Params {
            block_interval_ms: 1_000,
            block_reward_units: 10_000_000_000,
            unbonding_blocks: 5,
            epoch_blocks: EPOCH_BLOCKS.get(),
        },
        outputs: bonds.chain(coins).collect(),
    }
}

/// Genesis coin `n`, of `wallet(n)`.
pub fn coin(n: usize) -> OutPoint {
    OutPoint { txid: Txid(genesis().hash().0), index: u32::try_from(VALIDATORS + n).unwrap() }
}

/// A payment of `wallet(owner)` that leaves `fee`.
pub fn spend(owner: usize, input: OutPoint, amount: u64, fee: u64, memo: &str) -> Transaction {
    let lock = Lock::Address(Owner::from(&wallet(owner).public()));
    let outputs = vec![Output { amount: Amount(amount - fee), lock }];
    let body = TransactionBody { inputs: vec![input], outputs, memo: memo.as_bytes().to_vec() };
    Transaction::sign(body, &[&wallet(owner)], &genesis().hash())
}

/// A spend of coin `n`; another memo makes another one.
pub fn payment(n: usize, memo: &str) -> Transaction {
    spend(n, coin(n), COIN, FEE, memo)
}

/// A spend of the only output of `parent`, a payment of `wallet(n)`.
pub fn child(n: usize, parent: &Transaction) -> Transaction {
    spend(n, OutPoint { txid: parent.txid(), index: 0 }, parent.body.outputs[0].amount.units(), FEE, "")
}

pub struct Node {
    pub me: usize,
    pub now: Time,
    pub engine: Engine<MemoryLedger>,
    pub disk: Disk,
    /// For tests that build on it.
    pub last_commit: Option<Commit>,
    /// What the others put into the next closing block.
    pub evidence: Vec<Evidence>,
    tuning: Tuning,
    tags: u64,
}

fn engine(me: usize, tuning: &Tuning, past: Past) -> Engine<MemoryLedger> {
    let genesis = Arc::new(genesis());
    let ledger = MemoryLedger::new(genesis.utxos());
    let state = genesis_state(&genesis).unwrap();
    let config = Config { genesis, key: Some(keys().remove(me)), tuning: tuning.clone(), past, seed: [7; 32] };
    Engine::new(config, state, None, ledger)
}

impl Node {
    /// Validator `me`, started 100 ms after genesis.
    pub fn new(me: usize) -> Self {
        Self::tuned(me, Tuning::default())
    }

    pub fn tuned(me: usize, tuning: Tuning) -> Self {
        let now = Time(START_MS * 1_000).plus_ms(100);
        let mut node = Self {
            me,
            now,
            engine: engine(me, &tuning, Past::default()),
            disk: Disk::default(),
            last_commit: None,
            evidence: Vec::new(),
            tuning,
            tags: 0,
        };
        node.start();
        node
    }

    fn start(&mut self) -> Vec<Effect> {
        let mut turn = self.engine.start(self.now).unwrap();
        self.engine.finish(self.now, &mut turn).unwrap();
        turn.commit(&mut self.disk).unwrap()
    }

    /// Dies and comes back with what the journal holds; gives what it says first.
    pub fn restart(&mut self) -> Vec<Effect> {
        self.restart_with(Past::default())
    }

    /// Likewise, with what is known of its history.
    pub fn restart_with(&mut self, past: Past) -> Vec<Effect> {
        self.engine = engine(self.me, &self.tuning, past);
        for record in self.disk.0.clone() {
            self.engine.restore(record).unwrap();
        }
        self.start()
    }

    /// D-4: the journal keeps blocks and what is still live.
    pub fn compact(&mut self) {
        let live = self.engine.live_records();
        self.disk.0.retain(|record| matches!(record, Record::Block(_)));
        self.disk.0.extend(live);
    }

    pub fn turn(&mut self, inputs: Vec<Input>) -> Vec<Effect> {
        let mut turn = Turn::default();
        for input in inputs {
            self.engine.step(self.now, input, &mut turn).unwrap();
        }
        self.engine.finish(self.now, &mut turn).unwrap();
        turn.commit(&mut self.disk).unwrap()
    }

    /// Lets time pass, with a turn at each deadline.
    pub fn pass_ms(&mut self, millis: u64) -> Vec<Effect> {
        let end = self.now.plus_ms(millis);
        let mut effects = Vec::new();
        for _ in 0..10_000 {
            match self.engine.deadline() {
                Some(at) if at <= end => self.now = self.now.max(at),
                _ => {
                    self.now = end;
                    effects.extend(self.turn(vec![Input::Wake]));
                    return effects;
                }
            }
            effects.extend(self.turn(vec![Input::Wake]));
        }
        panic!("the engine never sleeps: its deadline is {:?}, now is {:?}", self.engine.deadline(), self.now);
    }

    /// To the instant at which the first height begins.
    pub fn begin_height(&mut self) -> Vec<Effect> {
        self.pass_ms(900)
    }

    pub fn gossip(&mut self, transactions: &[Transaction]) -> Vec<Effect> {
        self.tags += 1;
        let bodies = transactions.iter().cloned().map(Verified::by_own_hand).collect();
        self.turn(vec![Input::Transactions(Source::Gossip(PeerTag(9), GossipTag(self.tags)), bodies)])
    }

    pub fn submit(&mut self, transaction: &Transaction) -> Vec<Effect> {
        self.tags += 1;
        let source = Source::Local(ReplyTag(self.tags));
        self.turn(vec![Input::Transactions(source, vec![Verified::by_own_hand(transaction.clone())])])
    }

    pub fn ask(&mut self, ask: Ask) -> (Option<Reply>, Vec<Effect>) {
        self.tags += 1;
        let mut effects = self.turn(vec![Input::Asked(PeerTag(8), ReplyTag(self.tags), ask)]);
        let at = effects.iter().position(|effect| matches!(effect, Effect::Reply(..)));
        let reply = at.map(|at| effects.remove(at)).and_then(|effect| match effect {
            Effect::Reply(_, reply) => Some(reply),
            _ => None,
        });
        (reply, effects)
    }

    pub fn opinion(&mut self, txid: Txid) -> Opinion {
        let query = timecoin_protocol::wire::Query { epoch: Epoch(0), txids: vec![txid] };
        match self.ask(Ask::Query(query)).0 {
            Some(Reply::Query(answer)) => answer.opinions[0],
            other => panic!("{other:?}"),
        }
    }

    pub fn status(&mut self, round: u32) -> StatusResponse {
        let tip = self.engine.chain_state().height;
        match self
            .ask(Ask::Status(StatusRequest {
                tip,
                round: Round(round),
                seals: Bitmap::default(),
                evidence: Bitmap::default(),
                voter: None,
            }))
            .0
        {
            Some(Reply::Status(status)) => status,
            other => panic!("{other:?}"),
        }
    }

    /// The other validators.
    pub fn others(&self) -> Vec<usize> {
        (0..VALIDATORS).filter(|index| *index != self.me).collect()
    }

    /// Votes of the other validators `who` arrive.
    pub fn votes(&mut self, phase: Phase, txids: &[Txid], who: &[usize]) -> Vec<Effect> {
        let epoch = self.engine.chain_state().epoch;
        let votes = who.iter().map(|index| {
            let batch = VoteBatch::sign(epoch, phase, txids.to_vec(), &keys()[*index], &genesis().hash());
            Input::Votes(PeerTag(9), vec![Verified::by_own_hand(Vote::Finality(Arc::new(batch)))])
        });
        self.turn(votes.collect())
    }

    pub fn block_votes(
        &mut self,
        round: u32,
        phase: BlockPhase,
        block: Option<BlockHash>,
        who: &[usize],
    ) -> Vec<Effect> {
        let (epoch, height) = (self.engine.chain_state().epoch, self.engine.chain_state().height.next());
        let votes = who.iter().map(|index| {
            let vote = block_vote_in(epoch, height, round, phase, block, *index);
            Input::Votes(PeerTag(9), vec![Verified::by_own_hand(Vote::Block(vote))])
        });
        self.turn(votes.collect())
    }

    pub fn propose(&mut self, proposal: Proposal) -> Vec<Effect> {
        self.turn(vec![Input::Proposal(PeerTag(9), Box::new(Verified::by_own_hand(proposal)))])
    }

    /// What the rightful proposer of `round` would propose on top of this node's chain.
    pub fn proposal(&mut self, round: u32, transactions: &[Transaction], commit: Option<Commit>) -> Proposal {
        self.closing_proposal(round, transactions, commit, &[])
    }

    /// Likewise, with seals.
    pub fn closing_proposal(
        &mut self,
        round: u32,
        transactions: &[Transaction],
        commit: Option<Commit>,
        seals: &[Arc<Seal>],
    ) -> Proposal {
        let proposer = keys().remove(self.proposer(round));
        let state = self.engine.chain_state().clone();
        let time_ms = self.now.millis();
        let bodies: Vec<_> = transactions.iter().cloned().map(Arc::new).collect();
        let params = genesis().params;
        let evidence: Vec<_> = self.evidence.iter().cloned().map(Arc::new).collect();
        let parts = BlockParts { parent_commit: commit, transactions: &bodies, seals, evidence: &evidence };
        let ledger = self.engine.ledger_mut().clone();
        let (block, delta) = build_block(&state, &params, &ledger, time_ms, proposer.public(), parts).unwrap();
        let compact = CompactBlock {
            header: block.header,
            parent_commit: block.parent_commit,
            coinbase: block.coinbase,
            txids: delta.txids,
            closing: block.closing,
        };
        Proposal::sign(Round(round), None, compact, &proposer, &genesis().hash())
    }

    /// Whose turn it is at the height in progress.
    pub fn proposer(&self, round: u32) -> usize {
        let height = self.engine.chain_state().height.next();
        let key = self.engine.validators().proposer(height, Round(round)).unwrap().key;
        keys().iter().position(|own| own.public() == key).unwrap()
    }

    /// Seals of the others `who`, of the epoch in progress, arrive.
    pub fn seals(&mut self, txids: &[Txid], who: &[usize]) -> Vec<Effect> {
        let epoch = self.engine.chain_state().epoch;
        let seals = who.iter().map(|index| {
            let seal = Seal::sign(epoch, txids.to_vec(), &keys()[*index], &genesis().hash());
            Input::Votes(PeerTag(9), vec![Verified::by_own_hand(Vote::Seal(seal))])
        });
        self.turn(seals.collect())
    }

    /// The height in progress is decided in round 0, with the precommits of the others: the block is this node's own
    /// if it is its turn, else one with `transactions` and `seals`. Gives everything that the node says meanwhile.
    pub fn decide(&mut self, transactions: &[Transaction], seals: &[Arc<Seal>]) -> Vec<Effect> {
        let (epoch, height) = (self.engine.chain_state().epoch, self.engine.chain_state().height.next());
        let mut effects = Vec::new();
        let proposal = if self.proposer(0) == self.me {
            // It may have come when the last seal did.
            let held = self.status(0).proposals;
            effects.extend(if held.is_empty() { self.pass_ms(1_100) } else { Vec::new() });
            held.into_iter().next().or_else(|| proposals_of(&effects).first().map(|own| own.as_ref().clone())).unwrap()
        } else {
            if seals.is_empty() {
                effects.extend(self.pass_ms(1_100));
            }
            let proposal = self.closing_proposal(0, transactions, self.last_commit.clone(), seals);
            effects.extend(self.propose(proposal.clone()));
            proposal
        };
        let (hash, others) = (proposal.block.header.hash(), self.others());
        effects.extend(self.block_votes(0, BlockPhase::Prevote, Some(hash), &others));
        effects.extend(self.block_votes(0, BlockPhase::Precommit, Some(hash), &others));
        assert_eq!(self.engine.chain_state().hash, hash, "height {height} is decided");
        self.last_commit = Some(commit_in(epoch, height, 0, hash, &others));
        effects
    }

    /// Decides empty blocks until the last block is at `height`.
    pub fn grow_to(&mut self, height: u64) -> Vec<Effect> {
        let mut effects = Vec::new();
        while self.engine.chain_state().height.0 < height {
            effects.extend(self.decide(&[], &[]));
        }
        effects
    }

    /// Answers every query among `effects` with `opinion`, for as many polls as follow at once.
    pub fn answer(&mut self, effects: &[Effect], opinion: impl Fn(&Txid) -> Opinion) -> Vec<Effect> {
        let mut answered = Vec::new();
        for (id, request) in requests(effects) {
            if let Request::Query(query) = request {
                let opinions = query.txids.iter().map(&opinion).collect();
                answered.extend(self.turn(vec![Input::Answered(id, PeerTag(9), Response::Query(Answer { opinions }))]));
            }
        }
        answered
    }
}

pub fn block_vote(height: Height, round: u32, phase: BlockPhase, block: Option<BlockHash>, who: usize) -> BlockVote {
    block_vote_in(Epoch(0), height, round, phase, block, who)
}

pub fn block_vote_in(
    epoch: Epoch,
    height: Height,
    round: u32,
    phase: BlockPhase,
    block: Option<BlockHash>,
    who: usize,
) -> BlockVote {
    BlockVote::sign(epoch, height, Round(round), phase, block, &keys()[who], &genesis().hash())
}

/// A commit of `who` for a block of epoch 0.
pub fn commit(height: Height, round: u32, block: BlockHash, who: &[usize]) -> Commit {
    commit_in(Epoch(0), height, round, block, who)
}

pub fn commit_in(epoch: Epoch, height: Height, round: u32, block: BlockHash, who: &[usize]) -> Commit {
    let signatures = who.iter().map(|index| CommitSignature {
        validator: ValidatorIndex::try_from(*index).unwrap(),
        signature: block_vote_in(epoch, height, round, BlockPhase::Precommit, Some(block), *index).signature,
    });
    Commit { height, round: Round(round), block, signatures: signatures.collect() }
}

pub fn requests(effects: &[Effect]) -> Vec<(RequestId, Request)> {
    let request = |effect: &Effect| match effect {
        Effect::Request(id, _, request) => Some((*id, request.clone())),
        _ => None,
    };
    effects.iter().filter_map(request).collect()
}

/// Transactions that the published votes of `phase` are for.
pub fn voted(effects: &[Effect], phase: Phase) -> Vec<Txid> {
    let batches = effects.iter().filter_map(|effect| match effect {
        Effect::PublishVote(Vote::Finality(batch)) if batch.phase == phase => Some(batch.txids.clone()),
        _ => None,
    });
    batches.flatten().collect()
}

/// Published seals.
pub fn seals_of(effects: &[Effect]) -> Vec<Seal> {
    let seal = |effect: &Effect| match effect {
        Effect::PublishVote(Vote::Seal(seal)) => Some(seal.clone()),
        _ => None,
    };
    effects.iter().filter_map(seal).collect()
}

/// Published block votes.
pub fn block_votes_of(effects: &[Effect]) -> Vec<BlockVote> {
    let vote = |effect: &Effect| match effect {
        Effect::PublishVote(Vote::Block(vote)) => Some(*vote),
        _ => None,
    };
    effects.iter().filter_map(vote).collect()
}

/// Published evidence.
pub fn evidence_of(effects: &[Effect]) -> Vec<Arc<Evidence>> {
    let evidence = |effect: &Effect| match effect {
        Effect::PublishVote(Vote::Evidence(evidence)) => Some(Arc::clone(evidence)),
        _ => None,
    };
    effects.iter().filter_map(evidence).collect()
}

pub fn proposals_of(effects: &[Effect]) -> Vec<Arc<Proposal>> {
    let proposal = |effect: &Effect| match effect {
        Effect::PublishProposal(proposal) => Some(Arc::clone(proposal)),
        _ => None,
    };
    effects.iter().filter_map(proposal).collect()
}
