//! Transactions as a script wants them: most of them valid, some with one flaw. Their signatures
//! are zeros: signatures are checked before the ledger and the engine see a transaction.

use crate::network::network;
use crate::script::Script;
use std::collections::BTreeSet;
use timecoin_protocol::address::Owner;
use timecoin_protocol::amount::Amount;
use timecoin_protocol::hash::Txid;
use timecoin_protocol::keys::{PublicKey, Signature};
use timecoin_protocol::ledger::COINBASE_INPUT;
use timecoin_protocol::transaction::{Lock, OutPoint, Output, Transaction, TransactionBody, Witness};

/// An output that can be spent, or could be once.
pub type Coin = (OutPoint, Output);

/// Fee that is enough for any transaction of these.
const FEE_UNITS: u64 = 20_000;

fn lock(script: &mut Script<'_>, leaving: bool) -> Lock {
    let network = network();
    let choice = script.byte();
    let owner = Owner::from(&network.wallets[usize::from(choice >> 3) % network.wallets.len()]);
    match choice % 8 {
        7 => Lock::Unbonding(owner),
        6 => Lock::Bond { validator: network.validators[usize::from(choice >> 3) % 4].public(), owner },
        _ if leaving => Lock::Unbonding(owner),
        _ => Lock::Address(owner),
    }
}

/// The keys that L-6 and L-7 ask for, in order.
fn witnesses(inputs: &[Coin], outputs: &[Output]) -> Vec<Witness> {
    let owners = inputs.iter().filter_map(|(_, output)| network().keys.get(output.lock.owner()).copied());
    let validators = outputs.iter().filter_map(|output| match output.lock {
        Lock::Bond { validator, .. } => Some(validator),
        _ => None,
    });
    let keys: BTreeSet<PublicKey> = owners.chain(validators).collect();
    keys.into_iter().map(witness).collect()
}

const fn witness(key: PublicKey) -> Witness {
    Witness { key, signature: Signature([0; 64]) }
}

/// One transaction that spends some of `coins`.
pub fn transaction(script: &mut Script<'_>, coins: &[Coin]) -> Transaction {
    let inputs: Vec<Coin> = (0..=script.below(3)).filter_map(|_| script.pick(coins)).collect();
    let leaving = !inputs.is_empty() && inputs.iter().all(|(_, output)| matches!(output.lock, Lock::Bond { .. }));
    let sum: u64 = inputs.iter().fold(0, |sum, (_, output)| sum.saturating_add(output.amount.units()));
    let fee = if script.rarely(8) { script.number() } else { FEE_UNITS };
    let parts = 1 + script.below(3);
    let part = Amount(sum.saturating_sub(fee) / parts as u64);
    let outputs: Vec<Output> = (0..parts).map(|_| Output { amount: part, lock: lock(script, leaving) }).collect();
    let witnesses = witnesses(&inputs, &outputs);
    // Another memo makes another transaction.
    let memo = vec![script.byte() % 4];
    let inputs = inputs.into_iter().map(|(outpoint, _)| outpoint).collect();
    let mut transaction = Transaction { body: TransactionBody { inputs, outputs, memo }, witnesses };
    if script.rarely(8) {
        spoil(&mut transaction, script);
    }
    transaction
}

/// Breaks one rule, most of the time.
fn spoil(transaction: &mut Transaction, script: &mut Script<'_>) {
    let Transaction { body, witnesses } = transaction;
    match script.below(14) {
        0 => body.inputs.extend_from_within(..1.min(body.inputs.len())),
        1 => body.inputs.clear(),
        2 => body.outputs.clear(),
        3 => body.inputs.push(COINBASE_INPUT),
        4 => body.inputs.push(OutPoint { txid: Txid([script.byte(); 32]), index: script.byte().into() }),
        5 => body.memo = vec![0; 79 + script.below(4)],
        6 => body.outputs = body.outputs.iter().copied().cycle().take(254 + script.below(5)).collect(),
        7 => body.outputs.iter_mut().for_each(|output| output.amount = Amount(script.number())),
        8 => {
            witnesses.pop();
        }
        9 => witnesses.push(witness(network().stranger.public())),
        10 => witnesses.reverse(),
        11 => witnesses.extend_from_within(..1.min(witnesses.len())),
        12 => *witnesses = vec![witness(network().stranger.public()); 160 + script.below(16)],
        _ => {
            body.inputs =
                (0..250 + u32::from(script.byte() % 10)).map(|index| OutPoint { txid: Txid([9; 32]), index }).collect()
        }
    }
}
