//! Fingerprints of states: 128 bits of a hash over what a state is and shows of itself.

use std::fmt;
use std::hash::{Hash, Hasher};

/// Takes values by [`Hash`], and text by [`fmt::Write`].
#[derive(Debug, Default)]
pub struct Printer(Vec<u8>);

impl Printer {
    /// Adds a value.
    pub fn add(&mut self, value: impl Hash) -> &mut Self {
        value.hash(self);
        self
    }

    /// Adds what a value shows of itself.
    pub fn show(&mut self, value: &impl fmt::Debug) -> &mut Self {
        // Writing to memory does not fail.
        let _ = fmt::Write::write_fmt(self, format_args!("{value:?}|"));
        self
    }

    /// The fingerprint.
    #[must_use]
    pub fn take(&self) -> u128 {
        let mut low = [0; 16];
        for (to, from) in low.iter_mut().zip(blake3::hash(&self.0).as_bytes()) {
            *to = *from;
        }
        u128::from_le_bytes(low)
    }
}

impl fmt::Write for Printer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

impl Hasher for Printer {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        self.take() as u64
    }
}
