//! The log: tracing to standard error.

use crate::cli::failure::Failure;
use crate::config::LogConfig;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

/// Sends what the program traces to standard error, from now on.
pub fn start(log: &LogConfig) -> Result<(), Failure> {
    let other = |error: Box<dyn std::error::Error + Send + Sync>| Failure::Runtime(std::io::Error::other(error));
    let filter = EnvFilter::builder().parse(&log.filter).map_err(|error| other(error.into()))?;
    let format = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if log.json {
        format.json().flatten_event(true).finish().try_init().map_err(|error| other(error.into()))
    } else {
        let color = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        format.with_ansi(color).finish().try_init().map_err(|error| other(error.into()))
    }
}
