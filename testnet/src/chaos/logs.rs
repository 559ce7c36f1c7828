//! What no node may write into its log, however it is treated.

use crate::failure::Failure;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

/// Signs of a node that is wrong, not only treated badly.
const SIGNS: [&str; 4] = ["ERROR", "panicked", "equivocat", "contradict"];
/// Lines that are shown of one log.
const SHOWN_MAX: usize = 5;
/// Characters of a line that are shown.
const SHOWN_CHARS_MAX: usize = 300;

/// The lines of a log that must not be there.
///
/// # Errors
/// The log cannot be read.
pub fn complaints(node: usize, log: &Path) -> Result<Vec<String>, Failure> {
    let file = std::fs::File::open(log).map_err(Failure::io("read", log))?;
    let mut found = Vec::new();
    // A killed node may leave half a character behind: lines are bytes here.
    for line in BufReader::new(file).split(b'\n') {
        let line = line.map_err(Failure::io("read", log))?;
        let line = String::from_utf8_lossy(&line);
        if SIGNS.iter().any(|sign| line.contains(sign)) {
            let shown: String = line.chars().take(SHOWN_CHARS_MAX).collect();
            found.push(format!("the log of node {node} says: {shown}"));
        }
        if found.len() >= SHOWN_MAX {
            break;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_and_panics_are_found_among_other_lines_and_half_characters() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("node.log");
        std::fs::write(&log, b"INFO ready\n\xff\xc3\nINFO all well\n").unwrap();
        assert_eq!(complaints(1, &log).unwrap(), [] as [String; 0]);
        std::fs::write(&log, b"INFO ready\nERROR disk full\n\xff\nthread 'driver' panicked at x.rs:1\n").unwrap();
        let found = complaints(2, &log).unwrap();
        assert!(found.len() == 2 && found[0].contains("node 2") && found[1].contains("panicked"), "{found:?}");
        std::fs::write(&log, "ERROR again\n".repeat(100)).unwrap();
        assert_eq!(complaints(1, &log).unwrap().len(), SHOWN_MAX);
        assert!(complaints(1, &directory.path().join("none")).is_err());
    }
}
