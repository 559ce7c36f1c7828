//! Who is accused of contradicting itself: liars, and nobody else.

use super::{Checked, Checks};
use crate::sim::report::Invariant;
use crate::sim::scenario::Scenario;
use crate::sim::workload;
use std::collections::{BTreeMap, BTreeSet};
use timecoin_protocol::block::Evidence;
use timecoin_protocol::hash::GenesisHash;
use timecoin_protocol::keys::PublicKey;
use timecoin_protocol::ledger::ChainState;

/// Who lies, and what has come of it.
#[derive(Debug)]
pub(super) struct Accusations {
    genesis: GenesisHash,
    liars: BTreeMap<PublicKey, usize>,
    /// Liars that signed contradictions and sent them to somebody.
    contradicted: BTreeSet<usize>,
    /// Liars that an honest node has evidence against.
    caught: BTreeSet<PublicKey>,
    /// Liars that lost their vote.
    removed: BTreeSet<PublicKey>,
}

impl Accusations {
    pub fn new(scenario: &Scenario, genesis: GenesisHash) -> Self {
        let liars = scenario.honest()..scenario.weights.len();
        Self {
            genesis,
            liars: liars.map(|index| (workload::key(1, index).public(), index)).collect(),
            contradicted: BTreeSet::new(),
            caught: BTreeSet::new(),
            removed: BTreeSet::new(),
        }
    }
}

impl Checks {
    /// A lying validator sends messages that contradict each other.
    pub fn contradicts(&mut self, node: usize) {
        self.accusations.contradicted.insert(node);
        self.report.contradicted = count(self.accusations.contradicted.len());
    }

    /// An honest node says, or was convinced, that a validator contradicted itself.
    pub fn evidence(&mut self, node: usize, evidence: &Evidence) -> Checked {
        self.report.check(Invariant::OnlyLiarsAccused);
        let offender = evidence.offender();
        if let Err(error) = evidence.verify(&self.accusations.genesis) {
            return Err(format!("node {node} believes evidence that is none ({error}): {evidence:?}"));
        }
        if !self.accusations.liars.contains_key(&offender) {
            return Err(format!("node {node} accuses {offender}, which is honest: {evidence:?}"));
        }
        self.accusations.caught.insert(offender);
        self.report.caught = count(self.accusations.caught.len());
        Ok(())
    }

    /// Whoever lost its vote is a liar, and in no set that comes, unless nobody else is left (E-6).
    pub(super) fn offenders(&mut self, node: usize, state: &ChainState) -> Checked {
        for offender in state.offenders.keys() {
            self.report.check(Invariant::OnlyLiarsAccused);
            if !self.accusations.liars.contains_key(offender) {
                return Err(format!("node {node}: the honest {offender} lost its vote at {}", state.height));
            }
            if state.next_validators.index_of(offender).is_some() {
                return Err(format!(
                    "node {node}: {offender} lost its vote and is in the next set at {}",
                    state.height
                ));
            }
            self.accusations.removed.insert(*offender);
        }
        self.report.removed = count(self.accusations.removed.len());
        Ok(())
    }
}

fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
