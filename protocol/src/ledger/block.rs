//! What a block does (`SPEC.md` B-4…B-7, B-9, E-5).

use super::closing::{check_closing, choose_evidence, close, offenders_after, without};
use super::coinbase::minted;
use super::execution::{Effect, Execution, Stop};
use super::{BlockDelta, BlockError, ChainState, Unavailable, UtxoSet, UtxoSetHash, coinbase};
use crate::amount::Amount;
use crate::block::{Block, Closing, Commit, Evidence, Header};
use crate::bounds::BLOCK_TRANSACTIONS_MAX;
use crate::finality::Seal;
use crate::genesis::Params;
use crate::hash::{Hash, MerkleRoot};
use crate::keys::PublicKey;
use crate::transaction::{Transaction, TransactionBody};
use crate::validator::ValidatorSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// What the contents of a block amount to, whoever proposes it and when.
struct Settled {
    coinbase: TransactionBody,
    effect: Effect,
    transactions_root: MerkleRoot,
    utxo_set: UtxoSetHash,
}

/// What a new block may be made of.
#[derive(Clone, Debug, Default)]
pub struct BlockParts<'a> {
    /// The commit of the last block; none at height 1.
    pub parent_commit: Option<Commit>,
    /// Transfers, parents before children.
    pub transactions: &'a [Arc<Transaction>],
    /// Seals of the epoch, those to be preferred first.
    pub seals: &'a [Arc<Seal>],
    /// Evidence, the pieces to be preferred first.
    pub evidence: &'a [Arc<Evidence>],
}

/// Builds the block after `state` from its transactions in the given order; those that break a rule
/// there, or for which there is no room (B-4), are left out (B-9).
///
/// The block's time is `time_ms`, or one millisecond after its parent's if that is later.
/// If some of the seals are covered by the block and are a quorum's, the block closes the epoch with them (E-5), and has as
/// much of the evidence as fits.
/// [`apply_block`] accepts the block, provided that `proposer` is a validator of the epoch and
/// the parent commit is that of the last block.
///
/// # Errors
/// Storage failed.
pub fn build_block(
    state: &ChainState,
    params: &Params,
    utxos: &impl UtxoSet,
    time_ms: u64,
    proposer: PublicKey,
    parts: BlockParts<'_>,
) -> Result<(Block, BlockDelta), Unavailable> {
    let BlockParts { parent_commit, transactions, seals, evidence } = parts;
    let mut execution = Execution::new(utxos, state.height.next(), params, transactions.len());
    let mut included = Vec::new();
    for transaction in transactions {
        if execution.is_full() {
            break;
        }
        if Stop::split(execution.append(transaction))?.is_ok() {
            included.push(Transaction::clone(transaction));
        }
    }
    let settled = settle(execution, state, params, parent_commit.as_ref());
    let (mut closing, listed) = close(state, params, &settled.effect.txids, seals.iter().map(Arc::as_ref));
    if closing.closes() {
        closing.evidence = choose_evidence(state, evidence.iter().map(Arc::as_ref));
    }
    let header = Header {
        parent: state.hash,
        height: state.height.next(),
        epoch: state.epoch,
        time_ms: time_ms.max(state.time_ms.saturating_add(1)),
        proposer,
        transactions_root: settled.transactions_root,
        utxo_set: settled.utxo_set.commitment(),
        next_validators: next_set(state, &closing).hash(),
        parent_commit: commitment(parent_commit.as_ref()),
        closing: closing.hash(),
    };
    let coinbase = settled.coinbase.clone();
    let block = Block { header, parent_commit, coinbase, transactions: included, closing, listed };
    let delta = delta(state, params, &block, settled);
    Ok((block, delta))
}

/// Judges `block` against `state` and `utxos` by every rule except signatures (those of
/// transactions and evidence: [`crate::keys::Verified`]; that of the parent commit: [`Commit::verify`]), the
/// turn of the proposer and the local clock, and computes its effect.
///
/// # Errors
/// Outer: storage failed. Inner: the first rule broken.
pub fn apply_block(
    state: &ChainState,
    params: &Params,
    utxos: &impl UtxoSet,
    block: &Block,
) -> Result<Result<BlockDelta, BlockError>, Unavailable> {
    Stop::split(apply(state, params, utxos, block))
}

fn apply(
    state: &ChainState,
    params: &Params,
    utxos: &impl UtxoSet,
    block: &Block,
) -> Result<BlockDelta, Stop<BlockError>> {
    check_header(state, block)?;
    check_parent_commit(state, block)?;
    if block.transactions.len() > BLOCK_TRANSACTIONS_MAX {
        return Err(BlockError::TooManyTransactions(block.transactions.len()).into()); // B-4
    }
    let mut execution = Execution::new(utxos, state.height.next(), params, block.transactions.len());
    for transaction in &block.transactions {
        execution.append(transaction)?;
    }
    let settled = settle(execution, state, params, block.parent_commit.as_ref());
    check_settled(block, &settled)?;
    check_closing(state, params, &settled.effect.txids, (&block.closing, &block.listed))
        .map_err(BlockError::Closing)?;
    Ok(delta(state, params, block, settled))
}

/// B-5
fn check_header(state: &ChainState, block: &Block) -> Result<(), BlockError> {
    let header = &block.header;
    let height = state.height.next();
    if header.height != height {
        return Err(BlockError::Height { found: header.height, expected: height });
    }
    if header.parent != state.hash {
        return Err(BlockError::Parent { found: header.parent, expected: state.hash });
    }
    if header.epoch != state.epoch {
        return Err(BlockError::Epoch { found: header.epoch, expected: state.epoch });
    }
    if header.time_ms <= state.time_ms {
        return Err(BlockError::Time { found_ms: header.time_ms, parent_ms: state.time_ms });
    }
    if state.validators.index_of(&header.proposer).is_none() {
        return Err(BlockError::Proposer(header.proposer));
    }
    let expected = block.closing.hash();
    if header.closing != expected {
        return Err(BlockError::ClosingHash { found: header.closing, expected }); // E-5
    }
    let next_validators = next_set(state, &block.closing).hash();
    if header.next_validators != next_validators {
        return Err(BlockError::NextValidators { found: header.next_validators, expected: next_validators });
    }
    Ok(())
}

/// B-5
fn check_parent_commit(state: &ChainState, block: &Block) -> Result<(), BlockError> {
    match &block.parent_commit {
        None if state.height.0 > 0 => return Err(BlockError::ParentCommitMissing),
        Some(_) if state.height.0 == 0 => return Err(BlockError::ParentCommitUnexpected),
        Some(commit) if commit.height != state.height || commit.block != state.hash => {
            return Err(BlockError::ParentCommitTarget { height: commit.height, block: commit.block });
        }
        None | Some(_) => {}
    }
    let (found, expected) = (block.header.parent_commit, commitment(block.parent_commit.as_ref()));
    if found == expected { Ok(()) } else { Err(BlockError::ParentCommitHash { found, expected }) }
}

/// The validators of the next height. // E-6, X-7
fn next_set(state: &ChainState, closing: &Closing) -> Arc<ValidatorSet> {
    if closing.closes() {
        without(&state.next_validators, &offenders_after(state, closing))
    } else {
        Arc::clone(&state.validators)
    }
}

/// What a header says of the parent's commit: zeros if there is none. // B-5
fn commitment(parent_commit: Option<&Commit>) -> Hash {
    parent_commit.map_or(Hash([0; 32]), Commit::hash)
}

/// The coinbase, the roots and the whole effect of the transfers executed. // B-6, B-7
fn settle<U: UtxoSet>(
    execution: Execution<'_, U>,
    state: &ChainState,
    params: &Params,
    parent_commit: Option<&Commit>,
) -> Settled {
    let coinbase = coinbase(state, params, parent_commit, execution.effect.fees);
    let effect = execution.finish(coinbase.txid(), &coinbase.outputs);
    let transactions_root = Block::transactions_root(&coinbase, &effect.txids);
    let mut utxo_set = state.utxo_set.clone();
    effect.created.iter().for_each(|(outpoint, utxo)| utxo_set.add(outpoint, utxo));
    effect.spent.iter().for_each(|(outpoint, utxo)| utxo_set.remove(outpoint, utxo));
    Settled { coinbase, effect, transactions_root, utxo_set }
}

/// B-6, B-7
fn check_settled(block: &Block, settled: &Settled) -> Result<(), BlockError> {
    let header = &block.header;
    if block.coinbase != settled.coinbase {
        return Err(BlockError::Coinbase { found: block.coinbase.txid(), expected: settled.coinbase.txid() });
    }
    if header.transactions_root != settled.transactions_root {
        let (found, expected) = (header.transactions_root, settled.transactions_root);
        return Err(BlockError::TransactionsRoot { found, expected });
    }
    let expected = settled.utxo_set.commitment();
    if header.utxo_set != expected {
        return Err(BlockError::UtxoSet { found: header.utxo_set, expected });
    }
    Ok(())
}

fn delta(state: &ChainState, params: &Params, block: &Block, settled: Settled) -> BlockDelta {
    let (header, Settled { coinbase, effect, utxo_set, .. }) = (&block.header, settled);
    let next = state.advance(params, &effect, &block.closing);
    let Effect { created, spent, ephemeral, txids, fees } = effect;
    let count = |entries: &[_]| u64::try_from(entries.len()).unwrap_or(u64::MAX);
    let state = ChainState {
        height: header.height,
        hash: header.hash(),
        time_ms: header.time_ms,
        utxo_set,
        utxo_count: state.utxo_count.saturating_add(count(&created)).saturating_sub(count(&spent)),
        // `minted` leaves room for itself, so this is exact.
        supply: Amount(state.supply.units().saturating_add(minted(state.supply, params).units())),
        ..next
    };
    BlockDelta { created, spent, ephemeral, txids, coinbase: coinbase.txid(), fees, state }
}
