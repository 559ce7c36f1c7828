//! Asking for secrets at a terminal, without showing what is typed. Never asks where there is none.

use super::failure::{Failure, Misuse};
use std::io::{BufRead, IsTerminal, Write, stderr, stdin};
use std::path::Path;
use zeroize::Zeroizing;

/// A passphrase: from `file` (its first line) or typed; twice if it is a `new` one.
pub fn passphrase(file: Option<&Path>, new: bool) -> Result<Zeroizing<String>, Failure> {
    let passphrase = match file {
        Some(file) => first_line(file)?,
        None => typed(new)?,
    };
    if new && passphrase.is_empty() {
        return Err(Misuse::EmptyPassphrase.into());
    }
    Ok(passphrase)
}

/// The first line of a file, without its end.
pub fn first_line(file: &Path) -> Result<Zeroizing<String>, Failure> {
    let text = std::fs::read_to_string(file).map(Zeroizing::new).map_err(|source| Failure::Io {
        action: "read",
        path: file.to_owned(),
        source,
    })?;
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}

fn typed(new: bool) -> Result<Zeroizing<String>, Failure> {
    let flag = "--passphrase-file";
    let first = secret_line("passphrase: ", Misuse::NoTerminal { what: "a passphrase", flag })?;
    if new && secret_line("once more: ", Misuse::NoTerminal { what: "a passphrase", flag })? != first {
        return Err(Misuse::PassphrasesDiffer.into());
    }
    Ok(first)
}

/// One line typed at the terminal without echo.
pub fn secret_line(prompt: &str, otherwise: Misuse) -> Result<Zeroizing<String>, Failure> {
    if !stdin().is_terminal() || !stderr().is_terminal() {
        return Err(otherwise.into());
    }
    let mut shown = stderr();
    write!(shown, "{prompt}").and_then(|()| shown.flush()).map_err(Failure::Runtime)?;
    let line = without_echo(|| {
        let mut line = Zeroizing::new(String::new());
        stdin().lock().read_line(&mut line).map(|_| line)
    });
    let _ = writeln!(shown);
    line.map(|line| Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned())).map_err(Failure::Runtime)
}

#[cfg(unix)]
fn without_echo<T>(read: impl FnOnce() -> std::io::Result<T>) -> std::io::Result<T> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let before = tcgetattr(stdin())?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    tcsetattr(stdin(), OptionalActions::Flush, &silent)?;
    let result = read();
    tcsetattr(stdin(), OptionalActions::Flush, &before)?;
    result
}

#[cfg(not(unix))]
fn without_echo<T>(read: impl FnOnce() -> std::io::Result<T>) -> std::io::Result<T> {
    read()
}
