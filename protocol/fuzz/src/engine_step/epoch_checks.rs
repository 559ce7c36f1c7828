//! What must hold of epochs: one seal, nothing after it, everything in it, and closing blocks of a quorum.

use crate::network::network;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use timecoin_protocol::block::Block;
use timecoin_protocol::engine::Record;
use timecoin_protocol::finality::{Phase, Seal, VoteBatch};
use timecoin_protocol::hash::Txid;
use timecoin_protocol::keys::PublicKey;
use timecoin_protocol::ledger::ChainState;
use timecoin_protocol::validator::{Epoch, Height, ValidatorSet, Weight};

/// What the node made durable about epochs, in all its lives.
pub struct Epochs {
    key: PublicKey,
    current: Epoch,
    sets: BTreeMap<Epoch, Arc<ValidatorSet>>,
    /// First heights.
    begun: BTreeMap<Epoch, Height>,
    seals: BTreeMap<Epoch, Arc<Seal>>,
    /// Own vote batches, to tell a new one from one that a compacted journal repeats.
    batches: BTreeSet<(Epoch, Vec<Txid>, bool)>,
    /// Own Commit votes.
    commits: BTreeMap<Epoch, BTreeSet<Txid>>,
    in_blocks: BTreeSet<Txid>,
}

impl Epochs {
    pub fn new(key: PublicKey) -> Self {
        let set = &network().state.validators;
        Self {
            key,
            current: Epoch(0),
            sets: [0, 1].map(|epoch| (Epoch(epoch), Arc::clone(set))).into(),
            begun: BTreeMap::from([(Epoch(0), Height(1))]),
            seals: BTreeMap::new(),
            batches: BTreeSet::new(),
            commits: BTreeMap::new(),
            in_blocks: BTreeSet::new(),
        }
    }

    /// The sets of an epoch and, as far as it is known, of the next one (E-6).
    pub fn note(&mut self, state: &ChainState) {
        if state.epoch == self.current {
            assert_eq!(self.set(state.epoch), state.validators, "another set of {:?} (E-6)", state.epoch);
        }
        assert!(state.epoch >= self.current, "back to {:?}", state.epoch);
        self.current = state.epoch;
        self.sets.insert(state.epoch, Arc::clone(&state.validators));
        self.sets.insert(Epoch(state.epoch.0 + 1), state.set_of_next_epoch());
    }

    pub fn set(&self, epoch: Epoch) -> Arc<ValidatorSet> {
        Arc::clone(self.sets.get(&epoch).expect("sets are known an epoch ahead"))
    }

    pub fn is_quorum<'a>(&self, epoch: Epoch, voters: impl Iterator<Item = &'a PublicKey>) -> bool {
        let set = self.set(epoch);
        let weight = voters.map(|voter| set.weight_of(voter).0).sum();
        set.is_quorum(Weight(weight))
    }

    /// The epoch of the block at a height that was begun.
    pub fn of_height(&self, height: Height) -> Epoch {
        let begun = self.begun.iter().filter(|(_, first)| **first <= height);
        begun.map(|(epoch, _)| *epoch).max().unwrap_or_default()
    }

    /// Records of one turn, in order.
    pub fn durable(&mut self, records: &[Record]) {
        for record in records {
            match record {
                Record::Block(decided) => self.block(&decided.block),
                Record::Votes(batch) if batch.voter == self.key => self.own_votes(batch),
                Record::Sealed(seal) if seal.voter == self.key => self.own_seal(seal),
                _ => {}
            }
        }
    }

    fn block(&mut self, block: &Block) {
        self.in_blocks.extend(block.transactions.iter().map(timecoin_protocol::transaction::Transaction::txid));
        if block.closing.closes() {
            self.begun.insert(Epoch(block.header.epoch.0 + 1), block.header.height.next());
        }
    }

    /// E-4: no vote of an epoch after its seal.
    fn own_votes(&mut self, batch: &VoteBatch) {
        let is_commit = batch.phase == Phase::Commit;
        if self.batches.insert((batch.epoch, batch.txids.clone(), is_commit)) {
            assert!(!self.seals.contains_key(&batch.epoch), "a vote of {:?} after its seal (E-4)", batch.epoch);
        }
        if is_commit {
            self.commits.entry(batch.epoch).or_default().extend(batch.txids.iter().copied());
        }
    }

    /// E-4: one seal in an epoch, with every own Commit vote that is in no block.
    fn own_seal(&mut self, seal: &Arc<Seal>) {
        let first = self.seals.entry(seal.epoch).or_insert_with(|| Arc::clone(seal));
        assert_eq!(first, seal, "a second seal (E-4)");
        let commits = self.commits.get(&seal.epoch).into_iter().flatten();
        let open: Vec<_> = commits.filter(|txid| !self.in_blocks.contains(txid)).collect();
        assert!(open.iter().all(|txid| first.txids.contains(txid)), "{first:?} leaves out some of {open:?} (E-4)");
    }

    /// D-1: a seal that leaves is durable.
    pub fn said(&self, seal: &Seal) {
        assert!(seal.voter != self.key || self.seals.get(&seal.epoch).map(Arc::as_ref) == Some(seal), "D-1");
    }

    /// E-5: the seals of a closing block are of a quorum, and each was made by whom it names.
    pub fn closes(&self, block: &Block) {
        let epoch = block.header.epoch;
        if !block.closing.closes() {
            return;
        }
        let set = self.set(epoch);
        let members = block.closing.seals.iter().filter_map(|seal| set.at(seal.validator)).map(|member| member.key);
        let members: BTreeSet<PublicKey> = members.collect();
        assert!(self.is_quorum(epoch, members.iter()), "{epoch:?} ends without seals of a quorum (E-5)");
        let first = self.begun.get(&epoch).expect("an epoch that ends has begun");
        assert!(block.header.height.0 >= first.0 + network().genesis.params.epoch_blocks - 1, "too early (E-5)");
    }
}
