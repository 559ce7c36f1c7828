//! The reward of a block and who gets it (`SPEC.md` B-6).

use super::ChainState;
use crate::amount::Amount;
use crate::block::Commit;
use crate::bounds::DUST_UNITS;
use crate::genesis::Params;
use crate::hash::Txid;
use crate::transaction::{Lock, OutPoint, Output, TransactionBody};
use crate::validator::{Validator, ValidatorIndex, ValidatorSet};
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

/// The only input of every coinbase: it names no output. No transfer may have it.
pub const COINBASE_INPUT: OutPoint = OutPoint { txid: Txid([0; 32]), index: u32::MAX };

/// The reward transaction of the block after `state` (B-6), for transfers that pay `fees` together.
///
/// It has no output if there is nothing to share. `fees` are part of the supply, so that reward
/// and fees together are below 2^64.
#[must_use]
pub fn coinbase(state: &ChainState, params: &Params, parent_commit: Option<&Commit>, fees: Amount) -> TransactionBody {
    let pot = minted(state.supply, params).units().saturating_add(fees.units());
    TransactionBody {
        inputs: vec![COINBASE_INPUT],
        outputs: shares(pot, &sharers(&state.signers.validators, parent_commit)),
        memo: state.height.next().0.to_le_bytes().to_vec(),
    }
}

/// What the next block mints: the reward, less what would take the supply past 2^64 - 1 units.
pub(super) fn minted(supply: Amount, params: &Params) -> Amount {
    Amount(params.block_reward_units.min(u64::MAX - supply.units()))
}

/// Those whose precommits are in the parent's commit, in order of index; everybody if there is
/// none, as at height 1.
fn sharers<'a>(validators: &'a ValidatorSet, parent_commit: Option<&Commit>) -> Vec<&'a Validator> {
    let signatures = parent_commit.map_or(&[][..], |commit| &commit.signatures);
    let mut present: Vec<ValidatorIndex> = signatures.iter().map(|entry| entry.validator).collect();
    present.sort_unstable();
    present.dedup();
    let sharers: Vec<_> = present.into_iter().filter_map(|index| validators.at(index)).collect();
    if sharers.is_empty() { validators.members().iter().collect() } else { sharers }
}

/// Splits `pot` by weight, without losing a unit: the heaviest sharer takes what division and dust leave over.
fn shares(pot: u64, sharers: &[&Validator]) -> Vec<Output> {
    let total: u128 = sharers.iter().map(|sharer| u128::from(sharer.weight.0)).sum();
    let heaviest = sharers.iter().enumerate().max_by_key(|(at, sharer)| (sharer.weight, Reverse(*at)));
    let Some((taker, _)) = heaviest else { return Vec::new() };
    let mut parts: Vec<u64> = sharers.iter().map(|sharer| share(pot, sharer, total)).collect();
    let rest = parts.iter().fold(pot, |rest, part| rest.saturating_sub(*part));
    if let Some(part) = parts.get_mut(taker) {
        *part = part.saturating_add(rest);
    }
    let paid = sharers.iter().zip(parts).filter(|(_, part)| *part > 0);
    paid.map(|(sharer, part)| Output { amount: Amount(part), lock: Lock::Address(sharer.payout) }).collect()
}

/// `pot * weight / total`, rounded down; nothing if that is dust.
fn share(pot: u64, sharer: &Validator, total: u128) -> u64 {
    let part = (u128::from(pot) * u128::from(sharer.weight.0)).checked_div(total);
    // A part of a 64-bit pot fits 64 bits.
    let part = part.and_then(|part| u64::try_from(part).ok()).unwrap_or(0);
    if part < DUST_UNITS { 0 } else { part }
}
