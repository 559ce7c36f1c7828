//! Brings a ledger that is far behind its blocks up to date before anybody sees it (`SPEC.md` D-8).

use super::block_file::BlockFile;
use super::ledger_store::LedgerStore;
use super::{StoreError, StoreFile};
use std::sync::Arc;
use timecoin_protocol::engine::Ledger;
use timecoin_protocol::genesis::Params;
use timecoin_protocol::ledger::{ChainState, apply_block};

/// Applies all blocks above `state`, with no more in memory than usual; gives the state after the
/// last. Signatures are not checked again: the blocks are decided, and this node's own.
pub fn rebuild(
    ledger: &mut LedgerStore,
    blocks: &BlockFile,
    params: &Params,
    mut state: ChainState,
) -> Result<ChainState, StoreError> {
    let tip = blocks.tip();
    tracing::info!(from = state.height.0, to = tip.0, "rebuilding the ledger from its blocks");
    while state.height < tip {
        let height = state.height.next();
        let missing = || StoreFile::Blocks.corrupt(format!("block {height} is missing"));
        let block = blocks.block(height)?.ok_or_else(missing)?;
        let applied = apply_block(&state, params, ledger, &block.block)
            .map_err(|_| StoreFile::Ledger.corrupt("it cannot be read; the log says more"))?;
        let delta = applied.map_err(|error| StoreFile::Blocks.corrupt(format!("block {height}: {error}")))?;
        let delta = Arc::new(delta);
        ledger.push(&delta);
        ledger.publish()?;
        state = delta.state.clone();
    }
    ledger.checkpoint()?;
    Ok(state)
}
