//! Rules for a single transaction (`SPEC.md` L-1…L-9).
//!
//! Whether a transaction is valid never changes from yes to no while its inputs are unspent: no
//! rule looks at the clock, at the validators or at other transactions, and the only one that
//! looks at the height (L-9) asks for a height of at least some value. The votes that make a
//! transaction final rely on this: what was valid when they were cast is valid in a later block.

use super::coinbase::COINBASE_INPUT;
use super::execution::Stop;
use super::{TransactionError, Unavailable};
use crate::address::Owner;
use crate::amount::Amount;
use crate::bounds::{
    BOND_UNITS_MIN, DUST_UNITS, FEE_UNITS_MIN, FEE_UNITS_PER_BYTE_MIN, INPUTS_MAX, MEMO_BYTES_MAX, OUTPUTS_MAX,
    TRANSACTION_BYTES_MAX,
};
use crate::codec::encoded_len;
use crate::hash::Txid;
use crate::keys::PublicKey;
use crate::transaction::{Lock, OutPoint, Output, Transaction, TransactionBody, Utxo, Witness};
use crate::validator::Height;
use alloc::vec::Vec;

/// A transaction that passed every rule against some UTXO set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Its id.
    pub txid: Txid,
    /// Inputs minus outputs.
    pub fee: Amount,
    /// Encoded size, in bytes.
    pub bytes: usize,
    /// What it spends, in the order of its inputs.
    pub spent: Vec<(OutPoint, Utxo)>,
}

/// The least fee of a transaction of `bytes` bytes (L-5).
#[must_use]
pub fn fee_min(bytes: usize) -> Amount {
    let by_size = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(FEE_UNITS_PER_BYTE_MIN);
    Amount(by_size.max(FEE_UNITS_MIN))
}

/// Rules that need nothing but the transaction: L-2, L-3, L-4, L-7, L-8, and the order of
/// witnesses (L-6). What depends on the outputs spent is left to [`check_transfer`], which checks
/// all of this too.
///
/// # Errors
/// The first rule broken.
pub fn check_form(transaction: &Transaction) -> Result<(), TransactionError> {
    form(transaction).map(drop)
}

/// All rules except the validity of signatures, which [`crate::keys::Verified`] vouches for.
/// `next_height` is the height of the block that could hold the transaction next; `utxo` finds
/// the outputs it spends: in the UTXO set, or made by transactions before it, then with
/// [`HEIGHT_UNCOMMITTED`](super::HEIGHT_UNCOMMITTED) as their height if these are in no block yet.
///
/// # Errors
/// Outer: storage failed. Inner: the first rule broken.
pub fn check_transfer(
    transaction: &Transaction,
    next_height: Height,
    unbonding_blocks: u64,
    utxo: impl FnMut(&OutPoint) -> Result<Option<Utxo>, Unavailable>,
) -> Result<Result<Transfer, TransactionError>, Unavailable> {
    let checked = form(transaction)
        .map_err(Stop::Rule)
        .and_then(|bytes| spend(transaction, bytes, next_height, unbonding_blocks, utxo));
    Stop::split(checked)
}

/// [`check_form`]; gives the encoded size, in bytes.
pub(super) fn form(transaction: &Transaction) -> Result<usize, TransactionError> {
    let Transaction { body, witnesses } = transaction;
    let bytes = check_size(transaction)?;
    check_inputs(&body.inputs)?;
    check_witness_order(witnesses)?;
    body.outputs.iter().enumerate().try_for_each(|(at, output)| check_output(at, output, witnesses))?;
    body.output_sum().ok_or(TransactionError::AmountOverflow)?; // L-3
    Ok(bytes)
}

/// The rules about what is spent, for a transaction of `bytes` bytes that passed [`form`].
pub(super) fn spend(
    transaction: &Transaction,
    bytes: usize,
    next_height: Height,
    unbonding_blocks: u64,
    mut utxo: impl FnMut(&OutPoint) -> Result<Option<Utxo>, Unavailable>,
) -> Result<Transfer, Stop<TransactionError>> {
    let body = &transaction.body;
    let mut spent = Vec::with_capacity(body.inputs.len());
    for outpoint in &body.inputs {
        let entry = utxo(outpoint)?.ok_or(TransactionError::MissingInput(*outpoint))?;
        spent.push((*outpoint, entry));
    }
    check_withdrawal(body, &spent)?;
    for (input, (_, entry)) in spent.iter().enumerate() {
        check_unbonding(input, entry, next_height, unbonding_blocks)?;
    }
    check_witness_set(transaction, &spent)?;
    let fee = check_fee(body, &spent, bytes)?;
    Ok(Transfer { txid: transaction.txid(), fee, bytes, spent })
}

/// L-2
fn check_size(transaction: &Transaction) -> Result<usize, TransactionError> {
    let TransactionBody { inputs, outputs, memo } = &transaction.body;
    if inputs.is_empty() || inputs.len() > INPUTS_MAX {
        return Err(TransactionError::InputCount(inputs.len()));
    }
    if outputs.is_empty() || outputs.len() > OUTPUTS_MAX {
        return Err(TransactionError::OutputCount(outputs.len()));
    }
    if memo.len() > MEMO_BYTES_MAX {
        return Err(TransactionError::MemoTooLong(memo.len()));
    }
    let bytes = encoded_len(transaction);
    if bytes > TRANSACTION_BYTES_MAX { Err(TransactionError::TooLong(bytes)) } else { Ok(bytes) }
}

/// L-2
fn check_inputs(inputs: &[OutPoint]) -> Result<(), TransactionError> {
    if let Some(input) = inputs.iter().position(|outpoint| *outpoint == COINBASE_INPUT) {
        return Err(TransactionError::CoinbaseInput { input });
    }
    let mut sorted: Vec<&OutPoint> = inputs.iter().collect();
    sorted.sort_unstable();
    let repeated = sorted.windows(2).find_map(|pair| match pair {
        [first, second] if first == second => Some(**first),
        _ => None,
    });
    repeated.map_or(Ok(()), |outpoint| Err(TransactionError::RepeatedInput(outpoint)))
}

/// L-6: sorted by key, none twice.
fn check_witness_order(witnesses: &[Witness]) -> Result<(), TransactionError> {
    let misplaced = witnesses.windows(2).find_map(|pair| match pair {
        [first, second] if first.key >= second.key => Some(second.key),
        _ => None,
    });
    misplaced.map_or(Ok(()), |key| Err(TransactionError::WitnessOrder(key)))
}

fn check_output(at: usize, output: &Output, witnesses: &[Witness]) -> Result<(), TransactionError> {
    let units = output.amount.units();
    if units < DUST_UNITS {
        return Err(TransactionError::Dust { output: at, found: units }); // L-4
    }
    let Lock::Bond { validator, .. } = output.lock else { return Ok(()) };
    if units < BOND_UNITS_MIN {
        return Err(TransactionError::BondTooSmall { output: at, found: units }); // L-8
    }
    if witnesses.binary_search_by_key(&validator, |witness| witness.key).is_err() {
        return Err(TransactionError::ValidatorWitnessMissing { output: at, validator }); // L-7
    }
    Ok(())
}

/// L-9: bonds are spent among themselves and become unbonding outputs, which nothing else makes.
fn check_withdrawal(body: &TransactionBody, spent: &[(OutPoint, Utxo)]) -> Result<(), TransactionError> {
    let is_bond = |entry: &Utxo| matches!(entry.output.lock, Lock::Bond { .. });
    let is_unbonding = |output: &Output| matches!(output.lock, Lock::Unbonding(_));
    if !spent.iter().any(|(_, entry)| is_bond(entry)) {
        return match body.outputs.iter().position(is_unbonding) {
            Some(output) => Err(TransactionError::UnbondingWithoutBond { output }),
            None => Ok(()),
        };
    }
    if let Some(input) = spent.iter().position(|(_, entry)| !is_bond(entry)) {
        return Err(TransactionError::WithdrawalInput { input });
    }
    match body.outputs.iter().position(|output| !is_unbonding(output)) {
        Some(output) => Err(TransactionError::WithdrawalOutput { output }),
        None => Ok(()),
    }
}

/// L-9: the unbonding time begins with the block that holds the output.
fn check_unbonding(input: usize, entry: &Utxo, next: Height, unbonding_blocks: u64) -> Result<(), TransactionError> {
    if !matches!(entry.output.lock, Lock::Unbonding(_)) {
        return Ok(());
    }
    // True of `HEIGHT_UNCOMMITTED`, and of what the very block that is being judged has made.
    if entry.height >= next.0 {
        return Err(TransactionError::UnbondingUncommitted { input });
    }
    let until = Height(entry.height.saturating_add(unbonding_blocks));
    if next < until { Err(TransactionError::Unbonding { input, until, next }) } else { Ok(()) }
}

/// L-6: whoever must sign has signed, and nobody else.
fn check_witness_set(transaction: &Transaction, spent: &[(OutPoint, Utxo)]) -> Result<(), TransactionError> {
    let mut signers: Vec<(Owner, PublicKey)> =
        transaction.witnesses.iter().map(|witness| (Owner::from(&witness.key), witness.key)).collect();
    signers.sort_unstable();
    let mut owners: Vec<Owner> = spent.iter().map(|(_, entry)| *entry.output.lock.owner()).collect();
    if let Some((input, owner)) =
        owners.iter().enumerate().find(|(_, owner)| signers.binary_search_by_key(*owner, |signer| signer.0).is_err())
    {
        return Err(TransactionError::WitnessMissing { input, owner: *owner });
    }
    owners.sort_unstable();
    owners.dedup();
    let mut validators: Vec<PublicKey> = transaction.body.outputs.iter().filter_map(bond_validator).collect();
    validators.sort_unstable();
    let mut previous = None;
    for (owner, key) in signers {
        // Of two keys with the same hash the owner is one, so that the second one is superfluous.
        let owns = previous != Some(owner) && owners.binary_search(&owner).is_ok();
        if !owns && validators.binary_search(&key).is_err() {
            return Err(TransactionError::WitnessSuperfluous(key));
        }
        previous = Some(owner);
    }
    Ok(())
}

const fn bond_validator(output: &Output) -> Option<PublicKey> {
    match output.lock {
        Lock::Bond { validator, .. } => Some(validator),
        Lock::Address(_) | Lock::Unbonding(_) => None,
    }
}

/// L-3, L-5
fn check_fee(body: &TransactionBody, spent: &[(OutPoint, Utxo)], bytes: usize) -> Result<Amount, TransactionError> {
    let inputs = Amount::checked_sum(spent.iter().map(|(_, entry)| entry.output.amount));
    let inputs = inputs.ok_or(TransactionError::AmountOverflow)?;
    let outputs = body.output_sum().ok_or(TransactionError::AmountOverflow)?;
    let found = inputs.checked_sub(outputs).ok_or(TransactionError::OutputsAboveInputs { inputs, outputs })?;
    let needed = fee_min(bytes);
    if found < needed { Err(TransactionError::FeeTooLow { found, needed, bytes }) } else { Ok(found) }
}
