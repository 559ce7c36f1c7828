//! What is asked of peers, and what they ask (`SPEC.md` N-20…N-23). Gossip may be lost; everything
//! that matters can be asked for again.

use super::admission::From;
use super::api::{Ask, Destination, Effect, Offence, Reply, ReplyTag, Request, Response, Time};
use super::held::Held;
use super::pool::Stage;
use super::{Cx, Engine, Kept, Ledger, PeerTag, RequestId, earlier};
use crate::bounds::{
    QUERY_TXIDS_MAX, REQUEST_CERTIFICATES_MAX, REQUEST_TRANSACTIONS_MAX, RESPONSE_BYTES_MAX, WANTED_MAX,
};
use crate::codec::encoded_len;
use crate::hash::Txid;
use crate::keys::{PublicKey, Verified};
use crate::ledger::Unavailable;
use crate::transaction::Transaction;
use crate::wire::{Answer, CertificatesRequest, Opinion, Query, TransactionsRequest};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// How long gossip may take to bring a body before it is asked for, in milliseconds.
pub(super) const GOSSIP_GRACE_MS: u64 = 50;
/// Pause before a body is asked for again, of another peer, in milliseconds.
const BODY_RETRY_MS: u64 = 500;
/// How often a body is asked for.
const BODY_TRIES_MAX: u32 = 10;
/// How long a vote may wait for its quorum before votes are asked for, in milliseconds.
const WATCH_MS: u64 = 400;
/// The same for who does not vote: longer than finality takes even all over the world, so that nothing is asked for that is only on its way.
const FOLLOW_MS: u64 = 2_000;
/// Room that a response leaves for its own framing, in bytes.
const RESPONSE_MARGIN_BYTES: usize = 1024;

/// Why a request was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A poll.
    Poll,
    /// Bodies that are wanted.
    Bodies(BTreeSet<Txid>),
    /// Votes for transactions that wait for a quorum.
    Certificates,
    /// Blocks that a peer claims to have (N-22).
    CatchUp,
    /// The block that was decided.
    Blocks,
    /// The height and round of a peer.
    Status,
    /// What this validator holds of the own signatures (D-18).
    Listen(PublicKey),
}

#[derive(Clone, Debug)]
struct Want {
    from: From,
    at: Time,
    tries: u32,
}

/// Requests on the way, and what is still to be asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Requests {
    next: u64,
    pending: BTreeMap<RequestId, Purpose>,
    wanted: BTreeMap<Txid, Want>,
    due: BTreeSet<(Time, Txid)>,
    watched: BTreeSet<(Time, Txid)>,
    certificates_asked: bool,
    held: Held,
}

impl Requests {
    pub fn next(&mut self, purpose: Purpose) -> RequestId {
        let id = RequestId(self.next);
        self.next += 1;
        self.pending.insert(id, purpose);
        id
    }

    pub fn forget(&mut self, id: RequestId) {
        self.pending.remove(&id);
    }

    /// Requests without an answer yet.
    pub fn on_the_way(&self) -> usize {
        self.pending.len()
    }

    pub const fn kept(&self) -> Kept {
        self.held.kept()
    }

    pub fn deadline(&self) -> Option<Time> {
        let watched = self.watched.first().filter(|_| !self.certificates_asked);
        let asking = earlier(self.due.first().map(|(at, _)| *at), watched.map(|(at, _)| *at));
        earlier(asking, self.held.deadline())
    }

    pub fn no_longer_wanted(&mut self, txid: &Txid) {
        self.held.arrived(txid);
        if let Some(want) = self.wanted.remove(txid) {
            self.due.remove(&(want.at, *txid));
        }
    }

    /// Asks for a body at once, of anybody.
    pub fn want_now(&mut self, txid: Txid, now: Time) {
        self.want(txid, None, now, 0, usize::MAX);
    }

    /// Votes of the epoch that ended are of no use any more (E-7).
    pub fn end_epoch(&mut self) {
        self.watched.clear();
    }

    /// Looks after a transaction that this node voted for until it is final.
    pub fn watch(&mut self, txid: Txid, now: Time) {
        self.watch_for(txid, now.plus_ms(WATCH_MS));
    }

    fn watch_for(&mut self, txid: Txid, at: Time) {
        self.watched.insert((at, txid));
    }

    fn want(&mut self, txid: Txid, from: From, at: Time, tries: u32, room: usize) {
        let full = self.wanted.len() >= room;
        match self.wanted.get_mut(&txid) {
            Some(want) => {
                want.tries = want.tries.min(tries);
                if want.at <= at {
                    return;
                }
                self.due.remove(&(want.at, txid));
                want.at = at;
                want.from = from.or(want.from);
            }
            None if full => return,
            None => {
                self.wanted.insert(txid, Want { from, at, tries });
            }
        }
        self.due.insert((at, txid));
    }
}

impl<L: Ledger> Engine<L> {
    /// Asks for a body at `at`, of `from` first.
    pub(super) fn want(&mut self, txid: Txid, from: From, at: Time) {
        self.requests.want(txid, from, at, 0, WANTED_MAX);
    }

    /// Asks for a body that only `from` has spoken of, of nobody else and once.
    pub(super) fn want_once(&mut self, txid: Txid, from: From, now: Time) {
        if self.chain.recent_transactions.get(&txid).is_none() && self.voting.winner_over(&txid).is_none() {
            self.requests.want(txid, from, now, BODY_TRIES_MAX - 1, WANTED_MAX);
        }
    }

    /// Asks for a body that a proposal of this height needs, at once; there is always room for
    /// these, whatever strangers made this node want: proposals are few.
    pub(super) fn want_for_proposal(&mut self, txid: Txid, from: From, now: Time) {
        self.requests.want(txid, from, now, 0, usize::MAX);
    }

    /// Sends the requests that are due.
    pub(super) fn run_requests(&mut self, cx: &mut Cx<'_>) {
        self.answer_held(cx);
        self.ask_bodies(cx);
        self.ask_certificates(cx);
        self.run_status(cx);
    }

    fn ask_bodies(&mut self, cx: &mut Cx<'_>) {
        let mut by_peer: BTreeMap<From, Vec<Txid>> = BTreeMap::new();
        while let Some((at, txid)) = self.requests.due.first().copied()
            && at <= cx.now
        {
            self.requests.due.remove(&(at, txid));
            let Some(want) = self.requests.wanted.get_mut(&txid) else { continue };
            if want.tries >= BODY_TRIES_MAX || self.pool.contains(&txid) {
                self.requests.wanted.remove(&txid);
                continue;
            }
            want.tries += 1;
            want.at = cx.now.plus_ms(BODY_RETRY_MS);
            self.requests.due.insert((want.at, txid));
            by_peer.entry(want.from.take()).or_default().push(txid);
        }
        for (from, txids) in by_peer {
            for chunk in txids.chunks(REQUEST_TRANSACTIONS_MAX) {
                let id = self.requests.next(Purpose::Bodies(chunk.iter().copied().collect()));
                let to = from.map_or(Destination::Any, Destination::Peer);
                let request = Request::Transactions(TransactionsRequest { txids: chunk.to_vec() });
                cx.effect(Effect::Request(id, to, request));
            }
        }
    }

    /// A payment that others vote for: whoever does not vote itself would never ask for votes that got lost (F-6).
    pub(super) fn look_after(&mut self, txid: Txid, now: Time) {
        if self.voting_key().is_none() {
            self.requests.watch_for(txid, now.plus_ms(FOLLOW_MS));
        }
    }

    /// Votes that this node needs and that got lost are asked for.
    fn ask_certificates(&mut self, cx: &mut Cx<'_>) {
        if self.requests.certificates_asked {
            return;
        }
        let pause_ms = if self.voting_key().is_some() { WATCH_MS } else { FOLLOW_MS };
        let mut txids = Vec::new();
        while txids.len() < REQUEST_CERTIFICATES_MAX
            && let Some((at, txid)) = self.requests.watched.first().copied()
            && at <= cx.now
        {
            self.requests.watched.remove(&(at, txid));
            if self.pool.get(&txid).is_some_and(|entry| entry.stage < Stage::Final) {
                self.requests.watch_for(txid, cx.now.plus_ms(pause_ms));
                txids.push(txid);
            }
        }
        if !txids.is_empty() {
            self.request_certificates(txids, Destination::Any, cx);
        }
    }

    pub(super) fn request_certificates(&mut self, txids: Vec<Txid>, to: Destination, cx: &mut Cx<'_>) {
        self.requests.certificates_asked = true;
        let id = self.requests.next(Purpose::Certificates);
        cx.effect(Effect::Request(id, to, Request::Certificates(CertificatesRequest { txids })));
    }

    pub(super) fn on_answered(
        &mut self,
        id: RequestId,
        peer: PeerTag,
        response: Response,
        cx: &mut Cx<'_>,
    ) -> Result<(), Unavailable> {
        let Some(purpose) = self.requests.pending.remove(&id) else { return Ok(()) };
        match (purpose, response) {
            (Purpose::Poll, Response::Query(answer)) => self.on_poll_answer(id, peer, Some(answer), cx),
            (Purpose::Bodies(asked), Response::Transactions(bodies)) => self.on_bodies(peer, &asked, bodies, cx),
            (Purpose::Certificates, Response::Certificates(batches)) => {
                self.requests.certificates_asked = false;
                batches
                    .into_iter()
                    .try_for_each(|batch| self.on_vote_batch(Some(peer), Arc::new(batch.into_inner()), cx))
            }
            (Purpose::CatchUp, Response::Blocks(blocks)) => {
                self.on_blocks(peer, blocks, cx)?;
                self.caught_up(id, cx);
                Ok(())
            }
            (Purpose::Blocks, Response::Blocks(blocks)) => self.on_blocks(peer, blocks, cx),
            (Purpose::Status, Response::Status(status)) => self.on_status(peer, status.into_inner(), cx),
            (Purpose::Listen(of), Response::Status(status)) => self.on_heard(&of, peer, status.into_inner(), cx),
            (purpose, _) => {
                cx.effect(Effect::Penalty(peer, Offence::InvalidAnswer));
                self.on_unanswered(id, &purpose, cx)
            }
        }
    }

    pub(super) fn on_failed(&mut self, id: RequestId, cx: &mut Cx<'_>) -> Result<(), Unavailable> {
        match self.requests.pending.remove(&id) {
            Some(purpose) => self.on_unanswered(id, &purpose, cx),
            None => Ok(()),
        }
    }

    fn on_unanswered(&mut self, id: RequestId, purpose: &Purpose, cx: &mut Cx<'_>) -> Result<(), Unavailable> {
        match purpose {
            Purpose::Poll => self.on_poll_answer(id, PeerTag(0), None, cx),
            Purpose::Certificates => {
                self.requests.certificates_asked = false;
                Ok(())
            }
            Purpose::CatchUp => {
                self.caught_up(id, cx);
                Ok(())
            }
            Purpose::Listen(of) => {
                if let Some(listening) = &mut self.history.listening {
                    listening.ask_again(*of, cx.now);
                }
                Ok(())
            }
            // Bodies are asked for again when their time comes; the status, and what was decided, likewise.
            Purpose::Bodies(_) | Purpose::Status | Purpose::Blocks => Ok(()),
        }
    }

    fn on_bodies(
        &mut self,
        peer: PeerTag,
        asked: &BTreeSet<Txid>,
        bodies: Vec<Verified<Transaction>>,
        cx: &mut Cx<'_>,
    ) -> Result<(), Unavailable> {
        for body in bodies {
            let txid = body.txid();
            if !asked.contains(&txid) {
                cx.effect(Effect::Penalty(peer, Offence::InvalidAnswer));
                return Ok(());
            }
            self.requests.no_longer_wanted(&txid);
            // Refused or not: what a proposal needs of it is kept.
            let _ = self.admit(body, true, cx)?;
        }
        Ok(())
    }

    pub(super) fn on_asked(
        &mut self,
        peer: PeerTag,
        tag: ReplyTag,
        ask: Ask,
        cx: &mut Cx<'_>,
    ) -> Result<(), Unavailable> {
        let reply = match ask {
            Ask::Query(query) => {
                let opinions = self.opinions(&query);
                let lacking = self.lacking(&query, &opinions);
                for txid in &lacking {
                    self.want(*txid, Some(peer), cx.now.plus_ms(GOSSIP_GRACE_MS));
                }
                if !lacking.is_empty() && self.requests.held.has_room(&query) {
                    let until = cx.now.plus_ms(self.sampling.hold_ms());
                    self.requests.held.hold(tag, query, lacking, until);
                    return Ok(());
                }
                Reply::Query(Answer { opinions })
            }
            Ask::Transactions(request) => Reply::Transactions(self.bodies_for(&request.txids)),
            Ask::Certificates(request) => {
                let asked = request.txids.get(..REQUEST_CERTIFICATES_MAX).unwrap_or(&request.txids);
                let mut room = RESPONSE_BYTES_MAX - RESPONSE_MARGIN_BYTES;
                let fitting = self.batches_of(asked).into_iter().take_while(|batch| {
                    let fits = room.checked_sub(encoded_len(batch.as_ref()));
                    room = fits.unwrap_or_default();
                    fits.is_some()
                });
                Reply::Certificates(fitting.collect())
            }
            Ask::Status(request) => Reply::Status(self.status_for(&request)),
        };
        cx.effect(Effect::Reply(tag, reply));
        Ok(())
    }

    fn opinions(&self, query: &Query) -> Vec<Opinion> {
        query.txids.iter().take(QUERY_TXIDS_MAX).map(|txid| self.opinion(txid)).collect()
    }

    /// The transactions of a query whose bodies are not here, sorted, each once.
    fn lacking(&self, query: &Query, opinions: &[Opinion]) -> Vec<Txid> {
        let unknown = query.txids.iter().zip(opinions).filter(|(_, opinion)| **opinion == Opinion::Unknown);
        let lacking = unknown.map(|(txid, _)| *txid).filter(|txid| !self.pool.contains(txid));
        lacking.collect::<BTreeSet<Txid>>().into_iter().collect()
    }

    /// Answers the queries for which all bodies have come, or that have waited long enough (S-10).
    fn answer_held(&mut self, cx: &mut Cx<'_>) {
        for (tag, query) in self.requests.held.due(cx.now) {
            let opinions = self.opinions(&query);
            cx.effect(Effect::Reply(tag, Reply::Query(Answer { opinions })));
        }
    }

    fn bodies_for(&self, txids: &[Txid]) -> Vec<Arc<Transaction>> {
        let mut room = RESPONSE_BYTES_MAX - RESPONSE_MARGIN_BYTES;
        let found = txids.iter().take(REQUEST_TRANSACTIONS_MAX).filter_map(|txid| self.body(txid));
        found
            .take_while(|transaction| {
                let fits = room.checked_sub(encoded_len(transaction.as_ref()));
                room = fits.unwrap_or_default();
                fits.is_some()
            })
            .collect()
    }
}
