//! Verifiers: what they let through, whom they blame, and that no flood of transactions delays a vote.

use crate::support::{Fixture, fixture, forged, own, stranger, transaction, validator};
use libp2p::PeerId;
use std::sync::Arc;
use std::time::{Duration, Instant};
use timecoin_node::failure::Failure;
use timecoin_node::network::{Command, GossipId, Protocol};
use timecoin_node::verify::cache::CheckedSignatures;
use timecoin_node::verify::lanes::{Lane, Lanes, Limits, Portion, Taken};
use timecoin_node::verify::seen::SeenVotes;
use timecoin_node::verify::{self, Checked, From, Job, Outlets, Verifiers};
use timecoin_node::view::SubmitError;
use timecoin_protocol::block::evidence::TwoBlockVotes;
use timecoin_protocol::block::{BlockPhase, BlockVote, Evidence};
use timecoin_protocol::codec::encode;
use timecoin_protocol::engine::{Input, Offence, PeerTag, RequestId, Response, Source, Verdict};
use timecoin_protocol::finality::{Phase, VoteBatch};
use timecoin_protocol::hash::{BlockHash, Txid};
use timecoin_protocol::keys::{SecretKey, SignatureCache, Signed, Verified};
use timecoin_protocol::transaction::Transaction;
use timecoin_protocol::validator::{Epoch, Height, Round};
use timecoin_protocol::wire::{Announcement, Topic, TransactionBatch, TransactionsResponse, Vote, VoteBundle};
use tokio::sync::{mpsc, oneshot};

const PATIENCE: Duration = Duration::from_secs(120);
/// Room for transactions on the way to the driver.
const BULK_MAX: usize = 2;

/// Running verifiers, with both ends of everything.
struct Pool {
    fixture: Fixture,
    jobs: Arc<Lanes<Job>>,
    driver: Arc<Lanes<Checked>>,
    outlets: Arc<Outlets>,
    commands: mpsc::Receiver<Command>,
    announcements: mpsc::Receiver<(GossipId, Verified<Announcement>)>,
    verifiers: Option<Verifiers>,
    from: From,
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.driver.close();
        self.verifiers.take().unwrap().stop();
    }
}

impl Pool {
    fn start() -> Self {
        let fixture = fixture();
        let jobs = verify::queue();
        let limits = |items| Limits { items, bytes: 1 << 20 };
        let driver = Arc::new(Lanes::new(limits(64), limits(BULK_MAX)));
        let (command_sender, commands) = mpsc::channel(256);
        let (announcement_sender, announcements) = mpsc::channel(4);
        let outlets = Arc::new(Outlets {
            view: Arc::clone(&fixture.view),
            signatures: CheckedSignatures::default(),
            votes: Arc::new(SeenVotes::new(Instant::now())),
            driver: Arc::clone(&driver),
            announcements: announcement_sender,
            commands: command_sender,
        });
        let verifiers = Verifiers::start(Arc::clone(&jobs), &outlets, &Failure::default()).unwrap();
        let from = From { peer: PeerId::random(), tag: PeerTag(1) };
        Self { fixture, jobs, driver, outlets, commands, announcements, verifiers: Some(verifiers), from }
    }

    fn put(&self, job: Job) {
        let (lane, bytes) = (job.lane(), job.bytes());
        self.jobs.try_push(lane, job, bytes).unwrap();
    }

    fn gossip(&self, id: u64, topic: Topic, bytes: Vec<u8>) {
        self.put(Job::Gossip { id: GossipId(id), from: self.from, topic, bytes });
    }

    fn gossip_transactions(&self, id: u64, transactions: Vec<Transaction>) {
        self.gossip(id, Topic::Transactions, encode(&TransactionBatch { transactions }));
    }

    fn gossip_votes(&self, id: u64, votes: Vec<Vote>) {
        self.gossip(id, Topic::Votes, encode(&VoteBundle { votes }));
    }

    fn gossip_vote(&self, id: u64, epoch: u64, key: &SecretKey) {
        self.gossip_votes(id, vec![self.vote(epoch, key)]);
    }

    /// Two prevotes of `key` in round `round` of height 1.
    fn evidence(&self, round: u32, key: &SecretKey) -> Evidence {
        let genesis = &self.fixture.view.genesis_hash;
        let vote = |block| BlockVote::sign(Epoch(0), Height(1), Round(round), BlockPhase::Prevote, block, key, genesis);
        Evidence::BlockVotes(TwoBlockVotes::of(&vote(None), &vote(Some(BlockHash([1; 32])))).unwrap())
    }

    fn gossip_evidence(&self, id: u64, evidence: Evidence) {
        self.gossip_votes(id, vec![Vote::Evidence(Arc::new(evidence))]);
    }

    fn vote(&self, epoch: u64, key: &SecretKey) -> Vote {
        let genesis = &self.fixture.view.genesis_hash;
        Vote::Finality(Arc::new(VoteBatch::sign(Epoch(epoch), Phase::Prepare, vec![Txid([1; 32])], key, genesis)))
    }

    /// The next input of the driver; only from the urgent lane, if so wanted.
    fn next(&self, urgent_only: bool) -> Checked {
        let portion = Portion { urgent: 1, urgent_bytes: 1, bulk_bytes: usize::from(!urgent_only), takers: 1 };
        match self.driver.take(&[portion], Some(Instant::now() + PATIENCE)) {
            Taken::Items(mut items) => items.remove(0),
            other => panic!("nothing for the driver: {other:?}"),
        }
    }

    async fn command(&mut self) -> Command {
        tokio::time::timeout(PATIENCE, self.commands.recv()).await.unwrap().unwrap()
    }

    async fn verdict(&mut self) -> (u64, Verdict) {
        match self.command().await {
            Command::Verdict(GossipId(id), verdict) => (id, verdict),
            other => panic!("no verdict: {other:?}"),
        }
    }

    /// The verdict on a bundle, after which `count` votes of it are passed on; nothing is if it is 0, or the next verdict
    /// is not found where it is looked for.
    async fn passes_on(&mut self, id: u64, count: usize) {
        assert_eq!(self.verdict().await, (id, Verdict::Ignore));
        if count == 0 {
            return;
        }
        match self.command().await {
            Command::Votes { votes, own: false } => assert_eq!(votes.len(), count),
            other => panic!("nothing is passed on: {other:?}"),
        }
    }
}

/// it is passed on once for each offender; nobody is made to pass on what proves nothing, or accuses nobody.
#[tokio::test]
async fn evidence_is_passed_on_once_for_each_validator_that_it_is_against() {
    let mut pool = Pool::start();
    pool.gossip_evidence(1, pool.evidence(0, &stranger()));
    pool.passes_on(1, 0).await;
    let mut forged = pool.evidence(0, &validator(1));
    let Evidence::BlockVotes(votes) = &mut forged else { panic!("two prevotes") };
    votes.sides[1].signature.0[0] ^= 1;
    pool.gossip_evidence(2, forged.clone());
    assert_eq!(pool.verdict().await, (2, Verdict::Reject));
    let Evidence::BlockVotes(votes) = &mut forged else { panic!("two prevotes") };
    votes.sides[1] = votes.sides[0];
    pool.gossip_evidence(3, forged);
    assert_eq!(pool.verdict().await, (3, Verdict::Reject));
    for (id, round, who, count) in [(4, 0, 1, 1), (5, 0, 1, 0), (6, 7, 1, 0), (7, 0, 2, 1)] {
        pool.gossip_evidence(id, pool.evidence(round, &validator(who)));
        pool.passes_on(id, count).await;
        if count > 0 {
            assert!(matches!(pool.next(true), Checked::Input(Input::Votes(..))));
        }
    }
    assert!(pool.commands.try_recv().is_err());
}

#[tokio::test]
async fn a_batch_with_a_forged_signature_is_rejected_whole_and_a_good_one_awaits_the_engine() {
    let mut pool = Pool::start();
    let view = Arc::clone(&pool.fixture.view);
    pool.gossip_transactions(1, vec![transaction(&view, "a"), forged(&view, "b")]);
    assert_eq!(pool.verdict().await, (1, Verdict::Reject));
    pool.gossip_transactions(2, vec![transaction(&view, "c"), transaction(&view, "d")]);
    match pool.next(false) {
        Checked::Input(Input::Transactions(Source::Gossip(PeerTag(1), tag), transactions)) => {
            assert_eq!((tag.0, transactions.len()), (2, 2));
        }
        other => panic!("{other:?}"),
    }
    assert!(pool.commands.try_recv().is_err(), "the verdict on good transactions is the engine's");
}

#[tokio::test]
async fn a_validators_vote_is_passed_on_at_once_and_a_strangers_goes_nowhere() {
    let mut pool = Pool::start();
    pool.gossip_vote(1, 0, &stranger());
    pool.passes_on(1, 0).await;
    pool.gossip_vote(2, 0, &validator(0));
    pool.passes_on(2, 1).await;
    match pool.next(true) {
        Checked::Input(Input::Votes(PeerTag(1), votes)) => assert_eq!(*votes[0], pool.vote(0, &validator(0))),
        other => panic!("{other:?}"),
    }
}

/// N-36: each vote comes from several peers, with others around it.
#[tokio::test]
async fn of_a_bundle_only_what_is_new_is_handed_in_and_passed_on() {
    let mut pool = Pool::start();
    let vote = |who| pool.vote(0, &validator(who));
    let (one, two, three) = (vote(0), vote(1), vote(2));
    pool.gossip_votes(1, vec![one.clone(), two.clone(), pool.vote(0, &stranger())]);
    pool.passes_on(1, 2).await;
    pool.gossip_votes(2, vec![two.clone(), three.clone(), one.clone(), three.clone()]);
    pool.passes_on(2, 1).await;
    pool.gossip_votes(3, vec![three.clone(), one.clone()]);
    pool.passes_on(3, 0).await;
    for expected in [vec![one, two], vec![three]] {
        match pool.next(true) {
            Checked::Input(Input::Votes(PeerTag(1), votes)) => {
                assert!(votes.iter().map(|vote| &**vote).eq(&expected), "{votes:?}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(pool.commands.try_recv().is_err());
}

/// N-7, N-36: whoever passes a bundle on has checked what is in it. What was good in it is not lost: it comes from others.
#[tokio::test]
async fn a_bundle_with_a_forged_vote_is_rejected_whole_and_its_good_votes_are_new_when_they_come_again() {
    let mut pool = Pool::start();
    let good = pool.vote(0, &validator(0));
    let Vote::Finality(mut forged) = good.clone() else { unreachable!() };
    Arc::make_mut(&mut forged).voter = validator(1).public();
    pool.gossip_votes(1, vec![good.clone(), Vote::Finality(forged)]);
    assert_eq!(pool.verdict().await, (1, Verdict::Reject));
    pool.gossip_votes(2, vec![good]);
    pool.passes_on(2, 1).await;
    assert!(matches!(pool.next(true), Checked::Input(Input::Votes(_, votes)) if votes.len() == 1));
}

#[tokio::test]
async fn a_vote_of_a_later_epoch_is_taken_if_it_is_the_own_keys_and_never_passed_on_d_17() {
    let mut pool = Pool::start();
    // Anybody can sign any number of votes of an epoch whose validators nobody knows: not even a check is spent on them.
    pool.gossip_vote(1, 5, &stranger());
    assert_eq!(pool.verdict().await, (1, Verdict::Ignore));
    pool.gossip_vote(2, 5, &own());
    pool.passes_on(2, 0).await;
    match pool.next(true) {
        Checked::Input(Input::Votes(_, votes)) => assert_eq!(votes.len(), 1),
        other => panic!("no vote: {other:?}"),
    }
    assert!(pool.commands.try_recv().is_err());
}

#[tokio::test]
async fn a_vote_with_anothers_signature_is_rejected() {
    let mut pool = Pool::start();
    let Vote::Finality(mut batch) = pool.vote(0, &validator(0)) else { unreachable!() };
    Arc::make_mut(&mut batch).voter = validator(1).public();
    pool.gossip_votes(1, vec![Vote::Finality(batch)]);
    assert_eq!(pool.verdict().await, (1, Verdict::Reject));
}

#[tokio::test]
async fn malformed_bytes_are_rejected_on_every_topic() {
    let mut pool = Pool::start();
    for (id, topic) in (0..).zip(Topic::ALL) {
        pool.gossip(id, topic, vec![0xff; 40]);
        assert_eq!(pool.verdict().await, (id, Verdict::Reject), "{topic:?}");
    }
}

#[tokio::test]
async fn a_bad_answer_fails_its_request_and_penalizes_who_gave_it() {
    let mut pool = Pool::start();
    let view = Arc::clone(&pool.fixture.view);
    let forged = encode(&TransactionsResponse { transactions: vec![forged(&view, "a")] });
    for (number, bytes) in [(1, vec![0xff; 9]), (2, forged)] {
        let request = RequestId(number);
        pool.put(Job::Answer { request, from: pool.from, protocol: Protocol::Transactions, bytes });
        assert!(matches!(pool.next(true), Checked::Input(Input::Failed(id)) if id == request));
        match pool.command().await {
            Command::Penalize(peer, Offence::InvalidAnswer) => assert_eq!(peer, pool.from.peer),
            other => panic!("{other:?}"),
        }
    }
    let bytes = encode(&TransactionsResponse { transactions: vec![transaction(&view, "a")] });
    pool.put(Job::Answer { request: RequestId(3), from: pool.from, protocol: Protocol::Transactions, bytes });
    match pool.next(true) {
        Checked::Input(Input::Answered(RequestId(3), PeerTag(1), Response::Transactions(all))) => {
            assert_eq!(all.len(), 1);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_local_transaction_with_a_bad_signature_is_refused_to_its_caller() {
    let pool = Pool::start();
    let (admission, answer) = oneshot::channel();
    let transaction = forged(&pool.fixture.view, "a");
    pool.put(Job::Local { transaction, test_only: false, admission });
    assert_eq!(tokio::time::timeout(PATIENCE, answer).await.unwrap().unwrap(), Err(SubmitError::Signature));
}

#[tokio::test]
async fn a_signature_found_valid_is_remembered_and_not_checked_again() {
    let pool = Pool::start();
    let view = &pool.fixture.view;
    let mut checks = Vec::new();
    let good = transaction(view, "a");
    good.signature_checks(&view.genesis_hash, &mut checks);
    assert!(!pool.outlets.signatures.contains(&checks[0]));
    pool.gossip_transactions(1, vec![good]);
    pool.next(false);
    assert!(pool.outlets.signatures.contains(&checks[0]));

    // Were it checked again, it would be found out.
    let bad = forged(view, "b");
    checks.clear();
    bad.signature_checks(&view.genesis_hash, &mut checks);
    pool.outlets.signatures.insert(&checks[0]);
    pool.gossip_transactions(2, vec![bad]);
    assert!(matches!(pool.next(false), Checked::Input(Input::Transactions(..))));
}

#[tokio::test]
async fn a_flood_of_transactions_that_the_driver_does_not_take_delays_no_vote() {
    let mut pool = Pool::start();
    let view = Arc::clone(&pool.fixture.view);
    // More than the driver has room for, so that every verifier that takes transactions is stuck.
    for id in 0..200 {
        pool.gossip_transactions(id, vec![transaction(&view, &id.to_string())]);
    }
    for id in 1_000..1_010 {
        let txids = vec![Txid([id as u8; 32])];
        let batch = VoteBatch::sign(Epoch(0), Phase::Prepare, txids, &validator(0), &view.genesis_hash);
        pool.gossip_votes(id, vec![Vote::Finality(Arc::new(batch))]);
        pool.passes_on(id, 1).await;
        assert!(matches!(pool.next(true), Checked::Input(Input::Votes(..))));
    }
}

#[tokio::test]
async fn announcements_go_to_the_directory_and_the_surplus_is_ignored() {
    let mut pool = Pool::start();
    let view = Arc::clone(&pool.fixture.view);
    let announcement = |time| {
        let peer = PeerId::random().to_bytes();
        encode(&Announcement::sign(peer, Vec::new(), time, &validator(0), &view.genesis_hash))
    };
    for id in 0..5 {
        pool.gossip(id, Topic::Masternodes, announcement(id));
    }
    let (id, verdict) = pool.verdict().await;
    assert_eq!(verdict, Verdict::Ignore);
    assert_eq!(view.overload.announcements.total(), 1);
    let mut taken = Vec::new();
    for _ in 0..4 {
        taken.push(tokio::time::timeout(PATIENCE, pool.announcements.recv()).await.unwrap().unwrap().0.0);
    }
    assert!(!taken.contains(&id));
}

#[test]
fn only_what_anybody_can_send_any_amount_of_travels_in_bulk() {
    let from = From { peer: PeerId::random(), tag: PeerTag(0) };
    let lane = |topic| Job::Gossip { id: GossipId(0), from, topic, bytes: Vec::new() }.lane();
    assert_eq!(Topic::ALL.map(lane), [Lane::Bulk, Lane::Urgent, Lane::Urgent, Lane::Bulk]);
}
