//! Payments and the end of an epoch (F, B-11, E): the engines of three honest validators, one that votes for everything,
//! two payments that exclude each other, messages lost and out of order, polls that go as the checker
//! likes, and a crash.

mod blocks;
mod checks;
mod face;
mod kinds;
mod local;
mod look;
mod message;
mod moves;
mod properties;
mod scripts;
mod setting;
mod signed;

pub use face::{Face, Misdeed, News};
pub use local::Local;
pub use message::{About, Message};
pub use scripts::Begin;
pub use setting::{SETTING, Setting};

use crate::compose::{self, Edge, Parts, Promise};
use crate::product::{Host, Product};
use kinds::Kinds;
use setting::VALIDATORS;
use stateright::Property;
use std::collections::BTreeSet;
use std::sync::Arc;
use timecoin_protocol::validator::{Height, Round};

/// What is checked: how much can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// What has happened before.
    pub begin: Begin,
    /// How many of the payments there are: 1 or 2, which exclude each other.
    pub payments: usize,
    /// The highest block that is agreed on; without blocks, time stands still.
    pub blocks: u64,
    /// The highest round of a height.
    pub rounds: u32,
    /// Crashes in all.
    pub crashes: u8,
    /// Whether votes come again, for other epochs, and before they could matter: none of this may change anything.
    pub noise: bool,
    /// Whether states of a validator are told apart also where they differ only in what has no influence.
    pub exact: bool,
}

/// A walk takes milliseconds, and computing all once more takes minutes.
const WALKS: usize = 400;

/// Four validators within bounds.
#[derive(Clone, Debug)]
pub struct Paying {
    bounds: Bounds,
    /// The faulty validator.
    byzantine: usize,
    /// The blocks that are proposed.
    kinds: Arc<Kinds>,
}

impl Paying {
    /// Four validators; the faulty one proposes in round 1 of the first height, if that is within the bounds, else not
    /// at all within two blocks.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        let byzantine = SETTING.engine(0).ok().and_then(|engine| {
            let turn = if bounds.rounds > 0 { 1 } else { 3 };
            let first = engine.validators().proposer(Height(1), Round(turn))?.key;
            engine.validators().index_of(&first)
        });
        Self { bounds, byzantine: byzantine.map_or(VALIDATORS - 1, usize::from), kinds: Arc::default() }
    }

    /// How many payments there are.
    fn payments(&self) -> usize {
        self.bounds.payments.min(SETTING.payments.len())
    }

    /// The faulty validator.
    #[must_use]
    pub const fn byzantine(&self) -> usize {
        self.byzantine
    }
}

impl Host for Paying {
    type Local = Local;
    type Message = Message;

    fn first(&self) -> Vec<Local> {
        let first = (0..VALIDATORS)
            .filter(|own| *own != self.byzantine)
            .filter_map(|own| Local::new(own, Arc::clone(&self.kinds)).ok());
        let mut first = scripts::play(self, first.collect());
        first.iter_mut().for_each(|local| local.take_print(&self.bounds));
        first
    }

    fn said<'a>(&self, local: &'a Local) -> &'a BTreeSet<Message> {
        &local.face.said
    }

    fn moves(&self, local: &Local, heard: &BTreeSet<Message>) -> Vec<(String, Local)> {
        let edges = moves::edges(self, local, heard);
        edges.into_iter().map(|edge| (edge.name, edge.next)).collect()
    }

    fn is_within(&self, locals: &[Arc<Local>]) -> bool {
        locals.iter().map(|local| local.face.crashes).sum::<u8>() <= self.bounds.crashes
    }

    fn properties() -> Vec<Property<Product<Self>>> {
        compose::properties()
    }
}

impl Parts for Paying {
    type Face = Face;

    fn face<'a>(&self, local: &'a Local) -> &'a Face {
        &local.face
    }

    fn key(&self, local: &Local) -> u128 {
        local.print()
    }

    /// Blocks that are known of all kinds.
    fn open_count(&self) -> usize {
        self.kinds.count()
    }

    /// With less it is as fast to compute all a few times.
    fn walks(&self) -> usize {
        if self.bounds.blocks > 0 && self.payments() > 1 { WALKS } else { 0 }
    }

    fn essence(&self, face: &Face) -> Face {
        let mut essence = face.clone();
        essence.said.retain(|message| matches!(message.about, About::Finality(..) | About::Seal(_)));
        essence
    }

    /// With one round, votes for nil are of no use to anybody.
    fn can_be_heard(&self, message: &Message) -> bool {
        self.bounds.rounds > 0 || !matches!(message.about, About::Block(_, _, _, None))
    }

    fn crashes(&self, face: &Face) -> u8 {
        face.crashes
    }

    fn crashes_max(&self) -> u8 {
        self.bounds.crashes
    }

    fn edges(&self, local: &Local, heard: &BTreeSet<Message>) -> Vec<Edge<Self>> {
        moves::edges(self, local, heard)
    }

    fn promises() -> &'static [Promise<Self>] {
        properties::PROMISES
    }
}
