//! The claims of the safety argument (`SPEC.md`, "Safety argument") name checks that exist.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// The text of each claim, from its number on.
fn claims() -> Vec<String> {
    let spec = fs::read_to_string(repository().join("protocol/SPEC.md")).unwrap();
    let (_, section) = spec.split_once("\n## Safety argument").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    section.split("\n- **").skip(1).map(ToOwned::to_owned).collect()
}

/// The names after "Checks:".
fn checks(claim: &str) -> Vec<&str> {
    let (_, list) = claim.split_once("Checks:").unwrap_or_default();
    list.split('`').skip(1).step_by(2).collect()
}

/// All code of the tests and models.
fn sources() -> String {
    let mut text = String::new();
    let mut todo: Vec<PathBuf> = ["protocol", "node", "testnet"].iter().map(|name| repository().join(name)).collect();
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            todo.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
    text
}

#[test]
fn every_claim_has_a_number_and_checks() {
    let claims = claims();
    assert!(claims.len() >= 9, "the argument has claims");
    for (number, claim) in (1..).zip(&claims) {
        assert!(claim.starts_with(&format!("C-{number}**")), "claim {number} is out of order: {claim}");
        assert!(!checks(claim).is_empty(), "nothing checks {claim}");
    }
}

/// A check is a test, or a broken rule that some model notices (`MUTATIONS.md`).
#[test]
fn every_check_that_a_claim_names_exists() {
    let sources = sources();
    let mutations = fs::read_to_string(repository().join("protocol/MUTATIONS.md")).unwrap();
    let is_noticed = |name: &str| {
        mutations.lines().any(|row| row.starts_with(&format!("| `{name}` |")) && !row.contains("nothing yet"))
    };
    let exists = |name: &str| sources.contains(&format!("fn {name}(")) || is_noticed(name);
    let missing: Vec<String> = claims()
        .iter()
        .flat_map(|claim| {
            checks(claim).into_iter().filter(|name| !exists(name)).map(ToOwned::to_owned).collect::<Vec<_>>()
        })
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
