//! What `timed dev` prints once the network is there.

use super::endpoints::{Endpoints, NodeEndpoints};
use crate::cli::devnet::{Devnet, FUNDS, dev_phrase, phrase_file};
use crate::cli::failure::Failure;
use crate::cli::output::{BOLD, DIM, GOOD, Output, WARN, styled};
use crate::wallet::format_time;
use serde_json::json;
use std::path::Path;

/// Prints accounts, endpoints, and lines to copy.
pub fn print(endpoints: &Endpoints, devnet: &Devnet, file: &Path, output: Output) -> Result<(), Failure> {
    let commands = Commands::new(endpoints, devnet)?;
    let value = json!({
        "event": "ready",
        "endpoints_file": file,
        "endpoints": endpoints,
        "curl": commands.curl,
        "send": commands.send,
    });
    output.result(&value, || {
        let mut lines = accounts(endpoints);
        lines.extend(nodes(endpoints));
        lines.extend(try_it(&commands, file));
        lines.join("\n")
    });
    Ok(())
}

/// Lines that work as they are printed.
struct Commands {
    curl: String,
    send: String,
}

impl Commands {
    fn new(endpoints: &Endpoints, devnet: &Devnet) -> Result<Self, Failure> {
        let rpc = endpoints.rpc()?;
        let well_known = devnet.phrase.words() == dev_phrase()?.words();
        let wallet = if well_known {
            "--dev".to_owned()
        } else {
            format!("--mnemonic-file '{}'", phrase_file(&endpoints.data_dir).display())
        };
        let to = endpoints.accounts.last().map(|account| account.address.as_str()).unwrap_or_default();
        Ok(Self {
            curl: format!(
                "curl -s {rpc} -H 'content-type: application/json' \
                 -d '{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"getblockchaininfo\",\"params\":[]}}'"
            ),
            send: format!("{} --rpc {rpc} {wallet} send {to} 1.5", client_program()),
        })
    }
}

/// How `time-cli` is called from here: `cargo run` builds only the program that it runs, and its
/// directory is not in PATH.
fn client_program() -> String {
    let found = std::env::current_exe().ok();
    let directory = found.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
    let search = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&search).any(|entry| entry == directory);
    client_program_of(directory, in_path, std::env::current_dir().ok().as_deref())
}

fn client_program_of(directory: &Path, in_path: bool, working: Option<&Path>) -> String {
    let client = directory.join(format!("time-cli{}", std::env::consts::EXE_SUFFIX));
    let of_cargo = directory.file_name().is_some_and(|name| name == "release" || name == "debug");
    match (client.exists(), in_path) {
        (true, false) => {
            let short = working.and_then(|working| client.strip_prefix(working).ok()).unwrap_or(&client);
            let text = short.display().to_string();
            if text.contains(char::is_whitespace) { format!("'{text}'") } else { text }
        }
        (false, false) if of_cargo => "cargo run --release --bin time-cli --".to_owned(),
        _ => "time-cli".to_owned(),
    }
}

fn accounts(endpoints: &Endpoints) -> Vec<String> {
    let mut lines = vec![
        styled(WARN, "development keys: anyone can spend"),
        String::new(),
        styled(BOLD, &format!("Accounts ({} TIME each at the start)", format_time(FUNDS))),
    ];
    let row = |(number, account): (usize, &super::endpoints::Account)| {
        format!("  {number:>2}  {}  {}", account.address, styled(DIM, &account.private_key))
    };
    lines.extend((1..).zip(&endpoints.accounts).map(row));
    lines.extend([String::new(), styled(BOLD, "Mnemonic"), format!("  {}", endpoints.mnemonic), String::new()]);
    lines
}

fn nodes(endpoints: &Endpoints) -> Vec<String> {
    let shown = |url: &Option<String>| url.clone().unwrap_or_else(|| "off".to_owned());
    let mut lines = vec![styled(BOLD, &format!("Network {} ({})", endpoints.network, endpoints.genesis_hash))];
    let row = |node: &NodeEndpoints| {
        format!(
            "  node {}  RPC {}  WebSocket {}  metrics {}",
            node.number,
            shown(&node.rpc),
            shown(&node.ws),
            shown(&node.metrics)
        )
    };
    lines.extend(endpoints.nodes.iter().map(row));
    lines.push(String::new());
    lines
}

fn try_it(commands: &Commands, file: &Path) -> Vec<String> {
    vec![
        styled(BOLD, "Try it"),
        format!("  {}", commands.curl),
        format!("  {}", commands.send),
        format!("  all of this as JSON: {}", file.display()),
        String::new(),
        styled(GOOD, "timed is ready"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_printed_client_is_one_that_can_be_called() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("release");
        std::fs::create_dir(&directory).unwrap();
        let client = |in_path| client_program_of(&directory, in_path, Some(home.path()));
        assert_eq!(client(false), "cargo run --release --bin time-cli --", "cargo has not built it yet");
        let file = format!("time-cli{}", std::env::consts::EXE_SUFFIX);
        std::fs::write(directory.join(&file), "").unwrap();
        assert_eq!(client(false), Path::new("release").join(&file).display().to_string());
        assert_eq!(client(true), "time-cli");
        assert_eq!(client_program_of(Path::new("/usr/bin"), false, None), "time-cli", "it was installed without");
    }
}
