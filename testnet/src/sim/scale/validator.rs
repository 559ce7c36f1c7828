//! One validator: an engine, what has arrived for it, and how it behaves.

use super::ledger::SharedLedger;
use super::liar::Liar;
use std::convert::Infallible;
use timecoin_protocol::engine::{Config, Effect, Engine, Input, Journal, Record, Time, Turn};
use timecoin_protocol::keys::SecretKey;
use timecoin_protocol::ledger::{ChainState, Unavailable};

/// How a validator behaves.
#[derive(Debug)]
pub(super) enum Conduct {
    /// As the protocol says.
    Honest,
    /// Takes part, and lies.
    Lying(Liar),
    /// Says nothing and passes nothing on.
    Silent,
}

/// A journal that keeps nothing: no node of these runs restarts.
struct NoJournal;

impl Journal for NoJournal {
    type Error = Infallible;

    fn append(&mut self, _: &[Record]) -> Result<(), Infallible> {
        Ok(())
    }
}

/// A validator.
#[derive(Debug)]
pub(super) struct Validator {
    pub key: SecretKey,
    pub conduct: Conduct,
    engine: Option<Engine<SharedLedger>>,
    inbox: Vec<Input>,
    wake_at: Option<Time>,
}

impl Validator {
    pub fn new(config: Config, conduct: Conduct, key: SecretKey, state: ChainState, ledger: SharedLedger) -> Self {
        let is_silent = matches!(conduct, Conduct::Silent);
        let engine = (!is_silent).then(|| Engine::new(config, state, None, ledger));
        Self { key, conduct, engine, inbox: Vec::new(), wake_at: None }
    }

    pub const fn is_honest(&self) -> bool {
        matches!(self.conduct, Conduct::Honest)
    }

    pub const fn is_silent(&self) -> bool {
        matches!(self.conduct, Conduct::Silent)
    }

    pub const fn engine(&self) -> Option<&Engine<SharedLedger>> {
        self.engine.as_ref()
    }

    /// Something arrives; a silent validator does not take it.
    pub fn take(&mut self, input: Input) {
        if self.engine.is_some() {
            self.inbox.push(input);
        }
    }

    /// Begins; gives what leaves.
    pub fn start(&mut self, now: Time) -> Result<Vec<Effect>, Unavailable> {
        let Some(engine) = &mut self.engine else { return Ok(Vec::new()) };
        let turn = engine.start(now)?;
        self.wake_at = engine.deadline();
        Ok(commit(turn))
    }

    /// Whether something has arrived, or the time of a deadline has come.
    pub fn is_due(&self, now: Time) -> bool {
        !self.inbox.is_empty() || self.wake_at.is_some_and(|at| at <= now)
    }

    /// A turn over all that has arrived; gives what leaves.
    pub fn turn(&mut self, now: Time) -> Result<Vec<Effect>, Unavailable> {
        let Some(engine) = &mut self.engine else { return Ok(Vec::new()) };
        let mut turn = Turn::default();
        for input in self.inbox.drain(..) {
            engine.step(now, input, &mut turn)?;
        }
        engine.finish(now, &mut turn)?;
        self.wake_at = engine.deadline();
        Ok(commit(turn))
    }
}

fn commit(turn: Turn) -> Vec<Effect> {
    match turn.commit(&mut NoJournal) {
        Ok(effects) => effects,
        Err(never) => match never {},
    }
}
