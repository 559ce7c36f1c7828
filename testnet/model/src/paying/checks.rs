//! Whether a validator did wrong, told from what it says and what is on its disk.

use super::face::Misdeed;
use super::local::Local;
use super::message::{About, Message};
use super::setting::{QUORUM, SETTING};
use crate::print::Printer;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use timecoin_protocol::block::{BlockPhase, BlockVote, Closing, Evidence, Proposal};
use timecoin_protocol::codec::encode;
use timecoin_protocol::engine::Record;
use timecoin_protocol::finality::{Phase, Seal, VoteBatch};
use timecoin_protocol::hash::Txid;
use timecoin_protocol::wire::Vote;

/// Certificates that were checked, by their fingerprints.
static PROVEN: Mutex<BTreeSet<u128>> = Mutex::new(BTreeSet::new());

impl Local {
    pub(super) fn check_batch(&mut self, batch: &VoteBatch) {
        let epoch = batch.epoch.0;
        let mut voted = self.face.voted(epoch, batch.phase);
        voted.extend(batch.txids.iter().copied());
        if voted.len() > 1 {
            self.face.misdeeds.insert(Misdeed::VotedForBoth);
        }
        if self.face.crashes > 0
            && !self.face.said.contains(&Message::vote(self.own, &Vote::Finality(Arc::new(batch.clone())), &self.kinds))
        {
            self.face.news.voted_again = Some(epoch);
        }
        if batch.phase == Phase::Commit && batch.txids.iter().any(|txid| self.prepared_by(epoch, txid) < QUORUM) {
            self.face.misdeeds.insert(Misdeed::CommittedUncertified);
        }
        if self.face.said.iter().any(|message| message.about == About::Seal(epoch)) {
            self.face.misdeeds.insert(Misdeed::VotedAfterSeal);
        }
        let is_locked = |txid: &Txid| {
            self.disk.records.iter().any(|record| {
                matches!(record, Record::Locked { epoch, locks }
                    if *epoch == batch.epoch && locks.iter().any(|(_, locked)| locked == txid))
            })
        };
        let is_durable =
            self.disk.records.iter().any(|record| matches!(record, Record::Votes(own) if own.as_ref() == batch));
        if !is_durable || (batch.phase == Phase::Prepare && !batch.txids.iter().all(is_locked)) {
            self.face.misdeeds.insert(Misdeed::NotDurable);
        }
    }

    /// How many validators' Prepare votes for a payment are on the disk: each counts once, whatever the engine counted.
    fn prepared_by(&self, epoch: u64, txid: &Txid) -> usize {
        let voter = |record: &Record| match record {
            Record::Votes(batch) if (batch.epoch.0, batch.phase) == (epoch, Phase::Prepare) => {
                batch.txids.contains(txid).then_some(batch.voter)
            }
            _ => None,
        };
        self.disk.records.iter().filter_map(voter).collect::<BTreeSet<_>>().len()
    }

    pub(super) fn check_closing(&mut self, closing: &Closing) {
        let members: BTreeSet<_> = closing.seals.iter().map(|seal| seal.validator).collect();
        if closing.closes() && members.len() < QUORUM {
            self.face.misdeeds.insert(Misdeed::ClosedWithoutQuorum);
        }
    }

    pub(super) fn check_evidence(&mut self, evidence: &Evidence) {
        if evidence.verify(&SETTING.genesis.hash()).is_err() {
            self.face.misdeeds.insert(Misdeed::WrongEvidence);
        }
        self.face.accused.insert(evidence.offender());
    }

    pub(super) fn check_seal(&mut self, seal: &Seal) {
        let message = Message::vote(self.own, &Vote::Seal(seal.clone()), &self.kinds);
        let other = |said: &&Message| said.about == message.about && **said != message;
        let mut listed = self.face.voted(seal.epoch.0, Phase::Commit);
        listed
            .retain(|txid| SETTING.payment_of(txid).is_none_or(|payment| !self.face.news.committed.contains(&payment)));
        if self.face.said.iter().any(|said| other(&said)) || listed.iter().any(|txid| !seal.txids.contains(txid)) {
            self.face.misdeeds.insert(Misdeed::WrongSeal);
        }
        if !self.disk.records.iter().any(|record| matches!(record, Record::Sealed(own) if own.as_ref() == seal)) {
            self.face.misdeeds.insert(Misdeed::NotDurable);
        }
    }

    pub(super) fn check_block_vote(&mut self, vote: &BlockVote) {
        let of = (vote.height.0, vote.round.0, vote.phase);
        let twice = self.disk.records.iter().any(|record| match record {
            Record::BlockVote(own, _) => (own.height.0, own.round.0, own.phase) == of && own.block != vote.block,
            _ => false,
        });
        if twice {
            self.face.misdeeds.insert(Misdeed::BlockVotedTwice);
        }
        let Some(proposal) = vote.block.and_then(|hash| self.proposals.get(&hash)).cloned() else { return };
        self.check_closing(&proposal.block.closing);
        let is_new = vote.phase == BlockPhase::Prevote && proposal.valid_round.is_none() && vote.round.0 > 0;
        let lacks = |txid: &Txid| self.engine.certificate(txid).is_none();
        if is_new && proposal.block.txids.iter().any(lacks) && vote.height > self.engine.chain_state().height {
            self.face.misdeeds.insert(Misdeed::PrevotedUncertified);
        }
    }

    pub(super) fn check_proposal(&mut self, proposal: &Proposal) {
        let of = |proposal: &Proposal| (proposal.block.header.height, proposal.round, proposal.proposer);
        let twice = self.disk.records.iter().any(|record| match record {
            Record::Proposal(own) => of(own) == of(proposal) && own.as_ref() != proposal,
            _ => false,
        });
        if twice {
            self.face.misdeeds.insert(Misdeed::ProposedTwice);
        }
    }

    /// Every certificate that it would show proves what it says (F-5).
    pub(super) fn check_certificates(&mut self) {
        let genesis = SETTING.genesis.hash();
        let mut certificates = SETTING.payments.iter().filter_map(|payment| self.engine.certificate(&payment.txid()));
        let wrong = |certificate: timecoin_protocol::finality::Certificate| {
            // The same ones come again and again; checking signatures is slow.
            let name = Printer::default().add(encode(&certificate)).show(self.engine.validators()).take();
            let known = PROVEN.lock().unwrap_or_else(PoisonError::into_inner).contains(&name);
            let is_wrong = certificate.epoch != self.engine.chain_state().epoch
                || (!known && certificate.verify(self.engine.validators(), &genesis).is_err());
            if !is_wrong {
                PROVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
            }
            is_wrong
        };
        if certificates.any(wrong) {
            self.face.misdeeds.insert(Misdeed::WrongCertificate);
        }
    }
}
