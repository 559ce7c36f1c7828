//! Where the wallet's keys come from: the keystore, or for development a phrase or one key.

use crate::cli::devnet::{FUNDED, dev_phrase};
use crate::cli::failure::{Failure, Misuse};
use crate::cli::terminal::{first_line, passphrase};
use crate::wallet::{Keystore, Phrase};
use clap::Args;
use std::path::PathBuf;
use timecoin_protocol::address::{NetworkKind, Owner, parse_address};
use timecoin_protocol::keys::SecretKey;
use zeroize::Zeroizing;

/// Account of BIP-44 whose addresses a phrase stands for.
const ACCOUNT: u32 = 0;

/// Which wallet.
#[derive(Clone, Debug, Args)]
pub struct WalletSource {
    /// The encrypted wallet [default: ~/.timecoin/wallet.json].
    #[arg(long, value_name = "FILE", global = true, help_heading = "Wallet")]
    pub keystore: Option<PathBuf>,
    /// File whose first line is the passphrase; else it is asked for at the terminal.
    #[arg(long, value_name = "FILE", global = true, help_heading = "Wallet")]
    pub passphrase_file: Option<PathBuf>,
    /// The accounts of `timed dev` instead of a keystore: anyone can spend them.
    #[arg(long, global = true, help_heading = "Development", conflicts_with_all = ["keystore", "mnemonic_file", "from_key"])]
    dev: bool,
    /// File with a recovery phrase instead of a keystore; its first ten addresses are used.
    #[arg(long, value_name = "FILE", global = true, help_heading = "Development", conflicts_with_all = ["keystore", "from_key"])]
    mnemonic_file: Option<PathBuf>,
    /// One secret key instead of a keystore. Other users of this machine can see it.
    #[arg(long, value_name = "HEX", global = true, help_heading = "Development", conflicts_with = "keystore")]
    from_key: Option<String>,
}

impl WalletSource {
    /// The keystore's file.
    pub fn file(&self) -> Result<PathBuf, Failure> {
        if self.dev || self.mnemonic_file.is_some() || self.from_key.is_some() {
            return Err(Misuse::NotAKeystore.into());
        }
        match &self.keystore {
            Some(file) => Ok(file.clone()),
            None => Ok(std::env::home_dir().ok_or(Misuse::NoHome)?.join(".timecoin").join("wallet.json")),
        }
    }

    /// The passphrase of a keystore that exists.
    pub fn passphrase(&self) -> Result<Zeroizing<String>, Failure> {
        passphrase(self.passphrase_file.as_deref(), false)
    }

    fn phrase(&self) -> Result<Option<Phrase>, Failure> {
        match &self.mnemonic_file {
            Some(file) => Ok(Some(Phrase::parse(&first_line(file)?)?)),
            None if self.dev => dev_phrase().map(Some),
            None => Ok(None),
        }
    }

    fn keys_outside_keystore(&self, network: NetworkKind) -> Result<Option<Vec<SecretKey>>, Failure> {
        if let Some(text) = &self.from_key {
            let mut seed = Zeroizing::new([0; 32]);
            hex::decode_to_slice(text, seed.as_mut_slice()).map_err(|_| Misuse::FromKey)?;
            return Ok(Some(vec![SecretKey::from_seed(&seed)]));
        }
        Ok(self.phrase()?.map(|phrase| phrase.keys(network, ACCOUNT, 0..FUNDED)))
    }

    /// The keys, for a node of `network` at `url`.
    pub fn keys(&self, network: NetworkKind, url: &str) -> Result<Vec<SecretKey>, Failure> {
        if let Some(keys) = self.keys_outside_keystore(network)? {
            return Ok(keys);
        }
        let keystore = self.keystore_for(network, url)?;
        Ok(keystore.unlock(&self.passphrase()?)?.keys().to_vec())
    }

    /// The owner of `address`, if one is given; else those of [`owners`](Self::owners).
    pub fn owners_or(&self, address: Option<&str>, network: NetworkKind, url: &str) -> Result<Vec<Owner>, Failure> {
        match address {
            Some(text) => Ok(vec![parse_address(text, network)?]),
            None => self.owners(network, url),
        }
    }

    /// The owners of all addresses, for a node of `network` at `url`; a keystore stays locked.
    pub fn owners(&self, network: NetworkKind, url: &str) -> Result<Vec<Owner>, Failure> {
        if let Some(keys) = self.keys_outside_keystore(network)? {
            return Ok(keys.iter().map(|key| Owner::from(&key.public())).collect());
        }
        let keystore = self.keystore_for(network, url)?;
        keystore.addresses().iter().map(|text| Ok(parse_address(text, network)?)).collect()
    }

    fn keystore_for(&self, network: NetworkKind, url: &str) -> Result<Keystore, Failure> {
        let keystore = Keystore::read(&self.file()?)?;
        if keystore.network() == network {
            return Ok(keystore);
        }
        Err(Misuse::OtherNetwork { wallet: keystore.network(), node: network, url: url.to_owned() }.into())
    }
}
