//! The command lines of `timed` (the node) and `time-cli` (wallet and RPC client).
//!
//! Each command is a file. Commands return [`Failure`]; only [`run_to_exit`]
//! prints it and turns it into an exit code.

mod account;
mod base64;
mod client;
mod completions;
mod dev;
mod devnet;
mod failure;
mod open_files;
mod output;
mod terminal;
mod time_cli;
mod timed;

pub use client::{Client, Rejection, RpcFailure};
pub use failure::{Failure, Misuse};
pub use time_cli::main as time_cli_main;
pub use timed::main as timed_main;

use crate::exit::Exit;
use output::Output;
use std::process::ExitCode;

/// Runs a command on a runtime of its own, prints why it failed, and gives the exit code.
fn run_to_exit(output: Output, command: impl Future<Output = Result<Exit, Failure>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(source) => return fail(output, &Failure::Runtime(source)),
    };
    let result = runtime.block_on(command);
    // Whatever still runs (a blocking read, say) must not keep the process alive.
    runtime.shutdown_background();
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => fail(output, &failure),
    }
}

fn fail(output: Output, failure: &Failure) -> ExitCode {
    output.failure(failure);
    failure.exit().into()
}
