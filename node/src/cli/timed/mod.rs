//! The command line of `timed`.

mod configuration;
mod flags;
mod healthcheck;
mod history;
mod init;
mod keys;
mod logging;
mod run;

pub(super) use logging::start as start_logging;
pub(super) use run::stop_signal;

use super::completions::Completions;
use super::dev::DevArgs;
use super::failure::Failure;
use super::output::Output;
use crate::exit::Exit;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use std::process::ExitCode;

/// The TimeCoin node.
#[derive(Debug, Parser)]
#[command(
    name = "timed",
    version,
    about = "The TimeCoin node: payments that are final in well under a second",
    after_help = "Examples:\n  \
        timed dev                              a network of four validators on this machine\n  \
        timed init --dir my-node               a directory with configuration and keys\n  \
        timed --config my-node/config.toml     run it (short for `timed run --config …`)\n  \
        timed healthcheck                      is the node on this machine ready?\n\n\
        Exit codes: 0 ok, 1 failed while running, 2 wrong command line or configuration, 3 data directory or\n\
        port in use, 4 database, 5 node unreachable.",
    arg_required_else_help = true
)]
struct Timed {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: run::RunArgs,
    /// Print JSON: results on standard output, errors on standard error.
    #[arg(long, global = true, help_heading = "Output")]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a whole network on this machine, with money to play with.
    Dev(Box<DevArgs>),
    /// Create the directory of a node, or of all nodes of a new development network.
    Init(Box<init::InitArgs>),
    /// Run a node.
    Run(Box<run::RunArgs>),
    /// Show or create the keys of a node.
    Keys(keys::KeysArgs),
    /// Show, export, import or create the vote history of a validator.
    #[command(subcommand)]
    History(history::HistoryCommand),
    /// Check, show or print configuration.
    #[command(subcommand)]
    Config(configuration::ConfigCommand),
    /// Ask a node on this machine whether it is ready: exit code 0 if it is, 1 if not, 5 if it does not answer.
    Healthcheck(healthcheck::HealthcheckArgs),
    /// Print a completion script for a shell.
    Completions(Completions),
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let line = Timed::parse();
    if line.command.is_some() && line.run != run::RunArgs::default() {
        // They would be ignored; a mistake in silence is the worst kind.
        let text = "flags of `run` go after `run`, those of another command after that command";
        Timed::command().error(ErrorKind::ArgumentConflict, text).exit();
    }
    let output = Output { json: line.json };
    super::run_to_exit(output, dispatch(line, output))
}

async fn dispatch(line: Timed, output: Output) -> Result<Exit, Failure> {
    match line.command.unwrap_or(Command::Run(Box::new(line.run))) {
        Command::Dev(args) => args.run(output).await,
        Command::Init(args) => args.run(output),
        Command::Run(args) => run::run(&args, output).await,
        Command::Keys(args) => args.run(output),
        Command::History(command) => command.run(output),
        Command::Config(command) => command.run(output),
        Command::Healthcheck(args) => args.run(output).await,
        Command::Completions(args) => Ok(args.run::<Timed>()),
    }
}
