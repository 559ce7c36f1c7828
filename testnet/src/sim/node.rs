//! One simulated node: the driver's consensus on the real store, its disk, its clock, and what
//! waits for its next turn.

use super::disk::Disk;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use timecoin_node::driver::consensus::{Consensus, TurnError};
use timecoin_node::store::{ChainReader, Opened, Store, StoreError, create_history_on};
use timecoin_protocol::block::{BlockPhase, CommittedBlock};
use timecoin_protocol::bounds::REQUEST_BLOCKS_MAX;
use timecoin_protocol::engine::{Config, Effect, Engine, Input, Past, Record, Time, Tuning, Voice};
use timecoin_protocol::genesis::Genesis;
use timecoin_protocol::hash::{BlockHash, Txid};
use timecoin_protocol::keys::SecretKey;
use timecoin_protocol::transaction::OutPoint;
use timecoin_protocol::validator::{Epoch, Height, Round};
use timecoin_protocol::wire::BlocksRequest;

/// A clock that is ahead and runs too fast.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LocalClock {
    pub started: Time,
    pub ahead_us: u64,
    pub drift_ppm: u64,
}

impl LocalClock {
    /// What it shows at a moment of the world.
    pub fn shows(&self, world: Time) -> Time {
        let since = world.micros_since(self.started);
        Time(world.0 + self.ahead_us + since * self.drift_ppm / 1_000_000)
    }

    /// The first moment of the world at which it shows `local` or later.
    pub fn reaches(&self, local: Time) -> Time {
        let since = local.0.saturating_sub(self.started.0 + self.ahead_us);
        let mut world = Time(self.started.0 + since * 1_000_000 / (1_000_000 + self.drift_ppm));
        while self.shows(world) < local {
            world.0 += 1;
        }
        world
    }
}

/// What the journal told a node at its start.
#[derive(Debug, Default)]
pub(super) struct History {
    pub epoch: Epoch,
    pub height: Height,
    pub locks: BTreeMap<(Epoch, OutPoint), Txid>,
    pub block_votes: BTreeSet<(Height, Round, BlockPhase, Option<BlockHash>)>,
    /// The process before stopped cleanly, and the log is not what it left, or the ledger lacks blocks.
    pub lacks_what_was_left: bool,
}

impl History {
    fn note(&mut self, record: &Record) {
        match record {
            Record::Locked { epoch, locks } => {
                let locks = locks.iter().map(|(outpoint, txid)| ((*epoch, *outpoint), *txid));
                self.locks.extend(locks);
            }
            Record::BlockVote(vote, _) => {
                self.block_votes.insert((vote.height, vote.round, vote.phase, vote.block));
            }
            _ => {}
        }
    }
}

/// A process.
#[derive(Debug)]
struct Life {
    consensus: Consensus,
    reader: Arc<ChainReader>,
}

/// A node: what it is, what it has on its disk, and its process, if it runs.
#[derive(Debug)]
pub(super) struct Node {
    config: Config,
    pub disk: Disk,
    life: Option<Life>,
    pub clock: LocalClock,
    /// How often it was started; names its process.
    pub starts: u64,
    /// How long a sync takes, in microseconds.
    pub sync_us: u64,
    /// What waits for its next turn.
    pub inbox: VecDeque<Input>,
    /// When its next turn is.
    pub turn_at: Option<Time>,
    /// Until when it waits for its disk.
    pub busy_until: Time,
    /// It dies when this many effects of its next turn have left.
    pub dies_after: Option<usize>,
    /// Its history was lost, or is an old one, or newer than its blocks: it may remember less than it said.
    pub is_set_back: bool,
    /// Files of its were lost and are not made anew yet.
    pub is_bare: bool,
    /// It takes any history for whole.
    pub believes_all: bool,
    /// It said that it is silent.
    pub is_silent: bool,
    /// How many other nodes there are.
    pub peers: usize,
    /// What a clean stop left in the log, until the next start.
    left: Option<Vec<Record>>,
    tidied_at: u64,
    tidied: u64,
}

/// What a turn did to the log and the ledger's file besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tidied {
    Nothing,
    Log,
    Ledger,
}

impl Node {
    pub fn new(genesis: Arc<Genesis>, key: SecretKey, seed: [u8; 32]) -> Self {
        let disk = Disk::default();
        // D-16: whoever makes the key makes its history.
        let founded = create_history_on(disk.files().journal, key.public()).is_ok();
        debug_assert!(founded, "the disk is new");
        let config = Config { genesis, key: Some(key), tuning: Tuning::default(), past: Past::default(), seed };
        Self {
            config,
            disk,
            life: None,
            clock: LocalClock::default(),
            starts: 0,
            sync_us: 0,
            inbox: VecDeque::new(),
            turn_at: None,
            busy_until: Time(0),
            dies_after: None,
            is_set_back: false,
            is_bare: false,
            believes_all: false,
            is_silent: false,
            peers: 0,
            left: None,
            tidied_at: 0,
            tidied: 0,
        }
    }

    pub const fn is_up(&self) -> bool {
        self.life.is_some()
    }

    pub fn key(&self) -> Option<&SecretKey> {
        self.config.key.as_ref()
    }

    /// Bytes and blocks that its log has grown by since it was compacted.
    pub fn since_compaction(&self) -> (u64, u64) {
        self.life.as_ref().map(|life| life.consensus.since_compaction()).unwrap_or_default()
    }

    /// Decoded blocks that it has in memory.
    pub fn blocks_cached(&self) -> usize {
        self.life.as_ref().map_or(0, |life| life.reader.blocks_cached())
    }

    /// The process ends, whatever it was at; nothing that it still holds reaches the disk.
    pub fn kill(&mut self) {
        self.disk.detach();
        self.life = None;
        self.inbox.clear();
        (self.turn_at, self.dies_after) = (None, None);
    }

    /// The process ends as `timed` does when it is told to.
    pub fn stop(&mut self) -> Result<(), StoreError> {
        let Some(Life { consensus, reader }) = self.life.take() else { return Ok(()) };
        let live = consensus.engine().live_records();
        consensus.close()?;
        drop(reader);
        self.left = Some(live);
        self.kill();
        Ok(())
    }

    /// Starts from what the disk holds, as `timed` does.
    pub fn start(&mut self, now: Time) -> Result<(Vec<Effect>, History), TurnError> {
        self.starts += 1;
        let mut config = self.config.clone();
        for (byte, mixed) in config.seed.iter_mut().zip(self.starts.to_le_bytes()) {
            *byte ^= mixed;
        }
        let owner = config.key.as_ref().map(SecretKey::public);
        let Opened { journal, ledger, reader, state, last_commit, records, past } =
            Store::open_on_with(self.disk.files(), &config.genesis, owner)?;
        config.past = if self.believes_all { Past::default() } else { past };
        let left = self.left.take();
        let lacks_what_was_left = left.is_some_and(|left| left != records);
        let mut history = History { lacks_what_was_left, ..History::default() };
        records.iter().for_each(|record| history.note(record));
        let engine = Engine::new(config, state, last_commit, ledger);
        let mut consensus = Consensus::restore(engine, journal, records)?;
        let state = consensus.engine().chain_state();
        (history.epoch, history.height) = (state.epoch, state.height);
        self.tidied_at = state.height.0;
        let effects = consensus.start(self.clock.shows(now))?;
        self.life = Some(Life { consensus, reader });
        Ok((effects, history))
    }

    /// One turn of the driver; gives what leaves once the disk is done.
    pub fn turn(&mut self, now: Time, inputs: Vec<Input>) -> Result<Vec<Effect>, TurnError> {
        let now = self.clock.shows(now);
        match &mut self.life {
            Some(life) => life.consensus.turn(now, inputs),
            None => Ok(Vec::new()),
        }
    }

    /// Compacts the log, or makes a checkpoint, every `blocks` blocks in turn.
    pub fn tidy(&mut self, blocks: u64) -> Result<Tidied, StoreError> {
        let height = self.height().0;
        let Some(life) = &mut self.life else { return Ok(Tidied::Nothing) };
        if height < self.tidied_at + blocks {
            return Ok(Tidied::Nothing);
        }
        (self.tidied_at, self.tidied) = (height, self.tidied + 1);
        if self.tidied % 2 == 1 {
            life.consensus.compact()?;
            return Ok(Tidied::Log);
        }
        life.consensus.checkpoint()?;
        Ok(Tidied::Ledger)
    }

    /// When it wants a turn even if nothing comes, in the time of the world.
    pub fn deadline(&self) -> Option<Time> {
        Some(self.clock.reaches(self.engine()?.deadline()?))
    }

    /// Its engine, to read; none if it is down.
    pub fn engine(&self) -> Option<&Engine<timecoin_node::store::LedgerStore>> {
        Some(self.life.as_ref()?.consensus.engine())
    }

    /// Whether it runs and nothing keeps it from signing.
    pub fn speaks(&self) -> bool {
        self.engine().is_some_and(|engine| engine.voice() == Voice::Speaks)
    }

    pub fn height(&self) -> Height {
        self.engine().map_or(Height(0), |engine| engine.chain_state().height)
    }

    /// A block that it has.
    pub fn block(&self, height: Height) -> Result<Option<Arc<CommittedBlock>>, StoreError> {
        self.life.as_ref().map_or(Ok(None), |life| life.reader.block(height))
    }

    /// What it answers to a request for blocks, from its disk.
    pub fn blocks(&self, request: BlocksRequest) -> Result<Vec<CommittedBlock>, StoreError> {
        let count = usize::try_from(request.count).unwrap_or(usize::MAX).min(REQUEST_BLOCKS_MAX);
        let mut blocks = Vec::new();
        for height in (request.from.0..).map(Height).take(count) {
            let Some(block) = self.block(height)? else { break };
            blocks.push(block.as_ref().clone());
        }
        Ok(blocks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_reaches_a_moment_when_it_shows_it_and_not_before() {
        let clock = LocalClock { started: Time(1_000_000), ahead_us: 37, drift_ppm: 2_000 };
        for local in [1_000_037, 1_000_038, 1_000_536, 1_500_000, 9_999_999].map(Time) {
            let world = clock.reaches(local);
            assert!(clock.shows(world) >= local, "{local:?}");
            assert!(world.0 == 1_000_000 || clock.shows(Time(world.0 - 1)) < local, "{local:?} {world:?}");
        }
        assert_eq!(clock.shows(Time(2_000_000)), Time(2_002_037));
    }
}
