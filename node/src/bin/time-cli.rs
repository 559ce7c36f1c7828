//! TimeCoin's wallet and RPC client; see `time-cli --help`.

fn main() -> std::process::ExitCode {
    timecoin_node::cli::time_cli_main()
}
