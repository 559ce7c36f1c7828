//! What holds for any chain of blocks (`SPEC.md` H-4, L-3, L-9, B-6, B-7, B-9): random
//! transactions, honest and broken, in random blocks.

use crate::support::{
    COINS, Chain, FEE, REWARD, UNBONDING_BLOCKS, VALIDATORS, bond, key, owner, pay, unbonding, validator_key,
};
use proptest::prelude::*;
use proptest::sample::Index;
use std::collections::{BTreeMap, BTreeSet};
use timecoin_protocol::block::Block;
use timecoin_protocol::codec::{decode, encode};
use timecoin_protocol::hash::Txid;
use timecoin_protocol::keys::SecretKey;
use timecoin_protocol::ledger::{HEIGHT_UNCOMMITTED, UtxoSetHash};
use timecoin_protocol::transaction::{Lock, OutPoint, Output, Transaction, Utxo};
use timecoin_protocol::validator::Height;

/// How a random transaction is meant to be wrong.
#[derive(Clone, Copy, Debug)]
enum Defect {
    None,
    OutputsAboveInputs,
    WrongKey,
    UnknownInput,
    RepeatedInput,
    Dust,
}

/// A recipe for a transaction, whatever there is to spend when its turn comes.
#[derive(Clone, Debug)]
struct Plan {
    inputs: Vec<Index>,
    outputs: Vec<u8>,
    bonds: bool,
    defect: Defect,
}

fn plan() -> impl Strategy<Value = Plan> {
    let defect = prop_oneof![
        10 => Just(Defect::None),
        1 => Just(Defect::OutputsAboveInputs),
        1 => Just(Defect::WrongKey),
        1 => Just(Defect::UnknownInput),
        1 => Just(Defect::RepeatedInput),
        1 => Just(Defect::Dust),
    ];
    let inputs = prop::collection::vec(any::<Index>(), 1..4);
    let outputs = prop::collection::vec(0..COINS, 1..4);
    (inputs, outputs, prop::bool::weighted(0.2), defect).prop_map(|(inputs, outputs, bonds, defect)| Plan {
        inputs,
        outputs,
        bonds,
        defect,
    })
}

/// Everything that could be spent next: the UTXO set, and outputs of earlier candidates.
type Purse = BTreeMap<OutPoint, Utxo>;

/// The key of an owner of these tests.
fn key_of(lock: &Lock) -> SecretKey {
    (0..=100 + VALIDATORS).map(key).find(|key| *lock.owner() == (&key.public()).into()).unwrap()
}

fn is_bond(utxo: &Utxo) -> bool {
    matches!(utxo.output.lock, Lock::Bond { .. })
}

/// Follows a plan. Money comes out of the purse and stays there, so that double spends happen.
fn follow(plan: &Plan, chain: &Chain, purse: &Purse) -> Option<Transaction> {
    let kind: Vec<_> = purse.iter().filter(|(_, utxo)| is_bond(utxo) == plan.bonds).collect();
    if kind.is_empty() {
        return None;
    }
    let chosen: BTreeMap<_, _> = plan.inputs.iter().map(|index| *index.get(&kind)).collect();
    let sum: u64 = chosen.values().map(|utxo| utxo.output.amount.units()).sum();
    let mut inputs: Vec<OutPoint> = chosen.keys().map(|outpoint| **outpoint).collect();
    let mut keys: Vec<_> = chosen.values().map(|utxo| key_of(&utxo.output.lock)).collect();
    let each = (sum - FEE) / plan.outputs.len() as u64;
    let make = |n: &u8| if plan.bonds { unbonding(*n, each) } else { pay(*n, each) };
    let mut outputs: Vec<Output> = plan.outputs.iter().map(make).collect();
    if !plan.bonds && each > crate::support::BOND {
        let validator = validator_key(plan.outputs[0]);
        outputs[0] = bond(plan.outputs[0], validator.public(), each);
        keys.push(validator);
    }
    match plan.defect {
        Defect::None => {}
        Defect::OutputsAboveInputs => outputs[0].amount.0 += 2 * FEE,
        Defect::WrongKey => keys[0] = key(250),
        Defect::UnknownInput => inputs[0].txid = Txid([0xee; 32]),
        Defect::RepeatedInput => inputs.push(inputs[0]),
        Defect::Dust => outputs.push(pay(0, 1)),
    }
    Some(chain.sign(&inputs, &outputs, &keys.iter().collect::<Vec<_>>()))
}

/// Candidates for the next block, with children of one another and double spends among them.
fn candidates(plans: &[Plan], chain: &Chain) -> Vec<Transaction> {
    let mut purse = chain.utxos.clone();
    let mut candidates = Vec::new();
    for plan in plans {
        let Some(transaction) = follow(plan, chain, &purse) else { continue };
        let txid = transaction.txid();
        let outputs = (0..).zip(&transaction.body.outputs).filter(|(_, output)| output.amount.0 > 10 * FEE);
        purse.extend(outputs.map(|(index, output)| {
            (OutPoint { txid, index }, Utxo { output: *output, height: chain.state.height.0 + 1, coinbase: false })
        }));
        candidates.push(transaction);
    }
    candidates
}

fn utxo() -> impl Strategy<Value = (OutPoint, Utxo)> {
    (any::<[u8; 32]>(), any::<u32>(), any::<u64>(), 0..4_u8, any::<u64>(), any::<bool>()).prop_map(
        |(txid, index, amount, n, height, coinbase)| {
            let output = if n == 0 { bond(n, key(n).public(), amount) } else { pay(n, amount) };
            (OutPoint { txid: Txid(txid), index }, Utxo { output, height, coinbase })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// B-6, B-7, B-9, L-3, H-4
    #[test]
    fn a_built_block_is_valid_and_no_money_comes_from_nowhere(
        blocks in prop::collection::vec(prop::collection::vec(plan(), 0..12), 1..6),
    ) {
        let mut chain = Chain::new();
        let genesis = chain.state.supply.units();
        for plans in blocks {
            let delta = chain.grow(&candidates(&plans, &chain));
            prop_assert_eq!(chain.state.supply, chain.total());
            prop_assert_eq!(chain.state.supply.units(), genesis + chain.state.height.0 * REWARD);
            prop_assert_eq!(&chain.state.utxo_set, &chain.utxo_set_from_scratch());
            prop_assert_eq!(chain.state.utxo_count, chain.utxos.len() as u64);
            prop_assert!(delta.ephemeral.iter().all(|(outpoint, _)| !chain.utxos.contains_key(outpoint)));
        }
    }

    /// B-9
    #[test]
    fn building_takes_every_transaction_that_is_valid_in_its_place(plans in prop::collection::vec(plan(), 0..16)) {
        let chain = Chain::new();
        let candidates = candidates(&plans, &chain);
        let mut set = chain.clone();
        let mut expected = Vec::new();
        for transaction in candidates.iter().filter(|transaction| {
            let Ok(transfer) = set.check(transaction) else { return false };
            transfer.spent.iter().for_each(|(outpoint, _)| _ = set.utxos.remove(outpoint));
            set.utxos.extend((0..).zip(&transaction.body.outputs).map(|(index, output)| {
                (OutPoint { txid: transfer.txid, index }, Utxo { output: *output, height: 1, coinbase: false })
            }));
            true
        }) {
            expected.push(transaction.clone());
        }
        prop_assert_eq!(chain.build(&candidates).0.transactions, expected);
    }

    /// B-4, B-5, B-6, B-7: a block has one form; whatever is changed in its bytes is noticed,
    /// except in the signatures, which are checked elsewhere, and in what the proposer may choose.
    #[test]
    fn a_changed_block_is_refused_or_another_block(
        plans in prop::collection::vec(plan(), 1..6),
        at in any::<Index>(),
        bit in 0..8_u8,
    ) {
        let chain = Chain::new();
        let (block, delta) = chain.build(&candidates(&plans, &chain));
        let mut bytes = encode(&block);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(changed) = decode::<Block>(&bytes, bytes.len())
            && let Ok(judged) = chain.judge(&changed)
        {
            let signatures_only = changed.header == block.header;
            let chosen = changed.header.time_ms != block.header.time_ms
                || changed.header.proposer != block.header.proposer;
            prop_assert!(signatures_only || chosen);
            prop_assert_eq!(judged.created, delta.created);
            prop_assert_eq!(judged.state.utxo_set, delta.state.utxo_set);
        }
    }

    /// L-9: what is valid stays valid, at any later height and when its inputs reach a block.
    #[test]
    fn a_valid_transaction_stays_valid(
        made in 0..20_u64,
        uncommitted in any::<bool>(),
        kind in 0..3_u8,
        next in 1..40_u64,
        later in 0..1_000_u64,
    ) {
        let mut chain = Chain::new();
        let (input, to) = (chain.bond(0), pay(1, crate::support::BOND - FEE));
        let (lock, to) = match kind {
            0 => (Lock::Address(owner(100)), to),
            1 => (Lock::Unbonding(owner(100)), to),
            _ => (chain.utxos[&input].output.lock, unbonding(1, crate::support::BOND - FEE)),
        };
        let transaction = chain.sign(&[input], &[to], &[&key(100)]);
        let entry = chain.utxos.get_mut(&input).unwrap();
        entry.output.lock = lock;
        entry.height = if uncommitted { HEIGHT_UNCOMMITTED } else { made };
        let valid = chain.check_at(&transaction, Height(next)).is_ok();
        prop_assert_eq!(valid, kind != 1 || (!uncommitted && made < next && next >= made + UNBONDING_BLOCKS));
        if valid {
            chain.utxos.get_mut(&input).unwrap().height = made.min(next - 1);
            prop_assert!(chain.check_at(&transaction, Height(next + later)).is_ok());
        }
    }

    /// H-4
    #[test]
    fn the_multiset_hash_depends_on_the_set_alone(
        entries in prop::collection::btree_map(any::<[u8; 33]>(), utxo(), 1..12),
    ) {
        // Ordered by random keys: the same entries in another order.
        let shuffled: Vec<_> = entries.into_values().collect();
        let sorted: BTreeMap<_, _> = shuffled.iter().copied().collect();
        prop_assume!(sorted.len() == shuffled.len());
        let mut forwards = UtxoSetHash::empty();
        shuffled.iter().for_each(|(outpoint, utxo)| forwards.add(outpoint, utxo));
        let mut backwards = UtxoSetHash::empty();
        sorted.iter().for_each(|(outpoint, utxo)| backwards.add(outpoint, utxo));
        prop_assert_eq!(&forwards, &backwards);
        prop_assert_eq!(forwards.commitment(), backwards.commitment());
        let mut seen = BTreeSet::new();
        for (outpoint, utxo) in &shuffled {
            prop_assert!(seen.insert(forwards.commitment()), "each entry counts");
            forwards.remove(outpoint, utxo);
        }
        prop_assert_eq!(forwards, UtxoSetHash::empty());
    }

    /// H-4
    #[test]
    fn every_field_of_an_entry_counts(entry in utxo(), other in utxo(), field in 0..5_u8) {
        let (outpoint, utxo) = entry;
        let (mut changed, mut at) = (utxo, outpoint);
        match field {
            0 => at = other.0,
            1 => changed.height ^= 1,
            2 => changed.coinbase = !utxo.coinbase,
            3 => changed.output.amount.0 ^= 1,
            _ => changed.output.lock = Lock::Unbonding(*utxo.output.lock.owner()),
        }
        let hash = |outpoint, utxo| {
            let mut sums = UtxoSetHash::empty();
            sums.add(outpoint, utxo);
            sums.commitment()
        };
        prop_assert_ne!(hash(&outpoint, &utxo), hash(&at, &changed));
    }

    /// H-4
    #[test]
    fn the_multiset_hash_survives_its_encoding(entry in utxo()) {
        let mut sums = UtxoSetHash::empty();
        sums.add(&entry.0, &entry.1);
        let bytes = encode(&sums);
        prop_assert_eq!(bytes.len(), 2_048);
        prop_assert_eq!(decode::<UtxoSetHash>(&bytes, bytes.len()), Ok(sums));
    }
}
