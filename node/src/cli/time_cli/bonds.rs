//! `time-cli bond` and `time-cli unbond`: becoming a validator and ceasing to be one.

use super::NodeArgs;
use super::money::{FeeArgs, Session, announce};
use super::source::WalletSource;
use crate::cli::account::{LockShape, unspent};
use crate::cli::failure::{Failure, Misuse};
use crate::cli::output::Output;
use crate::exit::Exit;
use crate::wallet::{bond, parse_amount, read_key, withdraw};
use clap::Args;
use std::path::PathBuf;
use timecoin_protocol::address::Owner;
use timecoin_protocol::amount::Amount;
use timecoin_protocol::keys::{PublicKey, SecretKey};
use timecoin_protocol::transaction::OutPoint;

/// Arguments of `bond`.
#[derive(Clone, Debug, Args)]
pub struct BondArgs {
    /// How much: at least 1000 TIME. The weight counts from the epoch after the next on.
    amount: String,
    /// File of the validator's key (`timed keys`): it must sign for its bond.
    #[arg(long, value_name = "FILE")]
    validator_key: PathBuf,
    #[command(flatten)]
    fee: FeeArgs,
}

impl BondArgs {
    /// Runs it.
    pub async fn run(&self, node: &NodeArgs, source: &WalletSource, output: Output) -> Result<Exit, Failure> {
        let amount = parse_amount(&self.amount)?;
        let validator = read_key(&self.validator_key)?;
        let session = Session::open(node, source, &self.fee).await?;
        let (transaction, selection) = bond(&session.plan()?, &validator, session.home()?, amount)?;
        announce(&selection, output);
        session.send(&transaction, selection.fee, output).await?;
        Ok(Exit::Ok)
    }
}

/// Arguments of `unbond`.
#[derive(Clone, Debug, Args)]
pub struct UnbondArgs {
    /// Only the bonds of this validator (its public key); else all bonds of the wallet.
    #[arg(long, value_name = "KEY")]
    validator: Option<PublicKey>,
    #[command(flatten)]
    fee: FeeArgs,
}

impl UnbondArgs {
    /// Runs it: one transaction for each address that has bonds.
    pub async fn run(&self, node: &NodeArgs, source: &WalletSource, output: Output) -> Result<Exit, Failure> {
        let session = Session::open(node, source, &self.fee).await?;
        let mut withdrawn = false;
        for key in &session.keys {
            let bonds = self.bonds_of(&session, key).await?;
            if bonds.is_empty() {
                continue;
            }
            let transaction = withdraw(&bonds, key, session.fee_rate(), &session.network.genesis_hash)?;
            let sum = Amount::checked_sum(bonds.iter().map(|(_, amount)| *amount)).unwrap_or_default();
            let left = transaction.body.output_sum().unwrap_or_default();
            session.send(&transaction, sum.checked_sub(left).unwrap_or_default(), output).await?;
            withdrawn = true;
        }
        if withdrawn { Ok(Exit::Ok) } else { Err(Misuse::NoBond.into()) }
    }

    async fn bonds_of(&self, session: &Session, key: &SecretKey) -> Result<Vec<(OutPoint, Amount)>, Failure> {
        let outputs = unspent(session.client(), &Owner::from(&key.public()), session.network.kind).await?;
        let wanted = |lock: &LockShape| match (lock, &self.validator) {
            (LockShape::Bond { validator }, Some(only)) => validator == only,
            (LockShape::Bond { .. }, None) => true,
            (LockShape::Address {} | LockShape::Unbonding {}, _) => false,
        };
        Ok(outputs
            .iter()
            .filter(|output| wanted(&output.lock))
            .map(|output| (output.outpoint(), output.amount))
            .collect())
    }
}
