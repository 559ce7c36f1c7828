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

/// What a value shows of itself, without the fields of these names.
#[must_use]
pub fn without(value: &impl fmt::Debug, names: &HashSet<&str>) -> String {
    let mut sieve = Sieve { names, kept: String::new(), begins: false, name_at: None, skipped: None };
    // Writing to memory does not fail.
    let _ = fmt::Write::write_fmt(&mut sieve, format_args!("{value:?}"));
    sieve.kept
}

/// Takes what a derived `Debug` writes, piece by piece: what is left out is most of it, and is never put together.
struct Sieve<'a> {
    names: &'a HashSet<&'a str>,
    kept: String,
    /// Whether a field may begin here.
    begins: bool,
    /// Where the name of a field that is to be left out was put, if nothing came after it yet.
    name_at: Option<usize>,
    /// In how many brackets a value is that is left out.
    skipped: Option<usize>,
}

impl fmt::Write for Sieve<'_> {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        let mut piece = piece;
        if self.name_at.is_some() && piece == ": " {
            self.kept.truncate(self.name_at.unwrap_or_default());
            self.skipped = Some(0);
            piece = "";
        }
        self.name_at = None;
        if let Some(depth) = &mut self.skipped {
            let Some(end) = value_end(piece.as_bytes(), depth) else { return Ok(()) };
            piece = piece.split_at(end).1;
            self.skipped = None;
        }
        if self.begins && self.names.contains(piece) {
            self.name_at = Some(self.kept.len());
        }
        self.begins = piece == ", " || piece == " { ";
        self.kept.push_str(piece);
        Ok(())
    }
}

/// Where the comma or bracket is that ends a value, if it is in this piece; counts the brackets that are open.
fn value_end(piece: &[u8], depth: &mut usize) -> Option<usize> {
    piece.iter().position(|byte| match byte {
        b'(' | b'[' | b'{' => {
            *depth += 1;
            false
        }
        b')' | b']' | b'}' if *depth == 0 => true,
        b')' | b']' | b'}' => {
            *depth -= 1;
            false
        }
        b',' => *depth == 0,
        _ => false,
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    #[allow(dead_code, reason = "shown")]
    struct Inner {
        seals: Vec<(u8, [u8; 2])>,
        count: u8,
    }

    #[derive(Debug)]
    #[allow(dead_code, reason = "shown")]
    struct Outer {
        first: Inner,
        by: std::collections::BTreeMap<u8, Inner>,
        last: Option<Inner>,
    }

    fn outer() -> Outer {
        let inner = |count| Inner { seals: vec![(1, [2, 3]), (4, [5, 6])], count };
        Outer { first: inner(7), by: [(8, inner(9))].into(), last: Some(inner(10)) }
    }

    #[test]
    fn fields_are_left_out_wherever_they_are() {
        let inner = without(&outer(), &["seals"].into());
        assert_eq!(
            inner,
            "Outer { first: Inner { , count: 7 }, by: {8: Inner { , count: 9 }}, last: Some(Inner { , count: 10 }) }"
        );
        assert_eq!(without(&outer(), &["first", "last", "count"].into()).matches("seals").count(), 1);
        assert_eq!(without(&outer(), &["by", "first", "last"].into()), "Outer { , , }");
        assert_eq!(without(&outer(), &HashSet::new()), format!("{:?}", outer()));
    }
}
