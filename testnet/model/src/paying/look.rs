//! Which local states count as one: those that differ only in what has no influence.
//!
//! Left out is
//! - who the others in a quorum are, whatever was signed by whom: which of them it was is in no rule but the pay (B-6);
//!   that a quorum was heard, and what of it is durable, is told apart;
//! - requests, and who answered how fast: nothing is answered in this model but polls, and these by all (S-15, S-17);
//! - the order of records, as far as they are of different things.
//!
//! Nothing is left out on the strength of a rule that is to be checked: a broken rule must show. That the rest is right is
//! checked too: with `--exact` all is told apart, and the same classes must come of it.

use super::Bounds;
use super::local::Local;
use super::setting::SETTING;
use crate::print::{Printer, without};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use timecoin_protocol::engine::Record;
use timecoin_protocol::finality::Phase;
use timecoin_protocol::hash::BlockHash;
use timecoin_protocol::keys::PublicKey;

/// Fields of the engine that are left out, by name.
const LEFT_OUT: &[&str] = &[
    // Whose votes, and what was signed.
    "signature",
    "signatures",
    "last_commit",
    "parent_commit",
    "tallies",
    "deferred",
    "deferred_votes",
    "newest",
    "votes",
    "ballots",
    "weights",
    "total",
    "proofs",
    "proof",
    "prevotes",
    "precommits",
    "latest",
    "from",
    // Requests, and who answers them.
    "requests",
    "sync",
    "reputations",
    "patience",
    "next_poll",
    "by_request",
    "polls",
    // Times: votes leave at once.
    "last_flush",
    "interval_ms",
    // The same for all nodes.
    "identity",
    "ledger",
    "witnesses",
    // What follows from the kind of a block, or is as good in all blocks of a kind.
    "candidates",
    "blocks",
    "utxo_set",
    "recent_spends",
    "recent_transactions",
];
/// What does not matter any more once the block of the height is proposed.
const SEALS: &[&str] = &["seals", "usable", "wanted"];
/// What does not matter after the last block, but for seals.
const ROUNDS: &[&str] =
    &["agreement", "start_at", "started", "timeouts", "needed", "rejudge_at", "decided", "restored"];

/// Fingerprint of what has influence.
pub(super) fn look(bounds: &Bounds, local: &Local) -> u128 {
    let mut printer = Printer::default();
    printer.add((local.own, local.now.0, &local.face, &local.arrived, &local.heard, &local.past));
    let certificates = SETTING.payments.iter().map(|payment| {
        let certificate = local.engine.certificate(&payment.txid());
        certificate.map(|certificate| (certificate.epoch.0, certificate.phase))
    });
    printer.add(certificates.collect::<Vec<_>>());
    printer.add(local.proposals.keys().map(|hash| local.kinds.of(*hash)).collect::<Vec<_>>());
    printer.add(local.asked.values().map(|query| (query.epoch.0, &query.txids)).collect::<Vec<_>>());
    let (votes, rest) = on_disk(local);
    printer.add(votes);
    let proposed = local.proposals.keys().copied().chain(decided(local)).collect::<BTreeSet<_>>();
    let mut left_out: HashSet<&str> = LEFT_OUT.iter().copied().collect();
    if !local.proposals.is_empty() {
        left_out.extend(SEALS);
    }
    if local.engine.chain_state().height.0 >= bounds.blocks {
        left_out.extend(ROUNDS);
    }
    let mut text = without(&local.engine, &left_out);
    text.extend(rest);
    for block in proposed {
        text = text.replace(&format!("{block:?}"), &format!("{:?}", local.kinds.of(block)));
    }
    printer.add(text).take()
}

/// All blocks of the chain.
fn decided(local: &Local) -> impl Iterator<Item = BlockHash> {
    local.disk.records.iter().filter_map(|record| match record {
        Record::Block(block) => Some(block.block.header.hash()),
        _ => None,
    })
}

/// What is durable: how many votes of each kind, and all that is not a vote for a payment.
fn on_disk(local: &Local) -> (Votes, BTreeSet<String>) {
    let mut votes: BTreeMap<_, BTreeSet<PublicKey>> = BTreeMap::new();
    let mut rest = BTreeSet::new();
    let next = local.engine.chain_state().height.next();
    for record in &local.disk.records {
        match record {
            // Part in the agreement on a height that is decided; what of it was said is told apart (R-9, D-13).
            Record::Proposal(proposal) if proposal.block.header.height < next => {}
            Record::Prevotes(height, ..) if *height < next => {}
            Record::BlockVote(vote, _) if vote.height < next => {}
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
            // Which seals a block of a kind names is not told apart (`kinds`), nor is which of them are durable.
            Record::Sealed(seal) if seal.voter != SETTING.keys[local.own].public() => {}
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
