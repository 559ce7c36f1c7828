//! The payments of a run: one coin each, at even distances in time; now and then a double spend.

use super::super::workload::key;
use timecoin_protocol::address::Owner;
use timecoin_protocol::amount::Amount;
use timecoin_protocol::genesis::Genesis;
use timecoin_protocol::hash::{GenesisHash, Txid};
use timecoin_protocol::keys::SecretKey;
use timecoin_protocol::transaction::{Lock, OutPoint, Output, Transaction, TransactionBody};

/// Fee of a payment, in units.
const FEE_UNITS: u64 = 2_000;
/// One payment of so many is a double spend, if there are Byzantine validators.
const DOUBLE_SPEND_EVERY: usize = 20;

/// A payment and where it is handed in when.
#[derive(Clone, Debug)]
pub(super) struct Submission {
    /// Milliseconds after the first payment.
    pub at_ms: u64,
    pub node: usize,
    pub transaction: Transaction,
    pub txid: Txid,
    /// The other payment of the same coin, if there is one: position in the list.
    pub rival: Option<usize>,
}

/// Draws the payments. Payment number i spends genesis output `validators + i`, which key i of domain
/// 2 owns. Both sides of a double spend are handed in at once, at two nodes.
pub(super) fn draw(
    genesis: &Genesis,
    validators: usize,
    (payments, rate, with_double_spends): (usize, u32, bool),
    honest: &[usize],
    below: &mut dyn FnMut(usize) -> usize,
) -> Vec<Submission> {
    let hash = genesis.hash();
    let mut submissions: Vec<Submission> = Vec::with_capacity(payments);
    for index in 0..payments {
        let payer = key(2, index);
        let input = OutPoint { txid: Txid(hash.0), index: u32::try_from(validators + index).unwrap_or(u32::MAX) };
        let amount = genesis.outputs.get(validators + index).map_or(0, |output| output.amount.0);
        let is_double = with_double_spends && index % DOUBLE_SPEND_EVERY == DOUBLE_SPEND_EVERY / 2;
        let first = submissions.len();
        for side in 0..if is_double { 2 } else { 1 } {
            let to = Owner::from(&key(3 + side, index).public());
            let transaction = pay(&payer, input, amount, to, &hash);
            submissions.push(Submission {
                at_ms: index as u64 * 1_000 / u64::from(rate.max(1)),
                node: honest.get(below(honest.len())).copied().unwrap_or_default(),
                txid: transaction.txid(),
                transaction,
                rival: is_double.then_some(first + usize::from(side == 0)),
            });
        }
    }
    submissions
}

fn pay(payer: &SecretKey, input: OutPoint, amount: u64, to: Owner, genesis: &GenesisHash) -> Transaction {
    let change = amount / 3;
    let paid = amount.saturating_sub(change + FEE_UNITS);
    let outputs = [(paid, to), (change, Owner::from(&payer.public()))]
        .map(|(units, owner)| Output { amount: Amount(units), lock: Lock::Address(owner) });
    let body = TransactionBody { inputs: vec![input], outputs: outputs.to_vec(), memo: Vec::new() };
    Transaction::sign(body, &[payer], genesis)
}
