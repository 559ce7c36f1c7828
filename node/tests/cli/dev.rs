//! `timed dev`: one command, a whole network, and every line that it prints to copy works.
#![cfg(unix)]

use crate::support::{Process, command, run, text};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

/// A `timed dev` with JSON output.
struct Dev(Process);

impl Dev {
    fn start(arguments: &[&str]) -> Self {
        let mut timed = command(env!("CARGO_BIN_EXE_timed"));
        Self(Process::start(timed.args(["--json", "dev", "--block-time", "200"]).args(arguments)))
    }

    /// The next event of this name.
    fn event(&mut self, name: &str) -> Value {
        loop {
            let line = self.0.line().expect("timed ended early");
            let event: Value = serde_json::from_str(&line).unwrap();
            if event["event"] == name {
                return event;
            }
        }
    }

    /// SIGTERM; gives the exit code and how long it took.
    fn stop(mut self) -> (i32, Duration) {
        let asked = Instant::now();
        self.0.signal("-TERM");
        (self.0.wait().code().unwrap(), asked.elapsed())
    }
}

/// What a printed `time-cli` line does.
fn printed(line: &str, more: &[&str]) -> crate::support::Ran {
    let words: Vec<&str> = line.split(' ').map(|word| word.trim_matches('\'')).collect();
    assert!(words[0].ends_with("time-cli"), "{line}");
    run(command(words[0]).args(&words[1..]).args(more))
}

#[test]
fn a_network_pays_stops_cleanly_and_leaves_nothing_behind() {
    let mut dev = Dev::start(&[]);
    let ready = dev.event("ready");
    let endpoints = ready["endpoints"].clone();
    assert_eq!(endpoints["nodes"].as_array().unwrap().len(), 4);
    assert_eq!(endpoints["accounts"].as_array().unwrap().len(), 10);
    let file = Path::new(ready["endpoints_file"].as_str().unwrap());
    assert_eq!(serde_json::from_slice::<Value>(&std::fs::read(file).unwrap()).unwrap(), endpoints);
    assert!(dev.event("payment")["block"].as_u64().unwrap() > 0);

    let sent = printed(ready["send"].as_str().unwrap(), &["--json"]);
    assert_eq!(sent.code, 0, "{}", sent.err);
    let sent = sent.json();
    let url = endpoints["nodes"][3]["rpc"].as_str().unwrap();
    let to = endpoints["accounts"][9]["address"].as_str().unwrap();
    let wait = ["--json", "--rpc", url, "waittransactionfinality", sent["txid"].as_str().unwrap()];
    let elsewhere = run(command(env!("CARGO_BIN_EXE_time-cli")).args(wait));
    assert_eq!(elsewhere.json()["final"], true, "what is final at node 1 is final at node 4");
    let balance = run(command(env!("CARGO_BIN_EXE_time-cli")).args(["--json", "--rpc", url, "balance", to]));
    assert_eq!(balance.json()["spendable"], 100_000_150_000_000_u64);

    let metrics = endpoints["nodes"][0]["ready"].as_str().unwrap();
    assert_eq!(run(command(env!("CARGO_BIN_EXE_timed")).args(["healthcheck", "--url", metrics])).code, 0);
    let home = endpoints["data_dir"].as_str().unwrap().to_owned();
    let (code, took) = dev.stop();
    assert_eq!(code, 0);
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert!(!Path::new(&home).exists(), "the temporary directory is gone");
}

#[test]
fn a_kept_network_continues_its_chain_with_the_same_keys() {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path().join("devnet");
    let mut dev = Dev::start(&["--data-dir", text(&home), "--validators", "1"]);
    let first = dev.event("ready")["endpoints"].clone();
    let height = dev.event("payment")["block"].as_u64().unwrap();
    assert_eq!(dev.stop().0, 0);

    let changed = ["dev", "--data-dir", text(&home), "--validators", "2"];
    let refused = run(command(env!("CARGO_BIN_EXE_timed")).args(changed));
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("--validators is 2, but the network in"), "{}", refused.err);

    let mut dev = Dev::start(&["--data-dir", text(&home)]);
    let second = dev.event("ready")["endpoints"].clone();
    for same in ["genesis_hash", "mnemonic", "accounts"] {
        assert_eq!(first[same], second[same], "{same}");
    }
    assert_eq!(first["nodes"][0]["peer_id"], second["nodes"][0]["peer_id"]);
    assert!(dev.event("payment")["block"].as_u64().unwrap() > height, "the chain goes on");

    let twice = run(command(env!("CARGO_BIN_EXE_timed")).args(["dev", "--data-dir", text(&home)]));
    assert_eq!(twice.code, 3, "{}", twice.err);
    assert!(twice.err.contains("in use"), "{}", twice.err);
    let port = second["nodes"][0]["rpc"].as_str().unwrap().rsplit(':').next().unwrap();
    let taken = run(command(env!("CARGO_BIN_EXE_timed")).args(["dev", "--validators", "1", "--rpc-port", port]));
    assert_eq!(taken.code, 3);
    assert!(taken.err.contains("--rpc-port"), "{}", taken.err);
    assert_eq!(dev.stop().0, 0);
}

#[test]
fn a_directory_with_other_files_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("notes.txt"), "mine").unwrap();
    let refused = run(command(env!("CARGO_BIN_EXE_timed")).args(["dev", "--data-dir", text(directory.path())]));
    assert_eq!(refused.code, 2, "{}", refused.err);
    assert!(refused.err.contains("choose a new or an empty directory"), "{}", refused.err);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}
