//! Answers to what the engine asked: right ones, wrong ones, and ones to another question.

use super::messages::peer;
use super::node::Node;
use crate::network::network;
use crate::script::Script;
use timecoin_protocol::block::Proposal;
use timecoin_protocol::engine::{Input, Request, RequestId, Response};
use timecoin_protocol::finality::{Phase, VoteBatch};
use timecoin_protocol::hash::{BlockHash, Txid};
use timecoin_protocol::keys::Verified;
use timecoin_protocol::wire::{Answer, Opinion, StatusResponse};

impl Node {
    pub fn answer(&mut self, script: &mut Script<'_>) {
        let at = script.byte();
        if self.pending.is_empty() {
            let from = peer(script);
            self.input(Input::Answered(
                RequestId(u64::from(at)),
                from,
                Response::Query(Answer { opinions: Vec::new() }),
            ));
            return;
        }
        // The youngest first: most scripts answer at once.
        let at = self.pending.len() - 1 - usize::from(at) % self.pending.len();
        let (id, request) = self.pending.remove(at);
        let response = match request {
            _ if script.rarely(32) => Response::Transactions(Vec::new()),
            Request::Query(query) => self.opinions(&query.txids, script),
            Request::Transactions(wanted) => self.bodies(&wanted.txids, script),
            Request::Certificates(wanted) => self.votes(&wanted.txids, script),
            Request::Blocks(_) => Response::Blocks(Vec::new()),
            Request::Status(_) => self.status(script),
        };
        let from = peer(script);
        self.input(Input::Answered(id, from, response));
    }

    /// A request fails, or one that was never made.
    pub fn fail(&mut self, script: &mut Script<'_>) {
        let at = script.byte();
        let id = match self.pending.is_empty() {
            true => RequestId(u64::from(at)),
            false => self.pending.remove(usize::from(at) % self.pending.len()).0,
        };
        self.input(Input::Failed(id));
    }

    fn opinions(&self, txids: &[Txid], script: &mut Script<'_>) -> Response {
        let same = script.byte();
        let mut opinions: Vec<Opinion> = txids
            .iter()
            .map(|_| match if same < 192 { same } else { script.byte() } % 8 {
                0..5 => Opinion::Preferred,
                5 => Opinion::Unknown,
                6 => Opinion::Other(script.pick(&self.transactions).map_or(Txid([3; 32]), |body| body.txid())),
                _ => Opinion::Invalid,
            })
            .collect();
        if script.rarely(32) {
            opinions.push(Opinion::Preferred);
        }
        Response::Query(Answer { opinions })
    }

    fn bodies(&self, txids: &[Txid], script: &mut Script<'_>) -> Response {
        let mut bodies: Vec<_> =
            txids.iter().filter_map(|txid| self.checks.bodies.get(txid)).map(|body| body.as_ref().clone()).collect();
        if script.rarely(8) {
            bodies.extend(script.pick(&self.transactions).map(|body| body.as_ref().clone()));
        }
        Response::Transactions(bodies.into_iter().map(Verified::by_own_hand).collect())
    }

    fn votes(&self, txids: &[Txid], script: &mut Script<'_>) -> Response {
        let epoch = self.epoch(script);
        let phases: &[Phase] = match script.byte() % 3 {
            0 => &[Phase::Prepare],
            1 => &[Phase::Commit],
            _ => &[Phase::Prepare, Phase::Commit],
        };
        let signers = self.signers(script);
        let batches = phases.iter().flat_map(|phase| {
            signers.iter().map(|signer| VoteBatch::sign(epoch, *phase, txids.to_vec(), signer, &network().hash))
        });
        Response::Certificates(batches.map(Verified::by_own_hand).collect())
    }

    fn status(&self, script: &mut Script<'_>) -> Response {
        let state = self.engine.chain_state();
        let tip = self.near_height(script);
        let mut proposals = Vec::new();
        if script.rarely(4)
            && let Some(block) = script.pick(&self.blocks)
        {
            let signer = self.others()[script.below(3)];
            proposals.push(Proposal::sign(self.near_round(script), None, block, signer, &network().hash));
        }
        let hash = if tip == state.height { state.hash } else { BlockHash([script.byte(); 32]) };
        let status = StatusResponse {
            tip,
            hash,
            epoch: state.epoch,
            proposals,
            votes: Vec::new(),
            seals: self.seals.iter().map(|seal| seal.as_ref().clone()).collect(),
            evidence: Vec::new(),
            batches: Vec::new(),
        };
        Response::Status(Verified::by_own_hand(status))
    }
}
