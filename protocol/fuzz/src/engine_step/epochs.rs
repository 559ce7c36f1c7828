//! The end of an epoch: seals of the others, and the shortest way to the next height.

use super::messages::peer;
use super::node::Node;
use crate::network::network;
use crate::script::Script;
use std::sync::Arc;
use timecoin_protocol::block::BlockPhase;
use timecoin_protocol::engine::{Input, PeerTag};
use timecoin_protocol::finality::Seal;
use timecoin_protocol::hash::Txid;
use timecoin_protocol::keys::{SecretKey, Verified};
use timecoin_protocol::validator::{Epoch, Round};
use timecoin_protocol::wire::Vote;

/// Longer than the block interval, shorter than the propose timeout after it.
const HEIGHT_MS: u64 = 1_050;

impl Node {
    fn hear_seal(&mut self, txids: &[Txid], epoch: Epoch, signer: &SecretKey, from: PeerTag) {
        let seal = Seal::sign(epoch, txids.to_vec(), signer, &network().hash);
        self.learn_seal(Arc::new(seal.clone()));
        self.input(Input::Votes(from, vec![Verified::by_own_hand(Vote::Seal(seal))]));
    }

    /// The way that most epochs end: all others seal it with the same list, which mostly is empty.
    pub fn everybody_seals(&mut self, script: &mut Script<'_>) {
        let txids: Vec<Txid> = script.some(&self.transactions).iter().map(|body| body.txid()).collect();
        let epoch = self.engine.chain_state().epoch;
        for signer in self.others() {
            self.hear_seal(&txids, epoch, signer, PeerTag(2));
        }
    }

    /// Seals of some, of any epoch, with any list.
    pub fn seals(&mut self, script: &mut Script<'_>) {
        let txids = self.txids(script);
        let epoch = self.epoch(script);
        for signer in self.signers(script) {
            let from = peer(script);
            self.hear_seal(&txids, epoch, signer, from);
        }
    }

    /// The way that most heights go: their time comes, whose turn it is proposes, all others prevote it and precommit it.
    pub fn usual_height(&mut self, script: &mut Script<'_>) {
        let height = self.engine.chain_state().height;
        self.now = self.now.plus_ms(HEIGHT_MS);
        self.input(Input::Wake);
        self.end_turn();
        if self.engine.chain_state().height != height {
            return;
        }
        let round = Round(self.engine.gauges().round);
        let turn = self.engine.validators().proposer(height.next(), round).map(|member| member.key);
        let rightful = self.others().into_iter().find(|key| Some(key.public()) == turn);
        if let Some(proposer) = rightful {
            self.propose_as(proposer, round, script);
            self.end_turn();
        }
        let block = self.blocks.last().map(|block| block.header.hash());
        for phase in [BlockPhase::Prevote, BlockPhase::Precommit] {
            self.all_vote(round, phase, block);
            self.end_turn();
        }
    }
}
