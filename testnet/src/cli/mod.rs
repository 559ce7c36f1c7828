//! The command line: each command is a file, and only [`main`] turns failures into exit codes.

mod chaos;
mod load;
mod scale;
mod sim;
mod stop;
mod up;

use crate::failure::Failure;
use clap::{Parser, Subcommand};
use std::io::Write as _;
use std::process::ExitCode;
use timecoin_node::exit::Exit;

/// Clusters, load and simulation for TimeCoin.
#[derive(Debug, Parser)]
#[command(
    name = "testnet",
    version,
    after_help = "Examples:\n  \
        testnet up --nodes 4                         four nodes until Ctrl-C\n  \
        testnet load --rate 200 --seconds 10         a cluster, load, checks, and all is gone\n  \
        testnet load --find-max --json max.json      the highest rate that holds\n  \
        testnet chaos --seconds 60 --kills 10        nodes killed, paused and cut off under load\n  \
        testnet sim --seeds 100                      simulated networks in virtual time\n  \
        testnet sim --validators 1000                finality and messages with many validators\n\n\
        Exit codes: 0 ok, 1 failed while running or a check failed, 2 wrong command line or file, 5 node unreachable."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a network of real nodes, each a process of its own, until Ctrl-C.
    Up(up::UpArgs),
    /// Send signed payments at a given rate, measure finality, and check that nothing went wrong.
    Load(Box<load::LoadArgs>),
    /// Kill, pause and cut off real nodes under load, and check that nothing was lost.
    Chaos(Box<chaos::ChaosArgs>),
    /// Run simulated networks in virtual time; one seed is one run.
    Sim(sim::SimArgs),
}

/// The name that stands for standard output.
const STDOUT: &str = "-";
/// Threads of the load generator: few, because the nodes need the processor.
const WORKER_THREADS: usize = 2;

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Up(args) => run_to_exit(args.run()),
        Command::Load(args) => run_to_exit(args.run()),
        Command::Chaos(args) => run_to_exit(args.run()),
        Command::Sim(args) => args.run(),
    }
}

fn run_to_exit(command: impl Future<Output = Result<Exit, Failure>>) -> ExitCode {
    let built = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKER_THREADS).enable_all().build();
    let result = match built {
        Ok(runtime) => runtime.block_on(command),
        Err(source) => Err(Failure::Runtime(source)),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit().into()
        }
    }
}

/// Prints a result; whoever reads it may have gone away, which is no reason to panic.
fn print(text: &impl std::fmt::Display) -> Result<(), Failure> {
    writeln!(std::io::stdout(), "{text}").map_err(Failure::io("write to", "standard output"))
}
