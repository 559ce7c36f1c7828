//! The TimeCoin node; see `timed --help`.

fn main() -> std::process::ExitCode {
    timecoin_node::cli::timed_main()
}
