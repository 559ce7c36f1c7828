//! Transactions: what is spent, what is made, and who agreed (`SPEC.md` L-1).

use crate::address::Owner;
use crate::amount::Amount;
use crate::codec::{Decode, Encode};
use crate::hash::{Domain, GenesisHash, Txid, hash_of, signing_digest};
use crate::keys::{PublicKey, SecretKey, Signature, SignatureCheck, Signed};
use alloc::vec::Vec;
use core::fmt;

/// One output of one transaction.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, serde::Serialize, serde::Deserialize,
)]
pub struct OutPoint {
    /// Transaction that made the output.
    pub txid: Txid,
    /// Position among its outputs, from 0.
    pub index: u32,
}

impl fmt::Display for OutPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.txid, self.index)
    }
}

/// Who may spend an output, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lock {
    /// The owner of the address, at any time.
    Address(Owner),
    /// Collateral of a validator (L-8): the owner may withdraw it into [`Lock::Unbonding`].
    Bond {
        /// The key that votes with this bond's weight.
        validator: PublicKey,
        /// Who gets the rewards and may withdraw.
        owner: Owner,
    },
    /// Collateral on its way back: the owner may spend it once the unbonding time has passed
    /// since the block that holds it (L-9).
    Unbonding(Owner),
}

impl Lock {
    /// Who must sign to spend.
    #[must_use]
    pub const fn owner(&self) -> &Owner {
        match self {
            Self::Address(owner) | Self::Bond { owner, .. } | Self::Unbonding(owner) => owner,
        }
    }
}

/// An amount under a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, serde::Serialize, serde::Deserialize)]
pub struct Output {
    /// How much.
    pub amount: Amount,
    /// Who may spend it.
    pub lock: Lock,
}

/// What a transaction does; its hash is the txid.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode, serde::Serialize, serde::Deserialize)]
pub struct TransactionBody {
    /// Outputs spent, in any order, none twice. A coinbase has one input that names no output.
    pub inputs: Vec<OutPoint>,
    /// Outputs made.
    pub outputs: Vec<Output>,
    /// A short note; a coinbase has its height here, 8 bytes little-endian.
    pub memo: Vec<u8>,
}

impl TransactionBody {
    /// The transaction's id (L-1): witnesses are not part of it and cannot change it.
    #[must_use]
    pub fn txid(&self) -> Txid {
        Txid(hash_of(Domain::Txid, self))
    }

    /// What each owner signs.
    #[must_use]
    pub fn spend_digest(&self, genesis: &GenesisHash) -> [u8; 32] {
        signing_digest(Domain::Spend, genesis, &self.txid())
    }

    /// The sum of the outputs, or `None` on overflow.
    #[must_use]
    pub fn output_sum(&self) -> Option<Amount> {
        Amount::checked_sum(self.outputs.iter().map(|output| output.amount))
    }
}

/// The agreement of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, serde::Serialize, serde::Deserialize)]
pub struct Witness {
    /// The key; its hash is the owner.
    pub key: PublicKey,
    /// Its signature over [`TransactionBody::spend_digest`].
    pub signature: Signature,
}

/// A body with the agreement of everyone whose money it spends.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode, serde::Serialize, serde::Deserialize)]
pub struct Transaction {
    /// What it does.
    pub body: TransactionBody,
    /// One for each distinct key needed, sorted by key, none twice (L-6).
    pub witnesses: Vec<Witness>,
}

impl Transaction {
    /// Signs `body` with `keys`; sorts and removes repeats, so that the result has the form of L-6.
    #[must_use]
    pub fn sign(body: TransactionBody, keys: &[&SecretKey], genesis: &GenesisHash) -> Self {
        let digest = body.spend_digest(genesis);
        let mut witnesses: Vec<Witness> =
            keys.iter().map(|key| Witness { key: key.public(), signature: key.sign(&digest) }).collect();
        witnesses.sort_by_key(|witness| witness.key);
        witnesses.dedup_by_key(|witness| witness.key);
        Self { body, witnesses }
    }

    /// The id of the body.
    #[must_use]
    pub fn txid(&self) -> Txid {
        self.body.txid()
    }
}

impl Signed for Transaction {
    fn signature_checks(&self, genesis: &GenesisHash, checks: &mut Vec<SignatureCheck>) {
        let digest = self.body.spend_digest(genesis);
        checks.extend(self.witnesses.iter().map(|witness| SignatureCheck {
            key: witness.key,
            digest,
            signature: witness.signature,
        }));
    }
}

/// An entry of the UTXO set: an output and where it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, serde::Serialize, serde::Deserialize)]
pub struct Utxo {
    /// The output.
    pub output: Output,
    /// Height of the block that made it; 0 for genesis.
    pub height: u64,
    /// Whether a coinbase made it.
    pub coinbase: bool,
}
