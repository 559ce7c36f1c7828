//! However `testnet` ends, its nodes end with it; and asked to end, it does, at whatever moment.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![cfg(unix)]

mod support;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha12Rng;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use support::{PATIENCE, Process, TESTNET, all_gone, processes_in, timed};

/// `testnet up` in a directory that it makes itself: when that is there, it listens to signals.
fn up(directory: &Path, nodes: &str) -> Process {
    let mut command = Command::new(TESTNET);
    command.args(["up", "--nodes", nodes, "--block-time", "200", "--dir"]).arg(directory);
    let up = Process::start(command.arg("--timed").arg(timed()).stderr(std::process::Stdio::null()));
    let deadline = Instant::now() + PATIENCE;
    while !directory.exists() {
        assert!(Instant::now() < deadline, "up has not begun");
        std::thread::sleep(Duration::from_millis(1));
    }
    up
}

fn ready(up: &mut Process) {
    while !up.line().expect("up ended by itself").contains("Ctrl-C") {}
}

/// A signal between two waits was lost once: nobody listened at that moment, `testnet` ran on, and
/// whoever had sent the signal waited for ever.
#[test]
fn up_ends_well_at_whatever_moment_it_is_asked_to() {
    let home = tempfile::tempdir().unwrap();
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    for round in 0..6 {
        let directory = home.path().join(round.to_string());
        let mut up = up(&directory, "2");
        let pause = Duration::from_millis(rng.random_range(0..1_200));
        std::thread::sleep(pause);
        up.signal("-TERM");
        assert_eq!(up.wait().code(), Some(0), "asked after {pause:?}");
        all_gone(&directory);
    }
}

#[test]
fn up_ends_well_when_it_is_asked_right_after_its_last_line() {
    let home = tempfile::tempdir().unwrap();
    for (round, signal) in ["-TERM", "-INT", "-HUP"].into_iter().enumerate() {
        let directory = home.path().join(round.to_string());
        let mut up = up(&directory, "1");
        ready(&mut up);
        up.signal(signal);
        assert_eq!(up.wait().code(), Some(0), "{signal}");
        all_gone(&directory);
    }
}

/// A node is in a group of its own, so that Ctrl-C does not reach it, and `kill -9` gives nobody
/// the time to stop it: its standard input is what tells it.
#[test]
fn nodes_end_with_a_testnet_that_is_killed() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("network");
    let mut up = up(&directory, "2");
    ready(&mut up);
    assert_eq!(processes_in(&directory).len(), 3, "testnet itself and two nodes");
    up.kill();
    all_gone(&directory);
}
