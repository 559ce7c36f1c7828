//! `timed history`: the vote history of a validator (`SPEC.md` D-14, D-19).

use crate::cli::failure::{Failure, Misuse};
use crate::cli::output::{GOOD, Output, WARN, styled, table};
use crate::cli::timed::flags::NodeFlags;
use crate::config::{NodeConfig, parse, read_genesis};
use crate::exit::Exit;
use crate::store::{
    HistoryAt, HistoryHead, HistorySummary, StoreError, export_history, import_history, show_history, vouch,
};
use crate::voice;
use crate::wallet::read_key;
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::PathBuf;
use timecoin_protocol::engine::Cause;

/// Commands about the vote history. The node must not run: the file is locked.
#[derive(Clone, Debug, Subcommand)]
#[command(after_help = "Examples:\n  \
    timed history show --config my-node/config.toml\n  \
    timed history export --config old/config.toml moved.history     on the old machine\n  \
    timed history import --config new/config.toml moved.history     on the new one\n\n\
    What to back up: the key. Never copy the history, and never restore it from a backup: a validator that forgot votes\n\
    could contradict them and be punished. A history that is lost costs no more than the wait for a new epoch.")]
pub enum HistoryCommand {
    /// Whose it is, how far the key voted, and whether the validator is silent.
    Show(At),
    /// Write it into a file for another machine, and end this one for good.
    Export(Portable),
    /// Take up an exported one; the file is removed. Never goes backwards.
    Import(Portable),
    /// Make a new one for a key that exists; only with an assurance that you must be able to give.
    Create(Create),
}

/// Which history.
#[derive(Clone, Debug, Args)]
pub struct At {
    /// Configuration file of the node.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Arguments of `export` and `import`.
#[derive(Clone, Debug, Args)]
pub struct Portable {
    #[command(flatten)]
    at: At,
    /// The exported history.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Arguments of `create`.
#[derive(Clone, Debug, Args)]
pub struct Create {
    #[command(flatten)]
    at: At,
    /// I vouch: this key never signed anything in this network, or nothing that it signed is still in play. If that is
    /// wrong, the validator may contradict itself and be punished.
    #[arg(long)]
    never_signed: bool,
}

impl At {
    fn find(&self) -> Result<(NodeConfig, HistoryAt), Failure> {
        let config = parse(&NodeFlags::of_file(self.config.clone()).load()?)?;
        let (Some(key_file), Some(path)) = (&config.validator_key_file, &config.history_file) else {
            return Err(Misuse::NoValidator.into());
        };
        let at = HistoryAt { path: path.clone(), key: read_key(key_file)?.public() };
        Ok((config, at))
    }
}

impl HistoryCommand {
    /// Runs it.
    pub fn run(&self, output: Output) -> Result<Exit, Failure> {
        match self {
            Self::Show(at) => show(at, output),
            Self::Export(Portable { at, file }) => {
                let (_, at) = at.find()?;
                let head = export_history(&at, file)?;
                let text = format!(
                    "the vote history is in {}; the one at {} has ended. Import it on the new machine, and do not copy it",
                    file.display(),
                    at.path.display()
                );
                tell(&at, &head, "exported", &text, output);
                Ok(Exit::Ok)
            }
            Self::Import(Portable { at, file }) => {
                let (config, at) = at.find()?;
                let head = import_history(&at, read_genesis(&config.genesis)?.hash(), file)?;
                let text = format!("the vote history is at {}; {} is removed", at.path.display(), file.display());
                tell(&at, &head, "imported", &text, output);
                Ok(Exit::Ok)
            }
            Self::Create(Create { at, never_signed }) => {
                let (_, at) = at.find()?;
                if !never_signed {
                    return Err(Misuse::NotVouched.into());
                }
                vouch(&at)?;
                let text = format!("a new vote history is at {}", at.path.display());
                output.result(&json!({"event": "created", "key": at.key, "file": at.path}), || styled(GOOD, &text));
                Ok(Exit::Ok)
            }
        }
    }
}

fn tell(at: &HistoryAt, head: &HistoryHead, event: &str, text: &str, output: Output) {
    let mut value = described(at, head);
    if let Some(fields) = value.as_object_mut() {
        fields.insert("event".into(), event.into());
    }
    output.result(&value, || styled(GOOD, text));
}

fn described(at: &HistoryAt, head: &HistoryHead) -> serde_json::Value {
    json!({
        "key": head.key,
        "file": at.path,
        "genesis": head.genesis,
        "voted_epoch": head.voted.map(|voted| voted.epoch),
        "voted_height": head.voted.map(|voted| voted.height),
    })
}

/// What a start would do with it.
fn standing(summary: &HistorySummary) -> (&'static str, Option<String>) {
    let HistorySummary { head, silence } = summary;
    match (head.is_retired, head.doubt, silence) {
        (true, ..) => ("retired", Some("it was exported: the validator goes on where it was imported".to_owned())),
        (_, Some(doubt), _) => {
            let wait = match doubt {
                Cause::NewerThanBlocks => "it is silent to the end of the last epoch that the key voted in",
                _ => "it is silent until an epoch begins in which the key cannot have voted",
            };
            ("silent", Some(format!("{}; {wait}", voice::why(doubt))))
        }
        (_, None, Some(silence)) => {
            ("silent", Some(format!("{}; {}", voice::why(silence.cause), voice::until(silence))))
        }
        (_, None, None) => ("whole", None),
    }
}

fn show(at: &At, output: Output) -> Result<Exit, Failure> {
    let (_, at) = at.find()?;
    let Some(summary) = show_history(&at)? else {
        return Err(StoreError::NoHistory { path: at.path }.into());
    };
    let (word, reason) = standing(&summary);
    let mut value = described(&at, &summary.head);
    if let Some(fields) = value.as_object_mut() {
        fields.insert("standing".into(), word.into());
        fields.insert("reason".into(), reason.clone().into());
    }
    output.result(&value, || {
        let none = || "none".to_owned();
        let head = &summary.head;
        let row = |what: &str, shown: String| vec![what.to_owned(), shown];
        let rows = [
            row("validator key", head.key.to_string()),
            row("file", at.path.display().to_string()),
            row(
                "genesis",
                head.genesis.map_or_else(|| "any, until the first start".to_owned(), |hash| hash.to_string()),
            ),
            row("last epoch voted in", head.voted.map_or_else(none, |voted| voted.epoch.to_string())),
            row("last height voted at", head.voted.map_or_else(none, |voted| voted.height.to_string())),
            row("standing", if word == "whole" { styled(GOOD, word) } else { styled(WARN, word) }),
            row("why", reason.clone().unwrap_or_default()),
        ];
        table(&["", ""], rows)
    });
    Ok(Exit::Ok)
}
