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

/// Leaves out fields as a derived `Debug` writes them: `name: value`, up to the comma or bracket after it.
pub fn without(text: &[u8], names: &[&str]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let begins = at == 0 || matches!(text.get(at - 1), Some(b' ' | b'{'));
        let word = text[at..].iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
        let is_left_out = begins
            && word > 0
            && text[at + word..].starts_with(b": ")
            && names.iter().any(|name| name.as_bytes() == &text[at..at + word]);
        if is_left_out {
            at += word + value_len(&text[at + word..]);
        } else if begins && word > 0 {
            kept.extend_from_slice(&text[at..at + word]);
            at += word;
        } else {
            kept.push(*byte);
            at += 1;
        }
    }
    kept
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
