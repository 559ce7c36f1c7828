//! The intake: what goes where, and what happens when there is no room.

use crate::support::{Fixture, fixture};
use libp2p::PeerId;
use std::sync::Arc;
use std::time::{Duration, Instant};
use timecoin_node::bounds::VOTER_REQUESTS_PER_SECOND_MAX;
use timecoin_node::driver::Listeners;
use timecoin_node::driver::blocks::BlockServer;
use timecoin_node::driver::directory::Directory;
use timecoin_node::driver::intake::Intake;
use timecoin_node::driver::tags::{PeerTags, Waiting, outbound};
use timecoin_node::network::{Command, Event, GossipId, InboundId, Protocol, RequestFailure};
use timecoin_node::verify::lanes::{Lanes, Limits, Portion, Taken};
use timecoin_node::verify::{Checked, Job};
use timecoin_protocol::bitmap::Bitmap;
use timecoin_protocol::bounds::QUERY_TXIDS_MAX;
use timecoin_protocol::codec::{decode, encode};
use timecoin_protocol::engine::{Ask, Input, Offence, RequestId, Response, Verdict};
use timecoin_protocol::hash::Txid;
use timecoin_protocol::keys::PublicKey;
use timecoin_protocol::validator::{Epoch, Height, Round};
use timecoin_protocol::wire::{Answer, BlocksRequest, BlocksResponse, Opinion, Query, StatusRequest, Topic};
use tokio::sync::{mpsc, watch};
use tokio_util::task::TaskTracker;

const PATIENCE: Duration = Duration::from_secs(120);
const PEERS_REQUEST: InboundId = InboundId(5);

struct Desk {
    intake: Intake,
    jobs: Arc<Lanes<Job>>,
    driver: Arc<Lanes<Checked>>,
    commands: mpsc::Receiver<Command>,
    arrivals: watch::Receiver<()>,
    peer: PeerId,
    fixture: Fixture,
}

/// An intake with room for `items` in each lane behind it.
fn desk(items: usize) -> Desk {
    let fixture = fixture();
    let limits = Limits { items, bytes: 1 << 20 };
    let (jobs, driver) = (Arc::new(Lanes::new(limits, limits)), Arc::new(Lanes::new(limits, limits)));
    let (command_sender, commands) = mpsc::channel(64);
    let (arrival_sender, arrivals) = watch::channel(());
    let view = Arc::clone(&fixture.view);
    let intake = Intake {
        jobs: Arc::clone(&jobs),
        driver: Arc::clone(&driver),
        commands: command_sender.clone(),
        peers: Arc::new(PeerTags::default()),
        directory: Arc::new(Directory::new(Arc::clone(&view))),
        blocks: BlockServer::new(Arc::clone(&view), command_sender, TaskTracker::new()),
        listeners: Listeners::default(),
        arrivals: arrival_sender,
        view,
    };
    Desk { intake, jobs, driver, commands, arrivals, peer: PeerId::random(), fixture }
}

fn taken<T: std::fmt::Debug>(lanes: &Lanes<T>) -> Option<T> {
    let all = Portion { urgent: 1, urgent_bytes: 1, bulk_bytes: 1, takers: 1 };
    match lanes.take(&[all], Some(Instant::now())) {
        Taken::Items(mut items) => Some(items.remove(0)),
        _ => None,
    }
}

impl Desk {
    fn ask(&self, protocol: Protocol, body: Vec<u8>) {
        self.intake.event(Event::Request { id: PEERS_REQUEST, peer: self.peer, protocol, body });
    }

    fn answer(&self, protocol: Protocol, body: Vec<u8>) {
        self.intake.event(Event::Response { id: outbound(RequestId(9), protocol), peer: self.peer, body });
    }

    fn gossip(&self, topic: Topic) {
        self.intake.event(Event::Gossip { id: GossipId(3), peer: self.peer, topic, bytes: vec![1] });
    }

    async fn command(&mut self) -> Command {
        tokio::time::timeout(PATIENCE, self.commands.recv()).await.unwrap().unwrap()
    }
}

fn query(txids: usize) -> Vec<u8> {
    encode(&Query { epoch: Epoch(0), txids: vec![Txid([1; 32]); txids] })
}

#[tokio::test]
async fn a_query_goes_straight_to_the_driver() {
    let desk = desk(1);
    desk.ask(Protocol::Query, query(2));
    match taken(&desk.driver) {
        Some(Checked::Input(Input::Asked(tag, reply, Ask::Query(query)))) => {
            assert_eq!(desk.intake.peers.peer(tag), Some(desk.peer));
            assert_eq!(Waiting::of(reply), Waiting::Peer(PEERS_REQUEST));
            assert_eq!(query.txids.len(), 2);
        }
        other => panic!("{other:?}"),
    }
}

/// Every stranger could have a hundred answers of four megabytes in a second, made by the thread that runs consensus.
#[tokio::test]
async fn what_is_held_of_a_validators_signatures_is_told_less_often_than_the_status_n_16() {
    let mut desk = desk(1_000);
    let none = Bitmap::default();
    let request = |voter| {
        let (seals, evidence) = (none.clone(), none.clone());
        encode(&StatusRequest { tip: Height(0), round: Round(0), seals, evidence, voter })
    };
    let burst = 2 * usize::try_from(VOTER_REQUESTS_PER_SECOND_MAX).unwrap();
    for _ in 0..burst + 40 {
        desk.ask(Protocol::Status, request(Some(PublicKey([7; 32]))));
    }
    let reached = std::iter::from_fn(|| taken(&desk.driver)).count();
    assert!((burst..burst + 4).contains(&reached), "{reached} of {}", burst + 40);
    assert!(matches!(desk.command().await, Command::Refuse(PEERS_REQUEST)));
    (0..40).for_each(|_| desk.ask(Protocol::Status, request(None)));
    assert_eq!(std::iter::from_fn(|| taken(&desk.driver)).count(), 40, "others are as welcome as before");
}

#[tokio::test]
async fn a_request_that_is_malformed_or_asks_for_too_much_is_refused_and_penalized() {
    let mut desk = desk(1);
    for body in [vec![0xff; 3], query(QUERY_TXIDS_MAX + 1)] {
        desk.ask(Protocol::Query, body);
        assert!(matches!(desk.command().await, Command::Penalize(peer, Offence::InvalidAnswer) if peer == desk.peer));
        assert!(matches!(desk.command().await, Command::Refuse(PEERS_REQUEST)));
        assert!(taken(&desk.driver).is_none());
    }
}

#[tokio::test]
async fn a_request_without_room_is_refused_and_counted_but_nobody_is_to_blame() {
    let mut desk = desk(1);
    desk.ask(Protocol::Query, query(1));
    desk.ask(Protocol::Query, query(1));
    assert!(matches!(desk.command().await, Command::Refuse(PEERS_REQUEST)));
    assert_eq!(desk.fixture.view.overload.requests.total(), 1);
}

#[tokio::test]
async fn blocks_are_served_from_storage_without_the_driver() {
    let mut desk = desk(1);
    desk.ask(Protocol::Blocks, encode(&BlocksRequest { from: Height(1), count: 10 }));
    match desk.command().await {
        Command::Respond(PEERS_REQUEST, body) => {
            assert_eq!(decode::<BlocksResponse>(&body, 1_000), Ok(BlocksResponse { blocks: Vec::new() }));
        }
        other => panic!("{other:?}"),
    }
    assert!(taken(&desk.driver).is_none());
}

#[tokio::test]
async fn opinions_skip_the_verifiers_and_other_answers_do_not() {
    let desk = desk(1);
    desk.answer(Protocol::Query, encode(&Answer { opinions: vec![Opinion::Preferred] }));
    let answered = taken(&desk.driver);
    assert!(matches!(answered, Some(Checked::Input(Input::Answered(RequestId(9), _, Response::Query(_))))));
    desk.answer(Protocol::Status, vec![1]);
    let job = taken(&desk.jobs);
    assert!(matches!(job, Some(Job::Answer { request: RequestId(9), protocol: Protocol::Status, .. })));
}

#[tokio::test]
async fn malformed_opinions_fail_the_request_and_penalize_the_peer() {
    let mut desk = desk(1);
    desk.answer(Protocol::Query, vec![0xff; 3]);
    assert!(matches!(taken(&desk.driver), Some(Checked::Input(Input::Failed(RequestId(9))))));
    assert!(matches!(desk.command().await, Command::Penalize(peer, Offence::InvalidAnswer) if peer == desk.peer));
}

#[tokio::test]
async fn gossip_without_room_is_ignored_and_counted() {
    let mut desk = desk(1);
    desk.gossip(Topic::Transactions);
    desk.gossip(Topic::Votes);
    assert!(desk.commands.try_recv().is_err(), "each lane has room for one");
    desk.gossip(Topic::Votes);
    assert!(matches!(desk.command().await, Command::Verdict(GossipId(3), Verdict::Ignore)));
    assert_eq!(desk.fixture.view.overload.gossip.total(), 1);
}

#[tokio::test]
async fn a_request_that_failed_or_whose_answer_finds_no_room_ends_as_failed() {
    let desk = desk(1);
    let id = outbound(RequestId(4), Protocol::Status);
    desk.intake.event(Event::RequestFailed { id, failure: RequestFailure::Timeout });
    assert!(matches!(taken(&desk.driver), Some(Checked::Input(Input::Failed(RequestId(4))))));
    desk.gossip(Topic::Votes);
    desk.answer(Protocol::Blocks, vec![1]);
    assert!(matches!(taken(&desk.driver), Some(Checked::Input(Input::Failed(RequestId(9))))));
}

#[tokio::test]
async fn a_peer_that_comes_is_announced_to_and_one_that_goes_loses_its_number() {
    let mut desk = desk(1);
    desk.intake.event(Event::PeerReady(desk.peer));
    assert!(desk.arrivals.has_changed().unwrap());
    desk.arrivals.mark_unchanged();
    assert_eq!(desk.intake.directory.any(), Some(desk.peer));
    let tag = desk.intake.peers.of(desk.peer).tag;
    desk.intake.event(Event::PeerGone(desk.peer));
    assert_eq!(desk.intake.directory.any(), None);
    assert_eq!(desk.intake.peers.peer(tag), None);
}
