//! Who votes when: sets follow bonds (`SPEC.md` E-6).

use super::{Checked, Checks};
use crate::sim::report::Invariant;
use crate::sim::workload::BondMove;
use std::collections::BTreeMap;
use timecoin_protocol::block::CommittedBlock;
use timecoin_protocol::keys::PublicKey;
use timecoin_protocol::ledger::ChainState;
use timecoin_protocol::validator::{Epoch, ValidatorSet};

/// A bond that is made or withdrawn.
#[derive(Debug)]
struct Member {
    planned: BondMove,
    /// In the block of which epoch it was.
    moved: Option<Epoch>,
    /// Whether a set was seen that follows from it.
    seen: bool,
}

/// The validators that join and leave in a run.
#[derive(Debug, Default)]
pub(super) struct Members {
    members: Vec<Member>,
    /// The sets of the epochs, as blocks made them.
    sets: BTreeMap<Epoch, Vec<PublicKey>>,
}

impl Members {
    pub fn new(moves: &[BondMove]) -> Self {
        let members = moves.iter().map(|planned| Member { planned: *planned, moved: None, seen: false });
        Self { members: members.collect(), sets: BTreeMap::new() }
    }

    /// Takes note of bonds that are made or withdrawn in a block.
    pub fn note_moves(&mut self, block: &CommittedBlock) {
        let epoch = block.block.header.epoch;
        for transaction in &block.block.transactions {
            let txid = transaction.txid();
            let moved = self.members.iter_mut().find(|member| member.planned.txid == txid);
            if let Some(member) = moved {
                member.moved = Some(epoch);
            }
        }
    }

    /// Who has not joined or left yet, if anybody.
    pub fn missing(&self) -> Option<String> {
        let missing = self.members.iter().find(|member| !member.seen)?;
        Some(format!("no set shows that {} {}", missing.planned.validator, verb(missing.planned)))
    }

    /// What is wrong with the set of an epoch, if anything (E-6): who bonds in epoch e votes from e + 2 on, and
    /// who withdraws votes to the end of e + 1.
    fn judge(&mut self, epoch: Epoch, set: &ValidatorSet) -> Checked {
        let keys: Vec<PublicKey> = set.members().iter().map(|member| member.key).collect();
        for member in &mut self.members {
            let takes_effect = member.moved.is_some_and(|moved| epoch.0 >= moved.0 + 2);
            let votes = keys.contains(&member.planned.validator);
            if votes != (takes_effect == member.planned.joins) {
                let (who, what) = (member.planned.validator, verb(member.planned));
                return Err(format!("{who}, who {what} in {:?}, votes in {epoch}: {votes}", member.moved));
            }
            member.seen |= takes_effect;
        }
        self.sets.insert(epoch, keys);
        Ok(())
    }
}

const fn verb(planned: BondMove) -> &'static str {
    if planned.joins { "joins" } else { "leaves" }
}

impl Checks {
    /// A node applied a block: the validators of the next height.
    pub(super) fn validators_after(&mut self, block: &CommittedBlock, state: &ChainState) -> Checked {
        self.report.check(Invariant::Members);
        let signers = block.commit.signatures.iter().map(|entry| usize::from(entry.validator));
        let set = self.members.sets.get(&block.block.header.epoch);
        let joined = |key: &&PublicKey| {
            self.members.members.iter().any(|member| member.planned.joins && member.planned.validator == **key)
        };
        let signers = signers.filter_map(|index| set.and_then(|set| set.get(index))).filter(joined).count();
        self.report.joiners_precommits += u64::try_from(signers).unwrap_or_default();
        self.members.judge(state.epoch, &state.validators)
    }
}
