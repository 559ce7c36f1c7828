//! From a number of nodes to running processes: `timed init`, then one `timed run` for each node.

use super::ClusterOptions;
use super::process::{Announcement, NodeProcess};
use crate::endpoints::{Account, Endpoints, NodeEndpoints};
use crate::failure::{Failure, Misuse};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use timecoin_node::wallet::{Phrase, read_private};
use timecoin_protocol::address::{NetworkKind, Owner, address_text};
use timecoin_protocol::keys::SecretKey;
use tokio::process::Command;

/// Most nodes of a cluster on one machine.
pub const NODES_MAX: u8 = 32;
/// Account of the funded addresses in the network's recovery phrase, and how many they are.
const FUNDED: (u32, std::ops::Range<u32>) = (0, 0..10);

/// The node's program: the one that was named, or the one beside this program.
///
/// # Errors
/// There is none.
pub fn node_program(named: Option<&Path>) -> Result<PathBuf, Failure> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => {
            let own = std::env::current_exe().map_err(Failure::Runtime)?;
            own.with_file_name(format!("timed{}", std::env::consts::EXE_SUFFIX))
        }
    };
    if path.is_file() { Ok(path) } else { Err(Misuse::NoNodeProgram(path).into()) }
}

/// Founds the network if its directory is empty, and starts every node. If one fails, all that
/// were started are killed.
pub(super) async fn launch(options: &ClusterOptions) -> Result<(Vec<NodeProcess>, Endpoints), Failure> {
    if options.directory.join("genesis.toml").exists() {
        check_size(options)?;
    } else {
        found(options).await?;
    }
    let mut nodes = Vec::new();
    let mut announcements: Vec<Announcement> = Vec::new();
    for number in 1..=options.nodes {
        let directory = options.directory.join(format!("node-{number}"));
        let entrance = announcements.first().map(|first| first.peers.as_slice()).unwrap_or_default();
        let arguments = node_arguments(options, &directory, entrance);
        let (node, announcement) = NodeProcess::start(number, &directory, &options.program, &arguments).await?;
        nodes.push(node);
        announcements.push(announcement);
    }
    let endpoints = endpoints(options, &nodes, &announcements)?;
    Ok((nodes, endpoints))
}

fn check_size(options: &ClusterOptions) -> Result<(), Misuse> {
    let exists = |number: &usize| options.directory.join(format!("node-{number}")).exists();
    let found = (1..).take_while(exists).count();
    let directory = options.directory.clone();
    if found == options.nodes { Ok(()) } else { Err(Misuse::OtherSize { directory, found, wanted: options.nodes }) }
}

async fn found(options: &ClusterOptions) -> Result<(), Failure> {
    let mut command = Command::new(&options.program);
    command.arg("init").arg("--validators").arg(options.nodes.to_string()).arg("--output").arg(&options.directory);
    command.arg("--block-time").arg(options.block_time_ms.to_string()).kill_on_drop(true);
    command.arg("--epoch-blocks").arg(options.epoch_blocks.to_string());
    if let Some(port) = options.base_port {
        command.arg("--base-port").arg(port.to_string());
    }
    let output = command.output().await.map_err(Failure::io("start", &options.program))?;
    if output.status.success() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Failure::Init { status: output.status.to_string(), message })
}

/// The arguments of `timed` for one node, which joins through the peers at these addresses.
#[must_use]
pub fn node_arguments(options: &ClusterOptions, directory: &Path, peers: &[String]) -> Vec<OsString> {
    // A program that is killed stops nobody; its end of each node's standard input closes all the same.
    let mut arguments: Vec<OsString> = ["run", "--json", "--stop-with-stdin", "--config"].map(OsString::from).into();
    arguments.push(directory.join("config.toml").into());
    // Loopback only and worthless money: no cookie, so that a plain curl line works.
    arguments.extend(["--set", "rpc.cookie_file=", "--log-level", &options.log_level].map(OsString::from));
    if options.unsafe_methods {
        arguments.extend(["--set", "rpc.unsafe_methods=true"].map(OsString::from));
    }
    if options.base_port.is_some() {
        return arguments;
    }
    let listen = [
        ("--listen", "/ip4/127.0.0.1/tcp/0"),
        ("--listen", "/ip4/127.0.0.1/udp/0/quic-v1"),
        ("--rpc-listen", "127.0.0.1:0"),
        ("--metrics-listen", "127.0.0.1:0"),
    ];
    arguments.extend(listen.iter().flat_map(|(flag, value)| [OsString::from(flag), OsString::from(value)]));
    for address in peers {
        arguments.extend([OsString::from("--bootstrap"), OsString::from(address)]);
    }
    arguments
}

fn endpoints(
    options: &ClusterOptions,
    nodes: &[NodeProcess],
    announcements: &[Announcement],
) -> Result<Endpoints, Failure> {
    let words = read_private(&options.directory.join("mnemonic.txt"))?;
    let phrase = Phrase::parse(&String::from_utf8_lossy(&words))?;
    let (account, indices) = FUNDED;
    let keys = phrase.keys(NetworkKind::Devnet, account, indices);
    let unusable = |error: timecoin_protocol::hash::HexError| {
        Failure::io("understand the genesis hash in", &options.directory)(std::io::Error::other(error))
    };
    let first = announcements.first();
    Ok(Endpoints {
        network: first.map(|first| first.network.clone()).unwrap_or_default(),
        genesis_hash: first.map(|first| first.genesis_hash.as_str()).unwrap_or_default().parse().map_err(unusable)?,
        data_dir: options.directory.clone(),
        mnemonic: phrase.words().to_string(),
        accounts: keys.iter().map(account_of).collect(),
        nodes: nodes.iter().zip(announcements).map(|(node, said)| node_endpoints(node, said)).collect(),
    })
}

fn account_of(key: &SecretKey) -> Account {
    let address = address_text(&Owner::from(&key.public()), NetworkKind::Devnet);
    Account { address, private_key: hex::encode(key.seed()) }
}

fn node_endpoints(node: &NodeProcess, said: &Announcement) -> NodeEndpoints {
    NodeEndpoints {
        number: node.number,
        peer_id: said.peer_id.clone(),
        rpc: said.rpc.clone(),
        ws: said.rpc.as_ref().map(|url| url.replacen("http", "ws", 1)),
        metrics: said.metrics.clone(),
        addresses: said.peers.clone(),
        pid: Some(node.pid),
        directory: Some(node.directory.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(base_port: Option<u16>) -> ClusterOptions {
        ClusterOptions {
            nodes: 2,
            directory: "/nowhere".into(),
            base_port,
            program: "/nowhere/timed".into(),
            block_time_ms: 1_000,
            epoch_blocks: 60,
            log_level: "info".into(),
            unsafe_methods: false,
        }
    }

    #[test]
    fn nodes_on_chosen_ports_join_through_the_first_one() {
        let alone = node_arguments(&options(None), Path::new("/d"), &[]);
        assert!(alone.contains(&"127.0.0.1:0".into()) && !alone.contains(&"--bootstrap".into()));
        let joined = node_arguments(&options(None), Path::new("/d"), &["/ip4/127.0.0.1/tcp/5/p2p/p".to_owned()]);
        assert_eq!(joined[joined.len() - 2..], ["--bootstrap", "/ip4/127.0.0.1/tcp/5/p2p/p"]);
    }

    #[test]
    fn fixed_ports_are_those_of_the_configuration() {
        let fixed = node_arguments(&options(Some(9_000)), Path::new("/d"), &[]);
        assert!(!fixed.contains(&"--listen".into()) && fixed.contains(&"rpc.cookie_file=".into()));
    }

    #[test]
    fn a_missing_program_is_the_users_mistake() {
        let failure = node_program(Some(Path::new("/nowhere/timed"))).unwrap_err();
        assert!(matches!(failure, Failure::Usage(Misuse::NoNodeProgram(_))));
    }

    #[test]
    fn a_directory_with_another_number_of_nodes_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("node-1")).unwrap();
        let options = ClusterOptions { directory: directory.path().to_owned(), ..options(None) };
        assert!(matches!(check_size(&options), Err(Misuse::OtherSize { found: 1, wanted: 2, .. })));
    }
}
