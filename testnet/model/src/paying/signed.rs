//! What the model signs in the name of others. Signing takes longer than all else in a step, so the same is signed once.

use super::setting::SETTING;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use timecoin_protocol::block::{BlockPhase, BlockVote};
use timecoin_protocol::finality::{Phase, Seal, VoteBatch};
use timecoin_protocol::hash::{BlockHash, Txid};
use timecoin_protocol::validator::{Epoch, Height, Round};

/// What is made once for each key.
struct Once<K, V>(Mutex<BTreeMap<K, V>>);

impl<K: Ord, V: Clone> Once<K, V> {
    const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    fn of(&self, key: K, make: impl FnOnce() -> V) -> V {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_insert_with(make).clone()
    }
}

/// What a vote for a block is about.
pub(super) type BlockBallot = (Epoch, Height, Round, BlockPhase, Option<BlockHash>);

static BATCHES: Once<(usize, Epoch, Phase, usize), Arc<VoteBatch>> = Once::new();
static BLOCK_VOTES: Once<(usize, BlockBallot), BlockVote> = Once::new();
static SEALS: Once<(usize, Epoch, Vec<Txid>), Seal> = Once::new();

/// The vote of any validator for a payment.
pub(super) fn batch(by: usize, epoch: Epoch, phase: Phase, payment: usize) -> Arc<VoteBatch> {
    BATCHES.of((by, epoch, phase, payment), || {
        let txids = vec![SETTING.payments[payment].txid()];
        Arc::new(VoteBatch::sign(epoch, phase, txids, &SETTING.keys[by], &SETTING.genesis.hash()))
    })
}

/// The vote of any validator for a block, or for none.
pub(super) fn block_vote(by: usize, ballot: BlockBallot) -> BlockVote {
    let (epoch, height, round, phase, block) = ballot;
    BLOCK_VOTES.of((by, ballot), || {
        BlockVote::sign(epoch, height, round, phase, block, &SETTING.keys[by], &SETTING.genesis.hash())
    })
}

/// The seal of any validator, with these payments.
pub(super) fn seal(by: usize, epoch: Epoch, payments: &[usize]) -> Seal {
    let mut txids: Vec<_> = payments.iter().map(|payment| SETTING.payments[*payment].txid()).collect();
    txids.sort_unstable();
    SEALS.of((by, epoch, txids.clone()), || Seal::sign(epoch, txids, &SETTING.keys[by], &SETTING.genesis.hash()))
}
