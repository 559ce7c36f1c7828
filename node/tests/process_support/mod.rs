//! Child processes of tests: each wait has a limit, and no child outlives the test that started it.
//! A test that waits for ever says nothing; one that fails says what it waited for.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Longest that anything here is waited for; a busy machine is slow, not broken.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// How often it is looked whether a process has ended.
const PERIOD: Duration = Duration::from_millis(2);

/// A running child, killed when this is dropped.
pub struct Process {
    child: Child,
    lines: Receiver<String>,
    what: String,
}

impl Process {
    /// Starts a command; its standard output is read line by line.
    pub fn start(command: &mut Command) -> Self {
        let what = format!("{command:?}");
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap_or_else(|error| panic!("{what}: {error}"));
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines, what }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line of its standard output; none when it has closed it.
    pub fn line(&mut self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("no line within {PATIENCE:?} from {}", self.what),
        }
    }

    /// Sends a signal, named as `kill` names it.
    pub fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.id().to_string()]).status().unwrap().success());
    }

    /// Waits until it has ended.
    pub fn wait(&mut self) -> ExitStatus {
        let what = &self.what;
        wait(&mut self.child).unwrap_or_else(|| panic!("not ended within {PATIENCE:?}: {what}"))
    }

    /// Kills it and waits until it is gone.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for a child within the limit; one that does not end is killed.
fn wait(child: &mut Child) -> Option<ExitStatus> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            return None;
        }
        std::thread::sleep(PERIOD);
    }
}

/// Runs a command to its end, and gives what it said.
pub fn output(command: &mut Command) -> Output {
    let what = format!("{command:?}");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (stdout, stderr) = (read(child.stdout.take().unwrap()), read(child.stderr.take().unwrap()));
    let status = wait(&mut child);
    let said = |pipe: Receiver<Vec<u8>>| pipe.recv_timeout(PATIENCE).expect("its output is closed");
    let (stdout, stderr) = (said(stdout), said(stderr));
    let status = status.unwrap_or_else(|| panic!("not ended within {PATIENCE:?}: {what}"));
    Output { status, stdout, stderr }
}

/// Reads a pipe to its end on a thread of its own, so that neither pipe holds up the other.
fn read(mut pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read until an error is what there is.
        let _ = pipe.read_to_end(&mut bytes);
        let _ = sender.send(bytes);
    });
    receiver
}
