//! `timed init`: the directory of one node, or of all nodes of a new development network.
//! Keys that exist are never overwritten.

use crate::cli::devnet::{
    Devnet, EPOCH_BLOCKS, NodeKeys, dev_address, funded_keys, genesis_file, keypair, node_directory, phrase_file,
    write_genesis,
};
use crate::cli::failure::{Failure, Misuse};
use crate::cli::output::{BOLD, Output, WARN, styled};
use crate::config::read_genesis;
use crate::exit::Exit;
use crate::wallet::{Phrase, create_private};
use clap::{ArgGroup, Args, ValueEnum};
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use timecoin_protocol::bounds::EPOCH_BLOCKS_MIN;

/// Arguments of `init`.
#[derive(Clone, Debug, Args)]
#[command(group(ArgGroup::new("place").required(true).args(["dir", "output"])), after_help = "Examples:\n  \
    timed init --dir my-node --genesis genesis.toml\n  \
    timed init --network devnet --validators 4 --output devnet\n  \
    timed init --validators 4 --output devnet --listen-ip 0.0.0.0 --bootstrap-host node-1 --same-ports")]
pub struct InitArgs {
    /// Directory of one node, with configuration and keys.
    #[arg(long, value_name = "DIR", help_heading = "One node")]
    dir: Option<PathBuf>,
    /// Genesis file of the network, copied into the directory.
    #[arg(long, value_name = "FILE", help_heading = "One node", conflicts_with = "output")]
    genesis: Option<PathBuf>,
    /// Which network; it decides the ports of one node.
    #[arg(long, value_enum, default_value_t = Network::Devnet)]
    network: Network,
    /// Directory for a new development network: genesis, funded addresses, and node-1 to node-N.
    #[arg(long, value_name = "DIR", help_heading = "A new development network")]
    output: Option<PathBuf>,
    /// Number of nodes; all of them validate.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=100),
          help_heading = "A new development network")]
    validators: u8,
    /// First port; then follow one each for RPC and metrics. Of a new network node K begins at base +
    /// 10 (K - 1) [default: mainnet 24100, testnet 24110, devnet 24120].
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..=65_533))]
    base_port: Option<u16>,
    /// All nodes use the ports of the first one (each in a container or on a machine of its own).
    #[arg(long, help_heading = "A new development network")]
    same_ports: bool,
    /// Address that nodes listen on.
    #[arg(long, value_name = "IP", default_value_t = Ipv4Addr::LOCALHOST.into(),
          help_heading = "A new development network")]
    listen_ip: IpAddr,
    /// Where the others find node 1: an IP address or a host name.
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1", help_heading = "A new development network")]
    bootstrap_host: String,
    /// Least time between blocks, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(100..=3_600_000),
          help_heading = "A new development network")]
    block_time: u64,
    /// Blocks of an epoch: validators that bond vote from the epoch after the next on.
    #[arg(long, value_name = "BLOCKS", default_value_t = EPOCH_BLOCKS,
          value_parser = clap::value_parser!(u64).range(EPOCH_BLOCKS_MIN..=1_000_000),
          help_heading = "A new development network")]
    epoch_blocks: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Network {
    Mainnet,
    Testnet,
    Devnet,
}

impl Network {
    const fn base_port(self) -> u16 {
        match self {
            Self::Mainnet => 24_100,
            Self::Testnet => 24_110,
            Self::Devnet => 24_120,
        }
    }
}

/// What differs between the configurations of nodes.
struct NodePlan<'a> {
    listen_ip: IpAddr,
    port: u16,
    bootstrap: Option<&'a str>,
}

impl InitArgs {
    /// Runs it.
    pub fn run(&self, output: Output) -> Result<Exit, Failure> {
        match (&self.output, &self.dir) {
            (Some(directory), _) => self.found_network(directory, output),
            (None, Some(directory)) => self.create_node(directory, output),
            (None, None) => Err(Misuse::Other("either --dir or --output is needed").into()),
        }
    }

    fn create_node(&self, directory: &Path, output: Output) -> Result<Exit, Failure> {
        refuse_initialized(&directory.join("config.toml"), directory)?;
        let genesis = self.genesis.as_deref().map(read_genesis).transpose()?;
        let keys = NodeKeys::generate();
        keys.create(directory)?;
        if let Some(genesis) = &genesis {
            write_genesis(&genesis_file(directory), genesis)?;
        }
        let listen_ip = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        write_config(directory, &NodePlan { listen_ip, port: self.base_port(), bootstrap: None })?;
        if genesis.is_none() {
            output.note(&format!(
                "put the network's genesis file at {} before the first start",
                genesis_file(directory).display()
            ));
        }
        let peer_id = peer_id(&keys)?;
        let config = directory.join("config.toml");
        let value = json!({"config": config, "peer_id": peer_id, "validator_key": keys.validator.public()});
        output.result(&value, || {
            format!(
                "peer id       {peer_id}\nvalidator key {}\n\nThe validator key votes if the genesis file bonds money \
                 for it; else the node follows.\nStart the node with: timed --config {}",
                keys.validator.public(),
                config.display()
            )
        });
        Ok(Exit::Ok)
    }

    fn found_network(&self, directory: &Path, output: Output) -> Result<Exit, Failure> {
        if self.network != Network::Devnet {
            return Err(Misuse::Other("--output founds a development network: use --network devnet").into());
        }
        refuse_initialized(&genesis_file(directory), directory)?;
        let ports = self.ports()?;
        let phrase = Phrase::generate()?;
        let devnet = Devnet::found("devnet", phrase, self.validators.into(), self.block_time, self.epoch_blocks);
        devnet.create(directory)?;
        let first = devnet.nodes.first().map(peer_id).transpose()?.unwrap_or_default();
        let bootstrap = self.bootstrap(&first);
        for (number, port) in (1..).zip(&ports) {
            let node = node_directory(directory, number);
            write_genesis(&genesis_file(&node), &devnet.genesis)?;
            let bootstrap = (number > 1).then_some(bootstrap.as_str());
            write_config(&node, &NodePlan { listen_ip: self.listen_ip, port: *port, bootstrap })?;
        }
        self.report(directory, &devnet, &bootstrap, output);
        Ok(Exit::Ok)
    }

    fn base_port(&self) -> u16 {
        self.base_port.unwrap_or_else(|| self.network.base_port())
    }

    fn ports(&self) -> Result<Vec<u16>, Misuse> {
        let nodes = usize::from(self.validators);
        let too_high = || Misuse::Ports { nodes, base_port: self.base_port() };
        (0..u16::from(self.validators))
            .map(|at| {
                let offset = if self.same_ports { 0 } else { at * 10 };
                // Two more ports follow the first one of each node.
                let port = self.base_port().checked_add(offset)?;
                port.checked_add(2).map(|_| port)
            })
            .collect::<Option<Vec<u16>>>()
            .ok_or_else(too_high)
    }

    fn bootstrap(&self, peer_id: &str) -> String {
        let host = match self.bootstrap_host.parse::<IpAddr>() {
            Ok(IpAddr::V4(ip)) => format!("/ip4/{ip}"),
            Ok(IpAddr::V6(ip)) => format!("/ip6/{ip}"),
            Err(_) => format!("/dns/{}", self.bootstrap_host),
        };
        format!("{host}/tcp/{}/p2p/{peer_id}", self.base_port())
    }

    fn report(&self, directory: &Path, devnet: &Devnet, bootstrap: &str, output: Output) {
        let configs: Vec<PathBuf> = (1..=usize::from(self.validators))
            .map(|number| node_directory(directory, number).join("config.toml"))
            .collect();
        let addresses: Vec<String> = funded_keys(&devnet.phrase).iter().map(dev_address).collect();
        let value = json!({
            "genesis": genesis_file(directory),
            "genesis_hash": devnet.genesis.hash(),
            "mnemonic_file": phrase_file(directory),
            "addresses": addresses,
            "configs": configs,
            "bootstrap": bootstrap,
        });
        output.result(&value, || {
            let mut lines = vec![styled(BOLD, "Funded addresses (1000000 TIME each)")];
            lines.extend(addresses.iter().map(|address| format!("  {address}")));
            lines.push(format!("Recovery phrase of their keys: {}", phrase_file(directory).display()));
            lines.push(styled(WARN, "This is a development network: its money is worth nothing."));
            lines.push(String::new());
            lines.push(styled(BOLD, "Start the nodes, each in a terminal of its own:"));
            lines.extend(configs.iter().map(|config| format!("  timed --config {}", config.display())));
            lines.join("\n")
        });
    }
}

fn refuse_initialized(sign: &Path, directory: &Path) -> Result<(), Misuse> {
    if sign.exists() { Err(Misuse::Initialized(directory.to_owned())) } else { Ok(()) }
}

fn peer_id(keys: &NodeKeys) -> Result<String, Failure> {
    Ok(keypair(&keys.node)?.public().to_peer_id().to_string())
}

fn write_config(directory: &Path, plan: &NodePlan<'_>) -> Result<(), Failure> {
    Ok(create_private(&directory.join("config.toml"), config_text(plan).as_bytes())?)
}

fn config_text(plan: &NodePlan<'_>) -> String {
    let NodePlan { listen_ip, port, bootstrap } = plan;
    let family = if listen_ip.is_ipv4() { "ip4" } else { "ip6" };
    let list = bootstrap.map_or_else(String::new, |address| toml::Value::from(address).to_string());
    let service = |offset: u16| {
        std::net::SocketAddr::new(
            if listen_ip.is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { *listen_ip },
            port.saturating_add(offset),
        )
    };
    format!(
        "# A TimeCoin node. Keys that are not here have their defaults: `timed config default` lists all.\n\
         # Relative paths start in the directory of this file.\n\
         \n\
         [node]\n\
         data_dir = \"data\"\n\
         genesis = \"genesis.toml\"\n\
         key_file = \"node.key\"\n\
         \n\
         [network]\n\
         listen = [\"/{family}/{listen_ip}/tcp/{port}\", \"/{family}/{listen_ip}/udp/{port}/quic-v1\"]\n\
         # Peers to join through, each ending in /p2p/<peer id>.\n\
         bootstrap = [{list}]\n\
         \n\
         [validator]\n\
         # Empty: the node follows and relays, but does not vote.\n\
         key_file = \"validator.key\"\n\
         \n\
         [rpc]\n\
         listen = \"{}\"\n\
         \n\
         [metrics]\n\
         listen = \"{}\"\n",
        service(1),
        service(2),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_configuration_is_valid() {
        let directory = tempfile::tempdir().unwrap();
        let peer = peer_id(&NodeKeys::generate()).unwrap();
        let bootstrap = format!("/dns/node-1/tcp/1/p2p/{peer}");
        let plan = NodePlan { listen_ip: "0.0.0.0".parse().unwrap(), port: 65_000, bootstrap: Some(&bootstrap) };
        write_config(directory.path(), &plan).unwrap();
        let file = Some(directory.path().join("config.toml"));
        let sources = crate::config::Sources { file, ..Default::default() };
        let config = crate::config::parse(&crate::config::load(&sources).unwrap()).unwrap();
        assert_eq!(config.bootstrap, [bootstrap.parse().unwrap()]);
        assert_eq!(config.rpc.unwrap().listen, "127.0.0.1:65001".parse().unwrap());
    }
}
