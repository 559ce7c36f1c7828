//! The validators of one epoch: quorums and the proposer rotation (`SPEC.md` V-1…V-3).

use super::{Height, Round, Validator, Weight};
use crate::bounds::VALIDATORS_MAX;
use crate::codec::encode_as_field;
use crate::hash::{Domain, Hash, hash_bytes, hash_of};
use crate::keys::PublicKey;
use crate::mutation::{Mutation, is_broken};
use alloc::vec::Vec;

/// Position of a validator in its epoch's set.
pub type ValidatorIndex = u16;

/// The validators of one epoch, sorted by key (V-1). Its encoding is that of the list of its
/// members; a list that is not in the form of V-1 does not decode.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(from = "Members")]
pub struct ValidatorSet {
    validators: Vec<Validator>,
    total: Weight,
}

encode_as_field!(ValidatorSet, validators: Vec<Validator>, ValidatorSet::in_form);

/// What of a set's text is believed: the total is worked out anew.
#[derive(serde::Deserialize)]
struct Members {
    validators: Vec<Validator>,
}

impl From<Members> for ValidatorSet {
    fn from(members: Members) -> Self {
        Self::new(members.validators)
    }
}

impl ValidatorSet {
    /// A set of the given validators: sorted, of repeated keys the first kept, those without weight left out.
    /// Weights above the 64-bit range together saturate; real supply is far below.
    #[must_use]
    pub fn new(mut validators: Vec<Validator>) -> Self {
        validators.retain(|validator| validator.weight.0 > 0);
        validators.sort_by_key(|validator| validator.key);
        validators.dedup_by_key(|validator| validator.key);
        let total = validators.iter().fold(0_u64, |sum, validator| sum.saturating_add(validator.weight.0));
        Self { validators, total: Weight(total) }
    }

    /// The set of validators that are in the form of V-1 already.
    fn in_form(validators: Vec<Validator>) -> Option<Self> {
        let known = validators.len();
        let sorted = validators.is_sorted_by(|a, b| a.key < b.key);
        let set = Self::new(validators);
        (sorted && set.len() == known && known <= VALIDATORS_MAX && set.total.0 < u64::MAX).then_some(set)
    }

    /// All members in order of their keys.
    #[must_use]
    pub fn members(&self) -> &[Validator] {
        &self.validators
    }

    /// Number of members.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.validators.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.validators.is_empty()
    }

    /// The member at `index`.
    #[must_use]
    pub fn at(&self, index: ValidatorIndex) -> Option<&Validator> {
        self.validators.get(usize::from(index))
    }

    /// Position of `key`.
    #[must_use]
    pub fn index_of(&self, key: &PublicKey) -> Option<ValidatorIndex> {
        let at = self.validators.binary_search_by_key(key, |validator| validator.key).ok()?;
        ValidatorIndex::try_from(at).ok()
    }

    /// Weight of `key`; nothing if it is no member.
    #[must_use]
    pub fn weight_of(&self, key: &PublicKey) -> Weight {
        self.index_of(key).and_then(|index| self.at(index)).map_or(Weight(0), |validator| validator.weight)
    }

    /// Weight of the validators at these positions together. Each position counts as often as it is named; one that nobody
    /// has weighs nothing.
    #[must_use]
    pub fn weight_at(&self, positions: impl IntoIterator<Item = ValidatorIndex>) -> Weight {
        let weights = positions.into_iter().filter_map(|position| self.at(position)).map(|member| member.weight.0);
        Weight(weights.fold(0, u64::saturating_add))
    }

    /// Weight of all.
    #[must_use]
    pub const fn total(&self) -> Weight {
        self.total
    }

    /// The least weight that is a quorum: strictly more than two thirds of all (V-2).
    #[must_use]
    pub const fn quorum(&self) -> Weight {
        // floor(2t / 3) + 1 without overflow
        let (third, rest) = (self.total.0 / 3, self.total.0 % 3);
        Weight(third * 2 + rest * 2 / 3 + 1)
    }

    /// Whether `weight` is a quorum (V-2).
    #[must_use]
    pub fn is_quorum(&self, weight: Weight) -> bool {
        let spared = u64::from(is_broken(Mutation::QuorumOfTwoThirds) && self.total.0.is_multiple_of(3));
        weight.0 >= self.quorum().0 - spared
    }

    /// Whether `weight` must contain an honest validator: more than a third of all (V-2).
    #[must_use]
    pub const fn has_honest(&self, weight: Weight) -> bool {
        weight.0 > self.total.0 / 3
    }

    /// Who proposes at a height and round (V-3): round 0 is drawn by weight from a hash of the
    /// height; each later round moves to the next member, so that after n rounds all had a turn.
    #[must_use]
    pub fn proposer(&self, height: Height, round: Round) -> Option<&Validator> {
        if self.total.0 == 0 {
            return None;
        }
        let seed = hash_bytes(Domain::Proposer, &height.0.to_le_bytes());
        let mut wide = [0; 16];
        for (to, from) in wide.iter_mut().zip(seed) {
            *to = from;
        }
        let start = self.holder_of(u128::from_le_bytes(wide) % u128::from(self.total.0));
        // In 64 bits, so that machines of every word size agree.
        let at = (start as u64 + u64::from(round.0)) % self.validators.len() as u64;
        self.validators.get(usize::try_from(at).ok()?)
    }

    /// Position of the member that holds unit `point` of the weight, counted in order of keys.
    fn holder_of(&self, point: u128) -> usize {
        let mut end = 0;
        let holds = |validator: &Validator| {
            end += u128::from(validator.weight.0);
            point < end
        };
        self.validators.iter().position(holds).unwrap_or(0)
    }

    /// The commitment to this set in a header.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash(hash_of(Domain::Validators, &self.validators))
    }
}

#[cfg(test)]
mod tests {
    //! Rules: V-1, V-2, V-3.

    use super::*;
    use crate::address::Owner;
    use crate::codec::{DecodeError, decode, encode};
    use alloc::collections::BTreeSet;
    use alloc::vec;
    use proptest::prelude::*;

    fn validator(index: u16, weight: u64) -> Validator {
        let mut key = [0; 32];
        key[..2].copy_from_slice(&index.to_be_bytes());
        Validator { key: PublicKey(key), weight: Weight(weight), payout: Owner([1; 20]) }
    }

    fn set(weights: &[u64]) -> ValidatorSet {
        ValidatorSet::new((0..).zip(weights).map(|(index, weight)| validator(index, *weight)).collect())
    }

    #[test]
    fn a_set_is_sorted_unique_and_has_weight_v_1() {
        let set = ValidatorSet::new(vec![validator(3, 5), validator(1, 7), validator(2, 0), validator(3, 9)]);
        assert_eq!(set.members(), [validator(1, 7), validator(3, 5)]);
        assert_eq!(set.total(), Weight(12));
        assert_eq!(set.index_of(&validator(3, 0).key), Some(1));
        assert_eq!(set.index_of(&validator(2, 0).key), None);
        assert_eq!(set.weight_of(&validator(2, 0).key), Weight(0));
        assert_eq!(set.at(1), Some(&validator(3, 5)));
        assert_eq!(set.at(2), None);
    }

    #[test]
    fn a_set_is_encoded_as_the_list_of_its_members_v_1() {
        let set = set(&[1, 2, 300]);
        assert_eq!(encode(&set), encode(&set.members().to_vec()));
        assert_eq!(decode(&encode(&set), 1024), Ok(set));
    }

    #[test]
    fn a_list_that_breaks_the_form_of_a_set_does_not_decode_v_1() {
        let lists = [
            vec![validator(2, 1), validator(1, 1)],
            vec![validator(1, 1), validator(1, 1)],
            vec![validator(1, 1), validator(2, 0)],
            vec![validator(1, u64::MAX), validator(2, 1)],
            (0..=VALIDATORS_MAX as u16).map(|index| validator(index, 1)).collect(),
        ];
        for list in lists {
            assert_eq!(decode::<ValidatorSet>(&encode(&list), 100_000), Err(DecodeError::Malformed));
        }
    }

    #[test]
    fn a_forged_total_in_text_is_not_believed_v_1() {
        let honest = set(&[1, 2, 3]);
        let text = serde_json::to_string(&honest).unwrap();
        let forged = text.replace("\"total\":6", "\"total\":1");
        assert_ne!(text, forged);
        assert_eq!(serde_json::from_str::<ValidatorSet>(&forged).unwrap(), honest);
    }

    #[test]
    fn a_quorum_is_strictly_more_than_two_thirds_v_2() {
        for total in 1..=300 {
            let set = set(&[total]);
            for weight in 0..=total {
                assert_eq!(set.is_quorum(Weight(weight)), 3 * weight > 2 * total, "{weight} of {total}");
                assert_eq!(set.has_honest(Weight(weight)), 3 * weight > total, "{weight} of {total}");
            }
        }
    }

    #[test]
    fn exactly_two_thirds_is_never_a_quorum_at_any_size_v_2() {
        for third in [1, 2, 1_000, u64::MAX / 3] {
            let set = set(&[third; 3]);
            assert!(!set.is_quorum(Weight(third * 2)));
            assert!(set.is_quorum(Weight(third * 2 + 1)));
            assert!(!set.has_honest(Weight(third)));
            assert!(set.has_honest(Weight(third + 1)));
        }
    }

    #[test]
    fn an_empty_set_has_no_quorum_and_no_proposer_v_2() {
        let set = set(&[]);
        assert!(!set.is_quorum(Weight(0)));
        assert!(!set.has_honest(Weight(0)));
        assert_eq!(set.proposer(Height(1), Round(0)), None);
    }

    #[test]
    fn everybody_proposes_within_as_many_rounds_as_there_are_validators_v_3() {
        let set = set(&[1, 500, 3, 1, 90, 7, 7]);
        for height in 1..50 {
            for first in [0, 3, u32::MAX - 6] {
                let proposers: BTreeSet<_> =
                    (0..7).map(|round| set.proposer(Height(height), Round(first + round)).unwrap().key).collect();
                assert_eq!(proposers.len(), set.len());
            }
        }
    }

    /// 20,000 heights over weights 1 : 2 : 3 : 4. The widest standard deviation is 69.
    #[test]
    fn the_first_proposers_follow_the_weights_v_3() {
        let set = set(&[100, 200, 300, 400]);
        let mut counts = [0_u32; 4];
        for height in 0..20_000 {
            let proposer = set.proposer(Height(height), Round(0)).unwrap();
            counts[usize::from(set.index_of(&proposer.key).unwrap())] += 1;
        }
        for (count, expected) in counts.into_iter().zip([2_000, 4_000, 6_000, 8_000]) {
            assert!(count.abs_diff(expected) < 300, "{counts:?}");
        }
    }

    /// The rule written out with plain numbers.
    #[test]
    fn the_first_proposer_holds_the_unit_that_the_height_draws_v_3() {
        let set = set(&[3, 1, 4, 1, 5]);
        let owners = [0, 0, 0, 1, 2, 2, 2, 2, 3, 4, 4, 4, 4, 4];
        for height in 0_u64..100 {
            let seed = hash_bytes(Domain::Proposer, &height.to_le_bytes());
            let point = u128::from_le_bytes(seed[..16].try_into().unwrap()) % 14;
            let proposer = set.proposer(Height(height), Round(0)).unwrap();
            assert_eq!(set.index_of(&proposer.key), Some(owners[usize::try_from(point).unwrap()]));
        }
    }

    proptest! {
        #[test]
        fn two_quorums_share_more_than_a_third_v_2(weights in prop::collection::vec(1_u64..u64::MAX / 64, 1..64)) {
            let set = set(&weights);
            let (quorum, total) = (u128::from(set.quorum().0), u128::from(set.total().0));
            prop_assert!(quorum * 3 > total * 2 && (quorum - 1) * 3 <= total * 2);
            prop_assert!((2 * quorum - total) * 3 > total);
        }

        #[test]
        fn any_bytes_that_decode_are_a_set(bytes in prop::collection::vec(0_u8..4, 0..200)) {
            if let Ok(set) = decode::<ValidatorSet>(&bytes, 1024) {
                prop_assert_eq!(&ValidatorSet::new(set.members().to_vec()), &set);
                prop_assert_eq!(encode(&set), bytes);
            }
        }
    }
}
