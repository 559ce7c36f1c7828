//! A bounded queue with two lanes, so that a flood of transactions never delays a vote.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The class of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Consensus: votes, proposals, queries, answers to own requests.
    Urgent,
    /// What anybody can send any amount of: transactions, announcements.
    Bulk,
}

/// What a lane holds at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Items.
    pub items: usize,
    /// Sum of their sizes, in bytes; an empty lane takes an item of any size.
    pub bytes: usize,
}

/// What one take may hold at most. Zero takes nothing of that lane.
#[derive(Clone, Copy, Debug)]
pub struct Portion {
    /// Urgent items.
    pub urgent: usize,
    /// Bytes of them; the first fits at any size.
    pub urgent_bytes: usize,
    /// Bytes of bulk items; the first fits at any size.
    pub bulk_bytes: usize,
    /// How many takers share what waits: an urgent take leaves the others their part.
    pub takers: usize,
}

/// The outcome of [`Lanes::take`].
#[derive(Debug, PartialEq, Eq)]
pub enum Taken<T> {
    /// At least one item; urgent ones first, each lane in order.
    Items(Vec<T>),
    /// Nothing came in time.
    Nothing,
    /// The queue is closed; what was in it is gone.
    Closed,
}

#[derive(Debug)]
struct Queue<T> {
    items: VecDeque<(T, usize)>,
    bytes: usize,
    limits: Limits,
}

impl<T> Queue<T> {
    const fn new(limits: Limits) -> Self {
        Self { items: VecDeque::new(), bytes: 0, limits }
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.items.is_empty()
            || (self.items.len() < self.limits.items && self.bytes.saturating_add(bytes) <= self.limits.bytes)
    }

    fn push(&mut self, item: T, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.items.push_back((item, bytes));
    }

    fn pop(&mut self) -> Option<(T, usize)> {
        let (item, bytes) = self.items.pop_front()?;
        self.bytes = self.bytes.saturating_sub(bytes);
        Some((item, bytes))
    }
}

#[derive(Debug)]
struct State<T> {
    urgent: Queue<T>,
    bulk: Queue<T>,
    closed: bool,
}

impl<T> State<T> {
    const fn lane(&mut self, lane: Lane) -> &mut Queue<T> {
        match lane {
            Lane::Urgent => &mut self.urgent,
            Lane::Bulk => &mut self.bulk,
        }
    }

    fn portion(&mut self, portion: Portion) -> Vec<T> {
        let share = self.urgent.items.len().div_ceil(portion.takers.max(1)).min(portion.urgent);
        let mut taken = Vec::with_capacity(share);
        let mut bytes = 0_usize;
        while taken.len() < share
            && bytes < portion.urgent_bytes
            && let Some((item, size)) = self.urgent.pop()
        {
            bytes = bytes.saturating_add(size.max(1));
            taken.push(item);
        }
        bytes = 0;
        while bytes < portion.bulk_bytes
            && let Some((item, size)) = self.bulk.pop()
        {
            bytes = bytes.saturating_add(size.max(1));
            taken.push(item);
        }
        taken
    }
}

/// The queue. Both ends may be shared by several threads.
#[derive(Debug)]
pub struct Lanes<T> {
    state: Mutex<State<T>>,
    arrived: Condvar,
    left: Condvar,
}

impl<T> Lanes<T> {
    /// An empty queue.
    #[must_use]
    pub const fn new(urgent: Limits, bulk: Limits) -> Self {
        let state = State { urgent: Queue::new(urgent), bulk: Queue::new(bulk), closed: false };
        Self { state: Mutex::new(state), arrived: Condvar::new(), left: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        // Nothing in this file panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn announce(&self, lane: Lane) {
        match lane {
            Lane::Urgent => self.arrived.notify_one(),
            // Takers of urgent items only may be the ones that wake up.
            Lane::Bulk => self.arrived.notify_all(),
        }
    }

    /// Puts an item in without waiting.
    ///
    /// # Errors
    /// The item itself, if its lane is full or the queue is closed.
    pub fn try_push(&self, lane: Lane, item: T, bytes: usize) -> Result<(), T> {
        let mut state = self.state();
        if state.closed || !state.lane(lane).has_room(bytes) {
            return Err(item);
        }
        state.lane(lane).push(item, bytes);
        drop(state);
        self.announce(lane);
        Ok(())
    }

    /// Puts an item in, waiting for room. Blocks the thread.
    ///
    /// # Errors
    /// The item itself, if the queue is closed.
    pub fn push(&self, lane: Lane, item: T, bytes: usize) -> Result<(), T> {
        let mut state = self.state();
        while !state.closed && !state.lane(lane).has_room(bytes) {
            state = self.left.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed {
            return Err(item);
        }
        state.lane(lane).push(item, bytes);
        drop(state);
        self.announce(lane);
        Ok(())
    }

    /// Takes by the first of `choices` that finds anything, waiting until `until` (or for as long
    /// as it takes). Blocks the thread.
    pub fn take(&self, choices: &[Portion], until: Option<Instant>) -> Taken<T> {
        let mut state = self.state();
        loop {
            if state.closed {
                return Taken::Closed;
            }
            let taken = choices.iter().map(|portion| state.portion(*portion)).find(|taken| !taken.is_empty());
            if let Some(taken) = taken {
                drop(state);
                self.left.notify_all();
                return Taken::Items(taken);
            }
            let Some(until) = until else {
                state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let rest = until.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return Taken::Nothing;
            }
            state = self.arrived.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Closes the queue: everything in it is dropped, nobody waits any more.
    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        let dropped = (std::mem::take(&mut state.urgent.items), std::mem::take(&mut state.bulk.items));
        drop(state);
        self.arrived.notify_all();
        self.left.notify_all();
        drop(dropped);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    const ALL: Portion = Portion { urgent: 8, urgent_bytes: 100, bulk_bytes: 100, takers: 1 };

    fn lanes() -> Lanes<u32> {
        Lanes::new(Limits { items: 4, bytes: 100 }, Limits { items: 2, bytes: 100 })
    }

    #[test]
    fn urgent_items_come_out_before_bulk_ones_that_came_earlier() {
        let lanes = lanes();
        lanes.try_push(Lane::Bulk, 1, 1).unwrap();
        lanes.try_push(Lane::Urgent, 2, 1).unwrap();
        lanes.try_push(Lane::Urgent, 3, 1).unwrap();
        assert_eq!(lanes.take(&[ALL], None), Taken::Items(vec![2, 3, 1]));
    }

    #[test]
    fn a_full_bulk_lane_leaves_the_urgent_lane_open() {
        let lanes = lanes();
        lanes.try_push(Lane::Bulk, 1, 60).unwrap();
        assert_eq!(lanes.try_push(Lane::Bulk, 2, 60), Err(2), "more bytes than the lane holds");
        lanes.try_push(Lane::Bulk, 3, 10).unwrap();
        assert_eq!(lanes.try_push(Lane::Bulk, 4, 1), Err(4), "more items than the lane holds");
        assert_eq!(lanes.try_push(Lane::Urgent, 5, 1), Ok(()));
    }

    #[test]
    fn an_item_larger_than_the_lane_passes_alone() {
        let lanes = lanes();
        lanes.try_push(Lane::Bulk, 1, 1_000).unwrap();
        assert_eq!(lanes.try_push(Lane::Bulk, 2, 0), Err(2));
        assert_eq!(lanes.take(&[ALL], None), Taken::Items(vec![1]));
        assert_eq!(lanes.try_push(Lane::Bulk, 2, 0), Ok(()));
    }

    #[test]
    fn a_take_stops_at_its_bytes_in_each_lane() {
        let lanes = Lanes::new(Limits { items: 9, bytes: 900 }, Limits { items: 9, bytes: 900 });
        for item in 0..4 {
            lanes.try_push(Lane::Bulk, item, 60).unwrap();
            lanes.try_push(Lane::Urgent, 10 + item, 60).unwrap();
        }
        assert_eq!(lanes.take(&[ALL], None), Taken::Items(vec![10, 11, 0, 1]));
    }

    #[test]
    fn takers_of_urgent_items_leave_one_another_a_share() {
        let lanes = lanes();
        for item in 0..4 {
            lanes.try_push(Lane::Urgent, item, 1).unwrap();
        }
        let half = Portion { takers: 2, ..ALL };
        assert_eq!(lanes.take(&[half], None), Taken::Items(vec![0, 1]));
    }

    #[test]
    fn a_take_that_nothing_reaches_ends_at_its_time() {
        let lanes = lanes();
        lanes.try_push(Lane::Bulk, 1, 1).unwrap();
        let urgent_only = Portion { bulk_bytes: 0, ..ALL };
        assert_eq!(lanes.take(&[urgent_only], Some(Instant::now())), Taken::Nothing);
    }

    #[test]
    fn a_push_that_waits_goes_on_when_there_is_room_and_ends_when_the_queue_closes() {
        let lanes = Arc::new(lanes());
        lanes.try_push(Lane::Bulk, 1, 100).unwrap();
        let pusher = std::thread::spawn({
            let lanes = Arc::clone(&lanes);
            move || (lanes.push(Lane::Bulk, 2, 100), lanes.push(Lane::Bulk, 3, 100))
        });
        // A queue that loses a push fails here, and does not wait for ever.
        let deadline = Instant::now() + std::time::Duration::from_secs(120);
        for item in 1..=3 {
            assert_eq!(lanes.take(&[ALL], Some(deadline)), Taken::Items(vec![item]));
        }
        while !pusher.is_finished() {
            assert!(Instant::now() < deadline, "a push still waits although there is room");
            std::thread::yield_now();
        }
        assert_eq!(pusher.join().unwrap(), (Ok(()), Ok(())));
        lanes.close();
        assert_eq!(lanes.push(Lane::Bulk, 4, 1), Err(4));
        assert_eq!(lanes.take(&[ALL], None), Taken::Closed);
    }
}
