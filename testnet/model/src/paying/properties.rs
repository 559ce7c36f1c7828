//! What must hold of payments and epochs, and what must be possible.

use super::Paying;
use super::face::{Face, Misdeed};
use super::setting::{QUORUM, SETTING};
use crate::compose::{Promise, always, sometimes};
use std::collections::{BTreeMap, BTreeSet};
use timecoin_protocol::finality::Phase;

/// All promises and paths.
pub(super) const PROMISES: &[Promise<Paying>] = &[
    always("two payments that exclude each other are never both final (F-4, E-8)", one_final),
    always("nor have both a prepare certificate in an epoch (F-1)", one_prepared),
    always("nobody votes for both in an epoch (F-1, F-7)", |_, f: &[&Face]| nobody(f, Misdeed::VotedForBoth)),
    always("votes, locks and seals are durable before they are heard (D-1)", |_, f: &[&Face]| {
        nobody(f, Misdeed::NotDurable)
    }),
    always("a Commit vote rests on a quorum of Prepare votes (F-4)", commits_rest_on_prepares),
    always("who votes Commit has Prepare votes of a quorum on its disk (F-3, F-4, D-12)", |_, f: &[&Face]| {
        nobody(f, Misdeed::CommittedUncertified)
    }),
    always("what is final rests on a quorum of Commit votes (F-3, F-4)", finals_rest_on_commits),
    always("a certificate proves what it says (F-5, E-2)", |_, f: &[&Face]| nobody(f, Misdeed::WrongCertificate)),
    always("nobody votes Prepare or Commit after its seal (E-4)", |_, f: &[&Face]| nobody(f, Misdeed::VotedAfterSeal)),
    always("a seal lists what was voted Commit for (E-4)", |_, f: &[&Face]| nobody(f, Misdeed::WrongSeal)),
    always("nobody votes for or takes a closing block without seals of a quorum (E-5)", |_, f: &[&Face]| {
        nobody(f, Misdeed::ClosedWithoutQuorum)
    }),
    always("what is final is in a block when its epoch ends (E-8)", |_, f: &[&Face]| nobody(f, Misdeed::FinalityLost)),
    always("above round 0 nothing without a certificate is prevoted (B-11)", |_, f: &[&Face]| {
        nobody(f, Misdeed::PrevotedUncertified)
    }),
    always("nobody votes twice in a round (R-9)", |_, f: &[&Face]| nobody(f, Misdeed::BlockVotedTwice)),
    always("nobody proposes twice in a round (R-9)", |_, f: &[&Face]| nobody(f, Misdeed::ProposedTwice)),
    always("nobody accuses an honest validator (X-1, X-2)", only_the_faulty_accused),
    always("nobody's storage fails", |_, f: &[&Face]| nobody(f, Misdeed::Failed)),
    always("all have the same blocks (R-18)", one_chain),
    sometimes("the first payment is final", |_, f: &[&Face]| is_final(f, 0)),
    sometimes("the second payment is final", |_, f: &[&Face]| is_final(f, 1)),
    sometimes("a payment has a prepare certificate", |_, f: &[&Face]| {
        f.iter().any(|face| !face.news.prepared.is_empty())
    }),
    sometimes("votes are split: neither can be final", split),
    sometimes("one that restarted votes", |_, f: &[&Face]| f.iter().any(|face| face.news.voted_again.is_some())),
    sometimes("one that restarted sees the epoch end", |_, f: &[&Face]| {
        f.iter().any(|face| face.crashes > 0 && face.epoch > 0)
    }),
    sometimes("one commits what it did not prepare", commits_unprepared),
    sometimes("a payment is in a block", |_, f: &[&Face]| f.iter().any(|face| !face.news.committed.is_empty())),
    sometimes("an epoch ends", |_, f: &[&Face]| f.iter().any(|face| face.epoch > 0)),
    sometimes("a seal lists a payment, and its block closes the epoch", sealed_and_closed),
    sometimes("a block decides a payment that has no certificate (B-11)", falls_back),
    sometimes("votes were split, and the other payment is final in the next epoch (E-9)", thawed),
];

fn nobody(faces: &[&Face], did: Misdeed) -> bool {
    faces.iter().all(|face| !face.did(did))
}

fn finals(faces: &[&Face]) -> BTreeSet<usize> {
    let sampled = faces.iter().flat_map(|face| face.news.finals.iter().map(|(payment, _)| *payment));
    sampled.chain(faces.iter().flat_map(|face| face.news.committed.iter().copied())).collect()
}

/// Evidence is true, and against the faulty validator alone.
fn only_the_faulty_accused(paying: &Paying, faces: &[&Face]) -> bool {
    let faulty = SETTING.keys[paying.byzantine()].public();
    nobody(faces, Misdeed::WrongEvidence) && faces.iter().all(|face| face.accused.iter().all(|key| *key == faulty))
}

fn one_final(_: &Paying, faces: &[&Face]) -> bool {
    finals(faces).len() <= 1
}

fn one_prepared(_: &Paying, faces: &[&Face]) -> bool {
    let mut by_epoch: BTreeMap<u64, BTreeSet<usize>> = BTreeMap::new();
    for (epoch, payment) in faces.iter().flat_map(|face| &face.news.prepared) {
        by_epoch.entry(*epoch).or_default().insert(*payment);
    }
    by_epoch.values().all(|payments| payments.len() <= 1)
}

/// Whether the honest votes of a phase, with the faulty validator's, can be a quorum, in some epoch.
fn can_be_quorum(faces: &[&Face], epoch: u64, phase: Phase, payment: usize) -> bool {
    let txid = SETTING.payments[payment].txid();
    let honest = faces.iter().filter(|face| face.voted(epoch, phase).contains(&txid)).count();
    honest + 1 >= QUORUM
}

fn commits_rest_on_prepares(_: &Paying, faces: &[&Face]) -> bool {
    faces.iter().all(|face| {
        (0..=face.epoch).all(|epoch| {
            let commits = face.voted(epoch, Phase::Commit);
            let mut payments = commits.iter().filter_map(|txid| SETTING.payment_of(txid));
            payments.all(|payment| can_be_quorum(faces, epoch, Phase::Prepare, payment))
        })
    })
}

fn finals_rest_on_commits(_: &Paying, faces: &[&Face]) -> bool {
    faces.iter().all(|face| {
        let mut sampled = face.news.finals.iter().filter(|(_, sampled)| *sampled);
        sampled.all(|(payment, _)| (0..=face.epoch).any(|epoch| can_be_quorum(faces, epoch, Phase::Commit, *payment)))
    })
}

fn one_chain(_: &Paying, faces: &[&Face]) -> bool {
    let mut chain = BTreeMap::new();
    let mut blocks = faces.iter().flat_map(|face| &face.news.blocks);
    blocks.all(|(height, hash)| *chain.entry(*height).or_insert(*hash) == *hash)
}

fn is_final(faces: &[&Face], payment: usize) -> bool {
    faces.iter().any(|face| face.news.finals.contains(&(payment, true)))
}

fn split(_: &Paying, faces: &[&Face]) -> bool {
    let votes: Vec<_> = faces.iter().map(|face| face.voted(0, Phase::Prepare)).collect();
    votes.iter().all(|voted| !voted.is_empty()) && votes.iter().any(|voted| Some(voted) != votes.first())
}

fn commits_unprepared(_: &Paying, faces: &[&Face]) -> bool {
    faces.iter().any(|face| {
        let prepared = face.voted(0, Phase::Prepare);
        face.voted(0, Phase::Commit).iter().any(|txid| !prepared.contains(txid))
    })
}

fn sealed_and_closed(_: &Paying, faces: &[&Face]) -> bool {
    let listed = |face: &&&Face| face.sealed(0) && !face.voted(0, Phase::Commit).is_empty();
    faces.iter().filter(listed).any(|face| face.epoch > 0 && !face.news.committed.is_empty())
}

fn falls_back(_: &Paying, faces: &[&Face]) -> bool {
    let prepared =
        |payment: usize| faces.iter().any(|face| face.news.prepared.iter().any(|(_, known)| *known == payment));
    faces.iter().any(|face| face.news.committed.iter().any(|payment| !prepared(*payment)))
}

/// Final, for a validator that had voted for the other one in the first epoch.
fn thawed(_: &Paying, faces: &[&Face]) -> bool {
    faces.iter().any(|face| {
        let before = face.voted(0, Phase::Prepare);
        let after = face.voted(1, Phase::Commit);
        let is_final = |payment: &usize| face.news.finals.contains(&(*payment, true));
        let other = after.iter().filter(|txid| !before.contains(txid)).filter_map(|txid| SETTING.payment_of(txid));
        !before.is_empty() && other.filter(is_final).count() > 0
    })
}
