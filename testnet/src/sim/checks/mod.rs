//! What must hold after every step, and at the end.

mod evidence;
mod log;
mod members;
mod nodes;
mod votes;

use super::node::Node;
use super::report::{Invariant, Report, Violation};
use super::scenario::Scenario;
use super::workload::Workload;
use evidence::Accusations;
use members::Members;
use nodes::Marks;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use timecoin_protocol::amount::Amount;
use timecoin_protocol::block::CommittedBlock;
use timecoin_protocol::engine::{Event, Path, RejectReason, Status, Time};
use timecoin_protocol::genesis::Genesis;
use timecoin_protocol::hash::{BlockHash, Txid};
use timecoin_protocol::transaction::{OutPoint, Transaction};
use timecoin_protocol::validator::Height;
use votes::Said;

/// Everything seen so far, by all honest nodes together.
#[derive(Debug)]
pub(super) struct Checks {
    seed: u64,
    genesis_supply: Amount,
    reward: u64,
    bodies: BTreeMap<Txid, Arc<Transaction>>,
    winners: BTreeMap<OutPoint, Txid>,
    finals: BTreeSet<Txid>,
    blocks: BTreeMap<Height, BlockHash>,
    said: Said,
    accusations: Accusations,
    members: Members,
    marks: BTreeMap<usize, Marks>,
    /// The last block that each node is known to have.
    told: BTreeMap<usize, Height>,
    /// On which nodes it is in a block.
    committed: BTreeMap<Txid, BTreeSet<usize>>,
    submitted_at: BTreeMap<Txid, Time>,
    pub report: Report,
}

/// What is violated, if anything.
pub(super) type Checked = Result<(), String>;

impl Checks {
    pub fn new(scenario: &Scenario, genesis: &Genesis, workload: &Workload) -> Self {
        Self {
            seed: scenario.seed,
            genesis_supply: genesis.supply().unwrap_or_default(),
            reward: genesis.params.block_reward_units,
            bodies: BTreeMap::new(),
            winners: BTreeMap::new(),
            finals: BTreeSet::new(),
            blocks: BTreeMap::new(),
            said: Said::default(),
            accusations: Accusations::new(scenario, genesis.hash()),
            members: Members::new(&workload.moves),
            marks: BTreeMap::new(),
            told: BTreeMap::new(),
            committed: BTreeMap::new(),
            submitted_at: BTreeMap::new(),
            report: Report { runs: 1, ..Report::default() },
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

    /// Whether a payment has ended: an input of it, or of a payment that it rests on, is spent for
    /// good by it or by another one.
    pub fn has_ended(&self, transaction: &Transaction) -> bool {
        transaction.body.inputs.iter().any(|input| {
            let lost = |parent: &Arc<Transaction>| {
                let parent_id = parent.txid();
                let inputs = &parent.body.inputs;
                inputs.iter().any(|input| self.winners.get(input).is_some_and(|winner| *winner != parent_id))
                    || (!self.finals.contains(&parent_id) && self.has_ended(parent))
            };
            self.winners.contains_key(input) || self.bodies.get(&input.txid).is_some_and(lost)
        })
    }

    /// Two final or committed transactions never spend one output, anywhere, ever.
    fn won(&mut self, node: usize, txid: Txid) -> Checked {
        self.finals.insert(txid);
        let Some(body) = self.bodies.get(&txid) else { return Ok(()) };
        for input in &body.body.inputs {
            self.report.check(Invariant::OneWinner);
            let winner = *self.winners.entry(*input).or_insert(txid);
            if winner != txid {
                return Err(format!("node {node} has {txid} final, but {winner} already won {input}"));
            }
        }
        Ok(())
    }

    /// Judges news of an honest node.
    pub fn event(&mut self, node: usize, event: &Event, now: Time) -> Checked {
        match event {
            Event::Status { txid, status, .. } => self.status(node, *txid, status, now),
            Event::Block { block, delta } => {
                self.has_block(node, block)?;
                self.offenders(node, &delta.state)?;
                self.report.check(Invariant::Supply);
                let height = block.block.header.height;
                let expected = self.genesis_supply.units() + self.reward * height.0;
                if delta.state.supply.units() != expected {
                    return Err(format!("supply is {:?} at {height}, not {expected}", delta.state.supply));
                }
                self.validators_after(block, &delta.state)
            }
            Event::Epoch { epoch, .. } => {
                self.report.epochs = self.report.epochs.max(epoch.0);
                Ok(())
            }
            Event::Evidence(evidence) => self.evidence(node, evidence),
            Event::FinalityLost { txid, epoch } => Err(format!("{txid}, final in epoch {epoch}, is in no block of it")),
            _ => Ok(()),
        }
    }

    /// A node holds this block.
    fn has_block(&mut self, node: usize, block: &CommittedBlock) -> Checked {
        let (height, hash) = (block.block.header.height, block.commit.block);
        self.report.check(Invariant::Agreement);
        let first = *self.blocks.entry(height).or_insert(hash);
        if first != hash {
            return Err(format!("node {node} has block {hash} at {height}, another has {first}"));
        }
        self.report.blocks = self.report.blocks.max(height.0);
        self.told.insert(node, height);
        self.members.note_moves(block);
        for transaction in &block.block.transactions {
            let txid = transaction.txid();
            self.committed.entry(txid).or_default().insert(node);
            self.won(node, txid)?;
        }
        Ok(())
    }

    fn status(&mut self, node: usize, txid: Txid, status: &Status, now: Time) -> Checked {
        match status {
            Status::Final(path) => {
                self.note_finality(&txid, *path, now);
                self.won(node, txid)
            }
            Status::Committed(_) => {
                self.committed.entry(txid).or_default().insert(node);
                self.won(node, txid)
            }
            Status::Rejected(reason) => {
                self.report.check(Invariant::FinalStays);
                let for_good = !matches!(reason, RejectReason::Evicted | RejectReason::Expired);
                if for_good && self.finals.contains(&txid) {
                    return Err(format!("node {node} rejected {txid}, which is final: {reason:?}"));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn note_finality(&mut self, txid: &Txid, path: Path, now: Time) {
        if let Some(submitted) = self.submitted_at.remove(txid) {
            self.report.finality_ms.push(now.micros_since(submitted) / 1_000);
            match path {
                Path::Sampled => self.report.sampled += 1,
                Path::Block(_) => self.report.by_block += 1,
            }
        }
    }

    /// After the network healed, everything has ended, the same everywhere: a double spend on which the
    /// locks are split thaws in a later epoch (E-9).
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
        if let Some(missing) = self.members.missing() {
            return Err(missing);
        }
        for (parent, child) in &workload.chained {
            if everywhere(parent) && !everywhere(child) {
                let nodes = self.committed.get(child);
                return Err(format!("payment {child} is committed on {nodes:?} only, {parent} everywhere"));
            }
        }
        Ok(())
    }

    /// Blocks that a node has and did not tell of, because it died in between.
    pub fn catch_up(&mut self, index: usize, node: &Node) -> Checked {
        let told = self.told.get(&index).copied().unwrap_or_default();
        for height in (told.next().0..=node.height().0).map(Height) {
            match node.block(height) {
                Ok(Some(block)) => self.has_block(index, &block)?,
                Ok(None) => return Err(format!("node {index} is at {} and has no block {height}", node.height())),
                Err(error) => return Err(format!("node {index} cannot read block {height}: {error}")),
            }
        }
        Ok(())
    }
}
