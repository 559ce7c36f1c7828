//! The driver with a real engine and real storage on a disk that can fail: nothing leaves before it
//! is durable, and readers hear of things in order.

use crate::disk::Disk;
use libp2p::PeerId;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use timecoin_node::driver::clock::Clock;
use timecoin_node::driver::consensus::{Consensus, TurnError};
use timecoin_node::driver::directory::Directory;
use timecoin_node::driver::release::{Callers, Release};
use timecoin_node::driver::tags::PeerTags;
use timecoin_node::driver::{self, Driver, Outbox, Readers, Rebroadcast};
use timecoin_node::network::Command;
use timecoin_node::store::{Disks, Opened, Store};
use timecoin_node::verify::Checked;
use timecoin_node::verify::lanes::{Lane, Lanes};
use timecoin_node::verify::seen::SeenVotes;
use timecoin_node::view::{News, SubmitError, View};
use timecoin_protocol::address::{NetworkKind, Owner};
use timecoin_protocol::amount::Amount;
use timecoin_protocol::bounds::BOND_UNITS_MIN;
use timecoin_protocol::engine::{Admitted, Config, Engine, Path, Status, Tuning};
use timecoin_protocol::finality::{Certificate, Phase};
use timecoin_protocol::genesis::{Genesis, Params};
use timecoin_protocol::hash::Txid;
use timecoin_protocol::keys::{SecretKey, Verified};
use timecoin_protocol::transaction::{Lock, Output, Transaction, TransactionBody};
use timecoin_protocol::validator::Height;
use timecoin_protocol::wire::Topic;
use tokio::sync::{broadcast, mpsc, oneshot};

/// Longest that anything here is waited for; a busy machine is slow, not broken.
const PATIENCE: Duration = Duration::from_secs(120);
const COIN: u64 = 1_000_000;

/// A network of one validator, which decides alone; its driver is not yet running.
struct Solo {
    genesis: Arc<Genesis>,
    key: SecretKey,
    journal: Disk,
    view: Arc<View>,
    queue: Arc<Lanes<Checked>>,
    commands: mpsc::Receiver<Command>,
    driver: Option<Driver>,
}

type Running = JoinHandle<Result<(), TurnError>>;
type Answers = (oneshot::Receiver<Result<Admitted, SubmitError>>, oneshot::Receiver<Option<Certificate>>);

fn genesis(key: &SecretKey, block_interval_ms: u64) -> Genesis {
    let (validator, owner) = (key.public(), Owner::from(&key.public()));
    Genesis {
        name: "solo".into(),
        network: NetworkKind::Devnet,
        time_ms: Clock::start().now().millis(),
        params: Params { block_interval_ms, block_reward_units: 100, unbonding_blocks: 10, epoch_blocks: 60 },
        outputs: vec![
            Output { amount: Amount(BOND_UNITS_MIN), lock: Lock::Bond { validator, owner } },
            Output { amount: Amount(COIN), lock: Lock::Address(owner) },
        ],
    }
}

impl Solo {
    fn new(block_interval_ms: u64) -> Self {
        let key = SecretKey::from_seed(&[5; 32]);
        let genesis = Arc::new(genesis(&key, block_interval_ms));
        let journal = Disk::default();
        let disks = Disks { journal: journal.clone(), blocks: Disk::default(), ledger: Disk::default() };
        let Opened { journal: file, ledger, reader, state, last_commit, records, past: _ } =
            Store::open_on(disks, &genesis).unwrap();
        let config = Config {
            genesis: Arc::clone(&genesis),
            key: Some(key.clone()),
            tuning: Tuning::default(),
            past: timecoin_protocol::engine::Past::default(),
            seed: [3; 32],
        };
        let engine = Engine::new(config, state.clone(), last_commit, ledger);
        let consensus = Consensus::restore(engine, file, records).unwrap();
        let clock = Clock::start();
        let public = Some(key.public());
        let calls = mpsc::channel(1).0;
        let view =
            Arc::new(View::new(Arc::clone(&genesis), public, PeerId::random(), state, reader, clock.now(), calls));
        let (command_sender, commands) = mpsc::channel(1_024);
        let release = Release {
            commands: command_sender,
            peers: Arc::new(PeerTags::default()),
            directory: Arc::new(Directory::new(Arc::clone(&view))),
            readers: Readers::new(Arc::clone(&view)),
            view: Arc::clone(&view),
            votes: Arc::new(SeenVotes::new(Instant::now())),
            callers: Callers::default(),
            outbox: Outbox::default(),
            rebroadcast: Rebroadcast::default(),
        };
        let queue = driver::queue();
        let driver = Some(Driver::new(consensus, Arc::clone(&queue), release, clock));
        Self { genesis, key, journal, view, queue, commands, driver }
    }

    fn run(&mut self) -> Running {
        let driver = self.driver.take().unwrap();
        std::thread::spawn(move || driver.run())
    }

    fn payment(&self) -> Transaction {
        let (input, _) = self.genesis.utxos().nth(1).unwrap();
        let lock = Lock::Address(Owner::from(&self.key.public()));
        let outputs = vec![Output { amount: Amount(COIN - 2_000), lock }];
        let body = TransactionBody { inputs: vec![input], outputs, memo: Vec::new() };
        Transaction::sign(body, &[&self.key], &self.genesis.hash())
    }

    /// Submits the payment and asks for its certificate in the same breath.
    fn submit(&self) -> (Txid, Answers) {
        let transaction = self.payment();
        let txid = transaction.txid();
        let (admission, admitted) = oneshot::channel();
        let (reply, certificate) = oneshot::channel();
        let transaction = Verified::by_own_hand(transaction);
        self.queue.try_push(Lane::Bulk, Checked::Local { transaction, test_only: false, admission }, 300).unwrap();
        self.queue.try_push(Lane::Urgent, Checked::Certificate(txid, reply), 0).unwrap();
        (txid, (admitted, certificate))
    }
}

/// Waits for the end of the driver.
fn ended(running: Running) -> Result<(), TurnError> {
    let deadline = Instant::now() + PATIENCE;
    while !running.is_finished() {
        assert!(Instant::now() < deadline, "the driver has not ended within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
    running.join().unwrap()
}

/// Waits for an answer; none if nobody can give it any more.
fn answer<T>(answer: oneshot::Receiver<T>) -> Option<T> {
    soon("answer", answer).ok()
}

fn soon<T>(what: &str, wait: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let waited = runtime.block_on(async { tokio::time::timeout(PATIENCE, wait).await });
    waited.unwrap_or_else(|_| panic!("no {what} within {PATIENCE:?}"))
}

/// All that was gossiped; waits until the driver has ended.
fn published(mut commands: mpsc::Receiver<Command>) -> Vec<Topic> {
    let mut topics = Vec::new();
    while let Some(command) = soon("command", commands.recv()) {
        match command {
            Command::Publish(topic, _) => topics.push(topic),
            Command::Votes { own: true, .. } => topics.push(Topic::Votes),
            _ => {}
        }
    }
    topics
}

/// An hour between blocks: only payments are decided.
const NO_BLOCKS_MS: u64 = 3_600_000;

#[test]
fn a_payment_leaves_as_body_first_and_then_votes_and_its_certificate_has_the_vote_of_the_same_turn() {
    let mut solo = Solo::new(NO_BLOCKS_MS);
    let (txid, (admitted, certificate)) = solo.submit();
    let running = solo.run();
    assert_eq!(answer(admitted).unwrap().unwrap().txid, txid);
    let certificate = answer(certificate).unwrap().unwrap();
    assert_eq!((certificate.txid, certificate.phase, certificate.votes.len()), (txid, Phase::Prepare, 1));
    solo.queue.close();
    ended(running).unwrap();
    let topics = published(solo.commands);
    assert_eq!(topics.first(), Some(&Topic::Transactions));
    assert!(topics.contains(&Topic::Votes), "{topics:?}");
}

#[test]
fn d_1_a_turn_whose_commit_fails_lets_nothing_out_and_ends_the_driver() {
    let mut solo = Solo::new(NO_BLOCKS_MS);
    let (_, (admitted, certificate)) = solo.submit();
    solo.journal.fail_after(0);
    let error = ended(solo.run()).unwrap_err();
    assert!(matches!(&error, TurnError::Store(_)), "{error}");
    assert!(error.to_string().contains("journal.redb"), "{error}");
    assert!(answer(admitted).is_none(), "nobody is told that it was admitted");
    assert!(answer(certificate).is_none(), "nobody gets a vote that is not durable");
    assert_eq!(published(solo.commands), []);
    assert!(solo.view.pool.is_empty());
}

#[test]
fn readers_hear_of_a_payments_life_in_order_and_find_it_at_each_station() {
    let mut solo = Solo::new(200);
    let mut news = solo.view.subscribe();
    let (txid, _) = solo.submit();
    let running = solo.run();
    let mut life = Vec::new();
    while !matches!(life.last(), Some(Status::Committed(_))) {
        match next(&mut news) {
            News::Admitted(transaction, _) if transaction.txid() == txid => life.push(Status::Pending),
            News::Status { txid: whose, status, .. } if whose == txid => life.push(status),
            News::Block(block, delta) => {
                let height = block.block.header.height;
                assert!(solo.view.state.load().height >= height, "the state was there before the news");
                assert_eq!(solo.view.chain.block(height).unwrap(), Some(block));
                assert_eq!(delta.state.height, height);
            }
            _ => {}
        }
    }
    let height = match life.last() {
        Some(Status::Committed(height)) => *height,
        other => panic!("{other:?}"),
    };
    assert!(height >= Height(1));
    assert_eq!(life, [Status::Pending, Status::Prepared, Status::Final(Path::Sampled), Status::Committed(height)]);
    let outcome = solo.view.outcome(&txid).unwrap();
    assert_eq!(outcome.status, Status::Committed(height));
    assert!(outcome.admitted_at.unwrap() <= outcome.final_at.unwrap());
    solo.queue.close();
    ended(running).unwrap();
    assert!(solo.view.pool.is_empty());
}

fn next(news: &mut broadcast::Receiver<News>) -> News {
    soon("news", news.recv()).unwrap()
}
