//! What every method has at hand.

use super::bounds::{READ_ATTEMPTS_MAX, STORAGE_READS_MAX};
use super::error::{RpcError, code};
use super::table::Answer;
use super::waiters::Waiters;
use crate::view::{Outcome, View};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};
use timecoin_protocol::address::{NetworkKind, Owner, address_text, parse_address};
use timecoin_protocol::engine::Time;
use timecoin_protocol::hash::Txid;
use timecoin_protocol::ledger::ChainState;
use timecoin_protocol::transaction::{OutPoint, Output};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// What every method has at hand.
#[derive(Debug)]
pub struct Context {
    /// The node.
    pub view: Arc<View>,
    /// Clients that wait for finality.
    pub waiters: Arc<Waiters>,
    /// Cancelled when the node stops.
    pub stop: CancellationToken,
    /// Whether unsafe methods are allowed.
    pub unsafe_methods: bool,
    reads: Arc<Semaphore>,
}

impl Context {
    /// A context over a view.
    #[must_use]
    pub fn new(view: Arc<View>, stop: CancellationToken, unsafe_methods: bool) -> Self {
        Self {
            view,
            waiters: Arc::new(Waiters::default()),
            stop,
            unsafe_methods,
            reads: Arc::new(Semaphore::new(STORAGE_READS_MAX)),
        }
    }

    /// Runs something that may read the database, on a thread that may block.
    ///
    /// # Errors
    /// Those of `read`; internal if it panicked or the node is stopping.
    pub async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Self) -> Result<T, RpcError> + Send + 'static,
    ) -> Result<T, RpcError> {
        let permit = Arc::clone(&self.reads).acquire_owned().await.map_err(|_| RpcError::stopping())?;
        let context = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            read(&context)
        })
        .await
        .map_err(|_| RpcError::internal("the read did not end"))?
    }

    /// Repeats a read of pool and chain until no block came in between, so that it sees both at
    /// one height; after [`READ_ATTEMPTS_MAX`] attempts the last one counts.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn at_one_height<T>(&self, read: impl Fn(&ChainState) -> Result<T, RpcError>) -> Result<T, RpcError> {
        let mut attempts = 1;
        loop {
            let tip = self.view.chain.tip();
            let answer = read(&self.view.state.load_full())?;
            if self.view.chain.tip() == tip || attempts >= READ_ATTEMPTS_MAX {
                return Ok(answer);
            }
            attempts += 1;
        }
    }

    /// Kind of network.
    #[must_use]
    pub fn network(&self) -> NetworkKind {
        self.view.network()
    }

    /// Whether the node is level with its peers.
    #[must_use]
    pub fn synced(&self) -> bool {
        self.view.synced.load(Ordering::Relaxed)
    }

    /// The text of an address on this network.
    #[must_use]
    pub fn address(&self, owner: &Owner) -> String {
        address_text(owner, self.network())
    }

    /// Reads an address of this network.
    ///
    /// # Errors
    /// It is not one; the message says why.
    pub fn owner(&self, address: &str) -> Result<Owner, RpcError> {
        parse_address(address, self.network()).map_err(|error| {
            let reason = super::error::variant_slug(&error);
            let hint = format!("addresses of this network begin with {}1", self.network().prefix());
            RpcError::new(code::NOT_FOUND, format!("invalid address: {error}"), format!("address-{reason}"), &hint)
        })
    }

    /// Blocks from `height` up to the last one, both counted; 0 if there is no such block yet.
    #[must_use]
    pub fn confirmations(&self, height: u64) -> u64 {
        (self.view.state.load().height.0 + 1).saturating_sub(height)
    }

    /// Where a transaction stands, from memory only: the pool and recent outcomes.
    #[must_use]
    pub fn recent_outcome(&self, txid: &Txid) -> Option<Outcome> {
        let pooled = self.view.pool.get(txid).map(|entry| entry.outcome());
        pooled.or_else(|| self.view.outcomes.get(txid).map(|outcome| outcome.clone()))
    }

    /// The output at `outpoint`, spent or not: of the pool, of a block, or of genesis.
    ///
    /// # Errors
    /// Storage failed.
    pub fn output(&self, outpoint: &OutPoint) -> Result<Option<Output>, RpcError> {
        let index = usize::try_from(outpoint.index).unwrap_or(usize::MAX);
        if let Some(entry) = self.view.pool.get(&outpoint.txid) {
            return Ok(entry.transaction.body.outputs.get(index).copied());
        }
        if outpoint.txid.0 == self.view.genesis_hash.0 {
            return Ok(self.view.genesis.outputs.get(index).copied());
        }
        if let Some(utxo) = self.view.chain.utxo(outpoint)? {
            return Ok(Some(utxo.output));
        }
        let stored = self.view.chain.transaction(&outpoint.txid)?;
        Ok(stored.and_then(|stored| stored.transaction.body.outputs.get(index).copied()))
    }
}

/// Now, by the system's clock.
#[must_use]
pub fn now() -> Time {
    let micros = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_micros());
    Time(u64::try_from(micros).unwrap_or(u64::MAX))
}

/// The answer of a method whose result serializes.
///
/// # Errors
/// Internal: the value has no JSON form.
pub fn answer(value: impl serde::Serialize) -> Answer {
    serde_json::to_value(value).map_err(|error| RpcError::internal(error.to_string()))
}
