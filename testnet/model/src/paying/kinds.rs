//! Blocks of one kind: on the same block, with the same transactions, of the same time, closing the epoch or not.
//!
//! Which seals a closing block names, and who signed the block below, changes its hash and shares of the pay (B-6), and
//! nothing else that anybody can notice once it is proposed. Of a height an honest proposer proposes one block (R-9, which
//! is checked), so in one run a kind is one block: others hear of its kind, and each validator is told of a block of that
//! kind which fits what it signed itself.

use super::setting::SETTING;
use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use timecoin_protocol::block::Proposal;
use timecoin_protocol::hash::BlockHash;

#[derive(Default)]
struct Kinds {
    of: BTreeMap<BlockHash, BlockHash>,
    proposals: BTreeMap<(BlockHash, u32), Vec<Proposal>>,
}

/// All blocks that were proposed in this process.
static KINDS: LazyLock<Mutex<Kinds>> = LazyLock::new(Mutex::default);

/// Notes a proposal, and gives the kind of its block.
pub(super) fn note(proposal: &Proposal) -> BlockHash {
    let block = &proposal.block;
    let hash = block.header.hash();
    let mut kinds = KINDS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(kind) = kinds.of.get(&hash).copied() {
        let known = kinds.proposals.entry((kind, proposal.round.0)).or_default();
        if known.iter().all(|known| known != proposal) {
            known.push(proposal.clone());
        }
        return kind;
    }
    let about = (block.header.height, block.header.parent, block.header.time_ms, block.header.proposer, &block.txids);
    let closes = (block.closing.closes(), !block.closing.evidence.is_empty(), &block.header.next_validators);
    let kind = BlockHash(*blake3::hash(format!("{about:?}{closes:?}").as_bytes()).as_bytes());
    kinds.of.insert(hash, kind);
    kinds.proposals.entry((kind, proposal.round.0)).or_default().push(proposal.clone());
    kind
}

/// The kind of a block.
pub(super) fn kind_of(block: BlockHash) -> BlockHash {
    KINDS.lock().unwrap_or_else(PoisonError::into_inner).of.get(&block).copied().unwrap_or(block)
}

/// The proposals of a kind, in a round, that fit the seal that validator `own` made, if it made one.
pub(super) fn proposals(
    kind: BlockHash,
    round: u32,
    own: usize,
    seal: Option<timecoin_protocol::hash::Hash>,
) -> Vec<Proposal> {
    let kinds = KINDS.lock().unwrap_or_else(PoisonError::into_inner);
    let fits = |proposal: &&Proposal| {
        let named = proposal.block.closing.seals.iter().find(|seal| usize::from(seal.validator) == own);
        named.is_none_or(|named| Some(named.list) == seal) && SETTING.keys.len() > own
    };
    kinds.proposals.get(&(kind, round)).into_iter().flatten().filter(fits).cloned().collect()
}
