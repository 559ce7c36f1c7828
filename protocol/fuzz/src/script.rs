//! Bytes as a list of decisions. Every decision takes one byte, or few, from the front, so that a
//! byte that libFuzzer changes, inserts or removes changes one decision and leaves the others.

/// Numbers at which something usually changes.
const EDGES: [u64; 12] = [
    u64::MAX,
    u64::MAX - 1,
    1 << 63,
    1 << 32,
    u32::MAX as u64,
    1 << 16,
    545,
    546,
    1_000,
    100_000_000_000,
    251,
    99_999_999_999,
];

/// The decisions that are left.
#[derive(Clone, Copy, Debug)]
pub struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    /// Everything is still to be decided.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether nothing is left; then every decision is 0.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A number below `end`, which is above 0 and at most 256.
    pub fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end.max(1)
    }

    /// Yes once in `odds` times.
    pub fn rarely(&mut self, odds: u8) -> bool {
        self.byte() % odds == odds - 1
    }

    /// One of `items`, if there is any. Of more than 256 one of the last.
    pub fn pick<T: Clone>(&mut self, items: &[T]) -> Option<T> {
        let recent = &items[items.len().saturating_sub(256)..];
        let at = self.below(recent.len());
        recent.get(at).cloned()
    }

    /// Of the last eight of `items`, those that a byte has bits for.
    pub fn some<T: Clone>(&mut self, items: &[T]) -> Vec<T> {
        let bits = self.byte();
        let recent = &items[items.len().saturating_sub(8)..];
        (0..8).zip(recent).filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, item)| item.clone()).collect()
    }

    /// Any number, small ones and edges more often.
    pub fn number(&mut self) -> u64 {
        match self.byte() {
            small @ 0..240 => small.into(),
            edge @ 240..252 => EDGES[usize::from(edge - 240)],
            _ => (0..8).fold(0, |number, _| number << 8 | u64::from(self.byte())),
        }
    }
}
