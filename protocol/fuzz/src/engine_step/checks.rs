//! What must hold for an honest node whatever is sent to it.

use super::epoch_checks::Epochs;
use crate::network::network;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use timecoin_protocol::amount::Amount;
use timecoin_protocol::block::{BlockPhase, BlockVote, CommitSignature, Proposal};
use timecoin_protocol::bounds::{
    QUERY_TXIDS_MAX, REQUEST_BLOCKS_MAX, REQUEST_CERTIFICATES_MAX, REQUEST_TRANSACTIONS_MAX,
};
use timecoin_protocol::engine::{Effect, Event, Gauges, Record, Reply, ReplyTag, Request, Status, Time, Tuning};
use timecoin_protocol::finality::{Phase, VoteBatch};
use timecoin_protocol::hash::{BlockHash, Txid};
use timecoin_protocol::keys::PublicKey;
use timecoin_protocol::ledger::BlockDelta;
use timecoin_protocol::transaction::{OutPoint, Transaction};
use timecoin_protocol::validator::{Epoch, Height, Round};
use timecoin_protocol::wire::Vote;

/// Most effects of one turn of a run, whose turns have few inputs.
const EFFECTS_MAX: usize = 2_000;
/// Transactions that may wait for their parents (P-2).
const ORPHANS_MAX: usize = 1_024;
/// Longest that the answer to a query waits for bodies, in milliseconds (S-10).
const HELD_MS_MAX: u64 = 250;

type Slot = (Height, Round, BlockPhase);

/// Everything that the node made durable or said, in all its lives.
pub struct Checks {
    key: PublicKey,
    tuning: Tuning,
    pub bodies: BTreeMap<Txid, Arc<Transaction>>,
    locked: BTreeMap<(Epoch, OutPoint), Txid>,
    /// Voters of whom a vote is durable, own ones included.
    voters: BTreeMap<(Epoch, Txid), [BTreeSet<PublicKey>; 2]>,
    block_votes: BTreeMap<Slot, Option<BlockHash>>,
    proofs: BTreeSet<(Height, Round, BlockHash)>,
    proposals: BTreeMap<(Height, Round), (BlockHash, Option<Round>)>,
    height: Height,
    pub epochs: Epochs,
    /// Queries with the number of opinions that they ask for; other requests and callers.
    waiting: BTreeMap<u64, (Option<usize>, Option<Time>)>,
    verdicts: BTreeSet<u64>,
    /// Committed in this life.
    committed: BTreeSet<Txid>,
}

const fn at(phase: Phase) -> usize {
    match phase {
        Phase::Prepare => 0,
        Phase::Commit => 1,
    }
}

impl Checks {
    pub fn new(key: PublicKey, tuning: Tuning) -> Self {
        Self {
            key,
            tuning,
            bodies: BTreeMap::new(),
            locked: BTreeMap::new(),
            voters: BTreeMap::new(),
            block_votes: BTreeMap::new(),
            proofs: BTreeSet::new(),
            proposals: BTreeMap::new(),
            height: Height(0),
            epochs: Epochs::new(key),
            waiting: BTreeMap::new(),
            verdicts: BTreeSet::new(),
            committed: BTreeSet::new(),
        }
    }

    /// Somebody waits for a reply; of a query, for so many opinions.
    pub fn wait(&mut self, tag: u64, opinions: Option<usize>) {
        self.waiting.insert(tag, (opinions, None));
    }

    /// A gossiped message waits for a verdict (N-13).
    pub fn wait_for_verdict(&mut self, tag: u64) {
        self.verdicts.insert(tag);
    }

    /// The node died: nobody waits any more, and news begins anew.
    pub fn died(&mut self) {
        self.waiting.clear();
        self.verdicts.clear();
        self.committed.clear();
    }

    /// A turn has ended. Only the answer to a query may wait a moment for bodies (S-10).
    pub fn nobody_waits(&mut self, now: Time) {
        for (opinions, asked) in self.waiting.values_mut() {
            // What was asked since the last turn came to the engine in this one.
            let asked = *asked.get_or_insert(now);
            assert!(opinions.is_some() && asked.plus_ms(HELD_MS_MAX) > now, "no reply until {now:?}");
        }
        assert!(self.verdicts.is_empty(), "no verdict for {:?} (N-13)", self.verdicts);
    }

    /// Records of one turn; those that others rest on come first (D-12).
    pub fn durable(&mut self, records: &[Record]) {
        self.epochs.durable(records);
        for record in records {
            match record {
                Record::Transaction(body) => drop(self.bodies.insert(body.txid(), Arc::clone(body))),
                Record::Locked { epoch, locks } => locks.iter().for_each(|lock| self.lock(*epoch, *lock)),
                Record::Prevotes(height, round, block, proof) => self.proof(*height, *round, *block, proof),
                Record::Votes(batch) => self.count(batch),
                _ => {}
            }
        }
        for record in records {
            match record {
                Record::Votes(batch) if batch.voter == self.key => self.own_votes(batch),
                Record::BlockVote(vote, _) => self.own_block_vote(vote),
                Record::Proposal(proposal) if proposal.proposer == self.key => self.own_proposal(proposal),
                _ => {}
            }
        }
    }

    /// F-1: an outpoint is locked to one transaction within an epoch.
    fn lock(&mut self, epoch: Epoch, (outpoint, txid): (OutPoint, Txid)) {
        let first = *self.locked.entry((epoch, outpoint)).or_insert(txid);
        assert_eq!(first, txid, "{outpoint} is locked a second time (F-1)");
    }

    fn proof(&mut self, height: Height, round: Round, block: BlockHash, proof: &[CommitSignature]) {
        let epoch = self.epochs.of_height(height);
        let members = self.epochs.set(epoch);
        let voters: BTreeSet<PublicKey> =
            proof.iter().filter_map(|entry| members.at(entry.validator)).map(|member| member.key).collect();
        if self.epochs.is_quorum(epoch, voters.iter()) {
            self.proofs.insert((height, round, block));
        }
    }

    fn count(&mut self, batch: &VoteBatch) {
        for txid in &batch.txids {
            let phases = self.voters.entry((batch.epoch, *txid)).or_default();
            phases[at(batch.phase)].insert(batch.voter);
        }
    }

    /// F-1: what is prepared is locked. F-4: what is committed has a certificate that is durable.
    fn own_votes(&self, batch: &VoteBatch) {
        for txid in &batch.txids {
            match batch.phase {
                Phase::Prepare => {
                    let body = self.bodies.get(txid).expect("a vote is for something known");
                    for input in &body.body.inputs {
                        let lock = self.locked.get(&(batch.epoch, *input));
                        assert_eq!(lock, Some(txid), "prepared without a lock on {input} (F-1)");
                    }
                }
                Phase::Commit => {
                    let prepared = &self.voters[&(batch.epoch, *txid)][at(Phase::Prepare)];
                    assert!(
                        self.epochs.is_quorum(batch.epoch, prepared.iter()),
                        "committed {txid} without a certificate (F-4)"
                    );
                }
            }
        }
    }

    /// one vote in each round and phase. R-9: what a precommit rests on is durable.
    fn own_block_vote(&mut self, vote: &BlockVote) {
        assert_eq!(vote.voter, self.key);
        let slot = (vote.height, vote.round, vote.phase);
        let first = *self.block_votes.entry(slot).or_insert(vote.block);
        assert_eq!(first, vote.block, "a second vote in {slot:?} (R-18)");
        if let (BlockPhase::Precommit, Some(block)) = (vote.phase, vote.block) {
            let proof = (vote.height, vote.round, block);
            assert!(self.proofs.contains(&proof), "a precommit without durable prevotes: {proof:?} (R-9)");
        }
    }

    /// one proposal in each round.
    fn own_proposal(&mut self, proposal: &Proposal) {
        let header = &proposal.block.header;
        let said = (header.hash(), proposal.valid_round);
        let first = *self.proposals.entry((header.height, proposal.round)).or_insert(said);
        assert_eq!(first, said, "a second proposal at {} in round {} (R-9)", header.height, proposal.round);
    }

    /// What left the node after a commit.
    pub fn effects(&mut self, effects: &[Effect]) {
        assert!(effects.len() <= EFFECTS_MAX, "{} effects in a turn", effects.len());
        for effect in effects {
            match effect {
                Effect::PublishVote(Vote::Finality(batch)) => self.said_votes(batch),
                Effect::PublishVote(Vote::Seal(seal)) => self.epochs.said(seal),
                Effect::PublishVote(Vote::Block(vote)) if vote.voter == self.key => {
                    let durable = self.block_votes.get(&(vote.height, vote.round, vote.phase));
                    assert_eq!(durable, Some(&vote.block), "a block vote that is not durable (D-1)");
                }
                Effect::PublishProposal(proposal) if proposal.proposer == self.key => {
                    let header = &proposal.block.header;
                    let durable = self.proposals.get(&(header.height, proposal.round));
                    assert_eq!(durable, Some(&(header.hash(), proposal.valid_round)), "not durable (D-1)");
                }
                Effect::Reply(tag, reply) => self.reply(*tag, reply),
                Effect::Verdict(tag, _) => assert!(self.verdicts.remove(&tag.0), "a second verdict for {tag:?}"),
                Effect::Request(_, _, request) => asked_within_bounds(request),
                Effect::Event(Event::Status { txid, status, .. }) => self.status(*txid, status),
                Effect::Event(Event::Evidence(evidence)) => {
                    assert_eq!(evidence.verify(&network().hash), Ok(()), "evidence that proves nothing (X-1)");
                    assert_ne!(evidence.offender(), self.key, "evidence against an honest node (X-2)");
                }
                _ => {}
            }
        }
    }

    /// D-1: a vote that leaves is durable.
    fn said_votes(&self, batch: &VoteBatch) {
        assert!(batch.has_valid_size(), "F-2");
        for txid in &batch.txids {
            let phases = self.voters.get(&(batch.epoch, *txid));
            let durable = phases.is_some_and(|phases| phases[at(batch.phase)].contains(&batch.voter));
            assert!(durable, "a vote for {txid} that is not durable (D-1)");
        }
    }

    fn reply(&mut self, tag: ReplyTag, reply: &Reply) {
        let asked = self.waiting.remove(&tag.0).map(|(opinions, _)| opinions);
        let opinions = match reply {
            Reply::Query(answer) => Some(answer.opinions.len()),
            _ => None,
        };
        assert_eq!(asked, Some(opinions), "a second reply, or one to another question (S-1)");
    }

    /// A committed transaction stays that.
    fn status(&mut self, txid: Txid, status: &Status) {
        match status {
            Status::Committed(_) => drop(self.committed.insert(txid)),
            other => assert!(!self.committed.contains(&txid), "{txid} is committed, then {other:?}"),
        }
    }

    /// A block was decided: the next one, and only the reward makes money (B-5, B-6).
    pub fn block(&mut self, delta: &BlockDelta, total: Option<Amount>) {
        let state = &delta.state;
        let genesis = &network().genesis;
        let minted = genesis.params.block_reward_units * state.height.0;
        let supply = Amount(network().state.supply.units() + minted);
        assert_eq!(state.supply, supply);
        if state.height > self.height {
            self.height = state.height;
        }
        assert!(total.is_some_and(|total| total.units() >= supply.units()), "money is missing");
    }

    /// P-2, P-5
    pub fn gauges(&self, gauges: &Gauges) {
        assert!(gauges.pool_transactions <= self.tuning.pool_transactions_max, "P-5: {gauges:?}");
        assert!(gauges.pool_bytes <= self.tuning.pool_bytes_max, "P-5: {gauges:?}");
        assert!(gauges.orphans <= ORPHANS_MAX, "P-2: {gauges:?}");
        assert!(gauges.height >= self.height.0, "the chain never goes back");
    }
}

/// S-1, N-5
fn asked_within_bounds(request: &Request) {
    let (len, max) = match request {
        Request::Query(query) => (query.txids.len(), QUERY_TXIDS_MAX),
        Request::Transactions(wanted) => (wanted.txids.len(), REQUEST_TRANSACTIONS_MAX),
        Request::Certificates(wanted) => (wanted.txids.len(), REQUEST_CERTIFICATES_MAX),
        Request::Blocks(wanted) => (usize::try_from(wanted.count).unwrap_or(usize::MAX), REQUEST_BLOCKS_MAX),
        Request::Status(_) => return,
    };
    assert!((1..=max).contains(&len), "{len} in one request");
}
