//! What each signature covers and how messages are laid out, written out by hand from the text of
//! the rules: an error in a derived encoding would show here.

use crate::samples::{GENESIS, key, payment, vote_batch};
use std::sync::Arc;
use timecoin_protocol::bitmap::Bitmap;
use timecoin_protocol::block::{CommittedBlock, Evidence};
use timecoin_protocol::codec::encode;
use timecoin_protocol::finality::{Phase, VoteBatch};
use timecoin_protocol::hash::{Domain, Txid, hash_bytes, merkle_root};
use timecoin_protocol::keys::{SignatureCheck, Signed, verify};
use timecoin_protocol::validator::{Epoch, Height, Round};
use timecoin_protocol::wire::{
    Answer, BlocksRequest, CertificatesRequest, Opinion, Query, StatusRequest, TransactionBatch, TransactionsRequest,
    Vote,
};

/// The only signature of a message.
fn signature(signed: &impl Signed) -> SignatureCheck {
    let mut checks = Vec::new();
    signed.signature_checks(&GENESIS, &mut checks);
    let [check] = checks[..] else { panic!("{} signatures", checks.len()) };
    assert!(verify(&check));
    check
}

/// H-2: the genesis hash, then the payload.
fn digest(domain: Domain, payload: &[&[u8]]) -> [u8; 32] {
    hash_bytes(domain, &[&GENESIS.0[..], &payload.concat()].concat())
}

#[test]
fn owners_sign_the_txid_h_2() {
    let payment = payment();
    let mut checks = Vec::new();
    payment.signature_checks(&GENESIS, &mut checks);
    assert_eq!(checks.len(), 2);
    for check in checks {
        assert_eq!(check.digest, digest(Domain::Spend, &[&payment.txid().0]));
    }
}

#[test]
fn a_finality_vote_signs_epoch_phase_and_root_f_2() {
    for (phase, tag) in [(Phase::Prepare, 0), (Phase::Commit, 1)] {
        let batch = vote_batch(phase, &key(11));
        let root = merkle_root(&batch.txids);
        let check = signature(&batch);
        assert_eq!(check.digest, digest(Domain::FinalityVote, &[&[1, tag], &root.0]));
        assert_eq!(check.key, key(11).public());
    }
}

#[test]
fn a_batch_has_one_to_4096_votes_f_2() {
    let sized = |count| VoteBatch::sign(Epoch(1), Phase::Prepare, vec![Txid([1; 32]); count], &key(11), &GENESIS);
    assert!(!sized(0).has_valid_size());
    assert!(sized(1).has_valid_size());
    assert!(sized(4_096).has_valid_size());
    assert!(!sized(4_097).has_valid_size());
}

#[test]
fn a_block_vote_signs_epoch_height_round_phase_and_block_b_3() {
    assert_eq!(signature(&crate::samples::nil_prevote()).digest, digest(Domain::BlockVote, &[&[1, 5, 2, 0, 0]]));
    assert_eq!(
        signature(&crate::samples::precommit()).digest,
        digest(Domain::BlockVote, &[&[1, 5, 2, 1, 1], &[0xb5; 32]])
    );
}

#[test]
fn a_proposal_signs_epoch_height_rounds_and_block_b_2() {
    let hash = crate::samples::block().header.hash().0;
    let first = signature(&crate::samples::proposal(0, None));
    assert_eq!(first.digest, digest(Domain::Proposal, &[&[1, 5, 0, 0], &hash]));
    let again = signature(&crate::samples::proposal(3, Some(Round(1))));
    assert_eq!(again.digest, digest(Domain::Proposal, &[&[1, 5, 3, 1, 1], &hash]));
}

#[test]
fn an_announcement_signs_peer_addresses_and_time_n_4() {
    let addresses = [2, 8, 4, 127, 0, 0, 1, 6, 0x1f, 0x90, 0];
    let time = [&[0xfd][..], &1_767_225_600_000_u64.to_le_bytes()].concat();
    let payload: [&[u8]; 3] = [&[4, 0x00, 0x24, 8, 1], &addresses, &time];
    assert_eq!(signature(&crate::samples::announcement()).digest, digest(Domain::Announcement, &payload));
}

#[test]
fn queries_and_answers_are_laid_out_as_in_s_1() {
    let query = Query { epoch: Epoch(300), txids: vec![Txid([1; 32]), Txid([2; 32])] };
    assert_eq!(encode(&query), [&[251, 0x2c, 1, 2][..], &[1; 32], &[2; 32]].concat());
    let opinions = vec![Opinion::Unknown, Opinion::Preferred, Opinion::Other(Txid([3; 32])), Opinion::Invalid];
    assert_eq!(encode(&Answer { opinions }), [&[4, 0, 1, 2][..], &[3; 32], &[3]].concat());
}

#[test]
fn requests_are_laid_out_as_in_n_5_and_n_6() {
    let txids = vec![Txid([1; 32])];
    let list = [&[1][..], &[1; 32]].concat();
    assert_eq!(encode(&TransactionsRequest { txids: txids.clone() }), list);
    assert_eq!(encode(&CertificatesRequest { txids }), list);
    assert_eq!(encode(&BlocksRequest { from: Height(70_000), count: 128 }), [252, 0x70, 0x11, 1, 0, 128]);
    assert_eq!(
        encode(&StatusRequest {
            tip: Height(4),
            round: Round(255),
            seals: Bitmap::default(),
            evidence: Bitmap::default(),
            voter: None,
        }),
        [4, 251, 255, 0, 0, 0, 0]
    );
}

#[test]
fn gossip_is_laid_out_as_in_n_2_and_n_3() {
    let batch = vote_batch(Phase::Commit, &key(11));
    assert_eq!(encode(&Vote::Finality(Arc::new(batch.clone()))), [vec![0], encode(&batch)].concat());
    assert_eq!(
        encode(&Vote::Block(crate::samples::precommit())),
        [vec![1], encode(&crate::samples::precommit())].concat()
    );
    let seal = crate::samples::seal(&key(11));
    assert_eq!(encode(&Vote::Seal(seal.clone())), [vec![2], encode(&seal)].concat());
    let evidence = crate::samples::evidence()[0].clone();
    assert_eq!(encode(&Vote::Evidence(Arc::new(evidence.clone()))), [vec![3], encode(&evidence)].concat());
    let transactions = vec![payment(), payment()];
    let expected = [vec![2], encode(&payment()), encode(&payment())].concat();
    assert_eq!(encode(&TransactionBatch { transactions }), expected);
}

/// The signatures of all lists are asked for, so none of them can be left unchecked.
#[test]
fn a_status_response_stands_for_all_its_signatures_n_7() {
    let response = timecoin_protocol::wire::StatusResponse {
        tip: Height(4),
        hash: crate::samples::block().header.parent,
        epoch: Epoch(1),
        proposals: vec![crate::samples::proposal(0, None), crate::samples::proposal(3, Some(Round(1)))],
        votes: vec![crate::samples::nil_prevote(), crate::samples::precommit()],
        seals: vec![crate::samples::seal(&key(11))],
        evidence: vec![crate::samples::evidence()[5].clone()],
        batches: vec![crate::samples::vote_batch(Phase::Commit, &key(11)).into()],
    };
    let mut checks = Vec::new();
    response.signature_checks(&GENESIS, &mut checks);
    let mut expected = vec![
        signature(&response.proposals[0]),
        signature(&response.proposals[1]),
        signature(&response.votes[0]),
        signature(&response.votes[1]),
        signature(&response.seals[0]),
    ];
    response.evidence[0].signature_checks(&GENESIS, &mut expected);
    expected.push(signature(response.batches[0].as_ref()));
    assert_eq!(expected.len(), 8);
    assert_eq!(checks, expected);
}

/// Whoever fetches a block checks the evidence in it.
#[test]
fn a_block_stands_for_the_signatures_of_its_evidence_x_6() {
    let block = crate::samples::closing_block();
    let (evidence, transactions) = (block.closing.evidence[0].clone(), block.transactions.clone());
    let commit = crate::samples::commit(block.header.hash());
    let mut checks = Vec::new();
    CommittedBlock { block, commit }.signature_checks(&GENESIS, &mut checks);
    let mut expected = Vec::new();
    transactions.iter().for_each(|transaction| transaction.signature_checks(&GENESIS, &mut expected));
    evidence.signature_checks(&GENESIS, &mut expected);
    assert_eq!(checks, expected);
}

#[test]
fn evidence_is_laid_out_as_in_x_1() {
    let all = crate::samples::evidence();
    let voter = key(13).public().0.to_vec();
    let Evidence::BlockVotes(votes) = &all[0] else { panic!("two prevotes") };
    let [left, right] = votes.sides.map(|side| side.signature.0.to_vec());
    let head = [vec![0], voter.clone(), vec![1, 5, 2, 0]].concat();
    let sides = [vec![0], left, vec![1], vec![0xb5; 32], right].concat();
    assert_eq!(encode(&all[0]), [head, sides].concat());

    let Evidence::Proposals(proposals) = &all[2] else { panic!("two proposals") };
    let [left, right] = proposals.sides.map(|side| side.signature.0.to_vec());
    let block = crate::samples::block().header.hash().0.to_vec();
    let head = [vec![1], voter.clone(), vec![1, 5, 3]].concat();
    let sides = [vec![0], block.clone(), left, vec![1, 1], block, right].concat();
    assert_eq!(encode(&all[2]), [head, sides].concat());

    let Evidence::Payments(payments) = &all[4] else { panic!("two payments") };
    let side = |at: usize| {
        let side = &payments.sides[at];
        [encode(&side.body), encode(&side.path), side.signature.0.to_vec()].concat()
    };
    assert_eq!(encode(&all[4]), [vec![2], voter.clone(), vec![1, 1], side(0), side(1)].concat());

    let Evidence::Seals(seals) = &all[5] else { panic!("two seals") };
    let [left, right] = seals.sides.map(|(list, signature)| [list.0.to_vec(), signature.0.to_vec()].concat());
    assert_eq!(encode(&all[5]), [vec![3], voter, vec![1], left, right].concat());
}
