//! The engine and its storage, run turn by turn (`SPEC.md` D-1). No clock and no channel here: a
//! simulation runs the same code in virtual time.

use crate::bounds::{COMPACT_BLOCKS, COMPACT_BYTES};
use crate::store::{JournalFile, LedgerStore, StoreError};
use timecoin_protocol::codec::encoded_len;
use timecoin_protocol::engine::{Effect, Engine, Input, Journal, Record, Time, Turn};
use timecoin_protocol::ledger::Unavailable;

/// Why consensus cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum TurnError {
    /// The journal or the ledger failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger failed in the middle of a step, or does not fit the journal; the log says more.
    #[error("the ledger cannot be read, or the journal does not fit it")]
    Ledger(#[from] Unavailable),
}

/// A journal that counts what is appended to it, to know when to compact.
#[derive(Debug)]
struct Counted<'a> {
    journal: &'a mut JournalFile,
    bytes: &'a mut u64,
}

impl Journal for Counted<'_> {
    type Error = StoreError;

    fn append(&mut self, records: &[Record]) -> Result<(), StoreError> {
        self.journal.append(records)?;
        let bytes: usize = records.iter().map(log_bytes).sum();
        *self.bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        Ok(())
    }
}

/// What a record adds to the log; blocks are kept elsewhere.
fn log_bytes(record: &Record) -> usize {
    match record {
        Record::Block(_) => 0,
        record => encoded_len(record),
    }
}

/// One node's consensus, with its storage.
#[derive(Debug)]
pub struct Consensus {
    engine: Engine<LedgerStore>,
    journal: JournalFile,
    /// Bytes and height at the last compaction.
    log_bytes: u64,
    compacted_at: u64,
}

impl Consensus {
    /// Brings `engine` to where the journal's `records` left it.
    ///
    /// # Errors
    /// Storage failed.
    pub fn restore(
        mut engine: Engine<LedgerStore>,
        journal: JournalFile,
        records: Vec<Record>,
    ) -> Result<Self, TurnError> {
        let bytes: usize = records.iter().map(log_bytes).sum();
        for record in records {
            engine.restore(record)?;
        }
        engine.ledger_mut().publish()?;
        let compacted_at = engine.chain_state().height.0;
        Ok(Self { engine, journal, log_bytes: u64::try_from(bytes).unwrap_or(u64::MAX), compacted_at })
    }

    /// The first turn, after which the node takes part.
    ///
    /// # Errors
    /// Storage failed; nothing leaves, and the node must stop.
    pub fn start(&mut self, now: Time) -> Result<Vec<Effect>, TurnError> {
        let turn = self.engine.start(now)?;
        self.end(now, turn)
    }

    /// One turn: all inputs, one commit, and then the effects.
    ///
    /// # Errors
    /// Storage failed; nothing leaves, and the node must stop.
    pub fn turn(&mut self, now: Time, inputs: impl IntoIterator<Item = Input>) -> Result<Vec<Effect>, TurnError> {
        let mut turn = Turn::default();
        for input in inputs {
            self.engine.step(now, input, &mut turn)?;
        }
        self.end(now, turn)
    }

    fn end(&mut self, now: Time, mut turn: Turn) -> Result<Vec<Effect>, TurnError> {
        self.engine.finish(now, &mut turn)?;
        let mut journal = Counted { journal: &mut self.journal, bytes: &mut self.log_bytes };
        let effects = turn.commit(&mut journal)?;
        // Readers see a block before anybody is told of it.
        self.engine.ledger_mut().publish()?;
        self.compact_if_due()?;
        Ok(effects)
    }

    /// D-4: the log keeps what a restart needs, and no more than a bounded rest.
    fn compact_if_due(&mut self) -> Result<(), StoreError> {
        let height = self.engine.chain_state().height.0;
        let blocks_due = height.saturating_sub(self.compacted_at) >= COMPACT_BLOCKS;
        if blocks_due || self.log_bytes >= COMPACT_BYTES {
            self.compact()?;
        }
        Ok(())
    }

    /// Drops from the log what a restart would not need (D-4). Turns do it when it is due; whoever
    /// calls it by hand moves the moment, and changes nothing else.
    ///
    /// # Errors
    /// Storage failed; the log is as it was, and the node must stop.
    pub fn compact(&mut self) -> Result<(), StoreError> {
        let live = self.engine.live_records();
        self.journal.compact(&live)?;
        self.compacted_at = self.engine.chain_state().height.0;
        // Only what is added from now on counts: what is live cannot be compacted away.
        self.log_bytes = 0;
        Ok(())
    }

    /// Bytes and blocks that turns have added to the log since it was compacted, or the whole log since a start: below
    /// [`COMPACT_BYTES`] and [`COMPACT_BLOCKS`] after each turn (D-4).
    #[must_use]
    pub const fn since_compaction(&self) -> (u64, u64) {
        (self.log_bytes, self.engine.chain_state().height.0.saturating_sub(self.compacted_at))
    }

    /// Moves all blocks in memory into the ledger's file (D-9). A node does it in the background;
    /// a simulation decides when.
    ///
    /// # Errors
    /// Storage failed; nothing is lost, and the node must stop (D-11).
    pub fn checkpoint(&mut self) -> Result<(), StoreError> {
        self.engine.ledger_mut().checkpoint()
    }

    /// Leaves as little as possible to the next start. Nothing is lost if it fails.
    ///
    /// # Errors
    /// Storage failed.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.compact()?;
        self.checkpoint()
    }

    /// The engine, to read.
    #[must_use]
    pub const fn engine(&self) -> &Engine<LedgerStore> {
        &self.engine
    }
}
