//! The layers of a configuration: file, environment, flags. Each is read into entries whose keys
//! exist and whose values have the right kind and range; whatever has not is a [`Problem`].

use super::error::{ConfigError, Origin, Problem};
use super::keys::{ENVIRONMENT_PREFIX, Key, Kind, find, nearest};
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value of a known key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A list.
    List(Vec<String>),
    /// A switch.
    Switch(bool),
    /// A number.
    Number(u64),
}

impl From<Value> for config::ValueKind {
    fn from(value: Value) -> Self {
        match value {
            Value::Text(text) => Self::String(text),
            Value::List(items) => items.into(),
            Value::Switch(on) => Self::Boolean(on),
            Value::Number(number) => Self::U64(number),
        }
    }
}

/// One key set by a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: &'static Key,
    /// Its value.
    pub value: Value,
    /// Where it was set.
    pub origin: Origin,
}

/// One setting of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// `section.key`.
    pub key: String,
    /// The value as typed; lists are separated by commas.
    pub text: String,
    /// The flag as typed.
    pub flag: String,
}

/// What a layer holds, and what is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Layer {
    pub entries: Vec<Entry>,
    pub problems: Vec<Problem>,
}

impl Layer {
    fn add(&mut self, key: &'static Key, value: Result<Value, String>, origin: Origin) {
        match (value, key.kind) {
            (Ok(Value::Number(found)), Kind::Number { min, max }) if found < min || found > max => {
                self.problems.push(Problem::OutOfRange { origin, key: key.name, min, max, found });
            }
            (Ok(value), _) => self.entries.push(Entry { key, value, origin }),
            (Err(found), kind) => {
                self.problems.push(Problem::WrongKind { origin, key: key.name, expected: kind.name(), found });
            }
        }
    }

    fn unknown(&mut self, key: &str, origin: Origin) {
        self.problems.push(Problem::UnknownKey { origin, key: key.to_owned(), near: nearest(key) });
    }

    fn add_text(&mut self, name: &str, text: &str, origin: Origin) {
        match find(name) {
            Some(key) => self.add(key, value_of_text(key.kind, text), origin),
            None => self.unknown(name, origin),
        }
    }
}

/// Reads the text of a configuration file; `path` is for messages only.
pub(super) fn file(path: &Path, text: &str) -> Result<Layer, ConfigError> {
    let table = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
        path: path.to_owned(),
        line: error.span().map_or(1, |span| line_of(text, span.start)),
        message: error.message().to_owned(),
    })?;
    let mut layer = Layer::default();
    for (section, content) in table.get_ref() {
        let at = |start: usize| Origin::File { path: path.to_owned(), line: line_of(text, start) };
        let Some(keys) = content.get_ref().as_table() else {
            layer.unknown(section.get_ref(), at(section.span().start));
            continue;
        };
        if keys.is_empty() && !is_section(section.get_ref()) {
            layer.unknown(section.get_ref(), at(section.span().start));
        }
        for (name, value) in keys {
            let full = format!("{}.{}", section.get_ref(), name.get_ref());
            let origin = at(name.span().start);
            match find(&full) {
                Some(key) => layer.add(key, value_of_toml(key.kind, value), origin),
                None => layer.unknown(&full, origin),
            }
        }
    }
    Ok(layer)
}

fn is_section(name: &str) -> bool {
    super::keys::KEYS.iter().any(|key| key.name.split('.').next() == Some(name))
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count().saturating_add(1)
}

/// Reads the variables that begin with `TIMED_`; others are none of our business.
pub(super) fn environment(variables: impl IntoIterator<Item = (String, String)>) -> Layer {
    let mut layer = Layer::default();
    for (variable, text) in variables {
        let Some(rest) = variable.strip_prefix(ENVIRONMENT_PREFIX) else { continue };
        let name = rest.to_lowercase().replace("__", ".");
        layer.add_text(&name, &text, Origin::Environment { variable });
    }
    layer
}

/// Reads the settings of the command line.
pub(super) fn flags(overrides: &[Override]) -> Layer {
    let mut layer = Layer::default();
    for Override { key, text, flag } in overrides {
        layer.add_text(key, text, Origin::Flag { flag: flag.clone() });
    }
    layer
}

/// The value that a text stands for, or how to describe what it is instead.
fn value_of_text(kind: Kind, text: &str) -> Result<Value, String> {
    let wrong = || format!("\"{text}\"");
    match kind {
        Kind::Text => Ok(Value::Text(text.to_owned())),
        Kind::List => {
            Ok(Value::List(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()))
        }
        Kind::Switch => text.parse().map(Value::Switch).map_err(|_| wrong()),
        Kind::Number { .. } => text.parse().map(Value::Number).map_err(|_| wrong()),
    }
}

fn value_of_toml(kind: Kind, value: &Spanned<DeValue<'_>>) -> Result<Value, String> {
    let value = value.get_ref();
    let read = match kind {
        Kind::Text => value.as_str().map(|text| Value::Text(text.to_owned())),
        Kind::List => value.as_array().and_then(|items| {
            let texts = items.iter().map(|item| item.get_ref().as_str().map(str::to_owned));
            texts.collect::<Option<Vec<_>>>().map(Value::List)
        }),
        Kind::Switch => value.as_bool().map(Value::Switch),
        Kind::Number { .. } => value
            .as_integer()
            .and_then(|digits| u64::from_str_radix(digits.as_str(), digits.radix()).ok())
            .map(Value::Number),
    };
    read.ok_or_else(|| describe(value))
}

fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("\"{text}\""),
        DeValue::Integer(digits) => digits.as_str().to_owned(),
        DeValue::Float(digits) => digits.as_str().to_owned(),
        DeValue::Boolean(on) => on.to_string(),
        other => format!("a value of type {}", other.type_str()),
    }
}
