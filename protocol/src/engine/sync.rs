//! Catching up (`SPEC.md` N-22, N-23): where peers are, the blocks they have, and the votes of the
//! height in progress that gossip did not bring.

use super::api::{Destination, Effect, Offence, Request, Time};
use super::requests::Purpose;
use super::{Cx, Engine, Kept, Ledger, PeerTag, RequestId, earlier};
use crate::block::CommittedBlock;
use crate::bounds::RESTING_PEERS_MAX;
use crate::keys::Verified;
use crate::ledger::{Unavailable, apply_block};
use crate::validator::Height;
use crate::wire::{BlocksRequest, StatusRequest, StatusResponse};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Time between two questions for a peer's status, in milliseconds.
const STATUS_INTERVAL_MS: u64 = 500;
/// Blocks asked for at a time.
const SYNC_BLOCKS: u32 = 64;
/// How long this node may take to decide a height itself that others have, in milliseconds.
const HINT_GRACE_MS: u64 = 250;
/// How long one request for blocks may keep others from being made, in milliseconds.
const SYNC_TIMEOUT_MS: u64 = 10_000;
/// How many times as long as a request that brought nothing took, others are asked before whoever was asked (N-22).
const SYNC_REST: u64 = 8;
/// How long others have to claim blocks until one that rests is asked all the same, in milliseconds: after a cut, all may rest.
const LAST_RESORT_MS: u64 = 2_000;

/// A request for blocks that is on the way.
#[derive(Clone, Copy, Debug)]
struct Asked {
    id: RequestId,
    peer: PeerTag,
    /// The first block that it asks for.
    from: Height,
    /// The height that the peer claims.
    claimed: Height,
    at: Time,
}

/// What is known of the heights of others.
#[derive(Clone, Debug, Default)]
pub(super) struct Sync {
    asked: Option<Asked>,
    /// Peers that gave no block when they were asked, and until when others are asked first.
    resting: BTreeMap<PeerTag, Time>,
    /// One of these that claims blocks, and when it is asked if nobody else was.
    last_resort: Option<(Time, PeerTag, Height)>,
    next_status: Time,
    /// A peer that seemed to be ahead, and when to ask it if this node still is not.
    hint: Option<(Time, PeerTag, Height)>,
}

impl Sync {
    pub fn deadline(&self) -> Option<Time> {
        let waiting = earlier(self.hint.map(|(at, ..)| at), self.last_resort.map(|(at, ..)| at));
        earlier(Some(self.next_status), waiting)
    }

    pub fn kept(&self) -> Kept {
        Kept::new("peers that gave no block when they were asked", self.resting.len(), RESTING_PEERS_MAX)
    }

    /// Whether a request is on the way; one that has taken too long is over.
    fn is_asking(&mut self, now: Time) -> bool {
        let late = self.asked.take_if(|asked| asked.at.plus_ms(SYNC_TIMEOUT_MS) <= now);
        if let Some(late) = late {
            self.rest(late, now);
        }
        self.asked.is_some()
    }

    fn rests(&self, peer: PeerTag, now: Time) -> bool {
        self.resting.get(&peer).is_some_and(|until| *until > now)
    }

    /// A request is over, or has taken too long. Whoever brought nothing rests, so that claims without blocks leave
    /// most of the time to others.
    fn rest(&mut self, asked: Asked, now: Time) {
        let took = now.micros_since(asked.at);
        self.resting.retain(|_, until| *until > now);
        self.resting.insert(asked.peer, Time(now.0.saturating_add(took.saturating_mul(SYNC_REST))));
        if self.resting.len() > RESTING_PEERS_MAX
            && let Some(first) = self.resting.iter().min_by_key(|(_, until)| **until).map(|(peer, _)| *peer)
        {
            self.resting.remove(&first);
        }
    }
}

impl<L: Ledger> Engine<L> {
    /// Asks some peer where it is, now and then.
    pub(super) fn run_status(&mut self, cx: &mut Cx<'_>) {
        if let Some((at, peer, height)) = self.sync.hint
            && at <= cx.now
        {
            self.sync.hint = None;
            self.behind(height, peer, cx);
        }
        if let Some((_, peer, height)) = self.sync.last_resort.take_if(|(at, ..)| *at <= cx.now)
            && height > self.chain.state.height
            && !self.sync.is_asking(cx.now)
        {
            self.ask_for_blocks(height, peer, cx);
        }
        if cx.now < self.sync.next_status {
            return;
        }
        self.sync.next_status = cx.now.plus_ms(STATUS_INTERVAL_MS);
        let request = self.status_request();
        let id = self.requests.next(Purpose::Status);
        cx.effect(Effect::Request(id, Destination::Any, Request::Status(request)));
    }

    /// A vote shows that `height` is decided; usually this node is about to decide it as well.
    pub(super) fn sync_hint(&mut self, height: Height, peer: PeerTag, cx: &mut Cx<'_>) {
        self.sync.hint.get_or_insert((cx.now.plus_ms(HINT_GRACE_MS), peer, height));
    }

    /// A peer claims to have decided `height`: fetch what is missing, from it.
    pub(super) fn behind(&mut self, height: Height, peer: PeerTag, cx: &mut Cx<'_>) {
        if height <= self.chain.state.height || self.sync.is_asking(cx.now) {
            return;
        }
        if self.sync.rests(peer, cx.now) {
            self.sync.last_resort.get_or_insert((cx.now.plus_ms(LAST_RESORT_MS), peer, height));
            return;
        }
        self.ask_for_blocks(height, peer, cx);
    }

    fn ask_for_blocks(&mut self, height: Height, peer: PeerTag, cx: &mut Cx<'_>) {
        self.sync.last_resort = None;
        let from = self.next_height();
        let id = self.requests.next(Purpose::CatchUp);
        self.sync.asked = Some(Asked { id, peer, from, claimed: height, at: cx.now });
        let request = BlocksRequest { from, count: SYNC_BLOCKS };
        cx.effect(Effect::Request(id, Destination::Peer(peer), Request::Blocks(request)));
    }

    /// A request for blocks to catch up was answered, or failed.
    pub(super) fn caught_up(&mut self, id: RequestId, cx: &mut Cx<'_>) {
        let Some(asked) = self.sync.asked.take_if(|asked| asked.id == id) else { return };
        if self.next_height() == asked.from {
            self.sync.rest(asked, cx.now); // not a block of those that it claimed
        } else {
            self.behind(asked.claimed, asked.peer, cx);
        }
    }

    pub(super) fn on_status(
        &mut self,
        peer: PeerTag,
        status: StatusResponse,
        cx: &mut Cx<'_>,
    ) -> Result<(), Unavailable> {
        self.behind(status.tip, peer, cx);
        if status.tip != self.chain.state.height {
            return Ok(());
        }
        for seal in status.seals {
            self.on_seal(Some(peer), seal, cx);
        }
        for evidence in status.evidence {
            self.on_evidence(Some(peer), &Arc::new(evidence), cx);
        }
        for proposal in status.proposals {
            self.on_proposal(Some(peer), proposal, cx)?;
        }
        for vote in status.votes {
            self.on_block_vote(Some(peer), vote, cx)?;
        }
        Ok(())
    }

    pub(super) fn status_for(&self, request: &StatusRequest) -> StatusResponse {
        if let Some(voter) = &request.voter {
            return self.status_about(voter); // D-18
        }
        let same = request.tip == self.chain.state.height;
        let (proposals, votes) = if same { self.rounds.held(request.round) } else { (Vec::new(), Vec::new()) };
        StatusResponse {
            tip: self.chain.state.height,
            hash: self.chain.state.hash,
            epoch: self.chain.state.epoch,
            proposals,
            votes,
            seals: if same { self.seals_for(&request.seals) } else { Vec::new() },
            evidence: if same { self.evidence_for_peer(&request.evidence) } else { Vec::new() },
            batches: Vec::new(),
        }
    }

    /// Blocks decided by others: each is judged by its commit and by the ledger rules (B-3, B-5).
    pub(super) fn on_blocks(
        &mut self,
        peer: PeerTag,
        blocks: Vec<Verified<CommittedBlock>>,
        cx: &mut Cx<'_>,
    ) -> Result<(), Unavailable> {
        for block in blocks {
            let block = block.into_inner();
            if block.block.header.height <= self.chain.state.height {
                continue;
            }
            if !self.take_block(Arc::new(block), cx)? {
                cx.effect(Effect::Penalty(peer, Offence::InvalidBlock));
                return Ok(());
            }
        }
        Ok(())
    }

    /// Applies a decided block that came as a whole; says whether it was what it claimed to be.
    pub(super) fn take_block(&mut self, block: Arc<CommittedBlock>, cx: &mut Cx<'_>) -> Result<bool, Unavailable> {
        let (header, commit) = (&block.block.header, &block.commit);
        let genuine = header.height == self.next_height()
            && commit.height == header.height
            && commit.block == header.hash()
            && commit.verify(self.chain.state.epoch, self.validators(), &self.identity.genesis).is_ok();
        if !genuine {
            return Ok(false);
        }
        self.recognize_commit(&block, cx);
        let judged = apply_block(&self.chain.state, &self.identity.params, &self.chain.ledger, &block.block)?;
        let Ok(delta) = judged else { return Ok(false) };
        self.commit_block(block, Arc::new(delta), cx)?;
        Ok(true)
    }
}
