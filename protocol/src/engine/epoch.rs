//! The change of epoch (`SPEC.md` E-7): what ends with the old one, and what goes on.

use super::api::{Event, Status};
use super::pool::{PollState, Stage};
use super::sealing::Sealing;
use super::{Cx, Effect, Engine, Ledger};
use crate::hash::Txid;
use crate::validator::{Epoch, Round};
use alloc::vec::Vec;

impl<L: Ledger> Engine<L> {
    /// The closing block is on the chain: locks, votes and polls of the old epoch end, and what no block took is
    /// undecided again.
    pub(super) fn change_epoch(&mut self, ended: Epoch, cx: &mut Cx<'_>) {
        self.voting.end_epoch();
        self.history.end_epoch();
        self.sealing = Sealing::default();
        for request in self.sampling.end_epoch() {
            self.requests.forget(request);
        }
        self.requests.end_epoch();
        let open: Vec<(Txid, Stage)> = self.pool.in_order().map(|(txid, entry)| (*txid, entry.stage)).collect();
        for (txid, stage) in open {
            if stage == Stage::Final {
                // E-8: cannot be while less than a third of the weight is faulty.
                cx.effect(Effect::Event(Event::FinalityLost { txid, epoch: ended }));
            }
            self.reopen(&txid, cx);
            if stage >= Stage::Prepared {
                let conflicts = self.pool.get(&txid).map(|entry| self.pool.conflicts(&txid, &entry.transaction));
                let rival = conflicts.and_then(|conflicts| conflicts.first().copied());
                cx.status(txid, rival.map_or(Status::Pending, Status::Contested));
            }
        }
        cx.effect(Effect::Event(Event::Epoch { epoch: self.chain.state.epoch, start: self.chain.state.epoch_start }));
    }

    /// Whether a block may still settle what the last epoch left open before sampling locks anything (E-9).
    pub(super) fn is_first_round_of_epoch(&self) -> bool {
        self.rounds.height() == self.chain.state.epoch_start && self.rounds.round() == Round(0)
    }

    /// A transaction begins anew: it waits for its parents in the pool, or is polled. How long it has waited for a block
    /// is not forgotten: an epoch may be shorter than that takes (B-11).
    fn reopen(&mut self, txid: &Txid, cx: &mut Cx<'_>) {
        let contested = self.pool.is_contested(txid);
        let Some(entry) = self.pool.get_mut(txid) else { return };
        let ready = entry.parents.is_empty();
        entry.poll = PollState { left_open: contested, ..PollState::default() };
        entry.offers = entry.offers.min(1); // locks thaw; what spoilt a block still goes alone (B-10)
        entry.recorded = false;
        self.pool.set_stage(txid, if ready { Stage::Polling } else { Stage::Waiting });
        if ready {
            self.sampling.schedule(*txid, cx.now);
        }
    }
}
