//! `time-cli wallet` and `time-cli address`: the keystore, without a node.

use super::source::WalletSource;
use crate::cli::failure::{Failure, Misuse};
use crate::cli::output::{BOLD, GOOD, Output, WARN, styled};
use crate::cli::terminal::{first_line, passphrase, secret_line};
use crate::exit::Exit;
use crate::wallet::{Keystore, Phrase, UnlockedWallet, path_text};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use std::path::{Path, PathBuf};
use timecoin_protocol::address::NetworkKind;

/// What to do with the wallet.
#[derive(Debug, Subcommand)]
pub enum WalletCommand {
    /// Make a new wallet and show its recovery phrase, once.
    Create(NewArgs),
    /// Make a wallet from a recovery phrase: typed at the terminal, or the first line of a file.
    Import(ImportArgs),
    /// Show what the wallet is; with --phrase its recovery phrase.
    Show(ShowArgs),
    /// List all addresses.
    Addresses,
}

/// Arguments of `wallet create`.
#[derive(Clone, Debug, Args)]
pub struct NewArgs {
    /// The network that the addresses are for.
    #[arg(long, value_enum)]
    network: NetworkName,
}

/// Arguments of `wallet import`.
#[derive(Clone, Debug, Args)]
pub struct ImportArgs {
    #[command(flatten)]
    new: NewArgs,
    /// File whose first line is the phrase; else it is asked for at the terminal.
    #[arg(long, value_name = "FILE")]
    phrase_file: Option<PathBuf>,
    /// Number of addresses to begin with.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    addresses: u16,
}

/// Arguments of `wallet show`.
#[derive(Clone, Debug, Args)]
pub struct ShowArgs {
    /// Show the recovery phrase. Whoever sees it can take all money.
    #[arg(long)]
    phrase: bool,
}

/// Arguments of `address`.
#[derive(Clone, Debug, Args)]
pub struct AddressArgs {
    #[command(subcommand)]
    command: Option<AddressCommand>,
}

#[derive(Clone, Debug, Subcommand)]
enum AddressCommand {
    /// Make a new address.
    New,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum NetworkName {
    Mainnet,
    Testnet,
    Devnet,
}

impl From<NetworkName> for NetworkKind {
    fn from(name: NetworkName) -> Self {
        match name {
            NetworkName::Mainnet => Self::Mainnet,
            NetworkName::Testnet => Self::Testnet,
            NetworkName::Devnet => Self::Devnet,
        }
    }
}

impl WalletCommand {
    /// Runs it.
    pub fn run(&self, source: &WalletSource, output: Output) -> Result<Exit, Failure> {
        match self {
            Self::Create(args) => create(args, source, output),
            Self::Import(args) => import(args, source, output),
            Self::Show(args) => show(args, source, output),
            Self::Addresses => addresses(source, output),
        }
    }
}

fn refuse_existing(file: &Path) -> Result<(), Failure> {
    // Before anybody types a passphrase for nothing; writing it refuses again.
    if file.exists() {
        return Err(crate::wallet::PrivateFileError::Exists(file.to_owned()).into());
    }
    Ok(())
}

fn create(args: &NewArgs, source: &WalletSource, output: Output) -> Result<Exit, Failure> {
    let file = source.file()?;
    refuse_existing(&file)?;
    let passphrase = passphrase(source.passphrase_file.as_deref(), true)?;
    let wallet = UnlockedWallet::new(Phrase::generate()?, args.network.into());
    wallet.seal(&passphrase)?.create(&file)?;
    let words = wallet.phrase.words();
    let value =
        json!({"keystore": file, "network": wallet.network, "mnemonic": *words, "addresses": wallet.addresses()});
    output.result(&value, || {
        let mut lines = vec![
            styled(BOLD, "Recovery phrase: write it down and keep it offline."),
            styled(
                WARN,
                "It is shown once. Whoever has it has the money; without it and the keystore the money is lost.",
            ),
            String::new(),
        ];
        lines.extend([format!("  {}", *words), String::new()]);
        lines.extend(made(&wallet, &file));
        lines.join("\n")
    });
    Ok(Exit::Ok)
}

fn made(wallet: &UnlockedWallet, file: &Path) -> Vec<String> {
    let mut lines = vec![format!("{} {}", styled(GOOD, "wallet:"), file.display())];
    lines.extend(wallet.addresses().iter().map(|address| format!("address: {address}")));
    lines
}

fn import(args: &ImportArgs, source: &WalletSource, output: Output) -> Result<Exit, Failure> {
    let file = source.file()?;
    refuse_existing(&file)?;
    let words = match &args.phrase_file {
        Some(words) => first_line(words)?,
        None => {
            let otherwise = Misuse::NoTerminal { what: "a recovery phrase", flag: "--phrase-file" };
            secret_line("recovery phrase: ", otherwise)?
        }
    };
    let mut wallet = UnlockedWallet::new(Phrase::parse(&words)?, args.new.network.into());
    wallet.extend_to(args.addresses.into())?;
    wallet.seal(&passphrase(source.passphrase_file.as_deref(), true)?)?.create(&file)?;
    let value = json!({"keystore": file, "network": wallet.network, "addresses": wallet.addresses()});
    output.result(&value, || made(&wallet, &file).join("\n"));
    Ok(Exit::Ok)
}

/// An existing keystore, still locked.
fn open(source: &WalletSource) -> Result<(PathBuf, Keystore), Failure> {
    let file = source.file()?;
    let keystore = Keystore::read(&file)?;
    Ok((file, keystore))
}

fn show(args: &ShowArgs, source: &WalletSource, output: Output) -> Result<Exit, Failure> {
    let (file, keystore) = open(source)?;
    let words = match args.phrase {
        true => Some(keystore.unlock(&source.passphrase()?)?.phrase.words()),
        false => None,
    };
    let count = keystore.addresses().len();
    let path = path_text(keystore.network(), 0, 0);
    let mut value = json!({"keystore": file, "network": keystore.network(), "addresses": count, "first_path": path});
    if let (Some(words), Some(fields)) = (&words, value.as_object_mut()) {
        fields.insert("mnemonic".to_owned(), json!(**words));
    }
    output.result(&value, || {
        let mut lines = vec![
            format!("keystore   {}", file.display()),
            format!("network    {}", json!(keystore.network()).as_str().unwrap_or_default()),
            format!("addresses  {count}, derived by SLIP-0010 from {path} on"),
        ];
        lines.extend(words.as_ref().map(|words| format!("phrase     {}", **words)));
        lines.join("\n")
    });
    Ok(Exit::Ok)
}

fn addresses(source: &WalletSource, output: Output) -> Result<Exit, Failure> {
    let (_, keystore) = open(source)?;
    output.result(&json!(keystore.addresses()), || keystore.addresses().join("\n"));
    Ok(Exit::Ok)
}

impl AddressArgs {
    /// Runs it.
    pub fn run(&self, source: &WalletSource, output: Output) -> Result<Exit, Failure> {
        let (file, keystore) = open(source)?;
        let newest = match self.command {
            None => keystore.addresses().last().cloned(),
            Some(AddressCommand::New) => {
                // Every child is hardened, so a new address needs the secret.
                let passphrase = source.passphrase()?;
                let mut wallet = keystore.unlock(&passphrase)?;
                wallet.extend_to(keystore.addresses().len().saturating_add(1))?;
                wallet.seal(&passphrase)?.replace(&file)?;
                wallet.addresses().pop()
            }
        };
        let newest = newest.unwrap_or_default();
        output.result(&json!({"address": newest}), || newest.clone());
        Ok(Exit::Ok)
    }
}
