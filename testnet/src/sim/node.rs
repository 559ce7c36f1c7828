//! One simulated node: an engine, what its disk holds, and how it dies and comes back.

use super::ledger::MemoryLedger;
use std::convert::Infallible;
use std::sync::Arc;
use timecoin_protocol::block::CommittedBlock;
use timecoin_protocol::engine::{Config, Effect, Engine, Input, Journal, Record, Time, Tuning, Turn};
use timecoin_protocol::genesis::Genesis;
use timecoin_protocol::keys::SecretKey;
use timecoin_protocol::ledger::{GenesisError, Unavailable, genesis_state};
use timecoin_protocol::validator::Height;

/// What survives a crash.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    records: Vec<Record>,
    blocks: Vec<Arc<CommittedBlock>>,
}

impl Journal for Disk {
    type Error = Infallible;

    fn append(&mut self, records: &[Record]) -> Result<(), Infallible> {
        for record in records {
            if let Record::Block(block) = record {
                self.blocks.push(Arc::clone(block));
            }
            self.records.push(record.clone());
        }
        Ok(())
    }
}

impl Disk {
    pub fn blocks_from(&self, from: Height, count: usize) -> Vec<CommittedBlock> {
        let at = |block: &&Arc<CommittedBlock>| block.block.header.height >= from;
        self.blocks.iter().filter(at).take(count).map(|block| block.as_ref().clone()).collect()
    }

    pub fn blocks(&self) -> &[Arc<CommittedBlock>] {
        &self.blocks
    }

    /// Keeps all blocks, and of everything else only `live`.
    fn compact(&mut self, live: Vec<Record>) {
        self.records = self.blocks.iter().map(|block| Record::Block(Arc::clone(block))).chain(live).collect();
    }
}

/// When a node dies within a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Crash {
    /// Before its records were durable.
    BeforeCommit,
    /// After that, before anything was sent.
    AfterCommit,
}

/// A node.
#[derive(Debug)]
pub(super) struct Node {
    config: Config,
    pub engine: Option<Engine<MemoryLedger>>,
    pub disk: Disk,
    pub crash_next: Option<Crash>,
    starts: u64,
    compact_blocks: u64,
    compacted_at: u64,
    pub compactions: u64,
    /// How far its clock is ahead.
    skew_ms: u64,
}

impl Node {
    pub fn new(genesis: Arc<Genesis>, key: SecretKey, seed: [u8; 32], (compact_blocks, skew_ms): (u64, u64)) -> Self {
        let config = Config { genesis, key: Some(key), tuning: Tuning::default(), seed };
        Self {
            config,
            engine: None,
            disk: Disk::default(),
            crash_next: None,
            starts: 0,
            compact_blocks,
            compacted_at: 0,
            compactions: 0,
            skew_ms,
        }
    }

    pub const fn is_up(&self) -> bool {
        self.engine.is_some()
    }

    pub fn key(&self) -> Option<&SecretKey> {
        self.config.key.as_ref()
    }

    pub fn kill(&mut self) {
        self.engine = None;
    }

    /// Starts from what the disk holds.
    pub fn start(&mut self, now: Time) -> Result<Vec<Effect>, StartError> {
        self.starts += 1;
        let mut config = self.config.clone();
        config.seed[31] = config.seed[31].wrapping_add(u8::try_from(self.starts % 251).unwrap_or_default());
        let state = genesis_state(&config.genesis)?;
        let ledger = MemoryLedger::at_genesis(&config.genesis);
        let mut engine = Engine::new(config, state, None, ledger);
        for record in self.disk.records.clone() {
            engine.restore(record)?;
        }
        let turn = engine.start(now.plus_ms(self.skew_ms))?;
        self.engine = Some(engine);
        Ok(self.commit(turn))
    }

    /// Runs one turn; gives what leaves the node. A crash that was asked for happens here.
    pub fn turn(&mut self, now: Time, inputs: Vec<Input>) -> Result<Vec<Effect>, StartError> {
        let now = now.plus_ms(self.skew_ms);
        let Some(engine) = &mut self.engine else { return Ok(Vec::new()) };
        let mut turn = Turn::default();
        for input in inputs {
            engine.step(now, input, &mut turn)?;
        }
        engine.finish(now, &mut turn)?;
        let effects = match self.crash_next.take() {
            Some(Crash::BeforeCommit) => {
                self.kill();
                return Ok(Vec::new());
            }
            Some(Crash::AfterCommit) => {
                self.commit(turn);
                self.kill();
                return Ok(Vec::new());
            }
            None => self.commit(turn),
        };
        self.compact();
        Ok(effects)
    }

    fn commit(&mut self, turn: Turn) -> Vec<Effect> {
        match turn.commit(&mut self.disk) {
            Ok(effects) => effects,
            Err(never) => match never {},
        }
    }

    fn compact(&mut self) {
        if let Some(engine) = &self.engine
            && engine.chain_state().height.0 >= self.compacted_at + self.compact_blocks
        {
            self.compacted_at = engine.chain_state().height.0;
            self.compactions += 1;
            self.disk.compact(engine.live_records());
        }
    }

    pub fn deadline(&self) -> Option<Time> {
        // In the time of the world.
        let at = self.engine.as_ref()?.deadline()?;
        Some(Time(at.0.saturating_sub(self.skew_ms * 1_000)))
    }
}

/// Why a node could not go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum StartError {
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    #[error(transparent)]
    Storage(#[from] Unavailable),
}
