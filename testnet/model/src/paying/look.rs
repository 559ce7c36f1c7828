//! Which local states count as one: those that differ only in what has no influence.
//!
//! Left out is
//! - who the others in a quorum are, whatever was signed by whom: which of them it was is in no rule but the pay (B-6);
//!   that a quorum was heard, and what of it is durable, is told apart;
//! - requests, and who answered how fast: nothing is answered in this model but polls, and these by all (S-15, S-17);
//! - times of arrival: heights begin within the time that a payment has before a block may settle it (B-11);
//! - the order of records, as far as they are of different things.
//!
//! That this is right is checked: with `--exact` all is told apart, and the same classes must come of it.

use super::local::Local;
use super::setting::SETTING;
use crate::print::Printer;
use std::collections::{BTreeMap, BTreeSet};
use timecoin_protocol::engine::Record;
use timecoin_protocol::finality::Phase;
use timecoin_protocol::keys::PublicKey;

/// Fields of the engine that are left out, by name.
const LEFT_OUT: &[&str] = &[
    // Whose votes, and what was signed.
    "signature", "signatures", "last_commit", "parent_commit", "tallies", "deferred", "deferred_votes", "newest", "votes", "ballots",
    "weights", "total", "proofs", "proof", "prevotes", "precommits", "latest", "from",
    // Requests, and who answers them.
    "requests", "sync", "reputations", "patience", "next_poll", "by_request", "polls",
    // Times.
    "admitted_at", "offer_from", "last_flush", "interval_ms",
    // The same for all nodes.
    "identity", "ledger", "witnesses",
];

/// Fingerprint of what has influence.
pub(super) fn look(local: &Local) -> u128 {
    let mut printer = Printer::default();
    printer.add((local.own, local.now.0, &local.face, &local.arrived, &local.heard, &local.past));
    let certificates = SETTING.payments.iter().map(|payment| {
        let certificate = local.engine.certificate(&payment.txid());
        certificate.map(|certificate| (certificate.epoch.0, certificate.phase))
    });
    printer.add(certificates.collect::<Vec<_>>());
    printer.add(local.proposals.keys().collect::<Vec<_>>());
    printer.add(local.asked.values().map(|query| (query.epoch.0, &query.txids)).collect::<Vec<_>>());
    printer.add(on_disk(local));
    printer.show_without(&local.engine, LEFT_OUT).take()
}

/// What is durable: how many votes of each kind, and all that is not a vote for a payment.
fn on_disk(local: &Local) -> (Votes, BTreeSet<String>) {
    let mut votes: BTreeMap<_, BTreeSet<PublicKey>> = BTreeMap::new();
    let mut rest = BTreeSet::new();
    for record in &local.disk.records {
        match record {
            Record::Votes(batch) => {
                for txid in &batch.txids {
                    votes.entry((batch.epoch.0, batch.phase, *txid)).or_default().insert(batch.voter);
                }
            }
            Record::Block(block) => drop(rest.insert(format!("{:?}", block.block.header.hash()))),
            Record::Proposal(proposal) => drop(rest.insert(format!("{:?}", proposal.block.header.hash()))),
            Record::Prevotes(height, round, block, _) => drop(rest.insert(format!("{height} {round} {block:?}"))),
            Record::BlockVote(vote, locks) => {
                let of = (vote.height, vote.round, vote.phase, vote.block);
                rest.insert(format!("{of:?} {locks:?}"));
            }
            Record::Transaction(body) => drop(rest.insert(format!("{:?}", body.txid()))),
            other => drop(rest.insert(format!("{other:?}"))),
        }
    }
    let own = SETTING.keys[local.own].public();
    let counts = votes.into_iter().map(|((epoch, phase, txid), voters)| {
        (epoch, phase, SETTING.payment_of(&txid), voters.contains(&own), voters.len())
    });
    (counts.collect(), rest)
}

/// Epoch, phase, payment, whether it voted itself, and how many did.
type Votes = Vec<(u64, Phase, Option<usize>, bool, usize)>;
