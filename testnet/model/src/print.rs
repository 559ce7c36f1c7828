//! Fingerprints of states: 128 bits of a hash over what a state is and shows of itself.

use std::collections::HashSet;
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

/// Leaves out fields as a derived `Debug` writes them: `name: value`, up to the comma or bracket after it.
#[must_use]
pub fn without(text: &str, names: &HashSet<&str>) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    loop {
        // Names begin after a blank or an opening brace.
        let word = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (name, after) = rest.split_at(word);
        let after = if after.starts_with(": ") && names.contains(name) {
            after.split_at(value_len(after.as_bytes())).1
        } else {
            kept.push_str(name);
            after
        };
        let Some(next) = after.find([' ', '{']) else {
            kept.push_str(after);
            return kept;
        };
        let (between, following) = after.split_at(next + 1);
        kept.push_str(between);
        rest = following;
    }
}

/// Length of what comes before the comma or bracket that ends a field.
fn value_len(text: &[u8]) -> usize {
    let mut depth = 0_usize;
    let end = text.iter().position(|byte| match byte {
        b'(' | b'[' | b'{' => {
            depth += 1;
            false
        }
        b')' | b']' | b'}' if depth == 0 => true,
        b')' | b']' | b'}' => {
            depth -= 1;
            false
        }
        b',' => depth == 0,
        _ => false,
    });
    end.unwrap_or(text.len())
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
