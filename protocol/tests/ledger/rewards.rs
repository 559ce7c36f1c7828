//! Who is paid how much (`SPEC.md` B-6), and who has a vote (V-5).

use crate::support::{BOND, Chain, FEE, REWARD, bond, key, owner, pay, rewards, validator_key};
use timecoin_protocol::amount::Amount;
use timecoin_protocol::bounds::{DUST_UNITS, VALIDATORS_MAX};
use timecoin_protocol::hash::Txid;
use timecoin_protocol::keys::PublicKey;
use timecoin_protocol::ledger::{COINBASE_INPUT, coinbase, validators_from_bonds};
use timecoin_protocol::transaction::{Lock, OutPoint, Output, Utxo};
use timecoin_protocol::validator::Weight;

/// Weight and payout of the validator at `index`.
fn member(chain: &Chain, index: u16) -> (u64, Lock) {
    let validator = chain.state.validators.at(index).unwrap();
    (validator.weight.0, Lock::Address(validator.payout))
}

fn amounts(outputs: &[Output]) -> Vec<u64> {
    outputs.iter().map(|output| output.amount.units()).collect()
}

/// Index of the heaviest validator.
fn heaviest(chain: &Chain) -> usize {
    (0..3).max_by_key(|&index| member(chain, index).0).unwrap().into()
}

/// B-6
#[test]
fn the_first_block_pays_all_validators_by_weight() {
    let chain = Chain::new();
    let body = coinbase(&chain.state, &chain.genesis.params, None, Amount(FEE));
    assert_eq!(body.inputs, [COINBASE_INPUT]);
    assert_eq!(body.memo, 1_u64.to_le_bytes());
    let pot = REWARD + FEE;
    let mut due: Vec<u64> = (0..3).map(|index| pot * (member(&chain, index).0 / BOND) / 6).collect();
    due[heaviest(&chain)] += pot - due.iter().sum::<u64>();
    assert_eq!(amounts(&body.outputs), due);
    let paid: Vec<_> = body.outputs.iter().map(|output| output.lock).collect();
    assert_eq!(paid, (0..3).map(|index| member(&chain, index).1).collect::<Vec<_>>());
}

/// B-6
#[test]
fn who_was_away_is_not_paid() {
    let mut chain = Chain::new();
    chain.grow(&[]);
    let (block, delta) = chain.build_with(&[], &[0, 2]);
    assert!(chain.judge(&block).is_ok());
    assert_eq!(rewards(&delta).iter().sum::<u64>(), REWARD);
    let paid: Vec<_> = block.coinbase.outputs.iter().map(|output| output.lock).collect();
    assert_eq!(paid, [member(&chain, 0).1, member(&chain, 2).1]);
}

/// B-6
#[test]
fn a_commit_in_any_order_or_with_strangers_pays_each_sharer_once() {
    let mut chain = Chain::new();
    chain.grow(&[]);
    let with = |present: &[u16]| {
        coinbase(&chain.state, &chain.genesis.params, chain.parent_commit(present).as_ref(), Amount(0))
    };
    assert_eq!(with(&[2, 0, 2, 9_999]), with(&[0, 2]));
    assert_eq!(with(&[]), with(&[0, 1, 2]), "there is always somebody to pay");
}

/// B-6
#[test]
fn the_remainder_goes_to_the_lowest_of_the_heaviest() {
    let mut genesis = crate::support::genesis();
    genesis.params.block_reward_units = 10_001;
    genesis.outputs.retain(|output| !matches!(output.lock, Lock::Bond { .. }));
    genesis.outputs.extend((0..3).map(|n| bond(100 + n, validator_key(n).public(), BOND)));
    let chain = Chain::of(genesis);
    let body = coinbase(&chain.state, &chain.genesis.params, None, Amount(0));
    assert_eq!(amounts(&body.outputs), [3_335, 3_333, 3_333]);
}

/// B-6
#[test]
fn shares_of_dust_go_to_the_heaviest() {
    let mut chain = Chain::new();
    let with = |chain: &Chain| coinbase(&chain.state, &chain.genesis.params, None, Amount(0)).outputs;
    // One sixth is dust, one third and one half are not.
    chain.genesis.params.block_reward_units = 6 * DUST_UNITS - 1;
    let outputs = with(&chain);
    assert_eq!(outputs.len(), 2);
    assert_eq!(amounts(&outputs).iter().sum::<u64>(), 6 * DUST_UNITS - 1);
    // All shares are dust, even the whole pot.
    chain.genesis.params.block_reward_units = DUST_UNITS - 1;
    let lock = member(&chain, heaviest(&chain).try_into().unwrap()).1;
    assert_eq!(with(&chain), [Output { amount: Amount(DUST_UNITS - 1), lock }]);
}

/// B-6
#[test]
fn a_block_with_nothing_to_share_has_a_coinbase_without_outputs() {
    let mut genesis = crate::support::genesis();
    genesis.params.block_reward_units = 0;
    let mut chain = Chain::of(genesis);
    let before = chain.state.supply;
    let delta = chain.grow(&[]);
    assert_eq!(delta.created, []);
    let delta = chain.grow(&[chain.payment(0, 1)]);
    assert_eq!(rewards(&delta).iter().sum::<u64>(), FEE, "fees are paid without a reward");
    assert_eq!(chain.state.supply, before);
}

/// B-6
#[test]
fn the_supply_never_overflows() {
    let mut genesis = crate::support::genesis();
    let room = 700;
    let rest = u64::MAX - room - genesis.supply().unwrap().units();
    genesis.outputs.push(pay(0, rest));
    let mut chain = Chain::of(genesis);
    assert_eq!(rewards(&chain.grow(&[])).iter().sum::<u64>(), room);
    assert_eq!(rewards(&chain.grow(&[])), []);
    assert_eq!(chain.state.supply, Amount(u64::MAX));
    assert_eq!(rewards(&chain.grow(&[chain.payment(0, 1)])).iter().sum::<u64>(), FEE);
    assert_eq!(chain.total(), Amount(u64::MAX));
}

fn entry(index: u32, output: Output) -> (OutPoint, Utxo) {
    (OutPoint { txid: Txid([1; 32]), index }, Utxo { output, height: 0, coinbase: false })
}

/// V-5
#[test]
fn bonds_of_one_validator_add_up_and_the_largest_is_paid() {
    let validator = validator_key(0).public();
    let bonds = [
        entry(0, bond(1, validator, BOND)),
        entry(1, bond(2, validator, 3 * BOND)),
        entry(2, pay(3, 100 * BOND)),
        entry(3, bond(4, validator, 3 * BOND)),
    ];
    let forwards = validators_from_bonds(bonds);
    assert_eq!(forwards.len(), 1);
    let member = forwards.at(0).unwrap();
    assert_eq!((member.key, member.weight), (validator, Weight(7 * BOND)));
    assert_eq!(member.payout, owner(2), "of equal bonds that of the lowest outpoint");
    assert_eq!(validators_from_bonds(bonds.into_iter().rev()), forwards);
}

/// V-5
#[test]
fn the_heaviest_validators_have_a_vote_and_ties_go_to_the_lower_key() {
    let validator = |n: u32| {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        PublicKey(bytes)
    };
    let count = u32::try_from(VALIDATORS_MAX).unwrap() + 2;
    let bonds: Vec<_> =
        (0..count).map(|n| entry(n, bond(1, validator(n), if n == count - 1 { 2 * BOND } else { BOND }))).collect();
    let set = validators_from_bonds(bonds);
    assert_eq!(set.len(), VALIDATORS_MAX);
    assert_eq!(set.weight_of(&validator(count - 1)), Weight(2 * BOND));
    assert_eq!(set.weight_of(&validator(count - 4)), Weight(BOND));
    assert_eq!(set.weight_of(&validator(count - 3)), Weight(0));
    assert_eq!(set.weight_of(&validator(count - 2)), Weight(0));
}

/// V-5
#[test]
fn unbonding_collateral_has_no_vote() {
    let validator = key(0).public();
    let set =
        validators_from_bonds([entry(0, bond(0, validator, BOND)), entry(1, crate::support::unbonding(0, 5 * BOND))]);
    assert_eq!(set.total(), Weight(BOND));
}
