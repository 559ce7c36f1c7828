//! Polls (`SPEC.md` S-10…S-16): asking others what they prefer until it is clear what to vote for.
//!
//! Where the set is small (n ≤ 2K) everyone is asked and alpha is the quorum weight; else K slots
//! are drawn by stake. Each transaction of a poll is settled on its own, as soon as the answers
//! decide it: one slow validator never holds up a payment that a quorum already prefers.

use super::admission::From;
use super::api::{Destination, Effect, Event, Request, Time};
use super::pool::Stage;
use super::reputation::{Late, Reputation, Reputations};
use super::requests::Purpose;
use super::{Cx, Engine, Kept, Ledger, PeerTag, RequestId, earlier};
use crate::bounds::{POLLS_MAX, QUERY_TXIDS_MAX};
use crate::hash::Txid;
use crate::keys::PublicKey;
use crate::ledger::Unavailable;
use crate::snow::{Termination, sample};
use crate::validator::ValidatorIndex;
use crate::wire::{Answer, Opinion, Query};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Polls in which nobody objected, after which silence counts as consent to vote (S-13).
const SILENT_POLLS: u32 = 5;
/// First polls of a transaction that follow one another without a pause.
const EAGER_POLLS: u32 = 10;
/// Pause between later polls of a transaction, in milliseconds.
const POLL_PAUSE_MS: u64 = 20;
/// Pause between polls of a transaction that is left to blocks, in milliseconds: proposers should
/// go on to agree which side of a conflict to propose.
const GIVEN_UP_PAUSE_MS: u64 = 500;
/// Pause after a poll that too few answered, in milliseconds; doubles with each, up to 2^4 times.
const SILENCE_PAUSE_MS: u64 = 10;
/// Shortest and longest time for which an answer waits for a body that is on its way, in milliseconds.
const HOLD_MS_MIN: u64 = 25;
const HOLD_MS_MAX: u64 = 250;
/// Shortest wait for answers, in milliseconds, however fast they usually are.
const QUERY_TIMEOUT_MS_MIN: u64 = 100;
/// How often the wait for answers doubles, at most.
const PATIENCE_MAX: u32 = 5;
/// Successful polls in a row that settle a contested transaction when everyone is asked: one
/// census has no sampling error; the others only let preferences settle.
const CENSUS_BETA: u32 = 3;
/// What the answers to one poll say about one transaction, in votes (slots, or weight).
#[derive(Clone, Debug, Default)]
struct Ballot {
    yes: u64,
    /// For conflicting transactions that this node has.
    other: BTreeMap<Txid, u64>,
    settled: bool,
}

#[derive(Clone, Debug)]
struct Poll {
    query: Arc<Query>,
    ballots: Vec<Ballot>,
    /// Requests without an answer yet, with the votes that each carries.
    waiting: BTreeMap<RequestId, (ValidatorIndex, u64)>,
    open: usize,
    successful: usize,
    /// Votes of all who answered.
    answered: u64,
    started: Time,
    deadline: Time,
}

/// All polls on the way, and what is to be polled when.
#[derive(Clone, Debug, Default)]
pub(super) struct Sampling {
    polls: BTreeMap<u64, Poll>,
    by_request: BTreeMap<RequestId, u64>,
    queue: BTreeSet<(Time, Txid)>,
    next_poll: u64,
    pub reputations: Reputations,
    /// How often the wait for answers is doubled.
    patience: u32,
}

/// How votes are counted: by slots of a sample, or by the weight of all.
#[derive(Clone, Copy)]
struct Rules {
    alpha: u64,
    /// Votes of everybody together, if everybody is asked.
    census: Option<u64>,
}

impl Sampling {
    pub fn len(&self) -> usize {
        self.polls.len()
    }

    pub fn kept(&self) -> [Kept; 2] {
        [Kept::new("polls on the way", self.polls.len(), POLLS_MAX), self.reputations.kept()]
    }

    pub fn deadline(&self) -> Option<Time> {
        let next = if self.polls.len() < POLLS_MAX { self.queue.first().map(|(at, _)| *at) } else { None };
        earlier(next, self.polls.values().map(|poll| poll.deadline).min())
    }

    /// Drops all polls; gives the requests that were on the way (E-7).
    pub fn end_epoch(&mut self) -> Vec<RequestId> {
        self.polls.clear();
        self.queue.clear();
        core::mem::take(&mut self.by_request).into_keys().collect()
    }

    pub fn schedule(&mut self, txid: Txid, at: Time) {
        self.queue.insert((at, txid));
    }

    /// How long an answer may be held back until a body comes (S-10): as long as answers usually take,
    /// which is well within the time that the asker waits (S-15).
    pub fn hold_ms(&self) -> u64 {
        (self.reputations.latency_us() / 1_000).clamp(HOLD_MS_MIN, HOLD_MS_MAX)
    }

    /// Adaptive timeout (S-15): four times the usual answer time.
    fn timeout_ms(&self, max_ms: u64) -> u64 {
        let wait = (self.reputations.latency_us() * 4 / 1_000).max(QUERY_TIMEOUT_MS_MIN);
        (wait << self.patience).min(max_ms.max(QUERY_TIMEOUT_MS_MIN))
    }

    /// A poll is over. If too few answered in its time, perhaps they take longer than anybody waited
    /// so far; if it needed little of its time, nobody has to wait that long.
    fn learn_patience(&mut self, poll: &Poll, alpha: u64, now: Time) {
        if poll.answered < alpha && poll.deadline <= now {
            self.patience = (self.patience + 1).min(PATIENCE_MAX);
        } else if now.micros_since(poll.started) * 4 < poll.deadline.micros_since(poll.started) {
            self.patience = self.patience.saturating_sub(1);
        }
    }
}

impl<L: Ledger> Engine<L> {
    fn sampling_rules(&self) -> Rules {
        let validators = self.validators();
        let tuning = &self.identity.tuning;
        if validators.len() <= usize::try_from(tuning.sample_size).unwrap_or(usize::MAX).saturating_mul(2) {
            let alpha = validators.quorum().0;
            return Rules { alpha, census: Some(validators.total().0) };
        }
        Rules { alpha: u64::from(tuning.alpha_preference), census: None }
    }

    /// Starts the polls that are due, and ends those whose time is up.
    pub(super) fn run_polls(&mut self, cx: &mut Cx<'_>) -> Result<(), Unavailable> {
        let over: Vec<u64> =
            self.sampling.polls.iter().filter(|(_, poll)| poll.deadline <= cx.now).map(|(id, _)| *id).collect();
        for id in over {
            self.give_up_waiting(id, cx.now);
            self.close_poll(id, cx)?;
        }
        let forgotten = Time(cx.now.0.saturating_sub(self.identity.tuning.query_timeout_ms.saturating_mul(1_000)));
        while let Some((request, key)) = self.sampling.reputations.take_overdue(forgotten) {
            self.requests.forget(request);
            self.note_query_failure(key, cx.now);
        }
        while self.sampling.polls.len() < POLLS_MAX {
            let due = self.due_for_polling(cx.now);
            if due.is_empty() {
                break;
            }
            let fresh = self.fresh(&due);
            self.start_poll(due, cx)?;
            // Where samples are drawn, the polls that an unopposed payment needs are made at once, and one more.
            for _ in 0..self.identity.tuning.beta_virtuous {
                if !fresh.is_empty() && self.sampling.polls.len() < POLLS_MAX {
                    self.start_poll(fresh.clone(), cx)?;
                }
            }
        }
        Ok(())
    }

    /// The time of a poll is up (S-15). Where enough have answered, those who have not are too slow. Where too few have, it is
    /// the time that was too short, so that nobody has failed yet.
    fn give_up_waiting(&mut self, id: u64, now: Time) {
        let alpha = self.sampling_rules().alpha;
        let validators = Arc::clone(self.validators());
        let Some(poll) = self.sampling.polls.get(&id) else { return };
        let (too_few, asked_at, transactions) = (poll.answered < alpha, poll.started, poll.query.txids.len());
        for (request, (validator, _)) in poll.waiting.clone() {
            let Some(key) = validators.at(validator).map(|member| member.key) else { continue };
            if too_few {
                self.sampling.reputations.wait_for(request, Late { key, asked_at, transactions });
            } else {
                self.requests.forget(request);
                self.note_query_failure(key, now);
            }
        }
    }

    /// Of these, the unopposed transactions that no poll was about yet; none where everybody is asked.
    fn fresh(&self, txids: &[Txid]) -> Vec<Txid> {
        if self.sampling_rules().census.is_some() {
            return Vec::new();
        }
        let is_fresh = |txid: &&Txid| {
            let entry = self.pool.get(txid).filter(|entry| entry.poll.rounds == 0);
            entry.is_some_and(|entry| self.pool.conflicts(txid, &entry.transaction).is_empty())
        };
        txids.iter().filter(is_fresh).copied().collect()
    }

    fn due_for_polling(&mut self, now: Time) -> Vec<Txid> {
        let mut due = Vec::new();
        while due.len() < QUERY_TXIDS_MAX
            && let Some((at, txid)) = self.sampling.queue.first().copied()
            && at <= now
        {
            self.sampling.queue.remove(&(at, txid));
            if let Some(entry) = self.pool.get_mut(&txid)
                && matches!(entry.stage, Stage::Polling | Stage::GivenUp)
                && entry.poll.in_flight == 0
            {
                due.push(txid);
            }
        }
        if !self.may_vote() {
            // Who does not vote need not ask. Every transaction is polled anew in the next epoch (E-7).
            due.clear();
        }
        due
    }

    fn start_poll(&mut self, txids: Vec<Txid>, cx: &mut Cx<'_>) -> Result<(), Unavailable> {
        let targets = self.poll_targets(cx.now);
        for txid in &txids {
            if let Some(entry) = self.pool.get_mut(txid) {
                entry.poll.in_flight += 1;
            }
        }
        let query = Arc::new(Query { epoch: self.chain.state.epoch, txids });
        let id = self.sampling.next_poll;
        self.sampling.next_poll += 1;
        let timeout = self.sampling.timeout_ms(self.identity.tuning.query_timeout_ms);
        let mut poll = Poll {
            ballots: query.txids.iter().map(|_| Ballot::default()).collect(),
            open: query.txids.len(),
            successful: 0,
            answered: 0,
            query: Arc::clone(&query),
            waiting: BTreeMap::new(),
            started: cx.now,
            deadline: cx.now.plus_ms(timeout),
        };
        let mut own_votes = 0;
        for (validator, votes) in targets {
            let Some(key) = self.validators().at(validator).map(|member| member.key) else { continue };
            if Some(validator) == self.own_index() {
                own_votes = votes;
                continue;
            }
            let request = self.requests.next(Purpose::Poll);
            poll.waiting.insert(request, (validator, votes));
            self.sampling.by_request.insert(request, id);
            cx.effect(Effect::Request(request, Destination::Validator(key), Request::Query(Arc::clone(&query))));
        }
        self.sampling.polls.insert(id, poll);
        let own: Vec<Opinion> = query.txids.iter().map(|txid| self.opinion(txid)).collect();
        self.count_answer(id, own_votes, None, &own, cx)
    }

    /// Whom to ask, with the votes of each.
    fn poll_targets(&mut self, now: Time) -> Vec<(ValidatorIndex, u64)> {
        let validators = Arc::clone(self.validators());
        let reputations = &self.sampling.reputations;
        if self.sampling_rules().census.is_some() {
            let all = (0_u16..).zip(validators.members());
            return all
                .filter(|(_, member)| !reputations.is_benched(&member.key, now))
                .map(|(index, member)| (index, member.weight.0))
                .collect();
        }
        let skip = |index| validators.at(index).is_some_and(|member| reputations.is_benched(&member.key, now));
        let drawn = sample(&validators, self.identity.tuning.sample_size, skip, &mut self.rng);
        drawn.into_iter().map(|(index, slots)| (index, u64::from(slots))).collect()
    }

    /// What this node thinks of a transaction (S-10).
    pub(super) fn opinion(&self, txid: &Txid) -> Opinion {
        if let Some(entry) = self.pool.get(txid) {
            if entry.stage >= Stage::Accepted {
                return Opinion::Preferred;
            }
            if entry.stage == Stage::Waiting {
                return Opinion::Unknown;
            }
            let rival = self.locked_rival(&entry.transaction, txid).or_else(|| self.pool.rival(txid));
            return rival.map_or(Opinion::Preferred, Opinion::Other);
        }
        if self.chain.recent_transactions.get(txid).is_some() {
            return Opinion::Preferred;
        }
        self.voting.winner_over(txid).map_or(Opinion::Unknown, Opinion::Other)
    }

    pub(super) fn on_poll_answer(
        &mut self,
        request: RequestId,
        peer: PeerTag,
        answer: Option<Answer>,
        cx: &mut Cx<'_>,
    ) -> Result<(), Unavailable> {
        if let Some(query) = self.sampling.reputations.take_late(request) {
            if self.is_proper(query, peer, answer.as_ref(), cx) {
                self.sampling.reputations.note_late_answer(query.key, cx.now.micros_since(query.asked_at));
            }
            return Ok(());
        }
        let Some(id) = self.sampling.by_request.remove(&request) else { return Ok(()) };
        let Some(poll) = self.sampling.polls.get_mut(&id) else { return Ok(()) };
        let Some((validator, votes)) = poll.waiting.remove(&request) else { return Ok(()) };
        let (asked_at, transactions) = (poll.started, poll.query.txids.len());
        let Some(key) = self.validators().at(validator).map(|member| member.key) else { return Ok(()) };
        if self.is_proper(Late { key, asked_at, transactions }, peer, answer.as_ref(), cx)
            && let Some(answer) = answer
        {
            self.sampling.reputations.note_answer(key, cx.now.micros_since(asked_at));
            return self.count_answer(id, votes, Some(peer), &answer.opinions, cx);
        }
        self.count_silence(id, cx)
    }

    /// Whether somebody answered, and properly; if not it has failed.
    fn is_proper(&mut self, query: Late, peer: PeerTag, answer: Option<&Answer>, cx: &mut Cx<'_>) -> bool {
        let is_proper = answer.is_some_and(|answer| answer.opinions.len() == query.transactions);
        if !is_proper {
            if answer.is_some() {
                cx.effect(Effect::Penalty(peer, super::Offence::InvalidAnswer));
            }
            self.note_query_failure(query.key, cx.now);
        }
        is_proper
    }

    fn note_query_failure(&mut self, key: PublicKey, now: Time) {
        let validators = Arc::clone(self.validators());
        self.sampling.reputations.note_failure(key, &validators, now);
    }

    /// What this node has seen of each validator of the epoch, in order of the set (S-17).
    #[must_use]
    pub fn reputations(&self, now: Time) -> Vec<Reputation> {
        self.sampling.reputations.report(self.validators(), now)
    }

    fn count_silence(&mut self, id: u64, cx: &mut Cx<'_>) -> Result<(), Unavailable> {
        self.count_answer(id, 0, None, &[], cx)
    }

    /// Adds one answer, settles what it decides, and closes the poll if nothing is open.
    fn count_answer(
        &mut self,
        id: u64,
        votes: u64,
        peer: From,
        opinions: &[Opinion],
        cx: &mut Cx<'_>,
    ) -> Result<(), Unavailable> {
        let rules = self.sampling_rules();
        let Some(poll) = self.sampling.polls.get_mut(&id) else { return Ok(()) };
        poll.answered += votes;
        let mut unheard = Vec::new();
        for ((ballot, txid), opinion) in poll.ballots.iter_mut().zip(&poll.query.txids).zip(opinions) {
            match opinion {
                Opinion::Preferred => ballot.yes += votes,
                Opinion::Other(other) if self.pool.is_conflict(txid, other) => {
                    *ballot.other.entry(*other).or_default() += votes;
                }
                Opinion::Other(other) => unheard.push(*other),
                // What this node found valid is valid: whoever says otherwise is wrong, or lies.
                Opinion::Invalid | Opinion::Unknown => {}
            }
        }
        let outstanding: u64 = poll.waiting.values().map(|(_, votes)| *votes).sum();
        let all_in = poll.waiting.is_empty();
        let mut settled = Vec::new();
        for (ballot, txid) in poll.ballots.iter_mut().zip(&poll.query.txids) {
            // Nobody spoke against it, and those who have not answered cannot change the result.
            let decided = ballot.other.is_empty()
                && (ballot.yes >= rules.alpha || ballot.yes.saturating_add(outstanding) < rules.alpha);
            if !ballot.settled && (decided || all_in) {
                ballot.settled = true;
                poll.open -= 1;
                poll.successful += usize::from(ballot.yes >= rules.alpha);
                settled.push((*txid, core::mem::take(ballot)));
                ballot.settled = true;
            }
        }
        for other in unheard {
            self.want_once(other, peer, cx.now); // S-12
        }
        for (txid, ballot) in settled {
            self.settle(&txid, &ballot, &rules, cx)?;
        }
        if self.sampling.polls.get(&id).is_some_and(|poll| poll.open == 0) {
            self.close_poll(id, cx)?;
        }
        Ok(())
    }

    /// Ends a poll; what is still open is judged by the answers that came.
    fn close_poll(&mut self, id: u64, cx: &mut Cx<'_>) -> Result<(), Unavailable> {
        let Some(poll) = self.sampling.polls.remove(&id) else { return Ok(()) };
        let alpha = self.sampling_rules().alpha;
        self.sampling.learn_patience(&poll, alpha, cx.now); // S-15
        for request in poll.waiting.keys() {
            // What is answered later finds no poll, and is passed over.
            self.sampling.by_request.remove(request);
        }
        cx.effect(Effect::Event(Event::Poll {
            transactions: poll.query.txids.len(),
            successful: poll.successful,
            micros: cx.now.micros_since(poll.started),
        }));
        let rules = self.sampling_rules();
        for (txid, ballot) in poll.query.txids.iter().zip(&poll.ballots).filter(|(_, ballot)| !ballot.settled) {
            self.settle(txid, ballot, &rules, cx)?;
        }
        Ok(())
    }

    /// Applies one transaction's result (S-11, S-12, S-13).
    fn settle(&mut self, txid: &Txid, ballot: &Ballot, rules: &Rules, cx: &mut Cx<'_>) -> Result<(), Unavailable> {
        let Some(entry) = self.pool.get_mut(txid) else { return Ok(()) };
        entry.poll.in_flight = entry.poll.in_flight.saturating_sub(1);
        if !matches!(entry.stage, Stage::Polling | Stage::GivenUp) {
            return Ok(());
        }
        entry.poll.rounds = entry.poll.rounds.saturating_add(1);
        let success = ballot.yes >= rules.alpha;
        let census = [Termination { alpha_confidence: rules.alpha, beta: CENSUS_BETA }];
        let terminations = if rules.census.is_some() { &census } else { self.identity.terminations.as_slice() };
        let confident = if success {
            entry.poll.successes += 1;
            entry.poll.confidence.record(ballot.yes, terminations)
        } else {
            entry.poll.confidence.reset();
            false
        };
        let (successes, rounds, left_open) = (entry.poll.successes, entry.poll.rounds, entry.poll.left_open);
        let contested = self.pool.is_contested(txid);
        let waits = contested && left_open && self.is_first_round_of_epoch(); // E-9
        self.move_preference(txid, ballot, rules);
        // S-13; in a census silence means that there is no quorum to vote with either.
        let consent = !contested && rounds >= SILENT_POLLS && rules.census.is_none();
        // S-12; a census has no sampling error, so one is enough.
        let enough = if rules.census.is_some() { 1 } else { self.identity.tuning.beta_virtuous };
        let virtuous = !contested && successes >= enough;
        if (confident || virtuous || consent) && !waits && self.pool.is_preferred(txid) && self.accept(txid, cx) {
            return Ok(());
        }
        if self.pool.get(txid).is_some_and(|entry| entry.poll.in_flight > 0) {
            return Ok(()); // the other poll goes on
        }
        let given_up = rounds >= self.identity.tuning.rounds_max; // S-14
        if given_up {
            self.pool.set_stage(txid, Stage::GivenUp);
        }
        let pause_ms = match (success, rounds) {
            _ if given_up => GIVEN_UP_PAUSE_MS,
            (false, _) if ballot.other.is_empty() => SILENCE_PAUSE_MS << rounds.min(4),
            (_, 0..EAGER_POLLS) => 0,
            _ => POLL_PAUSE_MS,
        };
        self.sampling.schedule(*txid, cx.now.plus_ms(pause_ms));
        Ok(())
    }

    /// Moves the preference to what the poll prefers (S-11): alpha votes, or, when everyone was
    /// asked and a quorum answered without giving either side alpha, the heavier side, and of
    /// equal ones the smaller txid. So a census never stays split among honest validators.
    fn move_preference(&mut self, txid: &Txid, ballot: &Ballot, rules: &Rules) {
        let rivals = ballot.other.iter().filter(|(other, _)| self.pool.contains(other));
        let best = rivals.max_by_key(|(other, votes)| (**votes, core::cmp::Reverse(**other)));
        let (other, votes) = best.map_or((*txid, 0), |(other, votes)| (*other, *votes));
        if ballot.yes >= rules.alpha {
            self.prefer_unless_locked(txid);
        } else if votes >= rules.alpha {
            self.prefer_unless_locked(&other);
        } else if let Some(total) = rules.census
            && votes > 0
            && u128::from(ballot.yes + votes) * 3 > u128::from(total) * 2
        {
            let own_side = (ballot.yes, core::cmp::Reverse(*txid)) > (votes, core::cmp::Reverse(other));
            self.prefer_unless_locked(if own_side { txid } else { &other });
        }
    }

    fn prefer_unless_locked(&mut self, txid: &Txid) {
        let Some(entry) = self.pool.get(txid) else { return };
        if self.locked_rival(&entry.transaction, txid).is_none() {
            self.pool.prefer(txid);
        }
    }
}
