//! What is evidence against a validator, and what is not. Rules.

use crate::samples::{GENESIS, compact_block, double_spend, evidence, key, payment, vote_batch};
use proptest::prelude::*;
use timecoin_protocol::block::evidence::{PaymentSide, TwoBlockVotes, TwoPayments, TwoProposals, TwoSeals};
use timecoin_protocol::block::{
    BlockPhase, BlockVote, CommitSignature, Evidence, EvidenceError, EvidenceKind, Proposal,
};
use timecoin_protocol::codec::{decode, encode};
use timecoin_protocol::finality::{Phase, Seal, VoteBatch};
use timecoin_protocol::hash::{BlockHash, GenesisHash, Hash};
use timecoin_protocol::keys::Signature;
use timecoin_protocol::transaction::OutPoint;
use timecoin_protocol::validator::{Epoch, Height, Round};

const BLOCK: Option<BlockHash> = Some(BlockHash([1; 32]));

fn vote(epoch: u64, height: u64, round: u32, phase: BlockPhase, block: Option<BlockHash>, who: u8) -> BlockVote {
    BlockVote::sign(Epoch(epoch), Height(height), Round(round), phase, block, &key(who), &GENESIS)
}

fn payments() -> TwoPayments {
    match evidence().remove(3) {
        Evidence::Payments(payments) => payments,
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_messages_that_contradict_each_other_are_evidence_x_1() {
    use EvidenceKind::{DoubleCommit, DoublePrecommit, DoublePrepare, DoublePrevote, DoubleProposal, DoubleSeal};
    let expected = [DoublePrevote, DoublePrecommit, DoubleProposal, DoublePrepare, DoubleCommit, DoubleSeal];
    for (piece, kind) in evidence().into_iter().zip(expected) {
        assert_eq!(piece.verify(&GENESIS), Ok(()), "{kind}");
        assert_eq!((piece.kind(), piece.offender(), piece.epoch()), (kind, key(13).public(), Epoch(1)));
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
    }
}

/// The same pair is found in either order, and has one encoding.
#[test]
fn a_pair_has_one_encoding_x_1() {
    let (one, other) = (vote(1, 2, 0, BlockPhase::Prevote, BLOCK, 1), vote(1, 2, 0, BlockPhase::Prevote, None, 1));
    assert_eq!(TwoBlockVotes::of(&one, &other), TwoBlockVotes::of(&other, &one));
    let (one, other) = (Seal::sign(Epoch(1), vec![], &key(1), &GENESIS), crate::samples::seal(&key(1)));
    assert_eq!(TwoSeals::of(&one, &other), TwoSeals::of(&other, &one));
    for mut piece in evidence() {
        match &mut piece {
            Evidence::BlockVotes(votes) => votes.sides.swap(0, 1),
            Evidence::Proposals(proposals) => proposals.sides.swap(0, 1),
            Evidence::Payments(payments) => payments.sides.swap(0, 1),
            Evidence::Seals(seals) => seals.sides.swap(0, 1),
        }
        assert_eq!(piece.verify(&GENESIS), Err(EvidenceError::Order));
    }
}

#[test]
fn the_same_message_again_is_no_evidence_x_2() {
    let once = vote(1, 2, 0, BlockPhase::Prevote, BLOCK, 1);
    assert_eq!(TwoBlockVotes::of(&once, &once), None);
    let seal = crate::samples::seal(&key(1));
    assert_eq!(TwoSeals::of(&seal, &seal), None);
    let batch = vote_batch(Phase::Prepare, &key(1));
    assert_eq!(TwoPayments::of((&batch, &payment().body), (&batch, &payment().body)), None);
    let mut twice = payments();
    twice.sides[1] = twice.sides[0].clone();
    assert_eq!(Evidence::Payments(twice).check(), Err(EvidenceError::Order));
}

/// A proof is put together by whoever proposes again, and not signed: another one is no contradiction.
#[test]
fn a_proposal_with_another_proof_is_the_same_proposal_x_2() {
    let proof = |signature| vec![CommitSignature { validator: 0, signature: Signature([signature; 64]) }];
    let propose = |proof| Proposal::sign(Round(3), Some((Round(1), proof)), compact_block(), &key(12), &GENESIS);
    assert_eq!(TwoProposals::of(&propose(proof(1)), &propose(proof(2))), None);
}

#[test]
fn votes_about_different_things_are_no_evidence_x_2() {
    let first = vote(1, 2, 3, BlockPhase::Prevote, BLOCK, 1);
    let others = [
        vote(2, 2, 3, BlockPhase::Prevote, None, 1),
        vote(1, 3, 3, BlockPhase::Prevote, None, 1),
        vote(1, 2, 4, BlockPhase::Prevote, None, 1),
        vote(1, 2, 3, BlockPhase::Precommit, None, 1),
        vote(1, 2, 3, BlockPhase::Prevote, None, 2),
    ];
    assert!(others.iter().all(|other| TwoBlockVotes::of(&first, other).is_none()));
    let prepare = vote_batch(Phase::Prepare, &key(1));
    let sign = |epoch, phase, who| VoteBatch::sign(epoch, phase, vec![double_spend().txid()], &key(who), &GENESIS);
    let others = [
        sign(Epoch(2), Phase::Prepare, 1), // locks end with the epoch (E-9)
        sign(Epoch(1), Phase::Commit, 1),  // whoever prepared the loser commits the winner (F-4)
        sign(Epoch(1), Phase::Prepare, 2),
    ];
    for other in others {
        assert_eq!(TwoPayments::of((&prepare, &payment().body), (&other, &double_spend().body)), None);
    }
    let seals = [crate::samples::seal(&key(1)), Seal::sign(Epoch(2), vec![], &key(1), &GENESIS)];
    assert_eq!(TwoSeals::of(&seals[0], &seals[1]), None);
}

#[test]
fn payments_without_a_common_input_are_no_evidence_x_1() {
    let mut apart = double_spend();
    apart.body.inputs = vec![OutPoint { txid: payment().txid(), index: 0 }];
    let other = VoteBatch::sign(Epoch(1), Phase::Prepare, vec![apart.txid()], &key(13), &GENESIS);
    let first = vote_batch(Phase::Prepare, &key(13));
    assert_eq!(TwoPayments::of((&first, &payment().body), (&other, &apart.body)), None);
    let side = |batch: &VoteBatch, body: &timecoin_protocol::transaction::TransactionBody| PaymentSide {
        body: body.clone(),
        path: batch.cut_out(&body.txid()).unwrap().path,
        signature: batch.signature,
    };
    let mut sides = [side(&first, &payment().body), side(&other, &apart.body)];
    sides.sort_by_key(|side| side.body.txid());
    let forged = TwoPayments { sides, ..payments() };
    assert_eq!(Evidence::Payments(forged).verify(&GENESIS), Err(EvidenceError::NoCommonInput));
}

#[test]
fn both_votes_may_be_of_one_batch_x_1() {
    let txids = vec![payment().txid(), double_spend().txid()];
    let batch = VoteBatch::sign(Epoch(1), Phase::Prepare, txids, &key(13), &GENESIS);
    let found = TwoPayments::of((&batch, &payment().body), (&batch, &double_spend().body)).unwrap();
    assert_eq!(Evidence::Payments(found).verify(&GENESIS), Ok(()));
}

#[test]
fn a_path_that_no_batch_has_is_refused_x_1() {
    let mut spare = payments();
    spare.sides[0].path.siblings.push(Hash([0; 32]));
    assert_eq!(Evidence::Payments(spare).check(), Err(EvidenceError::Path(0)));
    let txids = (0..4_097_u32).map(|n| if n == 0 { payment().txid() } else { double_spend().txid() }).collect();
    let long = VoteBatch::sign(Epoch(1), Phase::Prepare, txids, &key(13), &GENESIS);
    assert_eq!(TwoPayments::of((&long, &payment().body), (&long, &double_spend().body)), None, "F-2");
}

#[test]
fn a_payment_larger_than_any_is_refused_x_1() {
    let mut payments = payments();
    payments.sides[1].body.memo = vec![0; 20_000];
    assert_eq!(Evidence::Payments(payments).check(), Err(EvidenceError::TooLong(1)));
}

#[test]
fn what_was_not_signed_accuses_nobody_x_1() {
    for piece in evidence() {
        assert!(piece.verify(&GenesisHash([1; 32])).is_err(), "in another network");
        for side in 0..2 {
            let mut forged = piece.clone();
            let signature = match &mut forged {
                Evidence::BlockVotes(votes) => &mut votes.sides[side].signature,
                Evidence::Proposals(proposals) => &mut proposals.sides[side].signature,
                Evidence::Payments(payments) => &mut payments.sides[side].signature,
                Evidence::Seals(seals) => &mut seals.sides[side].1,
            };
            signature.0[0] ^= 1;
            assert_eq!(forged.verify(&GENESIS), Err(EvidenceError::Signature(side)));
        }
        let mut framed = piece;
        match &mut framed {
            Evidence::BlockVotes(votes) => votes.voter = key(1).public(),
            Evidence::Proposals(proposals) => proposals.proposer = key(1).public(),
            Evidence::Payments(payments) => payments.voter = key(1).public(),
            Evidence::Seals(seals) => seals.voter = key(1).public(),
        }
        assert_eq!(framed.verify(&GENESIS), Err(EvidenceError::Signature(0)));
    }
}

proptest! {
    /// Whatever byte is changed, what still decodes is not valid evidence against anybody: but for the position in the
    /// tree, which a path does not prove (H-3).
    #[test]
    fn no_changed_byte_makes_other_evidence_x_1(which in 0_usize..6, at: prop::sample::Index, flip in 1_u8..=255) {
        let piece = evidence().remove(which);
        let mut bytes = encode(&piece);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(changed) = decode::<Evidence>(&bytes, bytes.len()) {
            let is_valid = changed.verify(&GENESIS).is_ok();
            prop_assert!(!is_valid || (changed.offender() == piece.offender() && changed.kind() == piece.kind()));
        }
    }
}
