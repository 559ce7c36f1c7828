//! The chain between two blocks, and what a block changes.

use super::{UtxoSetHash, validators_from_bonds};
use crate::amount::Amount;
use crate::codec::{Decode, Encode};
use crate::genesis::{Genesis, GenesisError};
use crate::hash::{BlockHash, Txid};
use crate::transaction::{OutPoint, Utxo};
use crate::validator::{Epoch, Height, ValidatorSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Everything that the next block is judged against, besides the UTXO set.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ChainState {
    /// Height of the last block; 0 is genesis.
    pub height: Height,
    /// Its hash; the genesis hash at height 0.
    pub hash: BlockHash,
    /// Its time, in milliseconds since 1970 UTC.
    pub time_ms: u64,
    /// Epoch of the next height.
    pub epoch: Epoch,
    /// Validators of the next height.
    pub validators: Arc<ValidatorSet>,
    /// Multiset hash of the UTXO set.
    pub utxo_set: UtxoSetHash,
    /// Number of unspent outputs.
    pub utxo_count: u64,
    /// Sum of unspent outputs: genesis plus rewards.
    pub supply: Amount,
}

/// The effect of one block. All lists are in the order in which the block did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockDelta {
    /// Outputs made by this block that it does not spend itself; those of the coinbase are last.
    pub created: Vec<(OutPoint, Utxo)>,
    /// Outputs spent that were there before this block.
    pub spent: Vec<(OutPoint, Utxo)>,
    /// Outputs both made and spent by this block.
    pub ephemeral: Vec<(OutPoint, Utxo)>,
    /// Ids of the transfers, in order.
    pub txids: Vec<Txid>,
    /// Id of the coinbase.
    pub coinbase: Txid,
    /// Sum of all fees.
    pub fees: Amount,
    /// The chain after this block.
    pub state: ChainState,
}

/// The chain before its first block. Its UTXO set is [`Genesis::utxos`].
///
/// # Errors
/// [`GenesisError`] if the description breaks G-3.
pub fn genesis_state(genesis: &Genesis) -> Result<ChainState, GenesisError> {
    let supply = genesis.check()?;
    let mut utxo_set = UtxoSetHash::empty();
    let mut utxo_count = 0;
    for (outpoint, utxo) in genesis.utxos() {
        utxo_set.add(&outpoint, &utxo);
        utxo_count += 1;
    }
    Ok(ChainState {
        height: Height(0),
        hash: genesis.hash().as_block(),
        time_ms: genesis.time_ms,
        epoch: Epoch(0), // E-1
        validators: Arc::new(validators_from_bonds(genesis.utxos())),
        utxo_set,
        utxo_count,
        supply,
    })
}
