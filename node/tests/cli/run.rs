//! `timed run`: separate processes that `timed init` prepared form one network.
#![cfg(unix)]

use crate::support::{Process, command, run, text};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A running node, on ports that the system chose.
struct Running {
    process: Process,
    ready: Value,
}

impl Running {
    fn start(directory: &Path, more: &[&str]) -> Self {
        Self::run(timed(directory).args(more))
    }

    fn run(timed: &mut Command) -> Self {
        let mut process = Process::start(timed);
        let line = process.line().expect("timed ended early");
        Self { process, ready: serde_json::from_str(&line).unwrap() }
    }

    fn signal_and_wait(&mut self, signal: &str) -> (i32, Duration) {
        let asked = Instant::now();
        self.process.signal(signal);
        (self.process.wait().code().unwrap(), asked.elapsed())
    }
}

fn timed(directory: &Path) -> Command {
    let config = directory.join("config.toml");
    let mut timed = command(env!("CARGO_BIN_EXE_timed"));
    timed.args(["--json", "run", "--config", text(&config), "--log-level", "error"]);
    let ports = ["--rpc-listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"];
    timed.args(["--listen", "/ip4/127.0.0.1/tcp/0"]).args(ports);
    timed
}

#[test]
fn two_processes_agree_on_blocks_and_stop_within_two_seconds_of_a_signal() {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("devnet");
    let init = ["init", "--validators", "2", "--block-time", "100", "--output", text(&output)];
    assert_eq!(run(command(env!("CARGO_BIN_EXE_timed")).args(init)).code, 0);
    let mut first = Running::start(&output.join("node-1"), &[]);
    let address = first.ready["peers"][0].as_str().unwrap().to_owned();
    let mut second = Running::start(&output.join("node-2"), &["--bootstrap", &address]);
    assert_eq!(first.ready["genesis_hash"], second.ready["genesis_hash"]);

    // Neither has a quorum alone, so any block proves that they found one another.
    let cookie = output.join("node-2/data/rpc.cookie");
    let rpc = second.ready["rpc"].as_str().unwrap().to_owned();
    let height = |cookie: &[&str]| {
        run(command(env!("CARGO_BIN_EXE_time-cli")).args(["--rpc", &rpc]).args(cookie).arg("getblockcount"))
    };
    let deadline = Instant::now() + Duration::from_secs(30);
    while height(&["--cookie", text(&cookie)]).out.trim().parse::<u64>().unwrap() < 2 {
        assert!(Instant::now() < deadline, "no blocks");
        std::thread::sleep(Duration::from_millis(50));
    }
    let stranger = height(&[]);
    assert_eq!(stranger.code, 2);
    assert!(stranger.err.contains("--cookie"), "{}", stranger.err);

    for (node, signal) in [(&mut second, "-TERM"), (&mut first, "-INT")] {
        let (code, took) = node.signal_and_wait(signal);
        assert_eq!(code, 0, "{signal}");
        assert!(took < Duration::from_secs(3), "{signal}: {took:?}");
    }
}

#[test]
fn a_node_ends_with_whoever_holds_the_other_end_of_its_standard_input() {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("devnet");
    let init = ["init", "--validators", "1", "--output", text(&output)];
    assert_eq!(run(command(env!("CARGO_BIN_EXE_timed")).args(init)).code, 0);
    let (node, cookie) = (output.join("node-1"), output.join("node-1/data/rpc.cookie"));
    let answers = |running: &Running| {
        let arguments = ["--rpc", running.ready["rpc"].as_str().unwrap(), "--cookie", text(&cookie), "uptime"];
        run(command(env!("CARGO_BIN_EXE_time-cli")).args(arguments)).code == 0
    };

    let (theirs, ours) = std::io::pipe().unwrap();
    let mut held = Running::run(timed(&node).arg("--stop-with-stdin").stdin(theirs));
    assert!(answers(&held), "it runs as long as somebody holds the other end");
    drop(ours);
    assert_eq!(held.process.wait().code(), Some(0));

    let mut alone = Running::run(timed(&node).stdin(Stdio::null()));
    assert!(answers(&alone), "without the flag, an input at its end means nothing");
    assert_eq!(alone.signal_and_wait("-TERM").0, 0);
}

/// N-19. Each connection is an open file, and 1,024 of them, the usual limit, are fewer than a node among many validators needs.
#[cfg(target_os = "linux")]
#[test]
fn a_node_may_open_as_many_files_as_the_system_allows() {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("devnet");
    let init = ["init", "--validators", "1", "--output", text(&output)];
    assert_eq!(run(command(env!("CARGO_BIN_EXE_timed")).args(init)).code, 0);
    let node = timed(&output.join("node-1"));
    let mut shell = command("sh");
    shell.args(["-c", r#"ulimit -S -n 256 && exec "$0" "$@""#]).arg(node.get_program()).args(node.get_args());
    let running = Running::run(&mut shell);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", running.process.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let [.., soft, hard, _] = line.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{line}") };
    assert_eq!(soft, hard);
    assert_ne!(hard, "256", "the limit of this machine is too low to show anything");
}
