//! Transactions and finality votes, and what is said twice.

use super::node::Node;
use crate::network::network;
use crate::payments::transaction;
use crate::script::Script;
use std::sync::Arc;
use timecoin_protocol::bitmap::Bitmap;
use timecoin_protocol::engine::{Ask, GossipTag, Input, PeerTag, ReplyTag, Source};
use timecoin_protocol::finality::{Phase, VoteBatch};
use timecoin_protocol::hash::Txid;
use timecoin_protocol::keys::{SecretKey, Verified};
use timecoin_protocol::transaction::Transaction;
use timecoin_protocol::validator::{Epoch, Height, Round};
use timecoin_protocol::wire::{CertificatesRequest, Query, StatusRequest, TransactionsRequest, Vote};

/// Peers by number.
pub fn peer(script: &mut Script<'_>) -> PeerTag {
    PeerTag(u64::from(script.byte() % 4))
}

impl Node {
    pub fn gossip(&mut self, transactions: &[Arc<Transaction>], from: PeerTag) {
        if transactions.is_empty() {
            return;
        }
        let tag = self.tag();
        self.checks.wait_for_verdict(tag);
        let bodies = transactions.iter().map(|body| Verified::by_own_hand(body.as_ref().clone())).collect();
        self.input(Input::Transactions(Source::Gossip(from, GossipTag(tag)), bodies));
    }

    pub fn new_transactions(&mut self, script: &mut Script<'_>) {
        let made: Vec<_> = (0..=script.below(3))
            .map(|_| {
                let transaction = transaction(script, &self.coins);
                self.learn(transaction)
            })
            .collect();
        // Now and then the others keep them to themselves for a while.
        if !script.rarely(4) {
            self.gossip(&made, PeerTag(1));
        }
    }

    pub fn known_transactions(&mut self, script: &mut Script<'_>) {
        let mut some = script.some(&self.transactions);
        if script.rarely(2) {
            some.reverse();
        }
        let from = peer(script);
        self.gossip(&some, from);
    }

    pub fn local_transaction(&mut self, script: &mut Script<'_>) {
        let known = if script.rarely(2) { script.pick(&self.transactions) } else { None };
        let body = known.unwrap_or_else(|| {
            let transaction = transaction(script, &self.coins);
            self.learn(transaction)
        });
        let tag = self.tag();
        self.checks.wait(tag, None);
        let body = Verified::by_own_hand(body.as_ref().clone());
        let test = script.rarely(4);
        self.input(match test {
            true => Input::Test(ReplyTag(tag), body),
            false => Input::Transactions(Source::Local(ReplyTag(tag)), vec![body]),
        });
    }

    /// Some of the last transactions; sometimes one that nobody has.
    pub fn txids(&self, script: &mut Script<'_>) -> Vec<Txid> {
        let mut txids: Vec<_> = script.some(&self.transactions).iter().map(|body| body.txid()).collect();
        if script.rarely(8) {
            txids.push(Txid([script.byte(); 32]));
        }
        txids
    }

    /// This epoch, mostly.
    pub fn epoch(&self, script: &mut Script<'_>) -> Epoch {
        let epoch = self.engine.chain_state().epoch;
        if script.rarely(16) { Epoch(epoch.0.wrapping_add(script.number())) } else { epoch }
    }

    /// Some of the others, sometimes with a stranger.
    pub fn signers(&self, script: &mut Script<'_>) -> Vec<&'static SecretKey> {
        let bits = script.byte();
        let others = self.others().into_iter().chain([&network().stranger]);
        (0..8).zip(others).filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, key)| key).collect()
    }

    pub fn finality_votes(&mut self, script: &mut Script<'_>) {
        let txids = self.txids(script);
        let phase = if script.byte() & 1 == 0 { Phase::Prepare } else { Phase::Commit };
        let epoch = self.epoch(script);
        for signer in self.signers(script) {
            self.vote_for(&txids, phase, epoch, signer, peer(script));
        }
    }

    fn vote_for(&mut self, txids: &[Txid], phase: Phase, epoch: Epoch, signer: &SecretKey, from: PeerTag) {
        if !txids.is_empty() {
            let batch = VoteBatch::sign(epoch, phase, txids.to_vec(), signer, &network().hash);
            self.input(Input::Votes(from, vec![Verified::by_own_hand(Vote::Finality(Arc::new(batch)))]));
        }
    }

    /// The way that most transactions go: all others prepare it, and commit it.
    pub fn everybody_votes_for_one(&mut self, script: &mut Script<'_>) {
        let Some(body) = script.pick(&self.transactions) else { return };
        let (txids, epoch) = ([body.txid()], self.engine.chain_state().epoch);
        let phases: &[Phase] =
            if script.byte() & 1 == 0 { &[Phase::Prepare] } else { &[Phase::Prepare, Phase::Commit] };
        for phase in phases {
            for signer in self.others() {
                self.vote_for(&txids, *phase, epoch, signer, PeerTag(2));
            }
        }
    }

    /// Own votes come back from the network.
    pub fn echo(&mut self, script: &mut Script<'_>) {
        if let Some(vote) = script.pick(&self.said) {
            let from = peer(script);
            self.input(Input::Votes(from, vec![Verified::by_own_hand(vote)]));
        }
    }

    pub fn ask(&mut self, script: &mut Script<'_>) {
        let (tag, from) = (self.tag(), peer(script));
        let kind = script.below(4);
        let txids = if kind == 3 { Vec::new() } else { self.txids(script) };
        let opinions = (kind == 0).then_some(txids.len());
        let ask = match kind {
            0 => Ask::Query(Query { epoch: self.epoch(script), txids }),
            1 => Ask::Transactions(TransactionsRequest { txids }),
            2 => Ask::Certificates(CertificatesRequest { txids }),
            _ => {
                let (tip, round) = (self.near_height(script), self.near_round(script));
                Ask::Status(StatusRequest {
                    tip,
                    round,
                    seals: Bitmap::default(),
                    evidence: Bitmap::default(),
                    voter: None,
                })
            }
        };
        self.checks.wait(tag, opinions);
        self.input(Input::Asked(from, ReplyTag(tag), ask));
    }

    /// The tip, mostly.
    pub fn near_height(&self, script: &mut Script<'_>) -> Height {
        let height = self.engine.chain_state().height;
        match script.byte() {
            0..192 => height,
            192..224 => height.next(),
            224..240 => Height(height.0.saturating_sub(1)),
            _ => Height(script.number()),
        }
    }

    /// The round in progress, mostly.
    pub fn near_round(&self, script: &mut Script<'_>) -> Round {
        let round = self.engine.gauges().round;
        match script.byte() {
            0..160 => Round(round),
            more @ 160..240 => Round(round.saturating_add(u32::from(more % 20))),
            240..248 => Round(round.saturating_sub(1)),
            _ => Round(u32::try_from(script.number()).unwrap_or(u32::MAX)),
        }
    }
}
