//! Queries whose answers wait for bodies that are on their way (`SPEC.md` S-10).

use super::api::{ReplyTag, Time};
use super::{ByTxid, Kept};
use crate::bounds::HELD_TXIDS_MAX;
use crate::hash::Txid;
use crate::wire::Query;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// When a held query must be answered, and its number.
type Key = (Time, u64);

#[derive(Clone, Debug)]
struct HeldQuery {
    tag: ReplyTag,
    query: Query,
    /// What has not come yet, each once.
    lacking: Vec<Txid>,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    queries: BTreeMap<Key, HeldQuery>,
    /// The queries that lack a transaction.
    waiting: ByTxid<Vec<Key>>,
    ready: Vec<(ReplyTag, Query)>,
    txids: usize,
    next: u64,
}

impl Held {
    pub const fn kept(&self) -> Kept {
        Kept::new("transactions of queries that are held", self.txids, HELD_TXIDS_MAX)
    }

    pub fn deadline(&self) -> Option<Time> {
        self.queries.keys().next().map(|(until, _)| *until)
    }

    /// Whether there is room for a query.
    pub fn has_room(&self, query: &Query) -> bool {
        self.txids.saturating_add(query.txids.len()) <= HELD_TXIDS_MAX
    }

    /// Holds a query back until all of `lacking` (sorted, each once) have come, or until `until`.
    pub fn hold(&mut self, tag: ReplyTag, query: Query, lacking: Vec<Txid>, until: Time) {
        let key = (until, self.next);
        self.next += 1;
        self.txids += query.txids.len();
        for txid in &lacking {
            self.waiting.entry(*txid).or_default().push(key);
        }
        self.queries.insert(key, HeldQuery { tag, query, lacking });
    }

    /// A transaction is here.
    pub fn arrived(&mut self, txid: &Txid) {
        for key in self.waiting.remove(txid).unwrap_or_default() {
            let Some(held) = self.queries.get_mut(&key) else { continue };
            held.lacking.retain(|other| other != txid);
            if held.lacking.is_empty() {
                self.release(key);
            }
        }
    }

    /// Takes out the queries that are to be answered now.
    pub fn due(&mut self, now: Time) -> Vec<(ReplyTag, Query)> {
        while let Some(key) = self.queries.keys().next().copied().filter(|(until, _)| *until <= now) {
            self.release(key);
        }
        core::mem::take(&mut self.ready)
    }

    fn release(&mut self, key: Key) {
        let Some(held) = self.queries.remove(&key) else { return };
        self.txids = self.txids.saturating_sub(held.query.txids.len());
        for txid in &held.lacking {
            if let Some(others) = self.waiting.get_mut(txid) {
                others.retain(|other| *other != key);
                if others.is_empty() {
                    self.waiting.remove(txid);
                }
            }
        }
        self.ready.push((held.tag, held.query));
    }
}
