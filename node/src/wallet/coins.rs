//! Choosing which coins pay for something.
//!
//! The smallest single coin that suffices is taken, so that large coins stay whole for other
//! payments at the same time; if none does, the biggest ones first, which gives the fewest
//! inputs. Change that would be dust, or would cost more than it is worth, is left to the fee.

use timecoin_protocol::address::Owner;
use timecoin_protocol::amount::Amount;
use timecoin_protocol::bounds::{DUST_UNITS, FEE_UNITS_MIN, INPUTS_MAX, TRANSACTION_BYTES_MAX};
use timecoin_protocol::codec::encoded_len;
use timecoin_protocol::keys::{PublicKey, Signature};
use timecoin_protocol::transaction::{Lock, OutPoint, Output, Transaction, TransactionBody, Witness};

/// An output that can be spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coin {
    /// Which.
    pub outpoint: OutPoint,
    /// How much.
    pub amount: Amount,
    /// Who must sign.
    pub owner: Owner,
}

/// Why no coins were chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// Not enough money.
    #[error("not enough money: {needed} needed with fee, {available} available")]
    Insufficient {
        /// Needed with the fee of spending all coins.
        needed: Amount,
        /// Spendable.
        available: Amount,
    },
    /// Enough money, but in too many pieces for one transaction.
    #[error("the money is in too many pieces for one transaction: send {possible} or less to yourself first")]
    TooManyPieces {
        /// What the biggest coins that fit could pay.
        possible: Amount,
    },
    /// Above the 64-bit range.
    #[error("the amounts add up to more than there can be")]
    Overflow,
}

/// Coins that pay for outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// What is spent.
    pub coins: Vec<Coin>,
    /// What comes back; nothing if that would be dust.
    pub change: Option<Amount>,
    /// What is paid for the transaction.
    pub fee: Amount,
    /// Its encoded size, in bytes.
    pub bytes: usize,
}

/// What is to be paid.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// Outputs to pay for.
    pub outputs: &'a [Output],
    /// The memo.
    pub memo: &'a [u8],
    /// Signatures needed besides those of the coins' owners (a bond has that of its validator).
    pub more_witnesses: usize,
    /// Units for each byte.
    pub fee_rate: u64,
}

/// Chooses coins for `target`.
///
/// # Errors
/// [`SelectionError`]
pub fn choose(coins: &[Coin], target: Target<'_>) -> Result<Selection, SelectionError> {
    let pay = Amount::checked_sum(target.outputs.iter().map(|output| output.amount)).ok_or(SelectionError::Overflow)?;
    let available = Amount::checked_sum(coins.iter().map(|coin| coin.amount)).ok_or(SelectionError::Overflow)?;
    let mut sorted = coins.to_vec();
    sorted.sort_by_key(|coin| (coin.amount, coin.outpoint));
    for coin in &sorted {
        if let Some(selection) = settle(std::slice::from_ref(coin), target, pay) {
            return Ok(selection);
        }
    }
    sorted.reverse();
    let mut needed = pay;
    for count in 2..=sorted.len() {
        let Some(biggest) = sorted.get(..count) else { break };
        let bytes = size(biggest, target, false);
        let fee = fee(bytes, target.fee_rate);
        if count > INPUTS_MAX || bytes > TRANSACTION_BYTES_MAX {
            return Err(too_many(&sorted, count, fee, available, needed));
        }
        needed = pay.checked_add(fee).ok_or(SelectionError::Overflow)?;
        if let Some(selection) = settle(biggest, target, pay) {
            return Ok(selection);
        }
    }
    let least = fee(size(&sorted, target, false), target.fee_rate);
    let needed = pay.checked_add(least).ok_or(SelectionError::Overflow)?;
    Err(SelectionError::Insufficient { needed, available })
}

fn too_many(sorted: &[Coin], count: usize, fee: Amount, available: Amount, needed: Amount) -> SelectionError {
    if available < needed {
        return SelectionError::Insufficient { needed, available };
    }
    let fitting = sorted.iter().take(count.saturating_sub(1)).map(|coin| coin.amount);
    let sum = Amount::checked_sum(fitting).unwrap_or_default();
    SelectionError::TooManyPieces { possible: sum.checked_sub(fee).unwrap_or_default() }
}

/// Whether these coins pay for it, and with what change.
fn settle(coins: &[Coin], target: Target<'_>, pay: Amount) -> Option<Selection> {
    let rest = Amount::checked_sum(coins.iter().map(|coin| coin.amount))?.checked_sub(pay)?;
    let with_change = size(coins, target, true);
    let change = rest.checked_sub(fee(with_change, target.fee_rate)).filter(|change| change.units() >= DUST_UNITS);
    if let (Some(change), true) = (change, with_change <= TRANSACTION_BYTES_MAX) {
        let fee = rest.checked_sub(change)?;
        return Some(Selection { coins: coins.to_vec(), change: Some(change), fee, bytes: with_change });
    }
    let bytes = size(coins, target, false);
    let enough = rest >= fee(bytes, target.fee_rate) && bytes <= TRANSACTION_BYTES_MAX;
    enough.then(|| Selection { coins: coins.to_vec(), change: None, fee: rest, bytes })
}

/// The fee for `bytes` bytes at a rate (L-5).
pub(super) fn fee(bytes: usize, rate: u64) -> Amount {
    Amount(u64::try_from(bytes).unwrap_or(u64::MAX).saturating_mul(rate).max(FEE_UNITS_MIN))
}

/// The exact size of the signed transaction: signatures and keys have fixed sizes. Only the
/// amount of the change is not known yet; it is taken at its longest encoding.
fn size(coins: &[Coin], target: Target<'_>, change: bool) -> usize {
    let mut outputs = target.outputs.to_vec();
    if change {
        outputs.push(Output { amount: Amount(u64::MAX), lock: Lock::Address(Owner([0; 20])) });
    }
    let inputs = coins.iter().map(|coin| coin.outpoint).collect();
    let mut owners: Vec<_> = coins.iter().map(|coin| coin.owner).collect();
    owners.sort_unstable();
    owners.dedup();
    let witness = Witness { key: PublicKey([0; 32]), signature: Signature([0; 64]) };
    let witnesses = vec![witness; owners.len().saturating_add(target.more_witnesses)];
    encoded_len(&Transaction { body: TransactionBody { inputs, outputs, memo: target.memo.to_vec() }, witnesses })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use timecoin_protocol::hash::Txid;

    fn coin(at: u32, units: u64, owner: u8) -> Coin {
        Coin { outpoint: OutPoint { txid: Txid([9; 32]), index: at }, amount: Amount(units), owner: Owner([owner; 20]) }
    }

    fn pay(coins: &[Coin], units: u64, fee_rate: u64) -> Result<Selection, SelectionError> {
        let outputs = [Output { amount: Amount(units), lock: Lock::Address(Owner([1; 20])) }];
        choose(coins, Target { outputs: &outputs, memo: b"", more_witnesses: 0, fee_rate })
    }

    #[test]
    fn the_smallest_coin_that_suffices_pays_alone() {
        let coins = [coin(0, 900_000, 1), coin(1, 60_000, 1), coin(2, 10_000, 1)];
        let selection = pay(&coins, 50_000, 1).unwrap();
        assert_eq!(selection.coins, [coins[1]]);
        assert_eq!(selection.change, Some(Amount(60_000 - 50_000 - 1_000)));
    }

    #[test]
    fn change_that_would_be_dust_is_left_to_the_fee() {
        let selection = pay(&[coin(0, 51_500, 1)], 50_000, 1).unwrap();
        assert_eq!((selection.change, selection.fee), (None, Amount(1_500)));
        let selection = pay(&[coin(0, 51_546, 1)], 50_000, 1).unwrap();
        assert_eq!((selection.change, selection.fee), (Some(Amount(546)), Amount(1_000)));
    }

    #[test]
    fn too_little_money_names_both_sums() {
        let error = pay(&[coin(0, 500, 1), coin(1, 600, 2)], 5_000, 1).unwrap_err();
        assert_eq!(error, SelectionError::Insufficient { needed: Amount(6_000), available: Amount(1_100) });
        assert!(matches!(pay(&[], 1, 1), Err(SelectionError::Insufficient { .. })));
    }

    #[test]
    fn money_in_too_many_pieces_says_what_is_possible() {
        let coins: Vec<_> = (0..600).map(|at| coin(at, 10_000, 1)).collect();
        let Err(SelectionError::TooManyPieces { possible }) = pay(&coins, 4_000_000, 1) else { panic!() };
        assert!(pay(&coins, possible.units(), 1).is_ok(), "{possible} is possible");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_selection_balances_pays_its_rate_and_fits(
            coins in prop::collection::vec((600_u64..100_000_000, 0_u8..5), 1..40),
            units in 546_u64..500_000_000,
            rate in 1_u64..50,
        ) {
            let coins: Vec<_> = (0_u32..).zip(&coins).map(|(at, (units, owner))| coin(at, *units, *owner)).collect();
            match pay(&coins, units, rate) {
                Ok(selection) => {
                    let spent: u64 = selection.coins.iter().map(|coin| coin.amount.units()).sum();
                    let change = selection.change.unwrap_or_default().units();
                    prop_assert_eq!(spent, units + change + selection.fee.units());
                    prop_assert!(selection.change.is_none_or(|change| change.units() >= DUST_UNITS));
                    prop_assert!(selection.fee >= fee(selection.bytes, rate));
                    prop_assert!(selection.bytes <= TRANSACTION_BYTES_MAX);
                }
                Err(error) => {
                    let sum: u64 = coins.iter().map(|coin| coin.amount.units()).sum();
                    let is_poor = matches!(error, SelectionError::Insufficient { needed, .. } if needed.units() > sum);
                    prop_assert!(is_poor, "{error}");
                }
            }
        }
    }
}
