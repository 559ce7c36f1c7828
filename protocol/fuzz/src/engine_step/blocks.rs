//! Proposals, block votes, and blocks that were decided without this node.

use super::messages::peer;
use super::node::Node;
use crate::network::network;
use crate::script::Script;
use std::sync::Arc;
use timecoin_protocol::block::{
    Block, BlockPhase, BlockVote, Commit, CommitSignature, CommittedBlock, CompactBlock, Proposal,
};
use timecoin_protocol::engine::{Input, PeerTag, Request, Response};
use timecoin_protocol::hash::{BlockHash, Hash};
use timecoin_protocol::keys::{SecretKey, Verified};
use timecoin_protocol::ledger::{BlockParts, build_block};
use timecoin_protocol::transaction::Transaction;
use timecoin_protocol::validator::{Height, Round};
use timecoin_protocol::wire::Vote;

impl Node {
    /// The height in progress.
    fn working_on(&self) -> Height {
        self.engine.chain_state().height.next()
    }

    fn block_vote(
        &self,
        height: Height,
        round: Round,
        phase: BlockPhase,
        block: Option<BlockHash>,
        signer: &SecretKey,
    ) -> BlockVote {
        BlockVote::sign(self.engine.chain_state().epoch, height, round, phase, block, signer, &network().hash)
    }

    fn hear(&mut self, vote: BlockVote, from: PeerTag) {
        self.input(Input::Votes(from, vec![Verified::by_own_hand(Vote::Block(vote))]));
    }

    /// A block that was proposed, or nothing.
    fn some_block(&self, script: &mut Script<'_>) -> Option<BlockHash> {
        let block = script.pick(&self.blocks)?;
        match script.byte() {
            0..160 => Some(block.header.hash()),
            160..240 => None,
            other => Some(BlockHash([other; 32])),
        }
    }

    pub fn block_votes(&mut self, script: &mut Script<'_>) {
        let height = self.near_height(script).next();
        let round = self.near_round(script);
        let phase = if script.byte() & 1 == 0 { BlockPhase::Prevote } else { BlockPhase::Precommit };
        let block = self.some_block(script);
        for signer in self.signers(script) {
            let vote = self.block_vote(height, round, phase, block, signer);
            let from = peer(script);
            self.hear(vote, from);
        }
    }

    /// The way that most blocks go: all others prevote one, and precommit it.
    pub fn everybody_votes_for_a_block(&mut self, script: &mut Script<'_>) {
        let block = self.blocks.last().map(|block| block.header.hash());
        let block = if script.rarely(8) { None } else { block };
        let round = self.near_round(script);
        let phases: &[BlockPhase] = match script.byte() % 4 {
            0 => &[BlockPhase::Prevote],
            1 => &[BlockPhase::Precommit],
            _ => &[BlockPhase::Prevote, BlockPhase::Precommit],
        };
        for phase in phases {
            self.all_vote(round, *phase, block);
        }
    }

    /// All others vote for a block.
    pub fn all_vote(&mut self, round: Round, phase: BlockPhase, block: Option<BlockHash>) {
        for signer in self.others() {
            let vote = self.block_vote(self.working_on(), round, phase, block, signer);
            self.hear(vote, PeerTag(2));
        }
    }

    /// A commit of the tip, for the next block.
    fn parent_commit(&self, script: &mut Script<'_>) -> Option<Commit> {
        let mut commit = self.commit.clone()?;
        if script.rarely(32) {
            commit.signatures.pop();
        }
        Some(commit)
    }

    /// A block on top of this node's chain, with its transactions.
    fn build(&mut self, script: &mut Script<'_>, proposer: &SecretKey) -> Block {
        let transactions: Vec<Arc<Transaction>> = script.some(&self.transactions);
        let shift_ms = [0, 0, 0, 0, 1_900, 2_100, 60_000, 0][script.below(8)];
        let time_ms = self.now.millis().saturating_add(shift_ms).max(self.engine.chain_state().time_ms + 1);
        let commit = self.parent_commit(script);
        let state = self.engine.chain_state().clone();
        let seals: Vec<_> = self.seals.iter().filter(|seal| seal.epoch == state.epoch).cloned().collect();
        let ledger = self.engine.ledger_mut();
        let params = &network().genesis.params;
        let parts = BlockParts { parent_commit: commit, transactions: &transactions, seals: &seals, evidence: &[] };
        build_block(&state, params, &*ledger, time_ms, proposer.public(), parts).expect("memory does not fail").0
    }

    /// Whose turn it is, if it is another one's; else one whose turn it is not.
    fn proposer(&self, round: Round, script: &mut Script<'_>) -> &'static SecretKey {
        let turn = self.engine.validators().proposer(self.working_on(), round).map(|validator| validator.key);
        let others = self.others();
        let rightful = others.iter().copied().find(|key| Some(key.public()) == turn);
        if script.rarely(16) { &network().stranger } else { rightful.unwrap_or(others[0]) }
    }

    pub fn propose(&mut self, script: &mut Script<'_>) {
        let round = self.near_round(script);
        let proposer = self.proposer(round, script);
        self.propose_as(proposer, round, script);
    }

    /// A new block of one of the others.
    pub fn propose_as(&mut self, proposer: &SecretKey, round: Round, script: &mut Script<'_>) {
        let Block { header, parent_commit, coinbase, transactions, closing, .. } = self.build(script, proposer);
        let txids = transactions.iter().map(Transaction::txid).collect();
        let mut block = CompactBlock { header, parent_commit, coinbase, txids, closing };
        if script.rarely(8) {
            spoil(&mut block, script);
        }
        self.learn_block(block.clone());
        self.send(Proposal::sign(round, None, block, proposer, &network().hash), script);
    }

    /// A block that was proposed before, now with a proof that it was prevoted.
    pub fn propose_again(&mut self, script: &mut Script<'_>) {
        let Some(block) = script.pick(&self.blocks) else { return };
        let round = self.near_round(script);
        let proposer = self.proposer(round, script);
        let valid_round = Round(round.0.saturating_sub(u32::from(script.byte() % 3)));
        let hash = block.header.hash();
        let mut signatures: Vec<CommitSignature> = Vec::new();
        for signer in self.signers(script) {
            let vote = self.block_vote(block.header.height, valid_round, BlockPhase::Prevote, Some(hash), signer);
            let validator = self.engine.validators().index_of(&signer.public()).unwrap_or(u16::MAX);
            signatures.push(CommitSignature { validator, signature: vote.signature });
        }
        if !script.rarely(8) {
            signatures.sort_by_key(|entry| entry.validator);
        }
        let valid = (!script.rarely(8)).then_some((valid_round, signatures));
        self.send(Proposal::sign(round, valid, block, proposer, &network().hash), script);
    }

    fn send(&mut self, proposal: Proposal, script: &mut Script<'_>) {
        let from = peer(script);
        self.input(Input::Proposal(from, Box::new(Verified::by_own_hand(proposal))));
    }

    /// The others decide a block, and this node hears of it only when it fetches blocks (N-22).
    pub fn decided_elsewhere(&mut self, script: &mut Script<'_>) {
        let wanted = self.pending.iter().position(|(_, request)| matches!(request, Request::Blocks(_)));
        let Some((id, _)) = wanted.map(|at| self.pending.remove(at)) else { return };
        let round = Round(u32::from(script.byte() % 3));
        let proposer = self.others()[script.below(3)];
        let mut block = self.build(script, proposer);
        if script.rarely(8) {
            block.header.utxo_set = Hash([1; 32]);
        }
        let (height, hash) = (block.header.height, block.header.hash());
        let bits = script.byte();
        let mut signatures: Vec<CommitSignature> = Vec::new();
        for (bit, signer) in (0..).zip(self.others()) {
            if bits & 0x88 == 0 || bits >> bit & 1 == 1 {
                let vote = self.block_vote(height, round, BlockPhase::Precommit, Some(hash), signer);
                let validator = self.engine.validators().index_of(&signer.public()).unwrap_or(u16::MAX);
                signatures.push(CommitSignature { validator, signature: vote.signature });
            }
        }
        let commit = Commit { height, round, block: hash, signatures };
        let blocks = vec![Verified::by_own_hand(CommittedBlock { block, commit })];
        let from = peer(script);
        self.input(Input::Answered(id, from, Response::Blocks(blocks)));
    }
}

/// Changes what is proposed; its hash is another one then, or it is no block.
fn spoil(block: &mut CompactBlock, script: &mut Script<'_>) {
    match script.below(8) {
        0 => block.txids.reverse(),
        1 => block.txids.extend_from_within(..),
        2 => drop(block.txids.pop()),
        3 => block.parent_commit = None,
        4 => block.coinbase.outputs.clear(),
        5 => block.header.utxo_set = Hash([script.byte(); 32]),
        6 => block.header.height = Height(script.number()),
        _ => block.header.transactions_root.0[0] ^= 1,
    }
}
