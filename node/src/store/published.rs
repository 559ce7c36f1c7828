//! What readers see, and its checkpoints in the background (`SPEC.md` D-9…D-11).

use super::checkpoint;
use super::layer::Layer;
use super::overlay::Overlay;
use super::snapshot::Snapshot;
use super::{StoreError, StoreFile};
use crate::bounds::{CHECKPOINT_LAYERS, CHECKPOINT_ROWS, LAYERS_MAX, ROWS_MAX};
use arc_swap::ArcSwap;
use redb::Database;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;

/// What the checkpoint thread is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Order {
    #[default]
    Idle,
    Checkpoint,
    Stop,
}

/// The published overlay, shared by the driver, the readers and the checkpoint thread.
#[derive(Debug)]
pub struct Published {
    database: Database,
    overlay: ArcSwap<Overlay>,
    order: Mutex<Order>,
    changed: Condvar,
    failure: OnceLock<Arc<StoreError>>,
    /// One checkpoint at a time.
    checkpoint: Mutex<()>,
}

impl Published {
    pub fn new(database: Database, base: Snapshot) -> Self {
        Self {
            database,
            overlay: ArcSwap::from_pointee(Overlay::new(base)),
            order: Mutex::default(),
            changed: Condvar::new(),
            failure: OnceLock::new(),
            checkpoint: Mutex::default(),
        }
    }

    /// The ledger now; what is done with the result sees one moment.
    pub fn overlay(&self) -> arc_swap::Guard<Arc<Overlay>> {
        self.overlay.load()
    }

    /// Shows one more block.
    pub fn add(&self, layer: &Arc<Layer>) {
        self.overlay.rcu(|overlay| overlay.with(layer));
    }

    /// Why a checkpoint failed, if one did (D-11).
    pub fn failure(&self) -> Option<StoreError> {
        self.failure.get().map(|failure| StoreError::Checkpoint(Arc::clone(failure)))
    }

    /// Whether a checkpoint is due.
    pub fn is_due(&self) -> bool {
        let overlay = self.overlay();
        overlay.layers().len() >= CHECKPOINT_LAYERS || overlay.rows() >= CHECKPOINT_ROWS
    }

    /// Whether the driver must wait for the checkpoint (D-10).
    fn is_full(&self) -> bool {
        let overlay = self.overlay();
        overlay.layers().len() >= LAYERS_MAX || overlay.rows() >= ROWS_MAX
    }

    /// Moves all layers that are published now into the database, and readers onto it.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        let _alone = self.checkpoint.lock().unwrap_or_else(PoisonError::into_inner);
        let overlay = self.overlay.load_full();
        if overlay.layers().is_empty() {
            return Ok(());
        }
        let (base, _) = checkpoint::write(&self.database, overlay.layers())
            .and_then(|()| Snapshot::open(&self.database))
            .map_err(|error| StoreFile::Ledger.failed(error))?;
        let base = Arc::new(base);
        self.overlay.rcu(|overlay| overlay.rebased(&base));
        Ok(())
    }

    /// Asks the thread for a checkpoint, and waits while more is unwritten than may be (D-10).
    fn request(&self) -> Result<(), StoreError> {
        let mut order = self.lock_order();
        *order = Order::Checkpoint;
        self.changed.notify_all();
        while self.is_full() && self.failure.get().is_none() {
            order = self.changed.wait(order).unwrap_or_else(PoisonError::into_inner);
        }
        drop(order);
        self.failure().map_or(Ok(()), Err)
    }

    /// The body of the checkpoint thread: ends when told to, or when a checkpoint fails.
    fn serve(&self) {
        let _ended = Ended(self);
        loop {
            let mut order = self.lock_order();
            while *order == Order::Idle {
                order = self.changed.wait(order).unwrap_or_else(PoisonError::into_inner);
            }
            if *order == Order::Stop {
                return;
            }
            *order = Order::Idle;
            drop(order);
            let outcome = self.checkpoint();
            // Taken, so that nobody checks for what follows just before it and sleeps just after.
            let _order = self.lock_order();
            if let Err(error) = outcome {
                tracing::error!(%error, "a checkpoint failed");
                let _ = self.failure.set(Arc::new(error));
            }
            self.changed.notify_all();
            if self.failure.get().is_some() {
                return;
            }
        }
    }

    fn lock_order(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the driver if the thread ends by a panic, so that it never waits for a checkpoint that
/// nobody makes.
struct Ended<'a>(&'a Published);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _order = self.0.lock_order();
            let _ = self.0.failure.set(Arc::new(StoreFile::Ledger.corrupt("a checkpoint panicked")));
            self.0.changed.notify_all();
        }
    }
}

/// Who makes checkpoints.
#[derive(Debug)]
pub enum Checkpoints {
    /// A thread, while the driver goes on.
    Background(CheckpointThread),
    /// The driver itself, so that a simulation's runs are alike.
    Inline,
}

impl Checkpoints {
    /// Sees to a checkpoint if one is due.
    pub fn run(&self, published: &Published) -> Result<(), StoreError> {
        if let Some(failure) = published.failure() {
            return Err(failure);
        }
        match self {
            _ if !published.is_due() => Ok(()),
            Self::Background(thread) => thread.published.request(),
            Self::Inline => published.checkpoint(),
        }
    }
}

/// The checkpoint thread; ends with the value, after the checkpoint in progress.
#[derive(Debug)]
pub struct CheckpointThread {
    published: Arc<Published>,
    thread: Option<JoinHandle<()>>,
}

impl CheckpointThread {
    pub fn start(published: &Arc<Published>) -> std::io::Result<Self> {
        let shared = Arc::clone(published);
        let thread = std::thread::Builder::new().name("checkpoint".to_owned()).spawn(move || shared.serve())?;
        Ok(Self { published: Arc::clone(published), thread: Some(thread) })
    }
}

impl Drop for CheckpointThread {
    fn drop(&mut self) {
        *self.published.lock_order() = Order::Stop;
        self.published.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
