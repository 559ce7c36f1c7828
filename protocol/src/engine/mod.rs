//! The engine: one node's consensus state behind one door, [`Engine::step`].
//!
//! It owns the pool, the polls, the votes, the agreement on the next block and the chain's tip, and
//! knows nothing of sockets, files or clocks. Inputs come in turns; what a turn decided comes out
//! sealed in a [`Turn`] (`SPEC.md` D-1). Files, in the order of a payment's life: `pool`,
//! `admission`, `sampling`, `casting`, `voting`, `rounds`, `proposals`, `judging`, `commit`, `sealing`, `epoch`; besides them `evidence`
//! (validators that contradict themselves), `requests`
//! (what is asked of peers, and what they ask), `held` (queries that wait), `sync` (catching up), `restore` (after a restart), and
//! `history` and `listening` (whether this validator may sign anything), `kept` (how much there is of everything that others
//! can make grow).

mod admission;
mod api;
mod casting;
mod commit;
mod config;
mod epoch;
mod evidence;
mod held;
mod history;
mod judging;
mod kept;
mod listening;
mod memory;
mod pool;
mod proposals;
mod reputation;
mod requests;
mod restore;
mod rounds;
mod sampling;
mod sealing;
mod sync;
mod turn;
mod voting;

pub use api::*;
pub use config::{Config, Gauges, Tuning};
pub use history::{Cause, Past, Silence, Voice};
pub use kept::Kept;
pub use memory::MemoryLedger;
pub use reputation::Reputation;
pub use turn::{Journal, Ledger, Record, Turn};

use crate::block::Commit;
use crate::bounds::{RECENT_SPENDS_MAX, RECENT_TRANSACTIONS_MAX};
use crate::finality::{Certificate, Phase};
use crate::genesis::Params;
use crate::hash::{GenesisHash, Txid};
use crate::keys::{PublicKey, SecretKey};
use crate::ledger::{ChainState, Unavailable};
use crate::validator::{Epoch, ValidatorIndex, ValidatorSet};
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use pool::{Pool, RecentSpends, RecentTransactions, Stage};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

/// Who this node is and what it was told.
#[derive(Clone, Debug)]
struct Identity {
    genesis: GenesisHash,
    params: Params,
    key: Option<SecretKey>,
    public: Option<PublicKey>,
    tuning: Tuning,
    /// The (alpha, beta) pairs of a sampled poll (S-6, S-7).
    terminations: Vec<crate::snow::Termination>,
}

/// The chain's tip and the UTXO set.
#[derive(Clone, Debug)]
struct Chain<L> {
    state: ChainState,
    /// Precommits of the tip, growing while they arrive; the next block carries them (B-6).
    last_commit: Option<Commit>,
    ledger: L,
    recent_spends: RecentSpends,
    recent_transactions: RecentTransactions,
}

impl<L> Chain<L> {
    fn kept(&self) -> [Kept; 2] {
        [
            Kept::new("remembered spends of recent blocks", self.recent_spends.len(), RECENT_SPENDS_MAX),
            Kept::new(
                "remembered transactions of recent blocks",
                self.recent_transactions.len(),
                RECENT_TRANSACTIONS_MAX,
            ),
        ]
    }
}

/// Everything that one node has to decide with. See the module's documentation.
#[derive(Clone, Debug)]
pub struct Engine<L> {
    identity: Identity,
    chain: Chain<L>,
    pool: Pool,
    orphans: admission::Orphans,
    sampling: sampling::Sampling,
    voting: voting::Voting,
    rounds: rounds::Rounds,
    sealing: sealing::Sealing,
    evidence: evidence::Accused,
    requests: requests::Requests,
    sync: sync::Sync,
    history: history::History,
    /// Local transactions to gossip at the end of the turn.
    outbox: Vec<Arc<crate::transaction::Transaction>>,
    rng: ChaCha12Rng,
}

/// A step's surroundings: when it happens, and where its results go.
struct Cx<'a> {
    now: Time,
    turn: &'a mut Turn,
}

impl Cx<'_> {
    fn record(&mut self, record: Record) {
        self.turn.record(record);
    }

    fn effect(&mut self, effect: Effect) {
        self.turn.effect(effect);
    }

    fn status(&mut self, txid: Txid, status: Status) {
        let at = self.now;
        self.effect(Effect::Event(Event::Status { txid, status, at }));
    }
}

impl<L: Ledger> Engine<L> {
    /// An engine at `state`, whose last block was decided by `last_commit` (none at genesis).
    /// `ledger` holds the UTXO set of `state`. Hand in what the journal has with
    /// [`restore`](Self::restore), then call [`start`](Self::start) once.
    #[must_use]
    pub fn new(config: Config, state: ChainState, last_commit: Option<Commit>, ledger: L) -> Self {
        let public = config.key.as_ref().map(SecretKey::public);
        let tuning = config.tuning;
        let identity = Identity {
            terminations: crate::snow::terminations(
                tuning.sample_size,
                tuning.alpha_preference,
                tuning.alpha_preference,
                tuning.beta,
            ),
            genesis: config.genesis.hash(),
            params: config.genesis.params.clone(),
            key: config.key,
            public,
            tuning,
        };
        let history = history::History::new(config.past);
        let rounds = rounds::Rounds::new(&state, public.as_ref().filter(|_| history.may_sign()));
        let mut sealing = sealing::Sealing::default();
        sealing.note_block(&state.sealed_txids);
        Self {
            identity,
            chain: Chain {
                state,
                last_commit,
                ledger,
                recent_spends: RecentSpends::new(RECENT_SPENDS_MAX),
                recent_transactions: RecentTransactions::new(RECENT_TRANSACTIONS_MAX),
            },
            pool: Pool::default(),
            orphans: admission::Orphans::default(),
            sampling: sampling::Sampling::default(),
            voting: voting::Voting::new(),
            rounds,
            sealing,
            evidence: evidence::Accused::default(),
            requests: requests::Requests::default(),
            sync: sync::Sync::default(),
            history,
            outbox: Vec::new(),
            rng: ChaCha12Rng::from_seed(config.seed),
        }
    }

    /// Takes one input. Results are added to `turn`, so that one commit can cover many inputs.
    ///
    /// # Errors
    /// Storage failed; the node must stop without committing the turn.
    pub fn step(&mut self, now: Time, input: Input, turn: &mut Turn) -> Result<(), Unavailable> {
        let cx = &mut Cx { now, turn };
        match input {
            Input::Transactions(source, transactions) => self.on_transactions(source, transactions, cx),
            Input::Test(tag, transaction) => self.on_test(tag, &transaction, cx),
            Input::Votes(peer, votes) => self.on_votes(peer, votes, cx),
            Input::Proposal(peer, proposal) => self.on_proposal(Some(peer), (*proposal).into_inner(), cx),
            Input::Asked(peer, tag, ask) => self.on_asked(peer, tag, ask, cx),
            Input::Answered(id, peer, response) => self.on_answered(id, peer, response, cx),
            Input::Failed(id) => self.on_failed(id, cx),
            Input::Wake => Ok(()),
        }
    }

    /// Ends a turn: does what time or the inputs before made due (timeouts, polls, votes, gossip).
    /// Call it once after the last input of every turn.
    ///
    /// # Errors
    /// Storage failed; the node must stop without committing the turn.
    pub fn finish(&mut self, now: Time, turn: &mut Turn) -> Result<(), Unavailable> {
        let cx = &mut Cx { now, turn };
        self.run_listening(cx)?;
        self.run_timeouts(cx)?;
        self.expire_orphans(cx);
        self.run_polls(cx)?;
        self.seal_if_due(cx);
        self.flush_votes(cx)?;
        self.run_sealing(cx)?;
        self.run_requests(cx);
        if !self.outbox.is_empty() {
            cx.effect(Effect::PublishTransactions(core::mem::take(&mut self.outbox)));
        }
        self.record_deferred(turn);
        self.trim_early();
        Ok(())
    }

    /// When the engine wants [`Input::Wake`] (or any other input) at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        [
            self.rounds.deadline(),
            self.sampling.deadline(),
            self.voting.deadline(),
            self.requests.deadline(),
            self.sync.deadline(),
            self.orphans.deadline(),
            self.history.deadline(),
            self.is_sealing().then(|| self.sealing.deadline()),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Numbers for gauges and status lines.
    #[must_use]
    pub fn gauges(&self) -> Gauges {
        Gauges {
            pool_transactions: self.pool.len(),
            pool_bytes: self.pool.bytes(),
            pool_final: self.pool.at_stage(Stage::Final),
            pool_contested: self.pool.contested(),
            orphans: self.orphans.len(),
            polls: self.sampling.len(),
            height: self.chain.state.height.0,
            tip: Some(self.chain.state.hash),
            round: self.rounds.round().0,
            epoch: self.chain.state.epoch.0,
            voice: self.voice(),
        }
    }

    /// The chain after the last block.
    #[must_use]
    pub const fn chain_state(&self) -> &ChainState {
        &self.chain.state
    }

    /// The validators of the next height.
    #[must_use]
    pub const fn validators(&self) -> &Arc<ValidatorSet> {
        &self.chain.state.validators
    }

    /// The validators of this epoch or the next one.
    fn set_of(&self, epoch: Epoch) -> Option<Arc<ValidatorSet>> {
        self.chain.state.set_of(epoch).filter(|_| epoch >= self.chain.state.epoch)
    }

    /// The UTXO set, to read.
    #[must_use]
    pub const fn ledger(&self) -> &L {
        &self.chain.ledger
    }

    /// The UTXO set, for the shell's own housekeeping.
    pub const fn ledger_mut(&mut self) -> &mut L {
        &mut self.chain.ledger
    }

    /// The best certificate held for a transaction: of Commit votes, else of Prepare votes (F-5).
    #[must_use]
    pub fn certificate(&self, txid: &Txid) -> Option<Certificate> {
        let tally = self.voting.tally(txid)?;
        let (epoch, validators) = (self.chain.state.epoch, self.validators());
        tally
            .certificate(txid, epoch, Phase::Commit, validators)
            .or_else(|| tally.certificate(txid, epoch, Phase::Prepare, validators))
    }

    /// This node's position among the validators, if it is one.
    fn own_index(&self) -> Option<ValidatorIndex> {
        self.validators().index_of(self.identity.public.as_ref()?)
    }

    /// The key to vote with, if this node is a validator of the epoch and its history lets it (D-15, D-18). Whatever is
    /// signed is signed with it.
    fn voting_key(&self) -> Option<&SecretKey> {
        self.own_index().and(self.identity.key.as_ref()).filter(|_| self.history.may_sign())
    }

    /// Its position, if it takes part in the agreement.
    fn voting_index(&self) -> Option<ValidatorIndex> {
        self.own_index().filter(|_| self.history.may_sign())
    }
}

/// The earlier of two deadlines, where either may be missing.
fn earlier(left: Option<Time>, right: Option<Time>) -> Option<Time> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left.min(right)),
        (one, other) => one.or(other),
    }
}

type ByTxid<V> = BTreeMap<Txid, V>;
