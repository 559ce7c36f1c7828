//! Counting votes for one transaction (`SPEC.md` F-3, F-4).

use super::{Certificate, Phase, VoteBatch};
use crate::hash::Txid;
use crate::mutation::{Mutation, is_broken};
use crate::validator::{Epoch, ValidatorIndex, ValidatorSet, Weight};
use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// The votes of one phase for one transaction, each as the batch that it came in.
#[derive(Clone, Debug, Default)]
struct PhaseTally {
    weight: Weight,
    votes: BTreeMap<ValidatorIndex, Arc<VoteBatch>>,
}

/// The votes of one epoch for one transaction. A voter counts once in each phase.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    prepare: PhaseTally,
    commit: PhaseTally,
}

/// What a vote completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certified {
    /// This vote made the quorum of its phase.
    Now,
    /// The vote counted; a quorum was there before or is not there yet.
    No,
    /// The voter had voted already, or is no validator.
    Ignored,
}

impl Tally {
    const fn phase(&self, phase: Phase) -> &PhaseTally {
        match phase {
            Phase::Prepare => &self.prepare,
            Phase::Commit => &self.commit,
        }
    }

    /// Counts the vote of `batch.voter`, which has the position `voter` in the set; the batch must
    /// cover the transaction (F-3).
    pub fn count(&mut self, batch: &Arc<VoteBatch>, voter: ValidatorIndex, validators: &ValidatorSet) -> Certified {
        let tally = match batch.phase {
            Phase::Prepare => &mut self.prepare,
            Phase::Commit => &mut self.commit,
        };
        let Some(member) = validators.at(voter).filter(|member| member.key == batch.voter) else {
            return Certified::Ignored;
        };
        match tally.votes.entry(voter) {
            Entry::Vacant(place) => drop(place.insert(Arc::clone(batch))),
            Entry::Occupied(_) if is_broken(Mutation::VoterCountsTwice) => {}
            Entry::Occupied(_) => return Certified::Ignored,
        }
        let before = validators.is_quorum(tally.weight);
        tally.weight = Weight(tally.weight.0.saturating_add(member.weight.0));
        if !before && validators.is_quorum(tally.weight) { Certified::Now } else { Certified::No }
    }

    /// Weight that voted in `phase`.
    #[must_use]
    pub const fn weight(&self, phase: Phase) -> Weight {
        self.phase(phase).weight
    }

    /// Whether `voter` voted in `phase`.
    #[must_use]
    pub fn has_voted(&self, phase: Phase, voter: ValidatorIndex) -> bool {
        self.phase(phase).votes.contains_key(&voter)
    }

    /// The votes of `phase`, by voter, each as the batch that it came in.
    #[must_use]
    pub const fn votes(&self, phase: Phase) -> &BTreeMap<ValidatorIndex, Arc<VoteBatch>> {
        &self.phase(phase).votes
    }

    /// The batches that hold the votes of `phase`, in order of the voters' keys.
    pub fn batches(&self, phase: Phase) -> impl Iterator<Item = &Arc<VoteBatch>> {
        self.phase(phase).votes.values()
    }

    /// Cuts out the certificate of `phase` (F-5): the votes in order of keys, as many as make a
    /// quorum; `None` if there is no quorum.
    #[must_use]
    pub fn certificate(
        &self,
        txid: &Txid,
        epoch: Epoch,
        phase: Phase,
        validators: &ValidatorSet,
    ) -> Option<Certificate> {
        let mut weight = 0_u64;
        let mut votes = Vec::new();
        for batch in self.batches(phase) {
            votes.push(batch.cut_out(txid)?);
            weight = weight.saturating_add(validators.weight_of(&batch.voter).0);
            if validators.is_quorum(Weight(weight)) {
                return Some(Certificate { epoch, phase, txid: *txid, votes });
            }
        }
        None
    }
}
