//! What is in a log that was just compacted (`SPEC.md` D-4, D-12): what is live, and nothing else. So its size is bounded:
//! bodies are those of the pool (P-5) and of proposals of one height, votes are of one epoch and for what a validator may
//! have in no block (P-6, F-4), and the rest is one of each kind, or one for each round or validator. What turns add until
//! the next compaction is below `COMPACT_BYTES`, which `nodes.rs` checks.

use super::{Checked, Checks};
use crate::sim::node::Node;
use crate::sim::report::Invariant;
use std::collections::{BTreeMap, BTreeSet};
use timecoin_protocol::bounds::ROUNDS_AHEAD_MAX;
use timecoin_protocol::engine::{Engine, Ledger, Record};
use timecoin_protocol::finality::Phase;
use timecoin_protocol::hash::Txid;
use timecoin_protocol::keys::{PublicKey, SecretKey};

impl Checks {
    /// A node's log was compacted: these records are all that is left of it.
    pub fn compacted(&mut self, index: usize, node: &Node) -> Checked {
        let Some(engine) = node.engine() else { return Ok(()) };
        self.report.check(Invariant::LiveLog);
        let records = engine.live_records();
        let own = node.key().map(SecretKey::public);
        if let Some(record) = records.iter().find(|record| !is_live(engine, own, record)) {
            return Err(format!("node {index} keeps in its log what is not live: {record:?}"));
        }
        match exceeded(engine, &records) {
            Some((kind, count, most)) => {
                Err(format!("node {index} keeps {count} of {kind} in its log, and {most} may be"))
            }
            None => Ok(()),
        }
    }
}

/// Whether a record is of the epoch or height in progress.
fn is_live<L: Ledger>(engine: &Engine<L>, own: Option<PublicKey>, record: &Record) -> bool {
    let state = engine.chain_state();
    let (now, height) = (state.epoch, state.height.next());
    match record {
        Record::Transaction(_) => true,
        Record::Votes(batch) => batch.epoch == now,
        Record::Locked { epoch, .. } | Record::Forgone { epoch, .. } => *epoch == now,
        // Of others those that blocks of the height name.
        Record::Sealed(seal) => seal.epoch == now,
        Record::Evidence(evidence) => state.is_accusable(&evidence.offender()),
        Record::Proposal(proposal) => proposal.block.header.height == height,
        Record::BlockVote(vote, _) => vote.height == height && Some(vote.voter) == own,
        Record::Prevotes(of, ..) | Record::Round(of, _) => *of == height,
        Record::Silence(silence) => silence.is_some(),
        Record::Block(_) => false, // in a file of its own (D-3)
    }
}

const fn kind(record: &Record) -> &'static str {
    match record {
        Record::Transaction(_) => "bodies",
        Record::Votes(_) => "vote batches",
        Record::Locked { .. } => "lists of locks",
        Record::Forgone { .. } => "lists of what was forgone",
        Record::Sealed(_) => "seals",
        Record::Evidence(_) => "evidence",
        Record::Proposal(_) => "proposals",
        Record::BlockVote(..) => "own block votes",
        Record::Prevotes(..) => "proofs of prevotes",
        Record::Round(..) => "rounds",
        Record::Silence(_) => "silences",
        Record::Block(_) => "blocks",
    }
}

/// The first kind of which there is more than there may be: its name, how much there is, and may be.
fn exceeded<L: Ledger>(engine: &Engine<L>, records: &[Record]) -> Option<(&'static str, usize, usize)> {
    let (mut counts, mut voted, mut proposed) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
    for record in records {
        *counts.entry(kind(record)).or_insert(0) += 1;
        match record {
            Record::Votes(batch) => voted.extend(batch.txids.iter().map(|txid| (*txid, batch.phase == Phase::Commit))),
            Record::Proposal(proposal) => proposed.extend(proposal.block.txids.iter().copied()),
            _ => {}
        }
    }
    let most = |kind| most(engine, kind, &proposed, voted.len());
    counts.into_iter().map(|(kind, count)| (kind, count, most(kind))).find(|(_, count, most)| count > most)
}

fn most<L: Ledger>(engine: &Engine<L>, kind: &str, proposed: &BTreeSet<Txid>, voted: usize) -> usize {
    let (state, gauges) = (engine.chain_state(), engine.gauges());
    let members = state.validators.len();
    let rounds = usize::try_from(gauges.round.saturating_add(ROUNDS_AHEAD_MAX)).unwrap_or(usize::MAX).saturating_add(1);
    match kind {
        "bodies" => gauges.pool_transactions + proposed.len(),
        // A batch is kept because it was the first with the vote of its voter for one of its payments.
        "vote batches" => members * voted,
        "evidence" => members + state.next_validators.len(),
        // Those that the log gave back, and those heard since, while a validator listens (D-18).
        "proposals" | "own block votes" => 2 * rounds,
        "proofs of prevotes" => rounds + 1,
        // The own one, and one of each for each proposal.
        "seals" => 1 + members * 2 * rounds,
        _ => 1,
    }
}
