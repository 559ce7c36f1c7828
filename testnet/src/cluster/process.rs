//! One node's process: started, read until it says where it listens, watched, stopped.

use crate::failure::Failure;
use serde::Deserialize;
use std::ffi::OsString;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use sysinfo::{Pid, ProcessesToUpdate, Signal, System};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};

/// Longest that a node may take to say where it listens.
const ANNOUNCE_TIMEOUT: Duration = Duration::from_secs(60);
/// Lines of a node's log that are shown when it fails.
const TAIL_LINES: usize = 12;
/// Bytes from the end of the log among which these lines are looked for.
const TAIL_BYTES: u64 = 8 * 1024;

/// What a node says of itself when it is up: the line that `timed run --json` prints.
#[derive(Clone, Debug, Deserialize)]
pub struct Announcement {
    /// Name of the network.
    pub network: String,
    /// Its hash.
    pub genesis_hash: String,
    /// In base58.
    pub peer_id: String,
    /// Where peers connect.
    pub peers: Vec<String>,
    /// JSON-RPC over HTTP.
    pub rpc: Option<String>,
    /// Prometheus metrics.
    pub metrics: Option<String>,
}

/// A running node. Dropping it kills the process.
#[derive(Debug)]
pub struct NodeProcess {
    /// From 1.
    pub number: usize,
    /// Its directory.
    pub directory: PathBuf,
    /// Its process.
    pub pid: u32,
    log: PathBuf,
    child: Child,
    /// Closed when this process ends, however it ends: then the node ends too. Out of reach of
    /// [`Child::wait`], which closes what it finds.
    _lifeline: Option<ChildStdin>,
}

impl NodeProcess {
    /// Starts `program` with `arguments` in the node's directory, and waits until it says where it
    /// listens. Its log goes to `node.log` there.
    ///
    /// # Errors
    /// It cannot be started, ends, or says nothing.
    pub async fn start(
        number: usize,
        directory: &Path,
        program: &Path,
        arguments: &[OsString],
    ) -> Result<(Self, Announcement), Failure> {
        let mut node = Self::spawn(number, directory, program, arguments)?;
        let announcement = node.announced().await?;
        Ok((node, announcement))
    }

    /// Starts the process, as [`NodeProcess::start`] does, and waits for nothing.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn spawn(number: usize, directory: &Path, program: &Path, arguments: &[OsString]) -> Result<Self, Failure> {
        let log = directory.join("node.log");
        let mut options = std::fs::OpenOptions::new();
        let file = options.create(true).append(true).open(&log).map_err(Failure::io("write", &log))?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(file).kill_on_drop(true);
        // A group of its own: Ctrl-C reaches this process only, which then stops the nodes in order.
        #[cfg(unix)]
        command.process_group(0);
        // What configures a node of the user's must not configure these.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TIMED_")) {
            command.env_remove(name);
        }
        let mut child = command.spawn().map_err(Failure::io("start", program))?;
        let pid = child.id().unwrap_or_default();
        let lifeline = child.stdin.take();
        Ok(Self { number, directory: directory.to_owned(), pid, log, child, _lifeline: lifeline })
    }

    /// Waits until it says where it listens.
    ///
    /// # Errors
    /// It ends, or says nothing.
    pub async fn announced(&mut self) -> Result<Announcement, Failure> {
        let Some(stdout) = self.child.stdout.take() else {
            return Err(self.not_ready("has no output", Duration::ZERO));
        };
        let mut output = BufReader::new(stdout);
        let mut line = String::new();
        match tokio::time::timeout(ANNOUNCE_TIMEOUT, output.read_line(&mut line)).await {
            Err(_) => return Err(self.not_ready("has not said where it listens", ANNOUNCE_TIMEOUT)),
            Ok(Err(source)) => return Err(Failure::io("read the output of", &self.directory)(source)),
            Ok(Ok(0)) => return Err(self.ended().await),
            Ok(Ok(_)) => {}
        }
        let announcement = serde_json::from_str(&line)
            .map_err(|error| Failure::io("understand the output of", &self.directory)(error.into()))?;
        // Read on, so that the node never waits for room in the pipe; ends with the process.
        tokio::spawn(async move { tokio::io::copy(&mut output, &mut tokio::io::sink()).await });
        Ok(announcement)
    }

    /// Fails if the process has ended.
    ///
    /// # Errors
    /// Its last words.
    pub fn check_running(&mut self) -> Result<(), Failure> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.exited(status.to_string())),
            Err(error) => Err(self.exited(error.to_string())),
        }
    }

    /// Resolves when the process ends.
    pub async fn ended(&mut self) -> Failure {
        let status = self.child.wait().await;
        self.exited(status.map_or_else(|error| error.to_string(), |status| status.to_string()))
    }

    /// Asks the process to end (SIGTERM), waits for it, and kills it if it does not. Says whether it
    /// ended as asked.
    pub async fn stop(&mut self, grace: Duration) -> bool {
        // A process that was waited for has no id any more: its number may be somebody else's.
        let Some(pid) = self.child.id() else { return true };
        if send(pid, Signal::Term)
            && let Ok(Ok(status)) = tokio::time::timeout(grace, self.child.wait()).await
        {
            return status.success();
        }
        // Nothing is left to do about a process that cannot even be killed.
        let _ = self.child.kill().await;
        false
    }

    /// Kills the process (SIGKILL) and waits until the system has cleared it away.
    ///
    /// # Errors
    /// The system refuses.
    pub async fn kill(&mut self) -> Result<(), Failure> {
        self.child.kill().await.map_err(Failure::io("kill the process of", &self.directory))
    }

    /// Stops the process where it is (SIGSTOP), until [`NodeProcess::resume`]. Says whether it could.
    pub fn pause(&self) -> bool {
        self.child.id().is_some_and(|pid| send(pid, Signal::Stop))
    }

    /// Lets a paused process go on (SIGCONT). Says whether it could.
    pub fn resume(&self) -> bool {
        self.child.id().is_some_and(|pid| send(pid, Signal::Continue))
    }

    /// Where its log is.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The failure of a node that runs but is not ready.
    #[must_use]
    pub fn not_ready(&self, what: &'static str, waited: Duration) -> Failure {
        let (number, log, tail) = (self.number, self.log.clone(), tail(&self.log));
        Failure::NodeNotReady { number, what, seconds: waited.as_secs(), log, tail }
    }

    fn exited(&self, status: String) -> Failure {
        Failure::NodeExited { number: self.number, status, log: self.log.clone(), tail: tail(&self.log) }
    }
}

/// Sends a signal to a process that was started here and not waited for.
fn send(pid: u32, signal: Signal) -> bool {
    let pid = Pid::from_u32(pid);
    let Ok(mut system) = System::new() else { return false };
    system.refresh_processes(ProcessesToUpdate::Some(&[pid]), true);
    system.process(pid).and_then(|process| process.kill_with(signal)).unwrap_or(false)
}

/// The last lines of a log.
fn tail(log: &Path) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = std::fs::File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    match read() {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let lines: Vec<&str> = text.lines().collect();
            lines.get(lines.len().saturating_sub(TAIL_LINES)..).unwrap_or_default().join("\n")
        }
        Err(error) => format!("(the log cannot be read: {error})"),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    const HELLO: &str = r#"{"network":"n","genesis_hash":"h","peer_id":"p","peers":["/ip4/127.0.0.1/tcp/1"],"rpc":null,"metrics":null}"#;

    async fn start(script: &str) -> (tempfile::TempDir, Result<(NodeProcess, Announcement), Failure>) {
        let directory = tempfile::tempdir().unwrap();
        let arguments = ["-c", script].map(OsString::from);
        let started = NodeProcess::start(3, directory.path(), Path::new("/bin/sh"), &arguments).await;
        (directory, started)
    }

    #[tokio::test]
    async fn a_node_that_ends_early_is_reported_with_the_last_lines_of_its_log() {
        let (_directory, started) = start("seq 1 40 >&2; echo no port is free >&2; exit 3").await;
        let message = started.unwrap_err().to_string();
        assert!(
            message.contains("node 3") && message.contains("no port is free") && message.contains('3'),
            "{message}"
        );
        assert!(!message.lines().any(|line| line == "7"), "only the last lines are shown: {message}");
    }

    #[tokio::test]
    async fn a_node_stops_when_it_is_asked_to() {
        let script = format!("trap 'exit 0' TERM; echo '{HELLO}'; while :; do sleep 0.01; done");
        let (_directory, started) = start(&script).await;
        let (mut node, announcement) = started.unwrap();
        assert_eq!(announcement.peers, ["/ip4/127.0.0.1/tcp/1"]);
        assert!(node.check_running().is_ok());
        assert!(node.stop(Duration::from_secs(5)).await);
        assert!(node.check_running().is_err());
    }

    #[tokio::test]
    async fn a_node_that_does_not_listen_is_killed() {
        let script = format!("trap '' TERM; echo '{HELLO}'; while :; do sleep 0.01; done");
        let (_directory, started) = start(&script).await;
        let (mut node, _) = started.unwrap();
        assert!(!node.stop(Duration::from_millis(100)).await);
        assert!(node.child.id().is_none(), "the process is gone");
    }

    #[tokio::test]
    async fn a_paused_node_does_nothing_until_it_goes_on() {
        let script = format!("echo '{HELLO}'; while sleep 0.01; do echo x >> beats; done");
        let directory = tempfile::tempdir().unwrap();
        let script = format!("cd {}; {script}", directory.path().display());
        let arguments = ["-c", &script].map(OsString::from);
        let (mut node, _) = NodeProcess::start(1, directory.path(), Path::new("/bin/sh"), &arguments).await.unwrap();
        let beats = || std::fs::read(directory.path().join("beats")).map_or(0, |bytes| bytes.len());
        let beats_on = async |from: usize| {
            let on = async {
                while beats() <= from {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(120), on).await.expect("the process goes on");
        };
        beats_on(0).await;
        assert!(node.pause());
        // What it had begun when the signal came may still be written.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let paused = beats();
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(beats(), paused);
        assert!(node.resume());
        beats_on(paused).await;
        node.kill().await.unwrap();
        assert!(node.check_running().is_err() && !node.pause());
    }

    #[tokio::test]
    async fn a_node_that_is_watched_keeps_its_standard_input() {
        // Waiting for a child closes its input, which would end the node that is waited for.
        let (_directory, started) = start(&format!("echo '{HELLO}'; read line; exit 7")).await;
        let (mut node, _) = started.unwrap();
        let ended = tokio::time::timeout(Duration::from_millis(300), node.ended()).await;
        assert!(ended.is_err(), "{ended:?}");
        node.kill().await.unwrap();
    }

    #[tokio::test]
    async fn output_that_is_no_announcement_is_an_error() {
        let (_directory, started) = start("echo hello; sleep 5").await;
        assert!(matches!(started, Err(Failure::Io { .. })));
    }
}
