//! Messages: gossip, requests and answers; what liars make of them.

use super::envelope::{Answered, Envelope, Message};
use super::{Happening, World};
use crate::sim::report::Fault;
use std::rc::Rc;
use std::sync::Arc;
use timecoin_node::bounds::REQUESTS_PER_PEER_MAX;
use timecoin_protocol::block::Proposal;
use timecoin_protocol::engine::{
    Ask, Destination, GossipTag, Input, PeerTag, Reply, ReplyTag, Request, RequestId, Response, Source, Time,
};
use timecoin_protocol::finality::VoteBatch;
use timecoin_protocol::keys::Verified;
use timecoin_protocol::transaction::Transaction;
use timecoin_protocol::wire::{Query, Vote};

/// How late a liar sends what it says, in milliseconds, at most.
const DAWDLE_MS_MAX: u64 = 1_500;
/// After this long a request without an answer has failed.
const REQUEST_TIMEOUT_MS: u64 = 2_000;

/// A request without an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct OnTheWay {
    serial: u64,
    to: Option<usize>,
}

/// Somebody waits for an answer.
#[derive(Debug)]
pub(super) struct Question {
    asker: usize,
    request: RequestId,
    serial: u64,
    query: Option<Arc<Query>>,
}

impl World {
    fn peers(&self, of: usize) -> impl Iterator<Item = usize> + use<> {
        (0..self.nodes.len()).filter(move |peer| *peer != of)
    }

    fn gossip(&mut self, from: usize, message: Message) {
        let envelope = Envelope::new(message, 0);
        for to in self.peers(from) {
            self.send(from, to, &envelope);
        }
    }

    fn send(&mut self, from: usize, to: usize, message: &Rc<Envelope>) {
        self.send_at(self.now, from, to, message);
    }

    fn send_at(&mut self, leaves: Time, from: usize, to: usize, message: &Rc<Envelope>) {
        let report = &mut self.checks.report;
        (report.messages, report.bytes) = (report.messages + 1, report.bytes + message.bytes);
        for at in self.network.arrivals(leaves, (from, to), &mut self.chance, report) {
            self.at(at, Happening::Deliver { from, to, message: Rc::clone(message) });
        }
    }

    pub(super) fn publish_transactions(&mut self, node: usize, transactions: Vec<Arc<Transaction>>) {
        self.gossip(node, Message::Transactions(transactions));
    }

    pub(super) fn publish_vote(&mut self, node: usize, vote: Vote) -> Result<(), String> {
        if self.habits.contains_key(&node) {
            self.publish_lying_vote(node, vote);
            return Ok(());
        }
        match &vote {
            Vote::Finality(batch) => self.checks.vote_batch(node, batch)?,
            Vote::Block(vote) => self.checks.block_vote(node, vote)?,
            Vote::Seal(seal) => self.checks.seal(node, seal)?,
            Vote::Evidence(evidence) => self.checks.evidence(node, evidence)?,
        }
        self.gossip(node, Message::Vote(vote));
        Ok(())
    }

    fn publish_lying_vote(&mut self, node: usize, vote: Vote) {
        let Some(liar) = self.liar(node) else { return };
        let other = match &vote {
            Vote::Block(vote) => liar.contradict(vote, &self.knowledge).map(Vote::Block),
            Vote::Seal(seal) => liar.contradict_seal(seal).map(Vote::Seal),
            Vote::Finality(batch) => {
                liar.split_batch(batch, &self.knowledge).map(|batch| Vote::Finality(Arc::new(batch)))
            }
            Vote::Evidence(_) => None,
        };
        let strays = liar.stray_votes(&vote);
        if other.is_some() || !strays.is_empty() {
            self.checks.contradicts(node);
        }
        let lies = u64::from(other.is_some()) + u64::try_from(strays.len()).unwrap_or_default();
        self.checks.report.faults(Fault::Lie, lies);
        let other = other.map(|other| Envelope::new(Message::Vote(other), 0));
        let vote = Envelope::new(Message::Vote(vote), 0);
        let leaves = self.dawdle(node);
        for to in self.peers(node) {
            let told = other.as_ref().filter(|_| to % 2 == 1).unwrap_or(&vote);
            self.send_at(leaves, node, to, told);
        }
        for stray in strays {
            self.gossip(node, Message::Vote(stray));
        }
    }

    /// When what a liar says leaves.
    fn dawdle(&mut self, node: usize) -> Time {
        if !self.habits.get(&node).is_some_and(|habits| habits.dawdles) {
            return self.now;
        }
        self.checks.report.fault(Fault::Lie);
        self.now.plus_ms(self.chance.below(DAWDLE_MS_MAX))
    }

    pub(super) fn publish_proposal(&mut self, node: usize, proposal: &Arc<Proposal>) -> Result<(), String> {
        self.knowledge.note_proposal(proposal);
        let Some(habits) = self.habits.get(&node).copied() else {
            self.checks.proposal(node, proposal)?;
            self.gossip(node, Message::Proposal(Arc::clone(proposal)));
            return Ok(());
        };
        let mut knowledge = std::mem::take(&mut self.knowledge);
        let halves = self.liar(node).map(|liar| liar.proposals(proposal, &mut knowledge)).unwrap_or_default();
        self.knowledge = knowledge;
        let strays = self.liar(node).map(|liar| liar.stray_proposals(proposal)).unwrap_or_default();
        let lies = habits.stalls || habits.splits_proposals || habits.spoils_proposals;
        self.checks.report.faults(Fault::Lie, u64::from(lies) + u64::try_from(strays.len()).unwrap_or_default());
        if halves[0] != halves[1] {
            self.checks.contradicts(node);
        }
        for (half, told) in halves.into_iter().enumerate() {
            let Some(told) = told.map(|told| Envelope::new(Message::Proposal(told), 0)) else { continue };
            let leaves = self.dawdle(node);
            for to in self.peers(node).filter(|to| to % 2 == half) {
                self.send_at(leaves, node, to, &told);
            }
        }
        for stray in strays {
            self.gossip(node, Message::Proposal(Arc::new(stray)));
        }
        Ok(())
    }

    pub(super) fn request(&mut self, node: usize, id: RequestId, to: Destination, request: Request) {
        let peer = match to {
            Destination::Validator(key) => {
                self.nodes.iter().position(|other| other.key().is_some_and(|own| own.public() == key))
            }
            Destination::Peer(peer) => usize::try_from(peer.0).ok(),
            Destination::Any => {
                let other = self.chance.index(self.nodes.len() - 1);
                Some(if other >= node { other + 1 } else { other })
            }
        };
        let process = (node, RequestId(0))..=(node, RequestId(u64::MAX));
        let on_the_way = self.open.range(process).filter(|(_, other)| other.to == peer).count();
        if on_the_way >= REQUESTS_PER_PEER_MAX {
            self.receive(node, Input::Failed(id)); // N-14
            return;
        }
        let serial = self.next_tag();
        self.open.insert((node, id), OnTheWay { serial, to: peer });
        self.after_ms(REQUEST_TIMEOUT_MS, Happening::Unanswered { node, request: id, serial });
        if let Some(peer) = peer.filter(|peer| *peer != node && *peer < self.nodes.len()) {
            self.send(node, peer, &Envelope::new(Message::Asked(id, request), serial));
        }
    }

    pub(super) fn unanswered(&mut self, node: usize, request: RequestId, serial: u64) {
        if self.open.get(&(node, request)).is_some_and(|open| open.serial == serial) {
            self.open.remove(&(node, request));
            self.receive(node, Input::Failed(request));
        }
    }

    pub(super) fn reply(&mut self, node: usize, tag: ReplyTag, reply: Reply) {
        let Some(Question { asker, request, serial, query }) = self.asked.remove(&(node, tag)) else { return };
        if self.liar(node).is_some_and(|liar| liar.keeps_back(&reply)) {
            self.checks.report.fault(Fault::Lie);
            return;
        }
        let reply = match self.liar(node) {
            Some(liar) => liar.boast(reply),
            None => reply,
        };
        if let (Some(query), Reply::Query(answer), true) = (query, &reply, self.is_honest(node)) {
            self.knowledge.overhear(node, &query, answer);
        }
        self.send(node, asker, &Envelope::new(Message::Answered(request, Answered::Reply(reply)), serial));
    }

    pub(super) fn deliver(&mut self, from: usize, to: usize, envelope: &Envelope) -> Result<(), String> {
        if !self.nodes[to].is_up() {
            return Ok(());
        }
        let line = || format!("n{from} -> n{to}  {}", envelope.message.line());
        self.trace.note(self.now, (from, to, envelope.fingerprint), line);
        let peer = PeerTag(u64::try_from(from).unwrap_or_default());
        let input = match &envelope.message {
            Message::Transactions(transactions) => {
                let Some(heard) = self.hear(to, transactions) else { return Ok(()) };
                Input::Transactions(Source::Gossip(peer, GossipTag(self.next_tag())), heard)
            }
            Message::Vote(vote) => {
                self.checks.vote_heard((from, to), vote);
                Input::Votes(peer, vec![Verified::by_own_hand(vote.clone())])
            }
            Message::Proposal(proposal) => {
                self.checks.proposal_heard((from, to), proposal);
                Input::Proposal(peer, Box::new(Verified::by_own_hand(proposal.as_ref().clone())))
            }
            Message::Asked(id, request) => return self.asked(from, to, (*id, envelope.serial), request),
            Message::Answered(id, answered) => {
                if self.open.get(&(to, *id)).is_none_or(|open| open.serial != envelope.serial) {
                    return Ok(());
                }
                self.open.remove(&(to, *id));
                match response(answered) {
                    Some(response) => Input::Answered(*id, peer, response),
                    None => Input::Failed(*id),
                }
            }
        };
        self.receive(to, input);
        Ok(())
    }

    /// What a node hears of gossiped payments. A liar votes for both sides of double spends, and
    /// may not hear at all.
    fn hear(&mut self, node: usize, transactions: &[Arc<Transaction>]) -> Option<Vec<Verified<Transaction>>> {
        self.knowledge.hear(transactions.iter().map(Arc::as_ref));
        let mut heard: Vec<&Arc<Transaction>> = transactions.iter().collect();
        if let Some(liar) = self.liar(node) {
            heard.retain(|transaction| !liar.censors(&transaction.txid()));
            let epoch = self.nodes[node].engine().map(|engine| engine.chain_state().epoch).unwrap_or_default();
            let sides = transactions.iter().filter_map(|transaction| self.knowledge.sides(&transaction.txid()));
            let lies: Vec<Vote> = sides.flat_map(|sides| liar.votes_for_both(epoch, &sides)).collect();
            let contradicts = !lies.is_empty();
            let count = lies.len() + transactions.len() - heard.len();
            self.checks.report.faults(Fault::Lie, u64::try_from(count).unwrap_or_default());
            if contradicts {
                self.checks.contradicts(node);
            }
            lies.into_iter().for_each(|lie| self.gossip(node, Message::Vote(lie)));
        }
        let heard: Vec<_> = heard.into_iter().map(|body| Verified::by_own_hand(body.as_ref().clone())).collect();
        (!heard.is_empty()).then_some(heard)
    }

    fn asked(
        &mut self,
        from: usize,
        to: usize,
        (id, serial): (RequestId, u64),
        request: &Request,
    ) -> Result<(), String> {
        if let Some(liar) = self.liar(to) {
            if liar.ignores(request) {
                self.checks.report.fault(Fault::Lie);
                return Ok(());
            }
            if let Request::Query(query) = request
                && let Some(answer) = liar.answer(query, &self.knowledge)
            {
                self.checks.report.fault(Fault::Lie);
                let answered = Message::Answered(id, Answered::Reply(Reply::Query(answer)));
                self.send(to, from, &Envelope::new(answered, serial));
                return Ok(());
            }
        }
        let (ask, query) = match request {
            Request::Query(query) => (Ask::Query(query.as_ref().clone()), Some(Arc::clone(query))),
            Request::Transactions(request) => (Ask::Transactions(request.clone()), None),
            Request::Certificates(request) => (Ask::Certificates(request.clone()), None),
            Request::Status(request) => (Ask::Status(request.clone()), None),
            Request::Blocks(request) => {
                let blocks = self.nodes[to].blocks(*request);
                let blocks = blocks.map_err(|error| format!("node {to} cannot read its blocks: {error}"))?;
                self.send(to, from, &Envelope::new(Message::Answered(id, Answered::Blocks(blocks)), serial));
                return Ok(());
            }
        };
        let tag = ReplyTag(self.next_tag());
        self.asked.insert((to, tag), Question { asker: from, request: id, serial, query });
        let peer = PeerTag(u64::try_from(from).unwrap_or_default());
        self.receive(to, Input::Asked(peer, tag, ask));
        Ok(())
    }
}

fn response(answered: &Answered) -> Option<Response> {
    let body = |body: &Arc<Transaction>| Verified::by_own_hand(body.as_ref().clone());
    let batch = |batch: &Arc<VoteBatch>| Verified::by_own_hand(batch.as_ref().clone());
    Some(match answered {
        Answered::Blocks(blocks) => Response::Blocks(blocks.iter().cloned().map(Verified::by_own_hand).collect()),
        Answered::Reply(Reply::Query(answer)) => Response::Query(answer.clone()),
        Answered::Reply(Reply::Transactions(bodies)) => Response::Transactions(bodies.iter().map(body).collect()),
        Answered::Reply(Reply::Certificates(batches)) => Response::Certificates(batches.iter().map(batch).collect()),
        Answered::Reply(Reply::Status(status)) => Response::Status(Verified::by_own_hand(status.clone())),
        Answered::Reply(Reply::Admission(_)) => return None,
    })
}
