//! The lies themselves.

use super::{BOASTED_BLOCKS, Knowledge, Liar};
use std::sync::Arc;
use timecoin_protocol::block::{BlockPhase, BlockVote, Proposal};
use timecoin_protocol::engine::{Reply, Request};
use timecoin_protocol::finality::{Phase, Seal, VoteBatch};
use timecoin_protocol::hash::{BlockHash, Txid};
use timecoin_protocol::validator::{Epoch, Height, Round};
use timecoin_protocol::wire::{Answer, Opinion, Query, StatusResponse, Vote};

impl Liar<'_> {
    /// What it says when it is asked; nothing if it says what its engine says.
    pub fn answer(&self, query: &Query, knowledge: &Knowledge) -> Option<Answer> {
        let opinion = |txid: &Txid| match knowledge.weaker(txid) {
            Some(weaker) if weaker != *txid => Opinion::Other(weaker),
            _ => Opinion::Preferred,
        };
        self.habits.keeps_splits.then(|| Answer { opinions: query.txids.iter().map(opinion).collect() })
    }

    /// Whether it leaves a request without an answer.
    pub const fn ignores(&self, request: &Request) -> bool {
        self.habits.withholds
            && matches!(request, Request::Transactions(_) | Request::Certificates(_) | Request::Blocks(_))
    }

    /// Whether it keeps an answer back.
    pub const fn keeps_back(&self, reply: &Reply) -> bool {
        self.habits.withholds && matches!(reply, Reply::Transactions(_) | Reply::Certificates(_))
    }

    /// What it answers in the place of what its engine would: its tip is far above all others.
    pub fn boast(&self, reply: Reply) -> Reply {
        match reply {
            Reply::Status(status) if self.habits.boasts => {
                Reply::Status(StatusResponse { tip: Height(status.tip.0 + BOASTED_BLOCKS), ..status })
            }
            reply => reply,
        }
    }

    /// Whether it has never heard of a payment.
    pub fn censors(&self, txid: &Txid) -> bool {
        self.habits.censors && txid.0[0].is_multiple_of(2)
    }

    /// Votes for every side of a double spend, in both phases.
    pub fn votes_for_both(&self, epoch: Epoch, sides: &[Txid; 2]) -> Vec<Vote> {
        if !self.habits.votes_for_both {
            return Vec::new();
        }
        let both = [Phase::Prepare, Phase::Commit].into_iter().flat_map(|phase| sides.map(|side| (phase, side)));
        both.map(|(phase, side)| {
            Vote::Finality(Arc::new(VoteBatch::sign(epoch, phase, vec![side], self.key, self.genesis)))
        })
        .collect()
    }

    /// What one half of the network hears in the place of a vote: another block, or none.
    pub fn contradict(&self, vote: &BlockVote, knowledge: &Knowledge) -> Option<BlockVote> {
        if !self.habits.contradicts {
            return None;
        }
        let other = match vote.block {
            Some(block) => knowledge.twins.get(&block).copied(),
            None => Some(*knowledge.proposed.get(&(vote.height, vote.round))?),
        };
        Some(self.block_vote(vote.epoch, vote.height, vote.round, vote.phase, other))
    }

    /// Likewise of a batch of votes for payments: the other sides of the double spends in it.
    pub fn split_batch(&self, batch: &VoteBatch, knowledge: &Knowledge) -> Option<VoteBatch> {
        let side = |txid: &Txid| knowledge.rivals.get(txid).copied().unwrap_or(*txid);
        let txids: Vec<Txid> = batch.txids.iter().map(side).collect();
        let differs = self.habits.splits_votes && txids != batch.txids;
        differs.then(|| VoteBatch::sign(batch.epoch, batch.phase, txids, self.key, self.genesis))
    }

    /// Likewise a seal: one that lists nothing, so that what is final may be forgotten; or what does not exist.
    pub fn contradict_seal(&self, seal: &Seal) -> Option<Seal> {
        let other = if seal.txids.is_empty() { vec![Txid([9; 32])] } else { Vec::new() };
        self.habits.contradicts.then(|| Seal::sign(seal.epoch, other, self.key, self.genesis))
    }

    fn block_vote(
        &self,
        epoch: Epoch,
        height: Height,
        round: Round,
        phase: BlockPhase,
        block: Option<BlockHash>,
    ) -> BlockVote {
        BlockVote::sign(epoch, height, round, phase, block, self.key, self.genesis)
    }

    /// The same vote for an epoch that is over, one that has not begun, a height and a round far
    /// ahead.
    pub fn stray_votes(&self, vote: &Vote) -> Vec<Vote> {
        if !self.habits.strays {
            return Vec::new();
        }
        let epochs = |epoch: Epoch| [Some(Epoch(epoch.0 + 1)), epoch.0.checked_sub(1).map(Epoch)].into_iter().flatten();
        match vote {
            Vote::Finality(batch) => epochs(batch.epoch)
                .map(|epoch| VoteBatch::sign(epoch, batch.phase, batch.txids.clone(), self.key, self.genesis))
                .map(|batch| Vote::Finality(Arc::new(batch)))
                .collect(),
            Vote::Seal(seal) => epochs(seal.epoch)
                .map(|epoch| Seal::sign(epoch, seal.txids.clone(), self.key, self.genesis))
                .map(Vote::Seal)
                .collect(),
            Vote::Evidence(_) => Vec::new(),
            Vote::Block(vote) => {
                let elsewhere = [(1, 0), (3, 0), (0, 1), (0, 40)];
                let ahead = elsewhere.map(|(heights, rounds)| {
                    let (height, round) = (Height(vote.height.0 + heights), Round(vote.round.0 + rounds));
                    self.block_vote(vote.epoch, height, round, vote.phase, vote.block)
                });
                let other = epochs(vote.epoch)
                    .map(|epoch| self.block_vote(epoch, vote.height, vote.round, vote.phase, vote.block));
                ahead.into_iter().chain(other).map(Vote::Block).collect()
            }
        }
    }

    /// The same proposal for another epoch, height or round.
    pub fn stray_proposals(&self, proposal: &Proposal) -> Vec<Proposal> {
        if !self.habits.strays {
            return Vec::new();
        }
        let elsewhere = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (0, 0, 40)];
        let valid = proposal.valid_round.map(|round| (round, proposal.proof.clone()));
        let stray = |(epochs, heights, rounds)| {
            let mut block = proposal.block.clone();
            block.header.epoch.0 += epochs;
            block.header.height.0 += heights;
            Proposal::sign(Round(proposal.round.0 + rounds), valid.clone(), block, self.key, self.genesis)
        };
        elsewhere.into_iter().map(stray).collect()
    }

    /// What each half of the network gets in the place of a proposal: two blocks, one that breaks a rule, or nothing.
    pub fn proposals(&self, proposal: &Arc<Proposal>, knowledge: &mut Knowledge) -> [Option<Arc<Proposal>>; 2] {
        if self.habits.stalls {
            return [None, None];
        }
        if self.habits.spoils_proposals && proposal.valid_round.is_none() {
            let mut block = proposal.block.clone();
            block.header.utxo_set.0[0] ^= 1; // it does not match what the block does (B-7)
            let spoilt = Some(Arc::new(Proposal::sign(proposal.round, None, block, self.key, self.genesis)));
            return [spoilt.clone(), spoilt];
        }
        let same = Some(Arc::clone(proposal));
        if !self.habits.splits_proposals || proposal.valid_round.is_some() {
            return [same.clone(), same];
        }
        let mut block = proposal.block.clone();
        block.header.time_ms += 1;
        let (first, second) = (proposal.block.header.hash(), block.header.hash());
        knowledge.twins.extend([(first, second), (second, first)]);
        let twin = Proposal::sign(proposal.round, None, block, self.key, self.genesis);
        [same, Some(Arc::new(twin))]
    }
}
