//! Blocks of one kind: on the same block, with the same transactions, of the same time, closing the epoch or not.
//!
//! Which seals a closing block names, and who signed the block below, changes its hash and shares of the pay (B-6), and
//! nothing else that anybody can notice once it is proposed. Of a height an honest proposer proposes one block (R-9, which
//! is checked), so in one run a kind is one block: others hear of its kind, and each validator is told of a block of that
//! kind which fits what it signed itself.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use timecoin_protocol::block::Proposal;
use timecoin_protocol::hash::{BlockHash, Hash};

/// All blocks that were proposed so far, in one check.
#[derive(Debug, Default)]
pub struct Kinds(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    of: BTreeMap<BlockHash, BlockHash>,
    proposals: BTreeMap<(BlockHash, u32), Vec<Proposal>>,
}

impl Kinds {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a proposal, and gives the kind of its block.
    pub(super) fn note(&self, proposal: &Proposal) -> BlockHash {
        let block = &proposal.block;
        let header = &block.header;
        let about = (header.height, header.parent, header.time_ms, header.proposer, &block.txids);
        let closes = (block.closing.closes(), !block.closing.evidence.is_empty(), &header.next_validators);
        let kind = BlockHash(*blake3::hash(format!("{about:?}{closes:?}").as_bytes()).as_bytes());
        let mut known = self.known();
        known.of.insert(header.hash(), kind);
        let all = known.proposals.entry((kind, proposal.round.0)).or_default();
        if !all.contains(proposal) {
            all.push(proposal.clone());
        }
        kind
    }

    /// The kind of a block.
    pub(super) fn of(&self, block: BlockHash) -> BlockHash {
        self.known().of.get(&block).copied().unwrap_or(block)
    }

    /// How many proposals there are.
    pub(super) fn count(&self) -> usize {
        self.known().proposals.values().map(Vec::len).sum()
    }

    /// The proposals of a kind, in a round, that fit the list of the seal that validator `own` made, if it made one.
    pub(super) fn proposals(&self, kind: BlockHash, round: u32, own: usize, list: Option<Hash>) -> Vec<Proposal> {
        let fits = |proposal: &&Proposal| {
            let named = proposal.block.closing.seals.iter().find(|seal| usize::from(seal.validator) == own);
            named.is_none_or(|named| Some(named.list) == list)
        };
        self.known().proposals.get(&(kind, round)).into_iter().flatten().filter(fits).cloned().collect()
    }
}
