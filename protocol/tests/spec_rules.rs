//! Every rule of the specification is cited by code and by a test, and nothing cites a rule that
//! does not exist.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Rules that say what bytes or names are, or what other rules add up to: their types or tests carry
/// no citation of their own.
const UNCITED_IN_CODE: [&str; 0] = [];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Numbers such as `L-5` or `B-11` in `text`.
fn citations(text: &str) -> BTreeSet<String> {
    let bytes = text.as_bytes();
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices('-') {
        let prefix = at.checked_sub(1).map(|before| bytes[before]).filter(u8::is_ascii_uppercase);
        let alone =
            at < 2 || !(bytes[at - 2].is_ascii_alphanumeric() || bytes[at - 2] == b'-' || bytes[at - 2] == b'_');
        let digits: String = text[at + 1..].chars().take_while(char::is_ascii_digit).collect();
        let ends = !bytes.get(at + 1 + digits.len()).is_some_and(|next| next.is_ascii_alphanumeric() || *next == b'-');
        if let Some(prefix) = prefix
            && alone
            && ends
            && (1..=2).contains(&digits.len())
            && "WHKAVGLBSPFREDNX".contains(char::from(prefix))
        {
            found.insert(format!("{}-{digits}", char::from(prefix)));
        }
    }
    expand_ranges(text, &mut found);
    found
}

/// `L-1…L-9` cites all nine.
fn expand_ranges(text: &str, found: &mut BTreeSet<String>) {
    for (at, _) in text.match_indices('…') {
        let before = text[..at].rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).next().unwrap_or_default();
        let after: String =
            text[at + '…'.len_utf8()..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        let parse = |rule: &str| {
            let (prefix, number) = rule.split_once('-')?;
            Some((prefix.to_owned(), number.parse::<u32>().ok()?))
        };
        if let (Some((prefix, first)), Some((other, last))) = (parse(before), parse(&after))
            && prefix == other
            && prefix.len() == 1
        {
            found.extend((first..=last).map(|number| format!("{prefix}-{number}")));
        }
    }
}

/// Code and tests of all crates: what stands before `#[cfg(test)]`, and everything else.
fn sources() -> (String, String) {
    let (mut code, mut tests) = (String::new(), String::new());
    let mut todo: Vec<PathBuf> = ["protocol", "node", "testnet"].iter().map(|name| repository().join(name)).collect();
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            todo.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("spec_rules.rs") {
            let text = fs::read_to_string(&path).unwrap();
            let is_test = path.components().any(|part| part.as_os_str() == "tests");
            let split = if is_test { 0 } else { text.find("#[cfg(test)]").unwrap_or(text.len()) };
            code.push_str(&text[..split]);
            tests.push_str(&text[split..]);
        }
    }
    (code, tests)
}

fn rules() -> BTreeMap<String, usize> {
    let spec = fs::read_to_string(repository().join("protocol/SPEC.md")).unwrap();
    let mut rules = BTreeMap::new();
    for part in spec.split("**").skip(1).step_by(2) {
        let number: String = part.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        if citations(&number).contains(&number) {
            *rules.entry(number).or_default() += 1;
        }
    }
    rules
}

#[test]
fn no_rule_has_two_texts() {
    let twice: Vec<_> = rules().into_iter().filter(|(_, count)| *count > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

#[test]
fn every_rule_is_cited_by_code_and_by_a_test() {
    let (code, tests) = sources();
    let (code, tests) = (citations(&code), citations(&tests));
    let rules = rules();
    assert!(rules.len() > 100, "the specification has rules");
    let no_code: Vec<_> =
        rules.keys().filter(|rule| !code.contains(*rule) && !UNCITED_IN_CODE.contains(&rule.as_str())).collect();
    let no_test: Vec<_> = rules.keys().filter(|rule| !tests.contains(*rule)).collect();
    assert!(no_code.is_empty() && no_test.is_empty(), "cited by no code: {no_code:?}; by no test: {no_test:?}");
}

#[test]
fn only_rules_that_exist_are_cited() {
    let (code, tests) = sources();
    let rules = rules();
    let unknown: Vec<_> =
        citations(&code).union(&citations(&tests)).filter(|cited| !rules.contains_key(*cited)).cloned().collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
