//! The chain between two blocks, and what a block changes.

use super::execution::Effect;
use super::{UtxoSetHash, closing, validators_from_bonds};
use crate::amount::Amount;
use crate::block::{Closing, EvidenceKind};
use crate::codec::{Decode, Encode};
use crate::genesis::{Genesis, GenesisError, Params};
use crate::hash::{BlockHash, Txid};
use crate::keys::PublicKey;
use crate::transaction::{Lock, OutPoint, Utxo};
use crate::validator::{Epoch, Height, ValidatorSet};
use alloc::collections::BTreeMap;
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
    /// Height of the first block of that epoch.
    pub epoch_start: Height,
    /// Validators of the next height.
    pub validators: Arc<ValidatorSet>,
    /// Validators of the next epoch, but for those who lose their vote until then (E-6).
    pub next_validators: Arc<ValidatorSet>,
    /// Who signs the commit of the last block.
    pub signers: Signers,
    /// All unspent bonds. Each holds at least 1,000 TIME, so there are never many.
    pub bonds: Arc<BTreeMap<OutPoint, Utxo>>,
    /// Validators that lost their vote: no later epoch has them in its set (E-6, X-7).
    pub offenders: Arc<BTreeMap<PublicKey, Offender>>,
    /// Transfers in the blocks of this epoch since sealing began (E-5): not more than three times what one validator may have prepared (P-6),
    /// since all of them have a certificate (B-11).
    pub sealed_txids: Arc<Vec<Txid>>,
    /// Multiset hash of the UTXO set.
    pub utxo_set: UtxoSetHash,
    /// Number of unspent outputs.
    pub utxo_count: u64,
    /// Sum of unspent outputs: genesis plus rewards.
    pub supply: Amount,
}

/// Why and when a validator lost its vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Offender {
    /// What it did twice.
    pub kind: EvidenceKind,
    /// The block with the evidence.
    pub height: Height,
}

/// The validators that decided a block.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Signers {
    /// The block's epoch.
    pub epoch: Epoch,
    /// The validators of that epoch.
    pub validators: Arc<ValidatorSet>,
}

impl ChainState {
    /// Height of the block after which validators seal this epoch (E-3).
    #[must_use]
    pub const fn sealed_from(&self, params: &Params) -> Height {
        Height(self.epoch_start.0.saturating_add(params.epoch_blocks).saturating_sub(2))
    }

    /// Whether the next block may close the epoch: Prepare and Commit votes in it have ended (E-3).
    #[must_use]
    pub const fn is_sealing(&self, params: &Params) -> bool {
        self.height.0 >= self.sealed_from(params).0
    }

    /// The validators of the next epoch, as far as they are known (E-6).
    #[must_use]
    pub fn set_of_next_epoch(&self) -> Arc<ValidatorSet> {
        closing::without(&self.next_validators, &self.offenders)
    }

    /// The validators of an epoch, if it is the present one, the next one, or that of the last block.
    #[must_use]
    pub fn set_of(&self, epoch: Epoch) -> Option<Arc<ValidatorSet>> {
        if epoch == self.epoch {
            Some(Arc::clone(&self.validators))
        } else if epoch == self.epoch.next() {
            Some(self.set_of_next_epoch())
        } else {
            (epoch == self.signers.epoch).then(|| Arc::clone(&self.signers.validators))
        }
    }

    /// Whether a key is that of a validator of this epoch or the next one.
    #[must_use]
    pub fn is_validator(&self, key: &PublicKey) -> bool {
        self.validators.index_of(key).is_some() || self.next_validators.index_of(key).is_some()
    }

    /// Whether evidence against a key would change anything: it is that of a validator of this epoch or the next one that
    /// has not lost its vote yet.
    #[must_use]
    pub fn is_accusable(&self, key: &PublicKey) -> bool {
        self.is_validator(key) && !self.offenders.contains_key(key)
    }

    /// What a block, of which `closing` and `effect` are known, makes of epoch, validators and bonds (E-1, E-6). The
    /// other fields are those of this state.
    pub(super) fn advance(&self, params: &Params, effect: &Effect, closing: &Closing) -> Self {
        let mut next = self.clone();
        next.signers = Signers { epoch: self.epoch, validators: Arc::clone(&self.validators) };
        let is_bond = |(_, utxo): &&(OutPoint, Utxo)| matches!(utxo.output.lock, Lock::Bond { .. });
        if effect.created.iter().chain(&effect.spent).any(|entry| is_bond(&entry)) {
            let bonds = Arc::make_mut(&mut next.bonds);
            effect.spent.iter().for_each(|(outpoint, _)| _ = bonds.remove(outpoint));
            bonds.extend(effect.created.iter().filter(is_bond).copied());
        }
        if closing.closes() {
            next.offenders = closing::offenders_after(self, closing);
            next.epoch = self.epoch.next();
            next.epoch_start = self.height.next().next();
            next.validators = closing::without(&self.next_validators, &next.offenders);
            next.next_validators = closing::set_of_bonds(&next.bonds, &self.next_validators, &next.offenders);
            next.sealed_txids = Arc::default();
        } else if self.is_sealing(params) && !effect.txids.is_empty() {
            Arc::make_mut(&mut next.sealed_txids).extend_from_slice(&effect.txids);
        }
        next
    }
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
    let validators = Arc::new(validators_from_bonds(genesis.utxos()));
    let bonds = genesis.utxos().filter(|(_, utxo)| matches!(utxo.output.lock, Lock::Bond { .. })).collect();
    Ok(ChainState {
        height: Height(0),
        hash: genesis.hash().as_block(),
        time_ms: genesis.time_ms,
        epoch: Epoch(0), // E-1
        epoch_start: Height(1),
        validators: Arc::clone(&validators),
        next_validators: Arc::clone(&validators), // E-6
        signers: Signers { epoch: Epoch(0), validators },
        bonds: Arc::new(bonds),
        offenders: Arc::default(),
        sealed_txids: Arc::default(),
        utxo_set,
        utxo_count,
        supply,
    })
}
