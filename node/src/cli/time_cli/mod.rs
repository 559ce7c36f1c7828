//! The command line of `time-cli`: wallet, and every RPC method by its name.

mod bonds;
mod history;
mod keystore;
mod method;
mod money;
mod source;

use super::client::Client;
use super::completions::Completions;
use super::failure::Failure;
use super::output::Output;
use crate::exit::Exit;
use clap::{Args, Parser, Subcommand};
use source::WalletSource;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// TimeCoin's wallet and RPC client.
#[derive(Debug, Parser)]
#[command(
    name = "time-cli",
    version,
    about = "TimeCoin's wallet, and a client for a node's JSON-RPC",
    after_help = "Amounts are exact decimal TIME (1.5) or whole units with a u (150000000u).\n\n\
        Examples:\n  \
        time-cli wallet create --network testnet       a new wallet; write its recovery phrase down\n  \
        time-cli send ttime1… 2.5                      pay, and wait until the payment is final\n  \
        time-cli --dev balance                         the accounts of `timed dev`\n  \
        time-cli getblockcount                         any RPC method by its name\n  \
        time-cli rpc getblock 12 2                     the same, with parameters (JSON where it is JSON)\n  \
        time-cli rpc help getblock                     what the node says about a method\n\n\
        Exit codes: 0 ok, 1 failed or refused, 2 wrong command line, wallet or access, 5 node unreachable."
)]
struct TimeCli {
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    wallet: WalletSource,
    /// Print JSON: results on standard output, errors on standard error.
    #[arg(long, global = true, help_heading = "Output")]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

/// Which node is asked.
#[derive(Clone, Debug, Args)]
struct NodeArgs {
    /// URL of the node's JSON-RPC.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:24101", global = true, help_heading = "Node")]
    rpc: String,
    /// The node's cookie file: DATA_DIR/rpc.cookie.
    #[arg(long, value_name = "FILE", global = true, help_heading = "Node")]
    cookie: Option<PathBuf>,
}

impl NodeArgs {
    fn client(&self) -> Result<Client, Failure> {
        Client::new(&self.rpc, self.cookie.as_deref())
    }

    /// A client for calls that wait up to `wait` on purpose.
    fn waiting_client(&self, wait: Duration) -> Result<Client, Failure> {
        Client::waiting(&self.rpc, self.cookie.as_deref(), wait)
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create, import or show the wallet.
    #[command(subcommand)]
    Wallet(keystore::WalletCommand),
    /// Show the newest address, or make a new one.
    Address(keystore::AddressArgs),
    /// Show the money of the wallet, or of any address.
    Balance(money::BalanceArgs),
    /// Pay, and wait until the payment is final.
    Send(money::SendArgs),
    /// Show the payments of the wallet, newest first.
    History(history::HistoryArgs),
    /// Bond money for a validator.
    Bond(bonds::BondArgs),
    /// Withdraw bonds; the money can be spent after the unbonding time.
    Unbond(bonds::UnbondArgs),
    /// Call an RPC method with parameters.
    Rpc(method::RpcArgs),
    /// Print a completion script for a shell.
    Completions(Completions),
    /// Any RPC method by its name.
    #[command(external_subcommand)]
    Method(Vec<String>),
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let line = TimeCli::parse();
    let output = Output { json: line.json };
    super::run_to_exit(output, dispatch(line, output))
}

async fn dispatch(line: TimeCli, output: Output) -> Result<Exit, Failure> {
    let TimeCli { node, wallet, command, .. } = line;
    match command {
        Command::Wallet(command) => command.run(&wallet, output),
        Command::Address(args) => args.run(&wallet, output),
        Command::Balance(args) => args.run(&node, &wallet, output).await,
        Command::Send(args) => args.run(&node, &wallet, output).await,
        Command::History(args) => args.run(&node, &wallet, output).await,
        Command::Bond(args) => args.run(&node, &wallet, output).await,
        Command::Unbond(args) => args.run(&node, &wallet, output).await,
        Command::Rpc(args) => args.run(&node, output).await,
        Command::Completions(args) => Ok(args.run::<TimeCli>()),
        Command::Method(words) => method::RpcArgs::of_words(words).run(&node, output).await,
    }
}
