//! What this node has seen of each validator (`SPEC.md` S-15, S-17): whether it answers queries, how fast, and
//! whether its precommits are in blocks. It decides whom not to ask for a while, and is shown to
//! operators; nothing that others must agree on depends on it.

use super::api::{RequestId, Time};
use super::kept::Kept;
use crate::bounds::LATE_ANSWERS_MAX;
use crate::keys::PublicKey;
use crate::validator::{ValidatorSet, Weight};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Failures in a row after which a validator is not asked for a while (S-15).
const BENCH_FAILURES: u32 = 3;
/// How long, in milliseconds; each further failure doubles it.
const BENCH_MS: u64 = 2_000;
/// How often that doubles: 32 s at most.
const BENCH_DOUBLINGS_MAX: u32 = 4;
/// Blocks that participation counts: one bit each.
const PARTICIPATION_BLOCKS: u32 = u128::BITS;
/// Part of the voting weight that may be benched at once: one in this many (S-15). A quorum can
/// always be asked.
const BENCHED_WEIGHT_DIVISOR: u64 = 3;

/// What this node has seen of one validator, since this node started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reputation {
    /// Which.
    pub key: PublicKey,
    /// Queries that it answered.
    pub answers: u64,
    /// Queries that it did not answer in time, or not properly.
    pub failures: u64,
    /// Moving average of its answer times, in microseconds; 0 before the first answer.
    pub latency_us: u64,
    /// Whether it is not asked at the moment.
    pub benched: bool,
    /// Recent blocks of its epochs that this node saw committed, at most 128.
    pub blocks: u32,
    /// In how many of them its precommit was counted.
    pub signed: u32,
}

/// What is remembered of one validator.
#[derive(Clone, Copy, Debug, Default)]
struct Conduct {
    answers: u64,
    failures: u64,
    failures_in_row: u32,
    benched_until: Time,
    latency_us: u64,
    blocks: u32,
    /// The latest block is the lowest bit.
    signed: u128,
}

impl Conduct {
    fn is_benched(&self, now: Time) -> bool {
        self.benched_until > now
    }
}

/// A query whose poll is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Late {
    /// Who was asked.
    pub key: PublicKey,
    /// When.
    pub asked_at: Time,
    /// About how many transactions.
    pub transactions: usize,
}

/// The conduct of all validators that this node has dealt with in this epoch or, if they are still
/// validators, before.
#[derive(Clone, Debug, Default)]
pub(super) struct Reputations {
    conduct: BTreeMap<PublicKey, Conduct>,
    /// Queries that may still be answered, the oldest first.
    late: BTreeMap<RequestId, Late>,
    /// Moving average of all answer times, in microseconds; 0 before the first answer.
    latency_us: u64,
}

impl Reputations {
    /// Moving average of the answer times of all validators, in microseconds.
    pub const fn latency_us(&self) -> u64 {
        self.latency_us
    }

    /// Whether a validator is not to be asked now.
    pub fn is_benched(&self, key: &PublicKey, now: Time) -> bool {
        self.conduct.get(key).is_some_and(|conduct| conduct.is_benched(now))
    }

    /// How many answers are waited for although their polls are over.
    pub fn kept(&self) -> Kept {
        Kept::new("answers that are late", self.late.len(), LATE_ANSWERS_MAX)
    }

    /// Goes on to wait for an answer after its poll.
    pub fn wait_for(&mut self, request: RequestId, query: Late) {
        self.late.insert(request, query);
        if self.late.len() > LATE_ANSWERS_MAX {
            self.late.pop_first();
        }
    }

    /// The query that is answered, or has failed, after its poll.
    pub fn take_late(&mut self, request: RequestId) -> Option<Late> {
        self.late.remove(&request)
    }

    /// The oldest query, if it was asked before `then`: nobody waits for its answer any more.
    pub fn take_overdue(&mut self, then: Time) -> Option<(RequestId, PublicKey)> {
        let first = self.late.first_entry().filter(|first| first.get().asked_at <= then)?;
        let (request, query) = first.remove_entry();
        Some((request, query.key))
    }

    /// A proper answer, `micros` after the question, while its poll went on: whatever failed before is forgiven.
    pub fn note_answer(&mut self, key: PublicKey, micros: u64) {
        self.note_late_answer(key, micros);
        let conduct = self.conduct.entry(key).or_default();
        conduct.failures_in_row = 0;
        conduct.benched_until = Time(0);
    }

    /// A proper answer after its poll: it tells how long answers take. It makes up for no failure: else whoever always answers too late
    /// would be asked for ever.
    pub fn note_late_answer(&mut self, key: PublicKey, micros: u64) {
        self.latency_us = average(self.latency_us, micros);
        let conduct = self.conduct.entry(key).or_default();
        conduct.answers += 1;
        conduct.latency_us = average(conduct.latency_us, micros);
    }

    /// No answer in time, or no proper one. Benches the validator after some in a row, unless too
    /// much weight is benched already (S-15).
    pub fn note_failure(&mut self, key: PublicKey, validators: &ValidatorSet, now: Time) {
        let weight = validators.weight_of(&key);
        let room = self.benched_weight(validators, &key, now).saturating_add(weight.0)
            <= validators.total().0 / BENCHED_WEIGHT_DIVISOR;
        let conduct = self.conduct.entry(key).or_default();
        conduct.failures += 1;
        conduct.failures_in_row = conduct.failures_in_row.saturating_add(1);
        if let Some(further) = conduct.failures_in_row.checked_sub(BENCH_FAILURES)
            && room
        {
            conduct.benched_until = now.plus_ms(BENCH_MS << further.min(BENCH_DOUBLINGS_MAX));
        }
    }

    fn benched_weight(&self, validators: &ValidatorSet, except: &PublicKey, now: Time) -> u64 {
        let benched = self.conduct.iter().filter(|(key, conduct)| *key != except && conduct.is_benched(now));
        benched.fold(0, |sum, (key, _)| {
            let Weight(weight) = validators.weight_of(key);
            sum.saturating_add(weight)
        })
    }

    /// A block was committed by `validators`; `signed` are those whose precommits this node counted.
    /// Whoever is no validator any more is forgotten.
    pub fn note_block(&mut self, validators: &ValidatorSet, signed: &[PublicKey]) {
        self.conduct.retain(|key, _| validators.index_of(key).is_some());
        for member in validators.members() {
            let conduct = self.conduct.entry(member.key).or_default();
            conduct.blocks = (conduct.blocks + 1).min(PARTICIPATION_BLOCKS);
            conduct.signed = conduct.signed << 1 | u128::from(signed.contains(&member.key));
        }
    }

    /// One entry for each validator, in order of the set.
    pub fn report(&self, validators: &ValidatorSet, now: Time) -> Vec<Reputation> {
        let entry = |key: PublicKey| {
            let conduct = self.conduct.get(&key).copied().unwrap_or_default();
            Reputation {
                key,
                answers: conduct.answers,
                failures: conduct.failures,
                latency_us: conduct.latency_us,
                benched: conduct.is_benched(now),
                blocks: conduct.blocks,
                signed: conduct.signed.count_ones(),
            }
        };
        validators.members().iter().map(|member| entry(member.key)).collect()
    }
}

/// A moving average that an eighth of each new value enters.
const fn average(before: u64, value: u64) -> u64 {
    if before == 0 { value } else { (before.saturating_mul(7).saturating_add(value)) / 8 }
}

#[cfg(test)]
mod tests {
    //! Rules: S-15, S-17.

    use super::*;
    use crate::address::Owner;
    use crate::validator::Validator;

    fn key(byte: u8) -> PublicKey {
        PublicKey([byte; 32])
    }

    fn set(weights: &[u64]) -> ValidatorSet {
        let member =
            |(byte, weight): (u8, &u64)| Validator { key: key(byte), weight: Weight(*weight), payout: Owner([0; 20]) };
        ValidatorSet::new((1..).zip(weights).map(member).collect())
    }

    fn fail(reputations: &mut Reputations, byte: u8, times: u32, validators: &ValidatorSet, now: Time) {
        for _ in 0..times {
            reputations.note_failure(key(byte), validators, now);
        }
    }

    #[test]
    fn who_fails_three_times_in_a_row_is_benched_for_two_seconds_s_15() {
        let (validators, mut reputations) = (set(&[10, 10, 10, 10]), Reputations::default());
        fail(&mut reputations, 1, 2, &validators, Time(0));
        assert!(!reputations.is_benched(&key(1), Time(0)));
        fail(&mut reputations, 1, 1, &validators, Time(0));
        assert!(reputations.is_benched(&key(1), Time(1_999_999)));
        assert!(!reputations.is_benched(&key(1), Time(2_000_000)));
    }

    #[test]
    fn an_answer_takes_a_validator_off_the_bench_s_15() {
        let (validators, mut reputations) = (set(&[10, 10, 10, 10]), Reputations::default());
        fail(&mut reputations, 1, 3, &validators, Time(0));
        reputations.note_answer(key(1), 500);
        assert!(!reputations.is_benched(&key(1), Time(1)));
        fail(&mut reputations, 1, 2, &validators, Time(1));
        assert!(!reputations.is_benched(&key(1), Time(2)), "only failures in a row count");
    }

    /// A validator that always answers too late would else be asked for ever, and make everybody wait.
    #[test]
    fn an_answer_after_its_poll_is_measured_and_takes_nobody_off_the_bench_s_15() {
        let (validators, mut reputations) = (set(&[10, 10, 10, 10]), Reputations::default());
        fail(&mut reputations, 1, 2, &validators, Time(0));
        reputations.note_late_answer(key(1), 500);
        fail(&mut reputations, 1, 1, &validators, Time(0));
        reputations.note_late_answer(key(1), 500);
        assert!(reputations.is_benched(&key(1), Time(1)));
        let report = reputations.report(&validators, Time(1))[0];
        assert_eq!((report.answers, report.failures, report.latency_us), (2, 3, 500));
    }

    #[test]
    fn the_bench_grows_to_32_seconds_and_no_further_s_15() {
        let (validators, mut reputations) = (set(&[10, 10, 10, 10]), Reputations::default());
        fail(&mut reputations, 1, 4, &validators, Time(0));
        assert!(reputations.is_benched(&key(1), Time(3_999_999)) && !reputations.is_benched(&key(1), Time(4_000_000)));
        fail(&mut reputations, 1, 60, &validators, Time(0));
        assert!(
            reputations.is_benched(&key(1), Time(31_999_999)) && !reputations.is_benched(&key(1), Time(32_000_000))
        );
    }

    #[test]
    fn no_more_than_a_third_of_the_weight_is_benched_s_15() {
        let (validators, mut reputations) = (set(&[10, 10, 20, 20]), Reputations::default());
        fail(&mut reputations, 1, 3, &validators, Time(0));
        fail(&mut reputations, 3, 3, &validators, Time(0));
        assert!(reputations.is_benched(&key(1), Time(1)) && !reputations.is_benched(&key(3), Time(1)), "30 of 60");
        fail(&mut reputations, 2, 3, &validators, Time(0));
        assert!(reputations.is_benched(&key(2), Time(1)), "20 of 60");
        fail(&mut reputations, 3, 1, &validators, Time(2_000_000));
        assert!(reputations.is_benched(&key(3), Time(2_000_001)), "the others may be asked again");
    }

    #[test]
    fn one_validator_alone_is_never_benched_s_15() {
        let (validators, mut reputations) = (set(&[10]), Reputations::default());
        fail(&mut reputations, 1, 9, &validators, Time(0));
        assert!(!reputations.is_benched(&key(1), Time(1)));
    }

    #[test]
    fn the_report_says_what_was_seen_s_17() {
        let (validators, mut reputations) = (set(&[10, 10, 10, 10]), Reputations::default());
        reputations.note_answer(key(2), 800);
        reputations.note_answer(key(2), 1_600);
        fail(&mut reputations, 2, 1, &validators, Time(0));
        reputations.note_block(&validators, &[key(1), key(2)]);
        reputations.note_block(&validators, &[key(1)]);
        let report = reputations.report(&validators, Time(0));
        let expected =
            Reputation { key: key(2), answers: 2, failures: 1, latency_us: 900, benched: false, blocks: 2, signed: 1 };
        assert_eq!(report[1], expected);
        assert_eq!((report[0].signed, report[3].signed, report[3].answers), (2, 0, 0));
        assert_eq!(reputations.latency_us(), 900);
    }

    #[test]
    fn participation_counts_the_latest_128_blocks_s_17() {
        let (validators, mut reputations) = (set(&[10, 10]), Reputations::default());
        reputations.note_block(&validators, &[key(1)]);
        for _ in 0..128 {
            reputations.note_block(&validators, &[key(2)]);
        }
        let report = reputations.report(&validators, Time(0));
        assert_eq!((report[0].blocks, report[0].signed, report[1].signed), (128, 0, 128));
    }

    #[test]
    fn who_is_no_validator_any_more_is_forgotten_s_17() {
        let (validators, mut reputations) = (set(&[10, 10]), Reputations::default());
        reputations.note_answer(key(1), 5);
        reputations.note_answer(key(2), 5);
        reputations.note_block(&set(&[10]), &[]);
        let answers: Vec<u64> = reputations.report(&validators, Time(0)).iter().map(|entry| entry.answers).collect();
        assert_eq!(answers, [1, 0]);
    }
}
