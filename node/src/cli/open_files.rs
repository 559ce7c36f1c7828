//! How many files and sockets the process may have open.

/// Asks the system for as many as it allows. Each connection is one, and the usual 1,024 are fewer than a node among many
/// validators needs (N-19).
#[cfg(unix)]
pub fn allow_many() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => tracing::debug!(?current, ?maximum, "more files may be open"),
        // With fewer the node works as well, as long as they are enough.
        Err(error) => tracing::warn!(%error, ?current, "no more files may be open than before"),
    }
}

/// Other systems have no such limit.
#[cfg(not(unix))]
pub fn allow_many() {}
