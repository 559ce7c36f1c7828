//! The first reason why this node cannot go on: storage failed, or a part of it panicked.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tokio::sync::watch;

/// Where every part reports that the node must stop; the first report stays.
#[derive(Clone, Debug)]
pub struct Failure(Arc<watch::Sender<Option<String>>>);

impl Default for Failure {
    fn default() -> Self {
        Self(Arc::new(watch::channel(None).0))
    }
}

impl Failure {
    /// Says why the node must stop. Only the first reason is kept: later ones follow from it.
    pub fn report(&self, reason: String) {
        self.0.send_if_modified(|first| {
            let is_first = first.is_none();
            if is_first {
                tracing::error!(%reason, "the node cannot go on");
                *first = Some(reason);
            }
            is_first
        });
    }

    /// The reason, if there is one.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        self.0.borrow().clone()
    }

    /// Resolves once something was reported, with the first reason.
    pub async fn reported(&self) -> String {
        let mut reports = self.0.subscribe();
        match reports.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            // The sender lives in `self`.
            Err(_) => std::future::pending().await,
        }
    }

    /// Runs the whole work of a thread; a panic in it is reported under the name `part`.
    pub fn watch_thread(&self, part: &str, work: impl FnOnce()) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
            self.report(format!("{part} panicked: {}", panic_text(panic.as_ref())));
        }
    }

    /// Runs the whole work of a task; a panic in it is reported under the name `part`.
    pub async fn watch_task(self, part: &'static str, work: impl Future<Output = ()>) {
        use futures::FutureExt;
        if let Err(panic) = AssertUnwindSafe(work).catch_unwind().await {
            self.report(format!("{part} panicked: {}", panic_text(panic.as_ref())));
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("for an unknown reason")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_reason_stays() {
        let failure = Failure::default();
        assert_eq!(failure.reason(), None);
        failure.report("disk full".into());
        failure.report("then everything else".into());
        assert_eq!(failure.reported().await, "disk full");
    }

    #[tokio::test]
    async fn a_panic_in_a_thread_or_task_is_reported_with_its_message() {
        let failure = Failure::default();
        failure.watch_thread("the driver", || panic!("index {}", 7));
        assert_eq!(failure.reported().await, "the driver panicked: index 7");

        let failure = Failure::default();
        failure.clone().watch_task("the intake", async { panic!("plain") }).await;
        assert_eq!(failure.reported().await, "the intake panicked: plain");
    }
}
