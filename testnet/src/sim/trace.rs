//! What happened in a run: as a fingerprint always, as lines for people if asked.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use timecoin_protocol::engine::Time;

/// Takes one line of a trace.
pub type Print = fn(&str);

/// The record of a run.
#[derive(Debug)]
pub(super) struct Trace {
    started: Time,
    hasher: DefaultHasher,
    print: Option<Print>,
}

impl Trace {
    pub fn new(started: Time, print: Option<Print>) -> Self {
        Self { started, hasher: DefaultHasher::new(), print }
    }

    /// Something happened. `what` goes into the fingerprint, `line` to whoever reads along.
    pub fn note(&mut self, now: Time, what: impl Hash, line: impl FnOnce() -> String) {
        (now.0, &what).hash(&mut self.hasher);
        if let Some(print) = self.print {
            let micros = now.micros_since(self.started);
            let mut text = format!("{:>6}.{:03} ms  ", micros / 1_000, micros % 1_000);
            let _ = text.write_str(&line());
            print(&text);
        }
    }

    /// Equal for equal runs of one build.
    pub fn fingerprint(&self) -> u64 {
        self.hasher.finish()
    }
}

/// Fingerprint of bytes.
pub(super) fn fingerprint(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// The first digits of a hash, for lines.
pub(super) fn short(hash: &[u8; 32]) -> String {
    hex::encode(hash.first_chunk::<4>().unwrap_or(&[0; 4]))
}
