//! Sorts what the swarm reports and what callers want: to the verifiers, to the driver, to the
//! block server, to the directory. Nothing here waits; what finds no room is dropped and counted.

use super::blocks::BlockServer;
use super::directory::Directory;
use super::listeners::Listeners;
use super::tags::{PeerTags, Waiting, request};
use crate::network::{Command, Event, InboundId, OutboundId, Protocol};
use crate::verify::lanes::{Lane, Lanes};
use crate::verify::{Checked, From, Job};
use crate::view::{Call, SubmitError, View};
use libp2p::PeerId;
use std::sync::Arc;
use std::time::Instant;
use timecoin_protocol::bounds::{
    QUERY_TXIDS_MAX, REQUEST_BYTES_MAX, REQUEST_CERTIFICATES_MAX, REQUEST_TRANSACTIONS_MAX,
};
use timecoin_protocol::codec::{DecodeError, decode};
use timecoin_protocol::engine::{Ask, Input, Offence, RequestId, Response, Verdict};
use timecoin_protocol::wire::{Answer, CertificatesRequest, Query, TransactionsRequest};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Largest encoded answer to a query: a conflicting txid for each.
const ANSWER_BYTES_MAX: usize = QUERY_TXIDS_MAX * 33 + 16;

/// Where events go.
#[derive(Debug)]
pub struct Intake {
    /// Counters of what was dropped.
    pub view: Arc<View>,
    /// To the verifiers.
    pub jobs: Arc<Lanes<Job>>,
    /// To the driver: what carries no signatures.
    pub driver: Arc<Lanes<Checked>>,
    /// To the swarm.
    pub commands: mpsc::Sender<Command>,
    /// Numbers of peers.
    pub peers: Arc<PeerTags>,
    /// Connected peers.
    pub directory: Arc<Directory>,
    /// Blocks for peers.
    pub blocks: BlockServer,
    /// Who asked how often what is held of a validator's signatures.
    pub listeners: Listeners,
    /// Told when a peer becomes ready, so that this node announces itself to it.
    pub arrivals: watch::Sender<()>,
}

impl Intake {
    /// Sorts until told to stop, or until the swarm is gone.
    pub async fn run(
        self,
        mut events: mpsc::Receiver<Event>,
        mut calls: mpsc::Receiver<Call>,
        stop: CancellationToken,
    ) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                event = events.recv() => match event {
                    Some(event) => self.event(event),
                    None => return,
                },
                call = calls.recv() => match call {
                    Some(call) => self.call(call),
                    None => return,
                },
            }
        }
    }

    /// Passes on one event.
    pub fn event(&self, event: Event) {
        match event {
            Event::Gossip { id, peer, topic, bytes } => {
                let job = Job::Gossip { id, from: self.peers.of(peer), topic, bytes };
                if self.verify(job).is_err() {
                    self.view.overload.gossip.count();
                    self.command(Command::Verdict(id, Verdict::Ignore));
                }
            }
            Event::Request { id, peer, protocol, body } => self.asked(id, peer, protocol, &body),
            Event::Response { id, peer, body } => self.answered(id, peer, body),
            Event::RequestFailed { id, .. } => self.failed(request(id).0),
            Event::PeerReady(peer) => {
                self.directory.peer_ready(peer);
                self.arrivals.send_replace(());
            }
            Event::PeerGone(peer) => {
                self.directory.peer_gone(&peer);
                self.peers.forget(&peer);
                self.listeners.forget(&peer);
            }
            Event::Listening(address) => {
                let mut listening = Vec::clone(&self.view.listening.load());
                if !listening.contains(&address) {
                    listening.push(address);
                    self.view.listening.store(Arc::new(listening));
                    self.arrivals.send_replace(());
                }
            }
        }
    }

    fn verify(&self, job: Job) -> Result<(), Job> {
        let (lane, bytes) = (job.lane(), job.bytes());
        self.jobs.try_push(lane, job, bytes)
    }

    fn asked(&self, id: InboundId, peer: PeerId, protocol: Protocol, body: &[u8]) {
        let ask = match protocol {
            Protocol::Blocks => match decode(body, REQUEST_BYTES_MAX) {
                Ok(request) => return self.blocks.serve(id, request),
                Err(error) => Err(error),
            },
            Protocol::Query => decode(body, REQUEST_BYTES_MAX).map(Ask::Query),
            Protocol::Transactions => decode(body, REQUEST_BYTES_MAX).map(Ask::Transactions),
            Protocol::Certificates => decode(body, REQUEST_BYTES_MAX).map(Ask::Certificates),
            Protocol::Status => decode(body, REQUEST_BYTES_MAX).map(Ask::Status),
        };
        let Some(ask) = ask.ok().filter(is_within_bounds) else {
            self.command(Command::Penalize(peer, Offence::InvalidAnswer));
            return self.command(Command::Refuse(id));
        };
        let asks_of_voter = matches!(&ask, Ask::Status(request) if request.voter.is_some());
        if asks_of_voter && !self.listeners.allow(peer, Instant::now()) {
            self.view.overload.requests.count();
            return self.command(Command::Refuse(id)); // N-16
        }
        let input = Input::Asked(self.peers.of(peer).tag, Waiting::Peer(id).tag(), ask);
        if self.driver.try_push(Lane::Urgent, Checked::Input(input), body.len()).is_err() {
            self.view.overload.requests.count();
            self.command(Command::Refuse(id));
        }
    }

    fn answered(&self, id: OutboundId, peer: PeerId, body: Vec<u8>) {
        let from = self.peers.of(peer);
        match request(id) {
            // Opinions carry no signatures and cannot wait: straight to the driver.
            (id, Some(Protocol::Query)) => self.opinions(id, from, &body),
            (request, Some(protocol)) => {
                if self.verify(Job::Answer { request, from, protocol, bytes: body }).is_err() {
                    self.view.overload.answers.count();
                    self.failed(request);
                }
            }
            (_, None) => tracing::error!(?id, "an answer to a request that was never made"),
        }
    }

    fn opinions(&self, id: RequestId, from: From, body: &[u8]) {
        let answer: Result<Answer, DecodeError> = decode(body, ANSWER_BYTES_MAX);
        let input = answer.map(|answer| Input::Answered(id, from.tag, Response::Query(answer)));
        let input = input.unwrap_or_else(|_| {
            self.command(Command::Penalize(from.peer, Offence::InvalidAnswer));
            Input::Failed(id)
        });
        if self.driver.try_push(Lane::Urgent, Checked::Input(input), body.len()).is_err() {
            self.view.overload.answers.count();
        }
    }

    /// If even this finds no room, the engine's own timeouts end the request.
    fn failed(&self, id: RequestId) {
        if self.driver.try_push(Lane::Urgent, Checked::Input(Input::Failed(id)), 0).is_err() {
            self.view.overload.answers.count();
        }
    }

    fn call(&self, call: Call) {
        let (transaction, admission, test_only) = match call {
            Call::Submit(transaction, admission) => (transaction, admission, false),
            Call::Test(transaction, admission) => (transaction, admission, true),
            Call::Certificate(txid, reply) => {
                // Dropping the reply tells the caller that there is none to be had now.
                let _ = self.driver.try_push(Lane::Urgent, Checked::Certificate(txid, reply), 0);
                return;
            }
        };
        if let Err(Job::Local { admission, .. }) = self.verify(Job::Local { transaction, test_only, admission }) {
            let _ = admission.send(Err(SubmitError::Busy));
        }
    }

    fn command(&self, command: Command) {
        if self.commands.try_send(command).is_err() {
            self.view.overload.commands.count();
        }
    }
}

/// Whether a request asks for no more than one may.
fn is_within_bounds(ask: &Ask) -> bool {
    match ask {
        Ask::Query(Query { txids, .. }) => txids.len() <= QUERY_TXIDS_MAX,
        Ask::Transactions(TransactionsRequest { txids }) => txids.len() <= REQUEST_TRANSACTIONS_MAX,
        Ask::Certificates(CertificatesRequest { txids }) => txids.len() <= REQUEST_CERTIFICATES_MAX,
        Ask::Status(_) => true,
    }
}
