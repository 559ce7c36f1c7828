//! The genesis description: what a network is, named by its hash (`SPEC.md` G-1…G-3).

use crate::address::NetworkKind;
use crate::amount::Amount;
use crate::bounds::{BOND_UNITS_MIN, DUST_UNITS, EPOCH_BLOCKS_MIN};
use crate::codec::{Decode, Encode};
use crate::hash::{Domain, GenesisHash, Txid, hash_of};
use crate::keys::PublicKey;
use crate::transaction::{Lock, OutPoint, Output, Utxo};
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

/// Rules that are fixed for the life of a network.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Least time between two blocks, in milliseconds.
    pub block_interval_ms: u64,
    /// Minted by each block, in units.
    pub block_reward_units: u64,
    /// Blocks between the withdrawal of a bond and the spending of what it returns.
    pub unbonding_blocks: u64,
    /// Blocks of an epoch, at least; its end waits for seals (E-1).
    pub epoch_blocks: u64,
}

/// Everything that defines a network.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// A name for people.
    pub name: String,
    /// Decides the prefix of addresses.
    pub network: NetworkKind,
    /// When the network began, in milliseconds since 1970 UTC.
    pub time_ms: u64,
    /// Fixed rules.
    pub params: Params,
    /// Money that exists from the start, bonds of the first validators among it.
    pub outputs: Vec<Output>,
}

/// Why a genesis description is unusable (G-3). Outputs are counted from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// The outputs hold more than 2^64 - 1 units.
    #[error("the genesis outputs add up to more than 2^64 - 1 units; lower their amounts")]
    AmountOverflow,
    /// An output is too small (L-4).
    #[error("genesis output {output} holds {found} units, at least {DUST_UNITS} are needed")]
    Dust {
        /// Which output.
        output: usize,
        /// Its units.
        found: u64,
    },
    /// A bond is too small (L-8).
    #[error("genesis output {output} is a bond of {found} units, at least {BOND_UNITS_MIN} are needed")]
    BondTooSmall {
        /// Which output.
        output: usize,
        /// Its units.
        found: u64,
    },
    /// An output is unbonding, which only the withdrawal of a bond may make (L-9).
    #[error("genesis output {output} is unbonding; use an address or a bond")]
    Unbonding {
        /// Which output.
        output: usize,
    },
    /// The epochs are too short.
    #[error("epochs of {0} blocks; at least {EPOCH_BLOCKS_MIN} are needed")]
    EpochTooShort(u64),
    /// Too few validators have a bond.
    #[error("the genesis outputs hold bonds of {found} validators, a {network:?} network needs at least {needed}")]
    TooFewValidators {
        /// Distinct validator keys.
        found: usize,
        /// Least number.
        needed: usize,
        /// Kind of the network.
        network: NetworkKind,
    },
}

impl NetworkKind {
    /// Fewest validators that a network of this kind may begin with (G-3).
    #[must_use]
    pub const fn validators_min(self) -> usize {
        match self {
            Self::Mainnet | Self::Testnet => 3,
            Self::Devnet => 1,
        }
    }
}

impl Genesis {
    /// The network's hash: in every signature, protocol name and topic.
    #[must_use]
    pub fn hash(&self) -> GenesisHash {
        GenesisHash(hash_of(Domain::Genesis, self))
    }

    /// The UTXO set before the first block (G-2): output `i` has the outpoint `(genesis hash, i)`.
    pub fn utxos(&self) -> impl Iterator<Item = (OutPoint, Utxo)> + '_ {
        let txid = Txid(self.hash().0);
        (0_u32..).zip(&self.outputs).map(move |(index, output)| {
            (OutPoint { txid, index }, Utxo { output: *output, height: 0, coinbase: false })
        })
    }

    /// Whether a network can begin like this (G-3); gives the sum of all outputs.
    ///
    /// # Errors
    /// [`GenesisError`] names the first defect.
    pub fn check(&self) -> Result<Amount, GenesisError> {
        if self.params.epoch_blocks < EPOCH_BLOCKS_MIN {
            return Err(GenesisError::EpochTooShort(self.params.epoch_blocks));
        }
        let mut validators: BTreeSet<PublicKey> = BTreeSet::new();
        for (output, Output { amount, lock }) in self.outputs.iter().enumerate() {
            let found = amount.units();
            match lock {
                _ if found < DUST_UNITS => return Err(GenesisError::Dust { output, found }), // L-4
                Lock::Unbonding(_) => return Err(GenesisError::Unbonding { output }),        // L-9
                Lock::Bond { .. } if found < BOND_UNITS_MIN => {
                    return Err(GenesisError::BondTooSmall { output, found }); // L-8
                }
                Lock::Bond { validator, .. } => _ = validators.insert(*validator),
                Lock::Address(_) => {}
            }
        }
        let (found, needed) = (validators.len(), self.network.validators_min());
        if found < needed {
            return Err(GenesisError::TooFewValidators { found, needed, network: self.network });
        }
        self.supply().ok_or(GenesisError::AmountOverflow) // L-3
    }

    /// Sum of all outputs, or `None` on overflow.
    #[must_use]
    pub fn supply(&self) -> Option<Amount> {
        Amount::checked_sum(self.outputs.iter().map(|output| output.amount))
    }
}
