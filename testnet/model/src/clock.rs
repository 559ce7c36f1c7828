//! How long a check may take.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// After its time nothing can happen any more, until it is lifted. stateright's own limit is not looked at by a checker of
/// one thread.
#[derive(Debug)]
pub struct Limit {
    ends: Option<Instant>,
    is_lifted: AtomicBool,
    /// Whether something was left out for that reason.
    is_cut: AtomicBool,
}

impl Limit {
    /// Ends after this time; without one, never.
    #[must_use]
    pub fn after(time: Option<Duration>) -> Self {
        let ends = time.and_then(|time| Instant::now().checked_add(time));
        Self { ends, is_lifted: AtomicBool::new(false), is_cut: AtomicBool::new(false) }
    }

    /// Whether the time is up; who asks leaves something out if it is.
    pub fn is_over(&self) -> bool {
        let is_over = self.ends.is_some_and(|ends| ends <= Instant::now()) && !self.is_lifted.load(Ordering::Relaxed);
        if is_over {
            self.is_cut.store(true, Ordering::Relaxed);
        }
        is_over
    }

    /// Whether the time was over before all had happened that can.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Relaxed)
    }

    /// Lifts the limit: whoever walks a way that was found once more must not be stopped on it.
    pub fn lift(&self) {
        self.is_lifted.store(true, Ordering::Relaxed);
    }
}
