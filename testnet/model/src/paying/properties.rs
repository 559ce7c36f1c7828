//! What must hold of payments and epochs, and what must be possible.

use super::Paying;
use super::local::{About, Local, Misdeed};
use super::setting::{QUORUM, SETTING};
use crate::product::{Product, State};
use stateright::Property;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use timecoin_protocol::finality::Phase;

type Network = Product<Paying>;

pub(super) fn all() -> Vec<Property<Network>> {
    vec![
        Property::always("two payments that exclude each other are never both final (F-4, E-8)", one_final),
        Property::always("nor have both a prepare certificate in an epoch (F-1)", one_prepared),
        Property::always("nobody votes for both in an epoch (F-1, F-7)", |n, s| nobody(n, s, Misdeed::VotedForBoth)),
        Property::always("votes, locks and seals are durable before they are heard (D-1)", |n, s| {
            nobody(n, s, Misdeed::NotDurable)
        }),
        Property::always("a Commit vote rests on a quorum of Prepare votes (F-4)", commits_rest_on_prepares),
        Property::always("who votes Commit has Prepare votes of a quorum on its disk (F-3, F-4, D-12)", |n, s| {
            nobody(n, s, Misdeed::CommittedUncertified)
        }),
        Property::always("what is final rests on a quorum of Commit votes (F-3, F-4)", finals_rest_on_commits),
        Property::always("a certificate proves what it says (F-5, E-2)", |n, s| {
            nobody(n, s, Misdeed::WrongCertificate)
        }),
        Property::always("nobody votes Prepare or Commit after its seal (E-4)", |n, s| {
            nobody(n, s, Misdeed::VotedAfterSeal)
        }),
        Property::always("a seal lists what was voted Commit for (E-4)", |n, s| nobody(n, s, Misdeed::WrongSeal)),
        Property::always("nobody votes for or takes a closing block without seals of a quorum (E-5)", |n, s| {
            nobody(n, s, Misdeed::ClosedWithoutQuorum)
        }),
        Property::always("what is final is in a block when its epoch ends (E-8)", |n, s| {
            nobody(n, s, Misdeed::FinalityLost)
        }),
        Property::always("above round 0 nothing without a certificate is prevoted (B-11)", |n, s| {
            nobody(n, s, Misdeed::PrevotedUncertified)
        }),
        Property::always("nobody votes twice in a round (R-9)", |n, s| nobody(n, s, Misdeed::BlockVotedTwice)),
        Property::always("nobody accuses an honest validator (X-1, X-2)", only_the_faulty_accused),
        Property::always("nobody's storage fails", |n, s| nobody(n, s, Misdeed::Failed)),
        Property::always("all have the same blocks (R-18)", one_chain),
        Property::sometimes("the first payment is final", |n, s| is_final(n, s, 0)),
        Property::sometimes("the second payment is final", |n, s| is_final(n, s, 1)),
        Property::sometimes("votes are split: neither can be final", split),
        Property::sometimes("one that restarted votes", |n, s| {
            n.locals(s).iter().any(|local| local.news.voted_again.is_some())
        }),
        Property::sometimes("one that restarted sees the epoch end", |n, s| {
            n.locals(s).iter().any(|local| local.crashes > 0 && epoch_of(local) > 0)
        }),
        Property::sometimes("one commits what it did not prepare", commits_unprepared),
        Property::sometimes("a payment is in a block", |n, s| {
            n.locals(s).iter().any(|local| !local.news.committed.is_empty())
        }),
        Property::sometimes("an epoch ends", |n, s| n.locals(s).iter().any(|local| epoch_of(local) > 0)),
        Property::sometimes("a seal lists a payment, and its block closes the epoch", sealed_and_closed),
    ]
}

fn epoch_of(local: &Local) -> u64 {
    local.engine.chain_state().epoch.0
}

fn nobody(network: &Network, state: &State, did: Misdeed) -> bool {
    network.locals(state).iter().all(|local| !local.misdeeds.contains(&did))
}

fn finals(locals: &[Arc<Local>]) -> BTreeSet<usize> {
    let sampled = locals.iter().flat_map(|local| local.news.finals.iter().map(|(payment, _)| *payment));
    sampled.chain(locals.iter().flat_map(|local| local.news.committed.iter().copied())).collect()
}

/// Evidence is true, and against the faulty validator alone.
fn only_the_faulty_accused(network: &Network, state: &State) -> bool {
    let faulty = SETTING.keys[network.host().byzantine()].public();
    nobody(network, state, Misdeed::WrongEvidence)
        && network.locals(state).iter().all(|local| local.accused.iter().all(|key| *key == faulty))
}

fn one_final(network: &Network, state: &State) -> bool {
    finals(&network.locals(state)).len() <= 1
}

fn one_prepared(network: &Network, state: &State) -> bool {
    let locals = network.locals(state);
    let mut by_epoch: BTreeMap<u64, BTreeSet<usize>> = BTreeMap::new();
    for (epoch, payment) in locals.iter().flat_map(|local| &local.news.prepared) {
        by_epoch.entry(*epoch).or_default().insert(*payment);
    }
    by_epoch.values().all(|payments| payments.len() <= 1)
}

/// Whether the honest votes of a phase, with the faulty validator's, can be a quorum, in some epoch.
fn can_be_quorum(locals: &[Arc<Local>], epoch: u64, phase: Phase, payment: usize) -> bool {
    let txid = SETTING.payments[payment].txid();
    let honest = locals.iter().filter(|local| local.voted(epoch, phase).contains(&txid)).count();
    honest + 1 >= QUORUM
}

fn commits_rest_on_prepares(network: &Network, state: &State) -> bool {
    let locals = network.locals(state);
    locals.iter().all(|local| {
        (0..=epoch_of(local)).all(|epoch| {
            let commits = local.voted(epoch, Phase::Commit);
            let mut payments = commits.iter().filter_map(|txid| SETTING.payment_of(txid));
            payments.all(|payment| can_be_quorum(&locals, epoch, Phase::Prepare, payment))
        })
    })
}

fn finals_rest_on_commits(network: &Network, state: &State) -> bool {
    let locals = network.locals(state);
    locals.iter().all(|local| {
        let mut sampled = local.news.finals.iter().filter(|(_, sampled)| *sampled);
        sampled.all(|(payment, _)| {
            (0..=epoch_of(local)).any(|epoch| can_be_quorum(&locals, epoch, Phase::Commit, *payment))
        })
    })
}

fn one_chain(network: &Network, state: &State) -> bool {
    let mut chain = BTreeMap::new();
    let locals = network.locals(state);
    let mut blocks = locals.iter().flat_map(|local| &local.news.blocks);
    blocks.all(|(height, hash)| *chain.entry(*height).or_insert(*hash) == *hash)
}

fn is_final(network: &Network, state: &State, payment: usize) -> bool {
    network.locals(state).iter().any(|local| local.news.finals.contains(&(payment, true)))
}

fn split(network: &Network, state: &State) -> bool {
    let locals = network.locals(state);
    let votes: Vec<_> = locals.iter().map(|local| local.voted(0, Phase::Prepare)).collect();
    votes.iter().all(|voted| !voted.is_empty()) && votes.iter().any(|voted| Some(voted) != votes.first())
}

fn commits_unprepared(network: &Network, state: &State) -> bool {
    network.locals(state).iter().any(|local| {
        let prepared = local.voted(0, Phase::Prepare);
        local.voted(0, Phase::Commit).iter().any(|txid| !prepared.contains(txid))
    })
}

fn sealed_and_closed(network: &Network, state: &State) -> bool {
    network.locals(state).iter().any(|local| {
        let sealed = local.said.iter().any(|message| message.about == About::Seal(0));
        sealed && epoch_of(local) > 0 && !local.voted(0, Phase::Commit).is_empty() && !local.news.committed.is_empty()
    })
}
