//! `timed config`: check, show, default.

use super::flags::NodeFlags;
use crate::cli::failure::Failure;
use crate::cli::output::{DIM, GOOD, Output, styled, table};
use crate::config::{ConfigError, DEFAULT_FILE, NodeConfig, Origin, Sources, load, parse, read_genesis};
use crate::exit::Exit;
use crate::node::StartError;
use crate::wallet::{PrivateFileError, read_key};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::PathBuf;
use timecoin_protocol::ledger::genesis_state;

/// What to do with configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Find everything that is wrong with a configuration file.
    ///
    /// The environment is left out of account. Files that the configuration names and that exist
    /// are checked too; missing ones are only mentioned, unless --files is given.
    Check(CheckArgs),
    /// Show the values in force and where each one came from: default, file, environment or flag.
    Show(Box<NodeFlags>),
    /// Print the commented default file.
    Default,
}

/// Arguments of `config check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The configuration file.
    file: PathBuf,
    /// A missing genesis file or validator key is an error.
    #[arg(long)]
    files: bool,
}

impl ConfigCommand {
    /// Runs it.
    pub fn run(&self, output: Output) -> Result<Exit, Failure> {
        match self {
            Self::Check(args) => args.run(output),
            Self::Show(flags) => show(flags, output),
            Self::Default => {
                anstream::print!("{DEFAULT_FILE}");
                Ok(Exit::Ok)
            }
        }
    }
}

impl CheckArgs {
    fn run(&self, output: Output) -> Result<Exit, Failure> {
        let sources = Sources { file: Some(self.file.clone()), ..Sources::default() };
        let config = parse(&load(&sources)?)?;
        let missing: Vec<Failure> =
            [check_genesis(&config), check_validator_key(&config)].into_iter().filter_map(Result::err).collect();
        let mut notes = Vec::new();
        for failure in missing {
            if self.files || !is_missing(&failure) {
                return Err(failure);
            }
            notes.push(failure.to_string());
        }
        notes.iter().for_each(|note| output.note(note));
        let value = json!({"file": self.file, "valid": true, "notes": notes});
        output.result(&value, || format!("{} {} is valid", styled(GOOD, "ok:"), self.file.display()));
        Ok(Exit::Ok)
    }
}

fn check_genesis(config: &NodeConfig) -> Result<(), Failure> {
    let genesis = read_genesis(&config.genesis)?;
    genesis_state(&genesis).map_err(StartError::Genesis)?;
    Ok(())
}

fn check_validator_key(config: &NodeConfig) -> Result<(), Failure> {
    if let Some(file) = &config.validator_key_file {
        read_key(file)?;
    }
    Ok(())
}

const fn is_missing(failure: &Failure) -> bool {
    matches!(failure, Failure::Config(ConfigError::NoGenesis(_)) | Failure::File(PrivateFileError::Missing(_)))
}

fn show(flags: &NodeFlags, output: Output) -> Result<Exit, Failure> {
    let effective = flags.load()?;
    parse(&effective)?;
    let values = effective.values();
    let object = values.iter().map(|(key, value, origin)| {
        (key.name.to_owned(), json!({"value": value, "origin": origin, "variable": key.variable()}))
    });
    output.result(&Value::Object(object.collect()), || {
        table(
            &["KEY", "VALUE", "FROM"],
            values.iter().map(|(key, value, origin)| {
                let from = origin.to_string();
                let from = if *origin == Origin::Default { styled(DIM, &from) } else { from };
                vec![key.name.to_owned(), value.to_string(), from]
            }),
        )
    });
    Ok(Exit::Ok)
}
