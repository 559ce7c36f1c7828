//! Building and signing transactions: payments, bonds, withdrawals of bonds.

use super::coins::{Coin, Selection, SelectionError, Target, choose, fee};
use timecoin_protocol::address::Owner;
use timecoin_protocol::amount::Amount;
use timecoin_protocol::bounds::{BOND_UNITS_MIN, DUST_UNITS, FEE_UNITS_PER_BYTE_MIN, MEMO_BYTES_MAX};
use timecoin_protocol::codec::encoded_len;
use timecoin_protocol::hash::GenesisHash;
use timecoin_protocol::keys::{PublicKey, SecretKey};
use timecoin_protocol::transaction::{Lock, OutPoint, Output, Transaction, TransactionBody};

/// Highest fee rate that the wallet pays, in units for each byte: a guard against typing mistakes.
pub const FEE_RATE_MAX: u64 = 100_000;

/// Why a transaction was not built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// No coins for it.
    #[error(transparent)]
    Coins(#[from] SelectionError),
    /// Less than the smallest output (L-4).
    #[error("{0} is below the smallest amount that can be sent, {dust}", dust = Amount(DUST_UNITS))]
    Dust(Amount),
    /// Less than the smallest bond (L-8).
    #[error("{0} is below the smallest bond, {least}", least = Amount(BOND_UNITS_MIN))]
    BondTooSmall(Amount),
    /// A longer memo than L-2 allows.
    #[error("the memo has {0} bytes; at most {MEMO_BYTES_MAX} fit")]
    MemoTooLong(usize),
    /// A fee rate below the network's or above the guard.
    #[error("a fee rate is from {FEE_UNITS_PER_BYTE_MIN} to {FEE_RATE_MAX} units for each byte, not {0}")]
    FeeRate(u64),
    /// The key of an input is not at hand.
    #[error("the key of {0} is not in this wallet")]
    KeyMissing(Owner),
    /// The bond does not even pay its withdrawal's fee.
    #[error("the bond is smaller than the fee")]
    NothingLeft,
}

/// What to pay, to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// Receiver.
    pub to: Owner,
    /// How much.
    pub amount: Amount,
    /// A short note, public.
    pub memo: Vec<u8>,
}

/// What transactions are built with.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// Spendable outputs.
    pub coins: &'a [Coin],
    /// Keys at hand.
    pub keys: &'a [SecretKey],
    /// Where change goes.
    pub change: Owner,
    /// Units for each byte.
    pub fee_rate: u64,
    /// The network.
    pub genesis: GenesisHash,
}

/// A signed payment, and what was chosen for it.
///
/// # Errors
/// [`BuildError`]
pub fn pay(plan: &Plan<'_>, payment: &Payment) -> Result<(Transaction, Selection), BuildError> {
    if payment.amount.units() < DUST_UNITS {
        return Err(BuildError::Dust(payment.amount));
    }
    if payment.memo.len() > MEMO_BYTES_MAX {
        return Err(BuildError::MemoTooLong(payment.memo.len()));
    }
    let output = Output { amount: payment.amount, lock: Lock::Address(payment.to) };
    plan.transaction(output, &payment.memo, None)
}

/// A signed bond of `amount` for `validator` (L-7, L-8): its key signs too, which proves that whoever
/// bonds for it has it.
///
/// # Errors
/// [`BuildError`]
pub fn bond(
    plan: &Plan<'_>,
    validator: &SecretKey,
    owner: Owner,
    amount: Amount,
) -> Result<(Transaction, Selection), BuildError> {
    if amount.units() < BOND_UNITS_MIN {
        return Err(BuildError::BondTooSmall(amount));
    }
    let output = Output { amount, lock: Lock::Bond { validator: validator.public(), owner } };
    plan.transaction(output, b"", Some(validator))
}

impl Plan<'_> {
    fn transaction(
        &self,
        output: Output,
        memo: &[u8],
        validator: Option<&SecretKey>,
    ) -> Result<(Transaction, Selection), BuildError> {
        check_rate(self.fee_rate)?;
        // A validator that bonds its own money signs once for both; then the fee is a little high.
        let more_witnesses = usize::from(validator.is_some());
        let target = Target { outputs: std::slice::from_ref(&output), memo, more_witnesses, fee_rate: self.fee_rate };
        let selection = choose(self.coins, target)?;
        let mut outputs = vec![output];
        outputs.extend(selection.change.map(|amount| Output { amount, lock: Lock::Address(self.change) }));
        let inputs = selection.coins.iter().map(|coin| coin.outpoint).collect();
        let mut signers = self.signers(selection.coins.iter().map(|coin| coin.owner))?;
        signers.extend(validator);
        let body = TransactionBody { inputs, outputs, memo: memo.to_vec() };
        Ok((Transaction::sign(body, &signers, &self.genesis), selection))
    }

    fn signers(&self, owners: impl Iterator<Item = Owner>) -> Result<Vec<&SecretKey>, BuildError> {
        let key_of = |owner: Owner| {
            let found = self.keys.iter().find(|key| Owner::from(&key.public()) == owner);
            found.ok_or(BuildError::KeyMissing(owner))
        };
        owners.map(key_of).collect()
    }
}

/// A signed withdrawal of bonds of one owner (L-9): what is left after the fee can be spent once
/// the unbonding time has passed.
///
/// # Errors
/// [`BuildError`]
pub fn withdraw(
    bonds: &[(OutPoint, Amount)],
    owner: &SecretKey,
    fee_rate: u64,
    genesis: &GenesisHash,
) -> Result<Transaction, BuildError> {
    check_rate(fee_rate)?;
    let back_to = owner_of(&owner.public());
    let sum = Amount::checked_sum(bonds.iter().map(|(_, amount)| *amount)).ok_or(SelectionError::Overflow)?;
    let build = |amount| {
        let inputs = bonds.iter().map(|(outpoint, _)| *outpoint).collect();
        let outputs = vec![Output { amount, lock: Lock::Unbonding(back_to) }];
        Transaction::sign(TransactionBody { inputs, outputs, memo: Vec::new() }, &[owner], genesis)
    };
    // The amount left is never longer in its encoding than the whole.
    let fee = fee(encoded_len(&build(sum)), fee_rate);
    let left = sum.checked_sub(fee).filter(|left| left.units() >= DUST_UNITS).ok_or(BuildError::NothingLeft)?;
    Ok(build(left))
}

fn owner_of(key: &PublicKey) -> Owner {
    Owner::from(key)
}

const fn check_rate(rate: u64) -> Result<(), BuildError> {
    if rate < FEE_UNITS_PER_BYTE_MIN || rate > FEE_RATE_MAX { Err(BuildError::FeeRate(rate)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use timecoin_protocol::hash::Txid;
    use timecoin_protocol::keys::{NoCache, verify_all};
    use timecoin_protocol::ledger::{UtxoSet, check_transfer};
    use timecoin_protocol::transaction::Utxo;
    use timecoin_protocol::validator::Height;

    const GENESIS: GenesisHash = GenesisHash([5; 32]);

    fn key(at: u8) -> SecretKey {
        SecretKey::from_seed(&[at; 32])
    }

    fn coin(at: u32, units: u64, owner: &SecretKey) -> Coin {
        Coin {
            outpoint: OutPoint { txid: Txid([1; 32]), index: at },
            amount: Amount(units),
            owner: Owner::from(&owner.public()),
        }
    }

    fn plan<'a>(coins: &'a [Coin], keys: &'a [SecretKey]) -> Plan<'a> {
        Plan { coins, keys, change: Owner([8; 20]), fee_rate: 1, genesis: GENESIS }
    }

    /// The fee by the ledger's own rules, which must all hold, signatures included.
    fn fee_by_the_ledger(transaction: &Transaction, utxos: &[(OutPoint, Output)]) -> Amount {
        let verified = verify_all(vec![vec![transaction.clone()]], &GENESIS, &NoCache, &mut rand::rng());
        assert!(verified.iter().all(Option::is_some), "every signature is valid");
        let set: BTreeMap<OutPoint, Utxo> =
            utxos.iter().map(|(at, output)| (*at, Utxo { output: *output, height: 0, coinbase: false })).collect();
        check_transfer(transaction, Height(1), 10, |outpoint| set.utxo(outpoint)).unwrap().unwrap().fee
    }

    fn plain(coins: &[Coin]) -> Vec<(OutPoint, Output)> {
        let output = |coin: &Coin| Output { amount: coin.amount, lock: Lock::Address(coin.owner) };
        coins.iter().map(|coin| (coin.outpoint, output(coin))).collect()
    }

    #[test]
    fn a_payment_from_several_owners_passes_the_ledger() {
        let keys = [key(1), key(2), key(3)];
        let coins = [coin(0, 40_000, &keys[0]), coin(1, 30_000, &keys[1]), coin(2, 30_000, &keys[1])];
        let payment = Payment { to: Owner([7; 20]), amount: Amount(90_000), memo: b"rent".to_vec() };
        let (transaction, selection) = pay(&plan(&coins, &keys), &payment).unwrap();
        assert_eq!(transaction.witnesses.len(), 2);
        assert_eq!(fee_by_the_ledger(&transaction, &plain(&coins)), selection.fee);
        assert!(selection.bytes >= encoded_len(&transaction));
    }

    #[test]
    fn a_bond_is_signed_by_its_validator_too() {
        let (keys, validator) = ([key(1)], key(2));
        let coins = [coin(0, BOND_UNITS_MIN + 50_000, &keys[0])];
        let (transaction, selection) =
            bond(&plan(&coins, &keys), &validator, Owner::from(&keys[0].public()), Amount(BOND_UNITS_MIN)).unwrap();
        assert_eq!(fee_by_the_ledger(&transaction, &plain(&coins)), selection.fee);
        assert_eq!(transaction.witnesses.len(), 2);
    }

    #[test]
    fn a_withdrawal_passes_the_ledger() {
        let (owner, validator) = (key(1), key(2));
        let outpoint = OutPoint { txid: Txid([1; 32]), index: 0 };
        let transaction = withdraw(&[(outpoint, Amount(BOND_UNITS_MIN))], &owner, 2, &GENESIS).unwrap();
        let lock = Lock::Bond { validator: validator.public(), owner: Owner::from(&owner.public()) };
        let utxos = [(outpoint, Output { amount: Amount(BOND_UNITS_MIN), lock })];
        assert_eq!(fee_by_the_ledger(&transaction, &utxos), Amount(1_000));
    }

    #[test]
    fn what_the_network_would_refuse_is_refused_before_it_is_signed() {
        let keys = [key(1)];
        let coins = [coin(0, 1_000_000, &keys[0])];
        let payment =
            |units, memo: usize| Payment { to: Owner([7; 20]), amount: Amount(units), memo: vec![b'x'; memo] };
        assert_eq!(pay(&plan(&coins, &keys), &payment(545, 0)).unwrap_err(), BuildError::Dust(Amount(545)));
        assert_eq!(pay(&plan(&coins, &keys), &payment(546, 81)).unwrap_err(), BuildError::MemoTooLong(81));
        let rate = Plan { fee_rate: 0, ..plan(&coins, &keys) };
        assert_eq!(pay(&rate, &payment(546, 0)).unwrap_err(), BuildError::FeeRate(0));
        let stranger = [key(9)];
        assert!(matches!(pay(&plan(&coins, &stranger), &payment(546, 0)), Err(BuildError::KeyMissing(_))));
    }
}
