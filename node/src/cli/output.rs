//! Printing: text for people, colored on a terminal only, or one JSON value for programs.

use super::failure::Failure;
use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

/// Headings and prompts.
pub const BOLD: Style = Style::new().bold();
/// What went well.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
/// What is dangerous.
pub const WARN: Style = AnsiColor::Yellow.on_default().bold();
/// What went wrong.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// What matters less.
pub const DIM: Style = Style::new().dimmed();

/// Text in a style; the style is dropped where the output is no terminal.
pub fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// How a command prints.
#[derive(Clone, Copy, Debug, Default)]
pub struct Output {
    /// JSON instead of text.
    pub json: bool,
}

impl Output {
    /// Prints one result: `value` for programs, `text` for people.
    pub fn result(self, value: &Value, text: impl FnOnce() -> String) {
        if self.json {
            anstream::println!("{value}");
        } else {
            anstream::println!("{}", text());
        }
    }

    /// Prints a remark on standard error; programs are not told.
    pub fn note(self, text: &str) {
        if !self.json {
            anstream::eprintln!("{} {text}", styled(WARN, "note:"));
        }
    }

    /// Prints why a command failed, on standard error.
    pub fn failure(self, failure: &Failure) {
        let (exit, hint) = (failure.exit(), failure.hint());
        if self.json {
            let error = json!({"kind": exit, "exit": exit.code(), "message": failure.to_string(), "hint": hint});
            anstream::eprintln!("{}", json!({"error": error}));
            return;
        }
        let hint = hint.map_or_else(String::new, |hint| format!("; {hint}"));
        anstream::eprintln!("{} {failure}{hint}", styled(BAD, "error:"));
    }
}

/// A table without rules: cells in columns, a heading above.
pub fn table(heading: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(heading);
    for row in rows {
        table.add_row(row);
    }
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, 2));
    });
    let lines: Vec<String> = table.to_string().lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}
