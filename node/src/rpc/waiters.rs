//! Clients that wait for the finality of a transaction: one task listens to the news for all of
//! them, and each one costs a map entry.

use super::bounds::WAITERS_MAX;
use crate::view::{News, Outcome, View};
use dashmap::DashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use timecoin_protocol::engine::Status;
use timecoin_protocol::hash::Txid;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// Who waits for which transaction.
#[derive(Debug, Default)]
pub struct Waiters {
    by_txid: DashMap<Txid, Vec<(u64, oneshot::Sender<Outcome>)>>,
    next: AtomicU64,
    count: AtomicUsize,
}

/// One client's place; dropping it gives the place up.
#[derive(Debug)]
pub struct Waiting {
    waiters: Arc<Waiters>,
    txid: Txid,
    number: u64,
    /// Resolves with the outcome.
    pub outcome: oneshot::Receiver<Outcome>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.waiters.count.fetch_sub(1, Ordering::Relaxed);
        self.waiters.by_txid.remove_if_mut(&self.txid, |_, list| {
            list.retain(|(number, _)| *number != self.number);
            list.is_empty()
        });
    }
}

/// Whether a wallet need not wait any longer.
#[must_use]
pub const fn is_terminal(status: &Status) -> bool {
    matches!(status, Status::Final(_) | Status::Committed(_) | Status::Rejected(_))
}

impl Waiters {
    /// Takes a place in the queue for `txid`; `None` if [`WAITERS_MAX`] are taken. Look at the
    /// transaction's state only after this, else its news may pass in between.
    #[must_use]
    pub fn join(self: &Arc<Self>, txid: Txid) -> Option<Waiting> {
        if self.count.fetch_add(1, Ordering::Relaxed) >= WAITERS_MAX {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, outcome) = oneshot::channel();
        self.by_txid.entry(txid).or_default().push((number, sender));
        Some(Waiting { waiters: Arc::clone(self), txid, number, outcome })
    }

    /// Number of clients that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn resolve(&self, txid: &Txid, outcome: impl FnOnce() -> Outcome) {
        let Some((_, list)) = self.by_txid.remove(txid) else { return };
        let outcome = outcome();
        for (_, sender) in list {
            let _ = sender.send(outcome.clone());
        }
    }
}

/// Hands the news to those who wait, until `stop`.
pub async fn dispatch(view: Arc<View>, waiters: Arc<Waiters>, mut news: Receiver<News>, stop: CancellationToken) {
    loop {
        let item = tokio::select! {
            () = stop.cancelled() => return,
            item = news.recv() => item,
        };
        match item {
            Ok(News::Status { txid, status, at, admitted_at }) if is_terminal(&status) => {
                let final_at = matches!(status, Status::Final(_)).then_some(at);
                let outcome = Outcome { admitted_at, final_at, ..Outcome::new(status) };
                waiters.resolve(&txid, || with_times(&view, &txid, outcome));
            }
            Ok(News::Block(block, delta)) => {
                let height = block.block.header.height;
                for txid in delta.txids.iter().filter(|_| !waiters.is_empty()) {
                    let outcome = Outcome::new(Status::Committed(height));
                    waiters.resolve(txid, || with_times(&view, txid, outcome));
                }
            }
            Ok(_) => {}
            Err(RecvError::Lagged(_)) => catch_up(&view, &waiters).await,
            Err(RecvError::Closed) => return,
        }
    }
}

/// Fills in times that the news did not bring but the node remembers.
fn with_times(view: &View, txid: &Txid, outcome: Outcome) -> Outcome {
    let known = view.outcomes.get(txid).map(|known| known.clone());
    let Some(known) = known.or_else(|| view.pool.get(txid).map(|entry| entry.outcome())) else { return outcome };
    Outcome {
        status: outcome.status,
        admitted_at: outcome.admitted_at.or(known.admitted_at),
        final_at: outcome.final_at.or(known.final_at),
        path: outcome.path.or(known.path),
    }
}

/// News were lost: looks at every transaction that somebody waits for.
async fn catch_up(view: &Arc<View>, waiters: &Arc<Waiters>) {
    let (view, waiters) = (Arc::clone(view), Arc::clone(waiters));
    let look = move || {
        let txids: Vec<Txid> = waiters.by_txid.iter().map(|entry| *entry.key()).collect();
        for txid in txids {
            if let Some(outcome) = view.outcome(&txid).filter(|outcome| is_terminal(&outcome.status)) {
                waiters.resolve(&txid, || outcome);
            }
        }
    };
    if let Err(error) = tokio::task::spawn_blocking(look).await {
        tracing::warn!(%error, "could not look up the transactions that clients wait for");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use timecoin_protocol::engine::Path;

    fn outcome() -> Outcome {
        Outcome::new(Status::Final(Path::Sampled))
    }

    #[test]
    fn all_who_wait_for_a_transaction_are_told_and_nobody_else() {
        let waiters = Arc::new(Waiters::default());
        let mut first = waiters.join(Txid([1; 32])).unwrap();
        let mut second = waiters.join(Txid([1; 32])).unwrap();
        let mut other = waiters.join(Txid([2; 32])).unwrap();
        waiters.resolve(&Txid([1; 32]), outcome);
        assert_eq!(first.outcome.try_recv().unwrap().status, Status::Final(Path::Sampled));
        assert_eq!(second.outcome.try_recv().unwrap().status, Status::Final(Path::Sampled));
        assert!(other.outcome.try_recv().is_err());
    }

    #[test]
    fn who_gives_up_leaves_nothing_behind() {
        let waiters = Arc::new(Waiters::default());
        let first = waiters.join(Txid([1; 32])).unwrap();
        let second = waiters.join(Txid([1; 32])).unwrap();
        drop(first);
        assert_eq!((waiters.len(), waiters.by_txid.len()), (1, 1));
        drop(second);
        assert!(waiters.is_empty() && waiters.by_txid.is_empty());
    }
}
