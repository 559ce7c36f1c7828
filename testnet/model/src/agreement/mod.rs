//! Block agreement (R-*): the machines of three honest validators, one that says anything to anybody,
//! messages lost and out of order, timeouts whenever they run, and a crash.

mod local;
mod moves;
mod properties;

pub use local::{Local, Message, Misdeed};

use crate::product::{Host, Product};
use stateright::Property;
use std::collections::BTreeSet;
use std::sync::Arc;
use timecoin_protocol::address::Owner;
use timecoin_protocol::hash::BlockHash;
use timecoin_protocol::keys::PublicKey;
use timecoin_protocol::validator::{Height, Round, Validator, ValidatorIndex, ValidatorSet, Weight};

/// The height that is agreed on. Which one only moves the turns to propose.
const HEIGHT: Height = Height(7);
/// Blocks that the faulty validator makes.
const BYZANTINE_BLOCKS: [BlockHash; 2] = [BlockHash([0xb0; 32]), BlockHash([0xb1; 32])];
/// A block that breaks a rule of the ledger.
const INVALID: BlockHash = BlockHash([0xff; 32]);

fn is_valid(block: BlockHash) -> bool {
    block != INVALID
}

/// The new block of an honest proposer of `round`.
fn block_of(round: Round) -> BlockHash {
    BlockHash([u8::try_from(round.0).unwrap_or(u8::MAX); 32])
}

/// The bounds of a check.
#[derive(Clone, Debug)]
pub struct Agreeing {
    validators: Arc<ValidatorSet>,
    byzantine: ValidatorIndex,
    /// The highest round that can begin.
    rounds: u32,
    /// How often one validator may die; all together not more often than that either.
    crashes: u8,
    /// Whether there is noise.
    noise: bool,
}

/// What is checked: who is there, and how much can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Weights of the four validators, the faulty one's last.
    pub weights: [u64; 4],
    /// The round in which the faulty validator has its turn to propose: 0 to 3.
    pub byzantine_turn: u32,
    /// The highest round that can begin.
    pub rounds: u32,
    /// Crashes in all.
    pub crashes: u8,
    /// Whether votes come again, or contradict one that was heard, and invalid blocks are proposed: none
    /// of this may change anything.
    pub noise: bool,
}

impl Agreeing {
    /// Four validators within `bounds`.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        let set = |weights: [u64; 4]| {
            let member = |(n, weight): (u8, u64)| {
                let key = PublicKey([n; 32]);
                Validator { key, weight: Weight(weight), payout: Owner::from(&key) }
            };
            Arc::new(ValidatorSet::new((0..).zip(weights).map(member).collect()))
        };
        let [first, second, third, last] = bounds.weights;
        // Who begins follows from the weights and the height: the faulty one is put where its turn comes.
        let places = (0..4_u16).filter_map(|place| {
            let mut weights = vec![first, second, third];
            weights.insert(usize::from(place), last);
            let validators = set(weights.try_into().ok()?);
            let setting = Self {
                validators,
                byzantine: place,
                rounds: bounds.rounds,
                crashes: bounds.crashes,
                noise: bounds.noise,
            };
            (setting.proposer(Round(bounds.byzantine_turn)) == place).then_some(setting)
        });
        let mut places: Vec<_> = places.collect();
        places.pop().unwrap_or_else(|| Self {
            validators: set(bounds.weights),
            byzantine: 3,
            rounds: bounds.rounds,
            crashes: bounds.crashes,
            noise: bounds.noise,
        })
    }

    fn proposer(&self, round: Round) -> ValidatorIndex {
        let member = self.validators.proposer(HEIGHT, round);
        member.and_then(|member| self.validators.index_of(&member.key)).unwrap_or_default()
    }

    fn proposes_byzantine(&self) -> bool {
        (0..=self.rounds).any(|round| self.proposer(Round(round)) == self.byzantine)
    }

    fn weight(&self, index: ValidatorIndex) -> u64 {
        self.validators.at(index).map_or(0, |member| member.weight.0)
    }
}

impl Host for Agreeing {
    type Local = Local;
    type Message = Message;

    fn first(&self) -> Vec<Local> {
        let honest = (0..4).filter(|index| *index != self.byzantine);
        honest.map(|own| Local::new(&self.validators, own)).collect()
    }

    fn said<'a>(&self, local: &'a Local) -> &'a BTreeSet<Message> {
        &local.said
    }

    fn moves(&self, local: &Local, heard: &BTreeSet<Message>) -> Vec<(String, Local)> {
        moves::moves(self, local, heard)
    }

    fn is_within(&self, locals: &[Arc<Local>]) -> bool {
        locals.iter().map(|local| local.crashes).sum::<u8>() <= self.crashes
    }

    fn properties() -> Vec<Property<Product<Self>>> {
        properties::all()
    }
}
