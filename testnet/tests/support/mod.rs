//! The programs under test, and the processes that they start.
#![allow(dead_code, unused_imports, reason = "each test binary uses its own part")]

#[path = "../../../node/tests/process_support/mod.rs"]
mod process_support;

pub use process_support::{PATIENCE, Process, output};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::Instant;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};

pub const TESTNET: &str = env!("CARGO_BIN_EXE_testnet");

/// The node's program, built like this test: cargo does not build the binaries of other packages
/// for a test, and what lies there from before may be old.
pub fn timed() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let directory = Path::new(TESTNET).parent().unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        // As a part of what `cargo test --workspace` builds, so that after it nothing is left to do. With
        // `cargo build` dependencies had other features than for tests, and hundreds of them were built anew.
        cargo.args(["test", "--quiet", "--workspace", "--no-run", "--test", "cli"]);
        // What cargo tells a test of its package, build scripts (ring's) watch for: with it, or without it the next time, all
        // that rests on them was built anew as well.
        for (name, _) in std::env::vars_os() {
            if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
                cargo.env_remove(name);
            }
        }
        cargo.arg("--target-dir").arg(directory.parent().unwrap()).current_dir(env!("CARGO_MANIFEST_DIR"));
        match directory.file_name().unwrap().to_str().unwrap() {
            "debug" => {}
            profile => drop(cargo.args(["--profile", profile])),
        }
        // Without a limit of its own: a build takes as long as it takes, and it ends.
        assert!(cargo.status().unwrap().success(), "timed is not built");
        directory.join(format!("timed{}", std::env::consts::EXE_SUFFIX))
    })
}

/// Runs `testnet` to its end.
pub fn testnet(arguments: &[&str]) -> Output {
    output(Command::new(TESTNET).args(arguments))
}

/// Whether there is such a process.
pub fn is_running(pid: u32) -> bool {
    let mut system = System::new().unwrap();
    system.refresh_processes(ProcessesToUpdate::Some(&[Pid::from_u32(pid)]), true);
    system.process(Pid::from_u32(pid)).is_some()
}

/// Processes whose command line names something in `directory`.
pub fn processes_in(directory: &Path) -> Vec<u32> {
    let directory = directory.to_str().unwrap();
    let mut system = System::new().unwrap();
    let with_arguments = ProcessRefreshKind::nothing().with_cmd(UpdateKind::Always);
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, with_arguments);
    let names_it = |process: &sysinfo::Process| {
        process.cmd().iter().any(|argument| argument.to_string_lossy().contains(directory))
    };
    let own = std::process::id();
    system
        .processes()
        .iter()
        // Threads have the command line of their process.
        .filter(|(_, process)| process.thread_kind().is_none() && names_it(process))
        .map(|(pid, _)| pid.as_u32())
        .filter(|pid| *pid != own)
        .collect()
}

/// Waits until no process names anything in `directory` any more.
pub fn all_gone(directory: &Path) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = processes_in(directory);
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "processes outlive the program that started them: {left:?}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
