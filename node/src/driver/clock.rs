//! The node's clock: the wall clock at the start, monotonic from then on.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use timecoin_protocol::engine::Time;

/// A clock that never goes back within a run, whatever happens to the system's date.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    started_at: u64,
}

impl Clock {
    /// A clock that shows the system's date now.
    #[must_use]
    pub fn start() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: Instant::now(), started_at: micros(since_1970) }
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Time {
        Time(self.started_at.saturating_add(micros(self.started.elapsed())))
    }

    /// The moment on the system's monotonic clock that is `time` here; moments long before the
    /// start are the start.
    #[must_use]
    pub fn instant(&self, time: Time) -> Instant {
        let after_start = Duration::from_micros(time.0.saturating_sub(self.started_at));
        // A time that no `Instant` can hold is as good as never; nobody waits for longer than a day.
        self.started.checked_add(after_start).unwrap_or_else(|| Instant::now() + Duration::from_secs(86_400))
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_and_its_instant_are_the_same_moment() {
        let clock = Clock::start();
        let in_a_second = clock.now().plus_ms(1_000);
        let wait = clock.instant(in_a_second).saturating_duration_since(Instant::now());
        assert!(wait <= Duration::from_secs(1) && wait > Duration::from_millis(500), "{wait:?}");
    }

    #[test]
    fn a_time_beyond_all_instants_is_far_away_and_not_a_panic() {
        let clock = Clock::start();
        assert!(clock.instant(Time(u64::MAX)) > Instant::now());
        assert!(clock.instant(Time(0)) <= Instant::now());
    }
}
