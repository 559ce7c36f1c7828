//! Which validator set a set of bonds makes (`SPEC.md` V-5).

use crate::bounds::VALIDATORS_MAX;
use crate::keys::PublicKey;
use crate::transaction::{Lock, OutPoint, Utxo};
use crate::validator::{Validator, ValidatorSet, Weight};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cmp::Reverse;

/// What is known so far of one validator.
struct Backing {
    validator: Validator,
    /// The largest bond and its outpoint: its owner is paid.
    largest: (u64, Reverse<OutPoint>),
}

/// The validators that `utxos` make; those that are not bonds do not count. The order of `utxos` does not matter.
///
/// A validator's weight is the sum of the bonds that name its key; it is paid to the owner of the
/// largest of them, the one of the lowest outpoint if several are largest. Only the
/// [`VALIDATORS_MAX`] heaviest vote; of equal weights those with the lower keys come first.
#[must_use]
pub fn validators_from_bonds(utxos: impl IntoIterator<Item = (OutPoint, Utxo)>) -> ValidatorSet {
    let mut backings: BTreeMap<PublicKey, Backing> = BTreeMap::new();
    for (outpoint, utxo) in utxos {
        let Lock::Bond { validator: key, owner } = utxo.output.lock else { continue };
        let bond = (utxo.output.amount.units(), Reverse(outpoint));
        let backing = backings.entry(key).or_insert_with(|| Backing {
            validator: Validator { key, weight: Weight(0), payout: owner },
            largest: bond,
        });
        // The sum of all outputs fits 64 bits (L-3).
        backing.validator.weight.0 = backing.validator.weight.0.saturating_add(bond.0);
        if bond > backing.largest {
            backing.largest = bond;
            backing.validator.payout = owner;
        }
    }
    let mut validators: Vec<Validator> = backings.into_values().map(|backing| backing.validator).collect();
    validators.sort_by_key(|validator| (Reverse(validator.weight), validator.key));
    validators.truncate(VALIDATORS_MAX);
    ValidatorSet::new(validators)
}
