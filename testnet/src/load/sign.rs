//! Turns a plan into signed transactions, ready to send: all of it before the clock starts, so that
//! the generator takes little from the nodes while it measures.

use super::plan::{Payment, Plan, Source};
use crate::failure::Failure;
use crate::rpc::Params;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha12Rng;
use std::thread;
use timecoin_protocol::address::Owner;
use timecoin_protocol::amount::Amount;
use timecoin_protocol::bounds::{DUST_UNITS, FEE_UNITS_MIN};
use timecoin_protocol::codec::encode;
use timecoin_protocol::hash::{GenesisHash, Txid};
use timecoin_protocol::keys::SecretKey;
use timecoin_protocol::transaction::{Lock, OutPoint, Output, Transaction, TransactionBody};

/// Money in each coin, in units: enough for the longest chain.
pub const COIN_UNITS: u64 = 1_000_000;
/// What each payment pays, in units.
const PAID_UNITS: u64 = 10_000;
/// The output of a payment that is its change.
const CHANGE_INDEX: u32 = 1;

const _: () = assert!(
    COIN_UNITS > super::plan::CHAIN_LENGTH_MAX as u64 * (PAID_UNITS + FEE_UNITS_MIN) + DUST_UNITS,
    "the last payment of the longest chain has change left"
);

/// A coin made for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coin {
    /// The output.
    pub outpoint: OutPoint,
    /// Its amount.
    pub amount: Amount,
}

/// A transaction that is ready to send.
#[derive(Clone, Debug)]
pub struct Signed {
    /// Its id.
    pub txid: Txid,
    /// The parameters of `sendrawtransaction`.
    pub params: Params,
}

/// The keys of a run: new ones for each seed.
#[must_use]
pub fn account_keys(seed: u64, accounts: usize) -> Vec<SecretKey> {
    // Another stream than the plan's, which begins with the same seed.
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    rng.set_stream(1);
    (0..accounts).map(|_| SecretKey::from_seed(&rng.random())).collect()
}

/// Builds and signs every payment of a plan with `coins`, which the plan counts from 0.
///
/// # Errors
/// There are fewer coins than the plan spends.
pub fn sign(plan: &Plan, coins: &[Coin], keys: &[SecretKey], genesis: &GenesisHash) -> Result<Vec<Signed>, Failure> {
    let bodies = bodies(plan, coins, keys)?;
    let work: Vec<(&Payment, TransactionBody)> = plan.payments.iter().zip(bodies).collect();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let share = work.len().div_ceil(threads).max(1);
    thread::scope(|scope| {
        let workers: Vec<_> = work
            .chunks(share)
            .map(|chunk| {
                scope.spawn(move || chunk.iter().map(|(payment, body)| signed(payment, body, keys, genesis)).collect())
            })
            .collect();
        let mut all = Vec::with_capacity(work.len());
        for worker in workers {
            let part: Result<Vec<Signed>, Failure> = match worker.join() {
                Ok(part) => part,
                Err(panic) => std::panic::resume_unwind(panic),
            };
            all.extend(part?);
        }
        Ok(all)
    })
}

/// Bodies first, one after the other: a chained payment names its parent's id, which depends on no
/// signature.
fn bodies(plan: &Plan, coins: &[Coin], keys: &[SecretKey]) -> Result<Vec<TransactionBody>, Failure> {
    let owners: Vec<Owner> = keys.iter().map(|key| Owner::from(&key.public())).collect();
    let missing = || Failure::Funds { found: coins.len(), needed: plan.coins };
    let owner = |account: usize| owners.get(account).copied().ok_or_else(missing);
    let mut bodies: Vec<TransactionBody> = Vec::with_capacity(plan.payments.len());
    for payment in &plan.payments {
        let coin = match payment.source {
            Source::Coin(number) => *coins.get(number).ok_or_else(missing)?,
            Source::ChangeOf(parent) => bodies.get(parent).and_then(change).ok_or_else(missing)?,
        };
        let change = coin.amount.units().checked_sub(PAID_UNITS + FEE_UNITS_MIN).ok_or_else(missing)?;
        let output = |units, owner| Output { amount: Amount(units), lock: Lock::Address(owner) };
        bodies.push(TransactionBody {
            inputs: vec![coin.outpoint],
            outputs: vec![output(PAID_UNITS, owner(payment.payee)?), output(change, owner(payment.payer)?)],
            // The halves of a pair may pay the same account; they must differ nevertheless.
            memo: (bodies.len() as u64).to_le_bytes().to_vec(),
        });
    }
    Ok(bodies)
}

fn change(body: &TransactionBody) -> Option<Coin> {
    let amount = body.outputs.get(usize::try_from(CHANGE_INDEX).ok()?)?.amount;
    Some(Coin { outpoint: OutPoint { txid: body.txid(), index: CHANGE_INDEX }, amount })
}

fn signed(
    payment: &Payment,
    body: &TransactionBody,
    keys: &[SecretKey],
    genesis: &GenesisHash,
) -> Result<Signed, Failure> {
    let signers: Vec<&SecretKey> = keys.get(payment.payer).into_iter().collect();
    let transaction = Transaction::sign(body.clone(), &signers, genesis);
    Ok(Signed { txid: transaction.txid(), params: send_params(&transaction)? })
}

/// The parameters with which `sendrawtransaction` sends a transaction.
///
/// # Errors
/// Never: hexadecimal digits in quotes are JSON.
pub fn send_params(transaction: &Transaction) -> Result<Params, Failure> {
    let text = format!("[\"{}\"]", hex::encode(encode(transaction)));
    Params::from_text(text).map_err(|error| Failure::Runtime(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::plan::Shape;
    use jsonrpsee::core::traits::ToRpcParams as _;
    use std::collections::HashMap;
    use timecoin_protocol::codec::decode;
    use timecoin_protocol::keys::{NoCache, verify_all};
    use timecoin_protocol::ledger::check_transfer;
    use timecoin_protocol::transaction::Utxo;
    use timecoin_protocol::validator::Height;

    const GENESIS: GenesisHash = GenesisHash([9; 32]);

    fn run() -> (Plan, Vec<Coin>, Vec<SecretKey>) {
        let shape = Shape { rate: 500.0, seconds: 1, nodes: 3, accounts: 7, double_spends: 0.1, chains: 0.5, seed: 3 };
        let plan = Plan::new(&shape);
        let coins = (0..plan.coins as u32)
            .map(|index| Coin { outpoint: OutPoint { txid: Txid([1; 32]), index }, amount: Amount(COIN_UNITS) })
            .collect();
        (plan, coins, account_keys(3, 7))
    }

    fn transaction(signed: &Signed) -> Transaction {
        let raw = signed.params.clone().to_rpc_params().unwrap().unwrap();
        let texts: Vec<String> = serde_json::from_str(raw.get()).unwrap();
        decode(&hex::decode(&texts[0]).unwrap(), 16_384).unwrap()
    }

    #[test]
    fn every_payment_passes_the_rules_of_the_ledger() {
        let (plan, coins, keys) = run();
        let signed = sign(&plan, &coins, &keys, &GENESIS).unwrap();
        let mut set: HashMap<OutPoint, Output> = coins
            .iter()
            .enumerate()
            .map(|(at, coin)| {
                let owner = Owner::from(&keys[at % keys.len()].public());
                (coin.outpoint, Output { amount: coin.amount, lock: Lock::Address(owner) })
            })
            .collect();
        for one in &signed {
            let transaction = transaction(one);
            assert_eq!(transaction.txid(), one.txid);
            let utxo = |output| Utxo { output, height: 1, coinbase: false };
            let look_up = |outpoint: &OutPoint| Ok(set.get(outpoint).copied().map(utxo));
            check_transfer(&transaction, Height(5), 10, look_up).unwrap().unwrap();
            for (index, output) in (0..).zip(&transaction.body.outputs) {
                set.insert(OutPoint { txid: one.txid, index }, *output);
            }
        }
        let all: Vec<Transaction> = signed.iter().map(transaction).collect();
        assert!(verify_all(vec![all], &GENESIS, &NoCache, &mut rand::rng()).iter().all(Option::is_some));
    }

    #[test]
    fn no_two_payments_are_the_same_transaction() {
        let (plan, coins, keys) = run();
        let signed = sign(&plan, &coins, &keys, &GENESIS).unwrap();
        let txids: std::collections::HashSet<Txid> = signed.iter().map(|one| one.txid).collect();
        assert_eq!(txids.len(), plan.payments.len());
    }

    #[test]
    fn too_few_coins_are_an_error() {
        let (plan, coins, keys) = run();
        assert!(matches!(sign(&plan, &coins[1..], &keys, &GENESIS), Err(Failure::Funds { .. })));
    }

    #[test]
    fn each_seed_has_keys_of_its_own() {
        assert_ne!(account_keys(1, 2)[0].public(), account_keys(2, 2)[0].public());
        assert_eq!(account_keys(1, 2)[1].public(), account_keys(1, 3)[1].public());
    }
}
