//! Puts the layers together: defaults, then file, environment, flags; the last one that sets a
//! key wins.

use super::error::{ConfigError, Origin};
use super::keys::{KEYS, Key};
use super::layers::{self, Entry, Layer, Override};
use super::settings::Settings;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where configuration is read from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The configuration file, if there is one.
    pub file: Option<PathBuf>,
    /// The environment; see [`process_environment`].
    pub environment: Vec<(String, String)>,
    /// The command line.
    pub flags: Vec<Override>,
}

/// The environment of this process, without variables that are not text.
#[must_use]
pub fn process_environment() -> Vec<(String, String)> {
    let utf8 = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(utf8).collect()
}

/// The configuration in force, and where each value came from.
#[derive(Clone, Debug)]
pub struct Effective {
    /// The values.
    pub settings: Settings,
    /// The directory that relative paths of the file start from.
    pub directory: PathBuf,
    origins: BTreeMap<&'static str, Origin>,
}

impl Effective {
    /// Where the value of a key came from.
    #[must_use]
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }

    /// Every key with its value, as JSON, and its origin, in the order of the default file.
    #[must_use]
    pub fn values(&self) -> Vec<(&'static Key, serde_json::Value, Origin)> {
        let all = serde_json::to_value(&self.settings).unwrap_or_default();
        let value = |key: &Key| all.pointer(&format!("/{}", key.name.replace('.', "/"))).cloned().unwrap_or_default();
        KEYS.iter().map(|key| (key, value(key), self.origin(key.name))).collect()
    }
}

/// Reads all sources.
///
/// # Errors
/// [`ConfigError`]: the file cannot be read or is not TOML; or the complete list of unknown keys
/// and of values of the wrong kind or range.
pub fn load(sources: &Sources) -> Result<Effective, ConfigError> {
    let (text, file) = match &sources.file {
        Some(path) => read_file(path)?,
        None => (String::new(), Layer::default()),
    };
    let environment = layers::environment(sources.environment.iter().cloned());
    let flags = layers::flags(&sources.flags);
    let problems: Vec<_> =
        [&file, &environment, &flags].into_iter().flat_map(|layer| layer.problems.iter().cloned()).collect();
    if !problems.is_empty() {
        return Err(ConfigError::Problems(problems));
    }
    let overrides: Vec<&Entry> = environment.entries.iter().chain(&flags.entries).collect();
    let settings = merge(&text, &overrides)?;
    let origins = file.entries.iter().chain(overrides).map(|entry| (entry.key.name, entry.origin.clone())).collect();
    let directory = sources.file.as_deref().and_then(Path::parent).map(Path::to_owned).unwrap_or_default();
    Ok(Effective { settings, directory, origins })
}

fn read_file(path: &Path) -> Result<(String, Layer), ConfigError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    let layer = layers::file(path, &text)?;
    Ok((text, layer))
}

fn merge(text: &str, overrides: &[&Entry]) -> Result<Settings, ConfigError> {
    let file = config::File::from_str(text, config::FileFormat::Toml);
    let mut builder = config::Config::builder().add_source(file);
    for entry in overrides {
        builder = builder.set_override(entry.key.name, config::ValueKind::from(entry.value.clone()))?;
    }
    Ok(builder.build()?.try_deserialize()?)
}
