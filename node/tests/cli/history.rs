//! `timed history`: what it says, what it refuses, and how it ends (`SPEC.md` D-14, D-16, D-19).

use crate::support::{Ran, command, run, text};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn timed(arguments: &[&str]) -> Ran {
    run(command(env!("CARGO_BIN_EXE_timed")).args(arguments))
}

/// A new network of so many nodes; gives their directories.
fn network(nodes: usize) -> (TempDir, Vec<PathBuf>) {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("devnet");
    let count = nodes.to_string();
    let ran = timed(&["init", "--validators", &count, "--output", text(&output)]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let nodes = (1..=nodes).map(|number| output.join(format!("node-{number}"))).collect();
    (directory, nodes)
}

fn history(node: &Path, arguments: &[&str]) -> Ran {
    let config = node.join("config.toml");
    let (command, rest) = arguments.split_first().unwrap();
    timed(&[&["--json", "history", command, "--config", text(&config)], rest].concat())
}

fn file(node: &Path) -> PathBuf {
    node.join("validator.key.history")
}

#[test]
fn whoever_makes_a_key_makes_its_whole_history_d_16() {
    let (_directory, nodes) = network(2);
    for node in &nodes {
        let shown = history(node, &["show"]).json();
        assert_eq!(shown["standing"], "whole");
        assert_eq!(shown["voted_epoch"], serde_json::Value::Null);
        assert_eq!(shown["file"], text(&file(node)));
    }
    let single = tempfile::tempdir().unwrap();
    let key = single.path().join("other.key");
    assert_eq!(timed(&["keys", "--validator-key", text(&key), "--generate"]).code, 0);
    assert!(single.path().join("other.key.history").exists());
    // For a key that exists it makes none: the key may have signed.
    std::fs::remove_file(single.path().join("other.key.history")).unwrap();
    assert_eq!(timed(&["keys", "--validator-key", text(&key), "--generate"]).code, 0);
    assert!(!single.path().join("other.key.history").exists());
}

#[test]
fn a_history_moves_from_one_machine_to_another_and_ends_on_the_first_d_19() {
    let (directory, nodes) = network(1);
    let (old, new) = (&nodes[0], directory.path().join("new"));
    let moved = directory.path().join("moved.history");
    let exported = history(old, &["export", text(&moved)]);
    assert_eq!((exported.code, exported.json()["event"].clone()), (0, "exported".into()), "{}", exported.err);
    let shown = history(old, &["show"]).json();
    assert_eq!(shown["standing"], "retired");

    let config = old.join("config.toml");
    let ran = timed(&["run", "--config", text(&config)]);
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.err.contains("was exported") && ran.err.contains("timed history import"), "{}", ran.err);
    let again = history(old, &["export", text(&directory.path().join("again"))]);
    assert_eq!(again.code, 2, "{}", again.err);
    assert_eq!(history(old, &["create", "--never-signed"]).code, 2, "what was exported may have voted");

    // The new machine has the key, the genesis file and the configuration, and not the history.
    std::fs::create_dir(&new).unwrap();
    for name in ["config.toml", "genesis.toml", "validator.key", "node.key"] {
        std::fs::copy(old.join(name), new.join(name)).unwrap();
    }
    let missing = history(&new, &["show"]);
    assert!(missing.code == 2 && missing.err.contains("there is no vote history at"), "{}", missing.err);
    let imported = history(&new, &["import", text(&moved)]);
    assert_eq!(imported.code, 0, "{}", imported.err);
    assert!(!moved.exists());
    assert_eq!(history(&new, &["show"]).json()["standing"], "whole");
}

#[test]
fn a_history_is_created_for_a_key_that_exists_only_with_an_assurance_d_16() {
    let (_directory, nodes) = network(1);
    std::fs::remove_file(file(&nodes[0])).unwrap();
    let refused = history(&nodes[0], &["create"]);
    assert!(refused.code == 2 && refused.err.contains("--never-signed"), "{}", refused.err);
    assert!(!file(&nodes[0]).exists());
    assert_eq!(history(&nodes[0], &["create", "--never-signed"]).code, 0);
    assert_eq!(history(&nodes[0], &["show"]).json()["standing"], "whole");
}

#[test]
fn a_copy_is_told_from_the_file_itself_d_19() {
    let (_directory, nodes) = network(1);
    let (path, copy) = (file(&nodes[0]), nodes[0].join("copy"));
    std::fs::copy(&path, &copy).unwrap();
    std::fs::rename(&path, nodes[0].join("kept")).unwrap();
    std::fs::rename(&copy, &path).unwrap();
    let shown = history(&nodes[0], &["show"]).json();
    assert_eq!(shown["standing"], "silent");
    assert!(shown["reason"].as_str().unwrap().contains("copied or restored"), "{shown}");
}

#[test]
fn wrong_input_is_named_and_changes_nothing_d_19() {
    let (directory, nodes) = network(2);
    let garbage = directory.path().join("garbage");
    std::fs::write(&garbage, "not a history").unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(&garbage, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let moved = directory.path().join("moved");
    assert_eq!(history(&nodes[1], &["export", text(&moved)]).code, 0);
    let absent = directory.path().join("absent");
    for (arguments, code, message) in [
        (vec!["import", text(&garbage)], 2, "is no exported vote history"),
        (vec!["import", text(&moved)], 2, "is that of validator"),
        (vec!["import", text(&absent)], 4, "cannot read"),
        (vec!["export", text(&garbage)], 2, "export to a new file"),
        (vec!["export"], 2, "required"),
        (vec!["shoow"], 2, "shoow"),
    ] {
        let ran = history(&nodes[0], &arguments);
        assert!(ran.code == code && ran.err.contains(message), "{arguments:?}: {} {}", ran.code, ran.err);
    }
    assert_eq!(history(&nodes[0], &["show"]).json()["standing"], "whole");
    let config = directory.path().join("follower.toml");
    std::fs::write(&config, "[node]\ndata_dir = \"x\"\n").unwrap();
    let ran = timed(&["history", "show", "--config", text(&config)]);
    assert!(ran.code == 2 && ran.err.contains("names no validator key"), "{}", ran.err);
}

#[test]
fn help_says_what_to_back_up_and_what_never_to_copy() {
    let ran = timed(&["history", "--help"]);
    assert_eq!(ran.code, 0);
    assert!(ran.out.contains("Never copy the history") && ran.out.contains("Examples:"), "{}", ran.out);
}
