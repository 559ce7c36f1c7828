//! Every configuration key: its name, what values it takes, and how a mistyped one is recognized.

/// What values a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// A list of texts; separated by commas in the environment and in flags.
    List,
    /// `true` or `false`.
    Switch,
    /// A whole number within bounds, both included.
    Number {
        /// Least.
        min: u64,
        /// Greatest.
        max: u64,
    },
}

impl Kind {
    /// What a value of this kind is called in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "a text in quotes",
            Self::List => "a list of texts",
            Self::Switch => "true or false",
            Self::Number { .. } => "a whole number",
        }
    }
}

/// One configuration key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// `section.key`.
    pub name: &'static str,
    /// Its values.
    pub kind: Kind,
}

impl Key {
    /// The environment variable that sets it: `TIMED_SECTION__KEY`.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{ENVIRONMENT_PREFIX}{}", self.name.replace('.', "__").to_uppercase())
    }
}

/// Environment variables that begin like this are configuration, and nothing else may be.
pub const ENVIRONMENT_PREFIX: &str = "TIMED_";

const fn text(name: &'static str) -> Key {
    Key { name, kind: Kind::Text }
}

const fn list(name: &'static str) -> Key {
    Key { name, kind: Kind::List }
}

const fn switch(name: &'static str) -> Key {
    Key { name, kind: Kind::Switch }
}

const fn number(name: &'static str, min: u64, max: u64) -> Key {
    Key { name, kind: Kind::Number { min, max } }
}

/// All keys, in the order of the default file.
pub const KEYS: &[Key] = &[
    text("node.data_dir"),
    text("node.genesis"),
    text("node.key_file"),
    list("network.listen"),
    list("network.bootstrap"),
    list("network.external"),
    text("validator.key_file"),
    text("validator.history_file"),
    switch("rpc.enabled"),
    text("rpc.listen"),
    text("rpc.cookie_file"),
    switch("rpc.unsafe_methods"),
    list("rpc.allowed_hosts"),
    switch("metrics.enabled"),
    text("metrics.listen"),
    number("consensus.vote_interval_ms", 1, 1_000),
    number("consensus.query_timeout_ms", 50, 2_000),
    number("consensus.sample_size", 1, 1_000),
    number("consensus.alpha", 1, 1_000),
    number("consensus.finality_confidence", 1, 1_000),
    number("consensus.unopposed_confidence", 1, 1_000),
    number("consensus.max_rounds", 1, 10_000),
    number("consensus.propose_timeout_ms", 50, 60_000),
    number("consensus.vote_timeout_ms", 50, 60_000),
    number("mempool.transactions_max", 100, 10_000_000),
    number("mempool.bytes_max", 1_000_000, 64_000_000_000),
    text("log.level"),
    text("log.format"),
];

/// The key of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Below this similarity (0 to 1) a name is not taken for a mistyped other one.
const SIMILARITY_MIN: f64 = 0.75;

/// The key that `name` was probably meant to be: a near spelling, or the same key in another section.
#[must_use]
pub fn nearest(name: &str) -> Option<&'static str> {
    let last = name.rsplit('.').next().unwrap_or(name);
    let moved = KEYS.iter().filter(|key| key.name.rsplit('.').next() == Some(last)).map(|key| key.name);
    let mut moved = moved.collect::<Vec<_>>();
    if let ([only], false) = (moved.as_mut_slice(), last.is_empty()) {
        return Some(only);
    }
    nearest_of(name, KEYS.iter().map(|key| key.name))
}

/// The candidate that is spelled most like `name`, if one is near enough.
#[must_use]
pub fn nearest_of<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = candidates.into_iter().map(|candidate| (strsim::jaro_winkler(name, candidate), candidate));
    let (score, best) = scored.max_by(|(left, _), (right, _)| left.total_cmp(right))?;
    (score >= SIMILARITY_MIN).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_key_is_recognized() {
        assert_eq!(nearest("network.listn"), Some("network.listen"));
        assert_eq!(nearest("consensus.quorum_timeout_ms"), Some("consensus.query_timeout_ms"));
    }

    #[test]
    fn a_key_in_the_wrong_section_is_found_in_the_right_one() {
        assert_eq!(nearest("rpc.bootstrap"), Some("network.bootstrap"));
    }

    #[test]
    fn something_else_entirely_is_not_guessed_at() {
        assert_eq!(nearest("zzz.qqq"), None);
    }

    #[test]
    fn a_key_names_its_environment_variable() {
        assert_eq!(find("rpc.listen").unwrap().variable(), "TIMED_RPC__LISTEN");
    }
}
