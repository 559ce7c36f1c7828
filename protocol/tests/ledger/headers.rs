//! What the header of a block must say (`SPEC.md` B-5, B-7), and each way to get it wrong.

use crate::support::{Chain, key, refusal_of_third, third};
use timecoin_protocol::block::Block;
use timecoin_protocol::hash::{BlockHash, Hash, MerkleRoot};
use timecoin_protocol::ledger::BlockError;
use timecoin_protocol::transaction::Transaction;
use timecoin_protocol::validator::{Epoch, Height};

/// B-5
#[test]
fn a_block_of_another_height_is_refused() {
    let error = BlockError::Height { found: Height(4), expected: Height(3) };
    assert_eq!(refusal_of_third(|block| block.header.height = Height(4)), error);
}

/// B-5
#[test]
fn a_block_on_another_parent_is_refused() {
    let (chain, _) = third();
    let error = BlockError::Parent { found: BlockHash([1; 32]), expected: chain.state.hash };
    assert_eq!(refusal_of_third(|block| block.header.parent = BlockHash([1; 32])), error);
}

/// B-5
#[test]
fn a_block_of_another_epoch_is_refused() {
    let error = BlockError::Epoch { found: Epoch(1), expected: Epoch(0) };
    assert_eq!(refusal_of_third(|block| block.header.epoch = Epoch(1)), error);
}

/// B-5
#[test]
fn time_goes_forward() {
    let (chain, _) = third();
    let parent_ms = chain.state.time_ms;
    let error = BlockError::Time { found_ms: parent_ms, parent_ms };
    assert_eq!(refusal_of_third(|block| block.header.time_ms = parent_ms), error);
}

/// B-5
#[test]
fn only_validators_propose() {
    let stranger = key(200).public();
    assert_eq!(refusal_of_third(|block| block.header.proposer = stranger), BlockError::Proposer(stranger));
}

/// B-5
#[test]
fn a_block_without_the_commit_of_its_parent_is_refused() {
    assert_eq!(refusal_of_third(|block| block.parent_commit = None), BlockError::ParentCommitMissing);
}

/// B-5
#[test]
fn the_first_block_has_no_parent_commit() {
    let chain = Chain::new();
    let (mut block, _) = chain.build(&[]);
    assert_eq!(block.header.parent_commit, Hash([0; 32]));
    block.parent_commit = third().1.parent_commit;
    assert_eq!(chain.judge(&block), Err(BlockError::ParentCommitUnexpected));
}

/// B-5
#[test]
fn a_commit_of_another_block_is_refused() {
    let (chain, _) = third();
    let target = |height, block| BlockError::ParentCommitTarget { height, block };
    let error = refusal_of_third(|block| block.parent_commit.as_mut().unwrap().height = Height(1));
    assert_eq!(error, target(Height(1), chain.state.hash));
    let error = refusal_of_third(|block| block.parent_commit.as_mut().unwrap().block = BlockHash([1; 32]));
    assert_eq!(error, target(Height(2), BlockHash([1; 32])));
}

/// B-5
#[test]
fn a_header_that_names_another_commit_is_refused() {
    let (_, block) = third();
    let error = BlockError::ParentCommitHash { found: Hash([1; 32]), expected: block.header.parent_commit };
    assert_eq!(refusal_of_third(|block| block.header.parent_commit = Hash([1; 32])), error);
}

/// B-5
#[test]
fn a_header_that_names_other_validators_is_refused() {
    let (chain, _) = third();
    let error = BlockError::NextValidators { found: Hash([1; 32]), expected: chain.state.validators.hash() };
    assert_eq!(refusal_of_third(|block| block.header.next_validators = Hash([1; 32])), error);
}

/// B-7
#[test]
fn a_header_that_names_other_transactions_is_refused() {
    let (_, block) = third();
    let (found, expected) = (MerkleRoot([1; 32]), block.header.transactions_root);
    let error = refusal_of_third(|block| block.header.transactions_root = found);
    assert_eq!(error, BlockError::TransactionsRoot { found, expected });
    let txids: Vec<_> = block.transactions.iter().map(Transaction::txid).collect();
    assert_eq!(Block::transactions_root(&block.coinbase, &txids), expected);
}

/// B-7
#[test]
fn a_header_that_names_another_utxo_set_is_refused() {
    let (_, block) = third();
    let error = BlockError::UtxoSet { found: Hash([1; 32]), expected: block.header.utxo_set };
    assert_eq!(refusal_of_third(|block| block.header.utxo_set = Hash([1; 32])), error);
}
