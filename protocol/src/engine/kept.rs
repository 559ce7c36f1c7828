//! How much an engine keeps of everything that others can make grow, each with its bound: for whoever looks after a node,
//! and for simulations, which compare the two after every turn.

use super::{Engine, Ledger};

/// Something that is kept, and the most of it that there may be at the end of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// What it is, with its unit.
    pub what: &'static str,
    /// How much there is.
    pub count: usize,
    /// How much there may be.
    pub most: usize,
}

impl Kept {
    pub(super) const fn new(what: &'static str, count: usize, most: usize) -> Self {
        Self { what, count, most }
    }

    /// Whether it is within its bound.
    #[must_use]
    pub const fn fits(&self) -> bool {
        self.count <= self.most
    }
}

impl<L: Ledger> Engine<L> {
    /// Everything with a bound of its own: in `bounds`, in the tuning, or that the number of validators and rounds sets.
    pub fn kept(&self) -> impl Iterator<Item = Kept> {
        let tuning = &self.identity.tuning;
        let members = self.validators().len();
        let voters = members.saturating_add(self.chain.state.next_validators.len());
        let pool = [
            Kept::new("transactions in the pool", self.pool.len(), tuning.pool_transactions_max),
            Kept::new("bytes in the pool", self.pool.bytes(), tuning.pool_bytes_max),
        ];
        pool.into_iter()
            .chain(self.chain.kept())
            .chain(self.sampling.kept())
            .chain([self.orphans.kept(), self.requests.kept(), self.sync.kept()])
            .chain(self.voting.kept())
            .chain(self.rounds.kept(members))
            .chain([self.sealing.kept(members, self.rounds.rounds_kept())])
            .chain(self.evidence.kept(voters))
    }

    /// Requests of this node that have neither been answered nor failed.
    #[must_use]
    pub fn requests_on_the_way(&self) -> usize {
        self.requests.on_the_way()
    }
}
