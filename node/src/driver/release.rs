//! Carries out the effects of a committed turn: commands for the swarm, answers for callers, news
//! for readers. Nothing here waits.

use super::directory::Directory;
use super::outbox::Outbox;
use super::readers::Readers;
use super::rebroadcast::Rebroadcast;
use super::tags::{PeerTags, Waiting, outbound};
use crate::bounds::CALLS_WAITING_MAX;
use crate::network::{Command, GossipId, Protocol};
use crate::verify::Admission;
use crate::verify::seen::{SeenVotes, VoteName};
use crate::view::{SubmitError, View};
use libp2p::PeerId;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;
use timecoin_protocol::codec::encode;
use timecoin_protocol::engine::{Destination, Effect, Reply, ReplyTag, Request, RequestId, Status, Time};
use timecoin_protocol::hash::Txid;
use timecoin_protocol::transaction::Transaction;
use timecoin_protocol::wire::Topic;
use tokio::sync::mpsc;

/// Local callers that wait for the admission of their transaction.
#[derive(Debug, Default)]
pub struct Callers {
    waiting: BTreeMap<u64, Admission>,
    next: u64,
}

impl Callers {
    /// Gives a caller its name.
    pub fn add(&mut self, admission: Admission) -> ReplyTag {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        self.waiting.insert(number, admission);
        if self.waiting.len() > CALLS_WAITING_MAX {
            // Dropping the sender tells the caller that the node is busy.
            self.waiting.pop_first();
        }
        Waiting::Local(number).tag()
    }

    fn answer(&mut self, number: u64, reply: Reply) {
        if let (Some(admission), Reply::Admission(result)) = (self.waiting.remove(&number), reply) {
            let _ = admission.send(result.map_err(SubmitError::Refused));
        }
    }
}

/// Where effects go.
#[derive(Debug)]
pub struct Release {
    /// To the swarm. When full the command is dropped and counted.
    pub commands: mpsc::Sender<Command>,
    /// Names of peers.
    pub peers: Arc<PeerTags>,
    /// Nodes of validators.
    pub directory: Arc<Directory>,
    /// What readers see.
    pub readers: Readers,
    /// For its counters.
    pub view: Arc<View>,
    /// Votes that were passed on.
    pub votes: Arc<SeenVotes>,
    /// Local callers.
    pub callers: Callers,
    /// Transactions on their way into gossip.
    pub outbox: Outbox,
    /// Local transactions that nobody seems to know.
    pub rebroadcast: Rebroadcast,
}

impl Release {
    /// Carries out the effects of one turn, and gossips what is due. Gives the requests that failed
    /// at once, because nobody is connected who could be asked.
    pub fn perform(&mut self, now: Time, effects: Vec<Effect>) -> Vec<RequestId> {
        let mut rest = Vec::with_capacity(effects.len());
        for effect in effects {
            match effect {
                Effect::PublishTransactions(transactions) => self.publish(now, transactions),
                effect => rest.push(effect),
            }
        }
        // Bodies leave before the votes and queries that name them.
        self.gossip(now);
        rest.into_iter().filter_map(|effect| self.carry_out(now, effect)).collect()
    }

    /// When something is due even if no effect comes.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        [self.outbox.deadline(), self.rebroadcast.deadline()].into_iter().flatten().min()
    }

    fn publish(&mut self, now: Time, transactions: Vec<Arc<Transaction>>) {
        for transaction in &transactions {
            self.rebroadcast.watch(transaction.txid(), now);
        }
        self.outbox.add(transactions);
    }

    fn gossip(&mut self, now: Time) {
        let entry = |txid: &Txid| self.view.pool.get(txid);
        let unnoticed = self.rebroadcast.due(now, |txid| {
            // A quorum has voted for what is prepared: others know it.
            entry(txid).is_some_and(|entry| matches!(entry.status, Status::Pending | Status::Contested(_)))
        });
        let again = unnoticed.iter().filter_map(|txid| Some(Arc::clone(&entry(txid)?.transaction))).collect();
        self.outbox.add(again);
        for message in self.outbox.due(now) {
            self.send(Command::Publish(Topic::Transactions, message));
        }
    }

    fn carry_out(&mut self, now: Time, effect: Effect) -> Option<RequestId> {
        match effect {
            Effect::PublishTransactions(transactions) => self.publish(now, transactions),
            Effect::PublishVote(vote) => {
                let vote = encode(&vote);
                // It comes back from peers, and is not news then; nor is what was passed on already, as evidence may be.
                if self.votes.insert(VoteName::of(&vote), Instant::now()) {
                    self.send(Command::Votes { votes: vec![vote], own: true });
                }
            }
            Effect::PublishProposal(proposal) => self.send(Command::Publish(Topic::Blocks, encode(&*proposal))),
            Effect::Request(id, destination, request) => return self.request(id, destination, &request),
            Effect::Reply(tag, reply) => self.reply(tag, reply),
            Effect::Verdict(tag, verdict) => self.send(Command::Verdict(GossipId(tag.0), verdict)),
            Effect::Penalty(tag, offence) => {
                if let Some(peer) = self.peers.peer(tag) {
                    self.send(Command::Penalize(peer, offence));
                }
            }
            Effect::Event(event) => self.readers.tell(event),
        }
        None
    }

    fn resolve(&self, destination: Destination) -> Option<PeerId> {
        match destination {
            Destination::Validator(key) => self.directory.node_of(&key),
            Destination::Peer(tag) => self.peers.peer(tag),
            Destination::Any => self.directory.any(),
        }
    }

    fn request(&self, id: RequestId, destination: Destination, request: &Request) -> Option<RequestId> {
        let Some(peer) = self.resolve(destination) else { return Some(id) };
        let (protocol, body) = match request {
            Request::Query(query) => (Protocol::Query, encode(&**query)),
            Request::Transactions(request) => (Protocol::Transactions, encode(request)),
            Request::Certificates(request) => (Protocol::Certificates, encode(request)),
            Request::Blocks(request) => (Protocol::Blocks, encode(request)),
            Request::Status(request) => (Protocol::Status, encode(request)),
        };
        let command = Command::Request { id: outbound(id, protocol), peer, protocol, body };
        if self.commands.try_send(command).is_ok() {
            return None;
        }
        self.view.overload.commands.count();
        Some(id)
    }

    fn reply(&mut self, tag: ReplyTag, reply: Reply) {
        let id = match Waiting::of(tag) {
            Waiting::Local(number) => return self.callers.answer(number, reply),
            Waiting::Peer(id) => id,
        };
        // A list encodes as the response whose only field it is (W-1).
        let body = match reply {
            Reply::Query(answer) => encode(&answer),
            Reply::Transactions(transactions) => encode(&transactions),
            Reply::Certificates(batches) => encode(&batches),
            Reply::Status(status) => encode(&status),
            Reply::Admission(_) => return self.send(Command::Refuse(id)),
        };
        self.send(Command::Respond(id, body));
    }

    fn send(&self, command: Command) {
        if self.commands.try_send(command).is_err() {
            self.view.overload.commands.count();
        }
    }
}
