//! Closing an epoch (`SPEC.md` E-5, X-6): which seals a block covers, whom it takes the vote, and the validators that come
//! next.

use super::{ChainState, Offender, validators_from_bonds};
use crate::bitmap::Bitmap;
use crate::block::{Closing, CommitError, Evidence, EvidenceError, SealSignature};
use crate::bounds::{CLOSING_EVIDENCE_BYTES_MAX, CLOSING_EVIDENCE_MAX, CLOSING_LISTED_BYTES_MAX};
use crate::finality::Seal;
use crate::genesis::Params;
use crate::hash::{Hash, Txid};
use crate::keys::PublicKey;
use crate::mutation::{Mutation, is_broken};
use crate::transaction::{OutPoint, Utxo};
use crate::validator::{Height, ValidatorIndex, ValidatorSet, Weight};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use hashbrown::HashMap;

/// Why a block cannot close its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClosingError {
    /// The epoch is not long enough yet.
    #[error("the epoch can be closed from height {first} on")]
    Early {
        /// First height of a closing block.
        first: Height,
    },
    /// Not the seals of a quorum.
    #[error(transparent)]
    Seals(#[from] CommitError),
    /// Not one list for each seal.
    #[error("{lists} lists for {seals} seals")]
    ListCount {
        /// Lists in the block.
        lists: usize,
        /// Seals in the block.
        seals: usize,
    },
    /// The lists together are too long.
    #[error("the lists have {0} bytes, at most {CLOSING_LISTED_BYTES_MAX} are allowed")]
    ListBytes(usize),
    /// A list names what is not there, or is not the one that was signed.
    #[error("the list of validator {0} is not the one of its seal")]
    List(ValidatorIndex),
    /// An ordinary block takes nobody the vote.
    #[error("a block that closes no epoch has evidence")]
    EvidenceWithoutSeals,
    /// Too many pieces of evidence.
    #[error("{0} pieces of evidence, at most {CLOSING_EVIDENCE_MAX} are allowed")]
    EvidenceCount(usize),
    /// The evidence is too long.
    #[error("the evidence has {0} bytes, at most {CLOSING_EVIDENCE_BYTES_MAX} are allowed")]
    EvidenceBytes(usize),
    /// Offenders are not sorted and unique.
    #[error("the evidence is not sorted by offender, each offender once")]
    EvidenceOrder,
    /// Whoever it is against has no vote to lose.
    #[error("{0} is no validator, or has lost its vote already")]
    NotAccusable(PublicKey),
    /// Something that proves nothing.
    #[error("the evidence against {0} is none: {1}")]
    Evidence(PublicKey, EvidenceError),
}

/// Everything that a seal may list, by number: the transfers of the block, then those of the blocks before it since
/// sealing began.
fn listable<'a>(txids: &'a [Txid], sealed: &'a [Txid]) -> impl Iterator<Item = &'a Txid> {
    txids.iter().chain(sealed)
}

/// E-5, X-6: judges everything but the signatures of seals and evidence.
pub(super) fn check_closing(
    state: &ChainState,
    params: &Params,
    txids: &[Txid],
    (closing, listed): (&Closing, &[Bitmap]),
) -> Result<(), ClosingError> {
    check_evidence(state, closing)?;
    let (lists, seals) = (listed.len(), closing.seals.len());
    if lists != seals {
        return Err(ClosingError::ListCount { lists, seals });
    }
    if !closing.closes() {
        return Ok(());
    }
    if !state.is_sealing(params) {
        return Err(ClosingError::Early { first: state.sealed_from(params).next() });
    }
    let bytes = listed.iter().map(Bitmap::byte_len).sum();
    if bytes > CLOSING_LISTED_BYTES_MAX {
        return Err(ClosingError::ListBytes(bytes));
    }
    closing.check_members(&state.validators)?;
    let all: Vec<Txid> = listable(txids, &state.sealed_txids).copied().collect();
    // Most seals list the same.
    let mut hashes: BTreeMap<&Bitmap, Option<Hash>> = BTreeMap::new();
    for (seal, bitmap) in closing.seals.iter().zip(listed) {
        let hash = hashes.entry(bitmap).or_insert_with(|| {
            let mut list = bitmap.numbers().map(|number| all.get(number).copied()).collect::<Option<Vec<Txid>>>()?;
            list.sort_unstable();
            Some(Seal::list_of(&list))
        });
        if *hash != Some(seal.list) {
            return Err(ClosingError::List(seal.validator));
        }
    }
    Ok(())
}

/// judges the evidence of a block, but for its signatures.
fn check_evidence(state: &ChainState, closing: &Closing) -> Result<(), ClosingError> {
    let all = &closing.evidence;
    if all.is_empty() {
        return Ok(());
    }
    if !closing.closes() {
        return Err(ClosingError::EvidenceWithoutSeals);
    }
    if all.len() > CLOSING_EVIDENCE_MAX {
        return Err(ClosingError::EvidenceCount(all.len()));
    }
    let bytes = all.iter().map(Evidence::bytes).sum();
    if bytes > CLOSING_EVIDENCE_BYTES_MAX {
        return Err(ClosingError::EvidenceBytes(bytes));
    }
    if !all.is_sorted_by(|left, right| left.offender() < right.offender()) {
        return Err(ClosingError::EvidenceOrder);
    }
    for evidence in all {
        let offender = evidence.offender();
        if !state.is_accusable(&offender) {
            return Err(ClosingError::NotAccusable(offender));
        }
        evidence.check().map_err(|error| ClosingError::Evidence(offender, error))?;
    }
    Ok(())
}

/// What a closing block says of `evidence`: as much as fits, one piece for each offender that has a vote to lose, sorted by
/// offender.
pub(super) fn choose_evidence<'a>(state: &ChainState, evidence: impl Iterator<Item = &'a Evidence>) -> Vec<Evidence> {
    let mut chosen: BTreeMap<PublicKey, Evidence> = BTreeMap::new();
    let mut room = CLOSING_EVIDENCE_BYTES_MAX;
    for piece in evidence {
        let offender = piece.offender();
        let is_new = state.is_accusable(&offender) && !chosen.contains_key(&offender) && piece.check().is_ok();
        if is_new
            && chosen.len() < CLOSING_EVIDENCE_MAX
            && let Some(left) = room.checked_sub(piece.bytes())
        {
            room = left;
            chosen.insert(offender, piece.clone());
        }
    }
    chosen.into_values().collect()
}

/// Everybody who has lost its vote after the next block, which has this closing.
pub(super) fn offenders_after(state: &ChainState, closing: &Closing) -> Arc<BTreeMap<PublicKey, Offender>> {
    let mut offenders = Arc::clone(&state.offenders);
    if !closing.evidence.is_empty() {
        let height = state.height.next();
        let fresh = closing.evidence.iter().map(|piece| (piece.offender(), Offender { kind: piece.kind(), height }));
        Arc::make_mut(&mut offenders).extend(fresh);
    }
    offenders
}

/// The seals, out of `seals`, that a block with `txids` covers: as many as make a quorum, or none.
pub(super) fn close<'a>(
    state: &ChainState,
    params: &Params,
    txids: &[Txid],
    seals: impl Iterator<Item = &'a Seal>,
) -> (Closing, Vec<Bitmap>) {
    if !state.is_sealing(params) {
        return (Closing::default(), Vec::new());
    }
    let numbers: HashMap<&Txid, usize> =
        listable(txids, &state.sealed_txids).enumerate().map(|(number, txid)| (txid, number)).collect();
    let mut chosen: BTreeMap<ValidatorIndex, (SealSignature, Bitmap)> = BTreeMap::new();
    let (mut weight, mut bytes) = (0_u64, 0);
    for seal in seals.filter(|seal| seal.epoch == state.epoch) {
        let Some(validator) = state.validators.index_of(&seal.voter).filter(|at| !chosen.contains_key(at)) else {
            continue;
        };
        let numbers = seal.txids.iter().map(|txid| numbers.get(txid).copied());
        let Some(bitmap) = numbers.collect::<Option<Bitmap>>() else { continue };
        if bytes + bitmap.byte_len() > CLOSING_LISTED_BYTES_MAX {
            continue;
        }
        bytes += bitmap.byte_len();
        weight = weight.saturating_add(state.validators.weight_of(&seal.voter).0);
        let signature = SealSignature { validator, list: seal.list(), signature: seal.signature };
        chosen.insert(validator, (signature, bitmap));
        if state.validators.is_quorum(Weight(weight)) || is_broken(Mutation::ClosedWithoutQuorum) {
            let (seals, listed) = chosen.into_values().unzip();
            return (Closing { seals, evidence: Vec::new() }, listed);
        }
    }
    (Closing::default(), Vec::new())
}

/// The lists of the seals that a proposal names, given the seals themselves (E-5). `None` if one of them lists what is neither in the
/// block nor in a block before it since sealing began: the block is invalid.
#[must_use]
pub fn lists_of<'a>(state: &ChainState, txids: &[Txid], seals: impl Iterator<Item = &'a Seal>) -> Option<Vec<Bitmap>> {
    let numbers: HashMap<&Txid, usize> =
        listable(txids, &state.sealed_txids).enumerate().map(|(number, txid)| (txid, number)).collect();
    seals.map(|seal| seal.txids.iter().map(|txid| numbers.get(txid).copied()).collect()).collect()
}

/// What is left of a set without those who lost their vote; the set itself if nobody would be left (E-6).
pub(super) fn without(set: &Arc<ValidatorSet>, offenders: &BTreeMap<PublicKey, Offender>) -> Arc<ValidatorSet> {
    if set.members().iter().all(|member| !offenders.contains_key(&member.key)) {
        return Arc::clone(set);
    }
    let rest = set.members().iter().filter(|member| !offenders.contains_key(&member.key)).copied().collect();
    let rest = ValidatorSet::new(rest);
    if rest.is_empty() { Arc::clone(set) } else { Arc::new(rest) }
}

/// The set that the bonds after a closing block make; the one before it if there are none (E-6).
pub(super) fn set_of_bonds(
    bonds: &BTreeMap<OutPoint, Utxo>,
    before: &Arc<ValidatorSet>,
    offenders: &BTreeMap<PublicKey, Offender>,
) -> Arc<ValidatorSet> {
    let set = validators_from_bonds(bonds.iter().map(|(outpoint, utxo)| (*outpoint, *utxo)));
    let set = if set.is_empty() { Arc::clone(before) } else { Arc::new(set) };
    without(&set, offenders)
}
