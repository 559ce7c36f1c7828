//! The `testnet` program.

fn main() -> std::process::ExitCode {
    timecoin_testnet::cli::main()
}
