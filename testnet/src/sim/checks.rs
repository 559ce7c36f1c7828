//! What must hold after every step, and at the end.

use super::Scenario;
use super::workload::Workload;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use timecoin_protocol::amount::Amount;
use timecoin_protocol::block::{BlockPhase, BlockVote, CommittedBlock};
use timecoin_protocol::engine::{Event, Path, Status, Time};
use timecoin_protocol::finality::{Phase, Seal, VoteBatch};
use timecoin_protocol::genesis::Genesis;
use timecoin_protocol::hash::{BlockHash, Txid};
use timecoin_protocol::transaction::{OutPoint, Transaction};
use timecoin_protocol::validator::{Epoch, Height, Round};

/// Something that must never happen happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("seed {seed}, {at_ms} ms: {what}")]
pub struct Violation {
    /// Seed of the run.
    pub seed: u64,
    /// Virtual time since the start, in milliseconds.
    pub at_ms: u64,
    /// What happened.
    pub what: String,
}

/// What a run was like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Blocks decided.
    pub blocks: u64,
    /// Payments that became final by sampling, at the node that was first.
    pub sampled: usize,
    /// Payments that a block settled.
    pub by_block: usize,
    /// Epochs that ended.
    pub epochs: u64,
    /// Seals that honest validators signed.
    pub seals: u64,
    /// Times to finality at the first node, in milliseconds, sorted.
    pub finality_ms: Vec<u64>,
    /// Messages delivered.
    pub messages: u64,
    /// Messages lost.
    pub lost: u64,
    /// Messages that arrived twice.
    pub duplicated: u64,
    /// Times that the network was cut.
    pub partitions: u64,
    /// Times that a journal was compacted.
    pub compactions: u64,
    /// Nodes killed.
    pub crashes: u32,
    /// Checks made.
    pub checks: u64,
    /// A fingerprint of the whole run: equal for equal seeds.
    pub fingerprint: u64,
}

impl Report {
    /// Adds the numbers of another run; its finality times and fingerprint have no sum.
    pub fn add(&mut self, other: &Self) {
        self.blocks += other.blocks;
        self.sampled += other.sampled;
        self.by_block += other.by_block;
        self.epochs += other.epochs;
        self.seals += other.seals;
        self.messages += other.messages;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.partitions += other.partitions;
        self.compactions += other.compactions;
        self.crashes += other.crashes;
        self.checks += other.checks;
    }
}

/// A table: what was done to the network, what came of it, what was checked.
impl core::fmt::Display for Report {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let rows = [
            ("fault", "messages lost", self.lost),
            ("fault", "messages duplicated", self.duplicated),
            ("fault", "partitions", self.partitions),
            ("fault", "nodes killed", u64::from(self.crashes)),
            ("fault", "journals compacted", self.compactions),
            ("result", "messages delivered", self.messages),
            ("result", "blocks", self.blocks),
            ("result", "payments final by sampling", u64::try_from(self.sampled).unwrap_or(u64::MAX)),
            ("result", "payments settled by a block", u64::try_from(self.by_block).unwrap_or(u64::MAX)),
            ("result", "epochs ended", self.epochs),
            ("result", "seals of honest validators", self.seals),
            ("check", "invariants checked", self.checks),
        ];
        let lines = rows.map(|(kind, what, count)| format!("{kind:<7} {what:<28} {count:>12}"));
        f.write_str(&lines.join("\n"))
    }
}

/// Everything seen so far, by all honest nodes together.
#[derive(Debug)]
pub(super) struct Checks {
    seed: u64,
    genesis_supply: Amount,
    reward: u64,
    bodies: BTreeMap<Txid, Arc<Transaction>>,
    winners: BTreeMap<OutPoint, Txid>,
    blocks: BTreeMap<Height, BlockHash>,
    /// By node, epoch, phase and outpoint.
    voted: BTreeMap<(usize, Epoch, Phase, OutPoint), Txid>,
    /// What each node listed in its seal of an epoch.
    sealed: BTreeMap<(usize, Epoch), Vec<Txid>>,
    epochs: BTreeMap<usize, Epoch>,
    block_votes: BTreeMap<(usize, Height, Round, BlockPhase), Option<BlockHash>>,
    /// Terminal status at each node.
    committed: BTreeMap<Txid, BTreeSet<usize>>,
    submitted_at: BTreeMap<Txid, Time>,
    pub report: Report,
}

type Checked = Result<(), String>;

impl Checks {
    pub fn new(scenario: &Scenario, genesis: &Genesis) -> Self {
        Self {
            seed: scenario.seed,
            genesis_supply: genesis.supply().unwrap_or_default(),
            reward: genesis.params.block_reward_units,
            bodies: BTreeMap::new(),
            winners: BTreeMap::new(),
            blocks: BTreeMap::new(),
            voted: BTreeMap::new(),
            sealed: BTreeMap::new(),
            epochs: BTreeMap::new(),
            block_votes: BTreeMap::new(),
            committed: BTreeMap::new(),
            submitted_at: BTreeMap::new(),
            report: Report::default(),
        }
    }

    pub fn violation(&self, at_ms: u64, what: String) -> Violation {
        Violation { seed: self.seed, at_ms, what }
    }

    pub fn submitted(&mut self, transaction: &Transaction, now: Time) {
        let txid = transaction.txid();
        if self.bodies.insert(txid, Arc::new(transaction.clone())).is_none() {
            self.submitted_at.insert(txid, now);
        }
    }

    /// Whether an input of a payment is spent for good, by it or by another one.
    pub fn is_spent(&self, transaction: &Transaction) -> bool {
        transaction.body.inputs.iter().any(|input| self.winners.contains_key(input))
    }

    /// Two final or committed transactions never spend one output, anywhere, ever.
    fn won(&mut self, node: usize, txid: Txid) -> Checked {
        let Some(body) = self.bodies.get(&txid) else { return Ok(()) };
        for input in &body.body.inputs {
            self.report.checks += 1;
            let winner = *self.winners.entry(*input).or_insert(txid);
            if winner != txid {
                return Err(format!("node {node} has {txid} final, but {winner} already won {input}"));
            }
        }
        Ok(())
    }

    /// Judges news of an honest node.
    pub fn event(&mut self, node: usize, event: &Event) -> Checked {
        match event {
            Event::Status { txid, status, at } => self.status(node, *txid, status, *at),
            Event::Block { block, delta } => {
                let (height, hash) = (block.block.header.height, block.commit.block);
                self.report.checks += 2;
                let first = *self.blocks.entry(height).or_insert(hash);
                if first != hash {
                    return Err(format!("node {node} has block {hash} at {height}, another has {first}"));
                }
                self.report.blocks = self.report.blocks.max(height.0);
                let expected = self.genesis_supply.units() + self.reward * height.0;
                if delta.state.supply.units() != expected {
                    return Err(format!("supply is {:?} at {height}, not {expected}", delta.state.supply));
                }
                Ok(())
            }
            Event::Epoch { epoch, .. } => {
                self.report.checks += 1;
                self.report.epochs = self.report.epochs.max(epoch.0);
                match self.epochs.insert(node, *epoch) {
                    Some(before) if before >= *epoch => Err(format!("node {node} went from epoch {before} to {epoch}")),
                    _ => Ok(()),
                }
            }
            Event::FinalityLost { txid, epoch } => Err(format!("{txid}, final in epoch {epoch}, is in no block of it")),
            _ => Ok(()),
        }
    }

    fn status(&mut self, node: usize, txid: Txid, status: &Status, at: Time) -> Checked {
        match status {
            Status::Final(path) => {
                if let Some(submitted) = self.submitted_at.remove(&txid) {
                    self.report.finality_ms.push(at.micros_since(submitted) / 1_000);
                    match path {
                        Path::Sampled => self.report.sampled += 1,
                        Path::Block(_) => self.report.by_block += 1,
                    }
                }
                self.won(node, txid)
            }
            Status::Committed(_) => {
                self.committed.entry(txid).or_default().insert(node);
                self.won(node, txid)
            }
            Status::Rejected(reason) => {
                self.report.checks += 1;
                let conflict = matches!(reason, timecoin_protocol::engine::RejectReason::Conflict(_));
                let inputs = self.bodies.get(&txid).map(|body| body.body.inputs.clone()).unwrap_or_default();
                if conflict && !inputs.is_empty() && inputs.iter().all(|input| self.winners.get(input) == Some(&txid)) {
                    return Err(format!("node {node} rejected {txid}, which is final"));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// An honest node never prepares, nor commits, two spends of one output in an epoch, crashes or not; and
    /// casts no such vote after its seal.
    pub fn vote_batch(&mut self, node: usize, batch: &VoteBatch) -> Checked {
        self.report.checks += 1;
        if self.sealed.contains_key(&(node, batch.epoch)) {
            return Err(format!("node {node} voted {:?} in epoch {} after its seal", batch.phase, batch.epoch));
        }
        for txid in &batch.txids {
            let Some(body) = self.bodies.get(txid) else { continue };
            for input in &body.body.inputs {
                self.report.checks += 1;
                let key = (node, batch.epoch, batch.phase, *input);
                let before = *self.voted.entry(key).or_insert(*txid);
                if before != *txid {
                    return Err(format!("node {node} voted {:?} for {txid} after {before} on {input}", batch.phase));
                }
            }
        }
        Ok(())
    }

    /// It signs one seal in an epoch.
    pub fn seal(&mut self, node: usize, seal: &Seal) -> Checked {
        self.report.checks += 1;
        let before = self.sealed.insert((node, seal.epoch), seal.txids.clone());
        self.report.seals += u64::from(before.is_none());
        match before {
            Some(before) if before != seal.txids => Err(format!("node {node} sealed epoch {} twice", seal.epoch)),
            _ => Ok(()),
        }
    }

    /// Nor does it vote twice in one round and phase.
    pub fn block_vote(&mut self, node: usize, vote: &BlockVote) -> Checked {
        self.report.checks += 1;
        let key = (node, vote.height, vote.round, vote.phase);
        let before = *self.block_votes.entry(key).or_insert(vote.block);
        if before == vote.block { Ok(()) } else { Err(format!("node {node} voted twice: {vote:?} after {before:?}")) }
    }

    /// A node is back with these blocks; what it had to say of them died with it.
    pub fn restarted(&mut self, node: usize, blocks: &[Arc<CommittedBlock>]) {
        for transaction in blocks.iter().flat_map(|block| &block.block.transactions) {
            self.committed.entry(transaction.txid()).or_default().insert(node);
        }
    }

    /// After the network healed, everything has ended, the same everywhere: a double spend on which the locks are
    /// split thaws in a later epoch (E-9).
    pub fn settled(&self, workload: &Workload, honest: usize) -> Checked {
        let everywhere = |txid: &Txid| self.committed.get(txid).is_some_and(|nodes| nodes.len() >= honest);
        for txid in &workload.lone {
            if !everywhere(txid) {
                let nodes = self.committed.get(txid);
                return Err(format!("payment {txid} is committed on {nodes:?} only"));
            }
        }
        for (left, right) in &workload.pairs {
            let (left_seen, right_seen) = (self.committed.contains_key(left), self.committed.contains_key(right));
            if left_seen && right_seen {
                return Err(format!("both sides of the double spend {left} / {right} are committed"));
            }
            if !(everywhere(left) || everywhere(right)) {
                return Err(format!("double spend {left} / {right} is not settled everywhere"));
            }
        }
        Ok(())
    }
}
