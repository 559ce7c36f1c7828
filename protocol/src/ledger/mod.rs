//! The rules of money (`SPEC.md` L-*, B-4…B-7, B-9, E-1, E-5, E-6): which transactions are valid, what a block
//! does to the UTXO set, who is paid.
//!
//! Nothing here stores anything: the UTXO set is read through [`UtxoSet`], and the effect of a
//! block comes back as a [`BlockDelta`]. Signatures are checked elsewhere, before.

mod block;
mod bonds;
mod closing;
mod coinbase;
mod error;
mod execution;
mod multiset;
mod state;
mod transfer;

pub use crate::genesis::GenesisError;
pub use block::{BlockParts, apply_block, build_block};
pub use bonds::validators_from_bonds;
pub use closing::{ClosingError, lists_of};
pub use coinbase::{COINBASE_INPUT, coinbase};
pub use error::{BlockError, TransactionError};
pub use multiset::UtxoSetHash;
pub use state::{BlockDelta, ChainState, Offender, Signers, genesis_state};
pub use transfer::{Transfer, check_form, check_transfer, fee_min};

use crate::transaction::{OutPoint, Utxo};

/// [`Utxo::height`] of an output that is final but not in a block yet, as callers of
/// [`check_transfer`] pass it. Such an output can be spent, unless it is unbonding (L-9).
pub const HEIGHT_UNCOMMITTED: u64 = u64::MAX;

/// The storage behind a [`UtxoSet`] failed; it has said why where that can be read. The node
/// cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the UTXO set cannot be read")]
pub struct Unavailable;

/// A readable UTXO set.
pub trait UtxoSet {
    /// The unspent output at `outpoint`, if there is one.
    ///
    /// # Errors
    /// [`Unavailable`] if storage failed.
    fn utxo(&self, outpoint: &OutPoint) -> Result<Option<Utxo>, Unavailable>;
}

impl UtxoSet for alloc::collections::BTreeMap<OutPoint, Utxo> {
    fn utxo(&self, outpoint: &OutPoint) -> Result<Option<Utxo>, Unavailable> {
        Ok(self.get(outpoint).copied())
    }
}
