//! Catching up (`SPEC.md` N-22, N-23): where peers are, the blocks they have, and the votes of the
//! height in progress that gossip did not bring.

use super::api::{Destination, Effect, Offence, Request, Time};
use super::requests::Purpose;
use super::{Cx, Engine, Ledger, PeerTag, earlier};
use crate::block::CommittedBlock;
use crate::keys::Verified;
use crate::ledger::{Unavailable, apply_block};
use crate::validator::Height;
use crate::wire::{BlocksRequest, StatusRequest, StatusResponse};
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

/// What is known of the heights of others.
#[derive(Clone, Debug, Default)]
pub(super) struct Sync {
    /// Highest height that a peer claims to have.
    best_seen: Height,
    /// Until when a request for blocks is on the way.
    busy_until: Option<Time>,
    next_status: Time,
    /// A peer that seemed to be ahead, and when to ask it if this node still is not.
    hint: Option<(Time, PeerTag)>,
}

impl Sync {
    pub fn deadline(&self) -> Option<Time> {
        earlier(Some(self.next_status), self.hint.map(|(at, _)| at))
    }
}

impl<L: Ledger> Engine<L> {
    /// The highest block that any peer claims to have; the node is level when its own is as high.
    #[must_use]
    pub const fn best_height_seen(&self) -> Height {
        self.sync.best_seen
    }

    /// Asks some peer where it is, now and then.
    pub(super) fn run_status(&mut self, cx: &mut Cx<'_>) {
        if let Some((at, peer)) = self.sync.hint
            && at <= cx.now
        {
            self.sync.hint = None;
            self.behind(self.sync.best_seen, peer, cx);
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
        self.sync.best_seen = self.sync.best_seen.max(height);
        self.sync.hint.get_or_insert((cx.now.plus_ms(HINT_GRACE_MS), peer));
    }

    /// A peer is known to have decided `height`: fetch what is missing, from it.
    pub(super) fn behind(&mut self, height: Height, peer: PeerTag, cx: &mut Cx<'_>) {
        self.sync.best_seen = self.sync.best_seen.max(height);
        if height <= self.chain.state.height || self.sync.busy_until.is_some_and(|until| until > cx.now) {
            return;
        }
        self.sync.busy_until = Some(cx.now.plus_ms(SYNC_TIMEOUT_MS));
        let request = BlocksRequest { from: self.next_height(), count: SYNC_BLOCKS };
        let id = self.requests.next(Purpose::Blocks);
        cx.effect(Effect::Request(id, Destination::Peer(peer), Request::Blocks(request)));
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

    pub(super) fn on_blocks_failed(&mut self, _cx: &mut Cx<'_>) {
        self.sync.busy_until = None;
    }

    /// Blocks decided by others: each is judged by its commit and by the ledger rules (B-3, B-5).
    pub(super) fn on_blocks(
        &mut self,
        peer: PeerTag,
        blocks: Vec<Verified<CommittedBlock>>,
        cx: &mut Cx<'_>,
    ) -> Result<(), Unavailable> {
        self.sync.busy_until = None;
        let before = self.chain.state.height;
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
        if self.chain.state.height > before {
            self.behind(self.sync.best_seen, peer, cx);
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
