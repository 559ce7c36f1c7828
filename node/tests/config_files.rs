//! The configuration files of the repository, and what is said about wrong ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use std::path::PathBuf;
use timecoin_node::config::{DEFAULT_FILE, KEYS, Override, Settings, Sources, load, parse};

fn repository_file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../config").join(name)
}

fn file_with(text: &str) -> (tempfile::TempDir, Sources) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    std::fs::write(&file, text).unwrap();
    (directory, Sources { file: Some(file), ..Sources::default() })
}

fn problems(text: &str) -> String {
    let (_directory, sources) = file_with(text);
    match load(&sources).and_then(|effective| parse(&effective)) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    }
}

fn flag(key: &str, text: &str) -> Override {
    Override { key: key.into(), text: text.into(), flag: format!("--{key}") }
}

#[test]
fn the_default_file_says_what_the_code_does() {
    let settings: Settings = toml::from_str(DEFAULT_FILE).unwrap();
    assert_eq!(settings, Settings::default());
}

#[test]
fn the_default_file_has_every_key_and_a_comment_for_each_section() {
    let (_directory, sources) = file_with(DEFAULT_FILE);
    let effective = load(&sources).unwrap();
    for key in KEYS {
        assert!(effective.origin(key.name).to_string().contains("config.toml:"), "{} is not in default.toml", key.name);
    }
}

#[test]
fn every_key_of_the_settings_is_a_known_key() {
    let all = serde_json::to_value(Settings::default()).unwrap();
    let names: Vec<String> = all
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(section, keys)| keys.as_object().unwrap().keys().map(move |key| format!("{section}.{key}")))
        .collect();
    assert_eq!(names.len(), KEYS.len());
    for name in names {
        assert!(KEYS.iter().any(|key| key.name == name), "{name}");
    }
}

#[test]
fn the_files_of_the_repository_are_valid() {
    for name in ["default.toml", "testnet.toml", "mainnet.toml"] {
        let sources = Sources { file: Some(repository_file(name)), ..Sources::default() };
        let config = parse(&load(&sources).unwrap()).unwrap();
        assert!(config.bootstrap.is_empty(), "{name} invents no bootstrap nodes");
    }
}

#[test]
fn flags_win_over_the_environment_which_wins_over_the_file_which_wins_over_defaults() {
    let (_directory, mut sources) = file_with("[consensus]\nvote_interval_ms = 30\nalpha = 16\nsample_size = 21\n");
    sources.environment = vec![
        ("TIMED_CONSENSUS__ALPHA".into(), "17".into()),
        ("TIMED_CONSENSUS__SAMPLE_SIZE".into(), "22".into()),
        ("PATH".into(), "/bin".into()),
    ];
    sources.flags = vec![flag("consensus.sample_size", "23")];
    let effective = load(&sources).unwrap();
    let consensus = &effective.settings.consensus;
    assert_eq!((consensus.vote_interval_ms, consensus.alpha, consensus.sample_size), (30, 17, 23));
    assert_eq!(consensus.query_timeout_ms, 2_000);
    assert!(effective.origin("consensus.vote_interval_ms").to_string().ends_with("config.toml:2"));
    assert!(effective.origin("consensus.alpha").to_string().contains("TIMED_CONSENSUS__ALPHA"));
    assert!(effective.origin("consensus.sample_size").to_string().contains("--consensus.sample_size"));
    assert_eq!(effective.origin("consensus.query_timeout_ms").to_string(), "default");
}

#[test]
fn lists_and_switches_come_from_the_environment_too() {
    let sources = Sources {
        environment: vec![
            ("TIMED_NETWORK__LISTEN".into(), "/ip4/127.0.0.1/tcp/1, /ip4/127.0.0.1/udp/1/quic-v1".into()),
            ("TIMED_METRICS__ENABLED".into(), "false".into()),
        ],
        ..Sources::default()
    };
    let config = parse(&load(&sources).unwrap()).unwrap();
    assert_eq!((config.listen.len(), config.metrics), (2, None));
}

#[test]
fn an_empty_variable_empties_a_list_of_the_file() {
    let (_directory, mut sources) = file_with("[rpc]\nallowed_hosts = [\"a\", \"b\"]\n");
    sources.environment = vec![("TIMED_RPC__ALLOWED_HOSTS".into(), "c".into())];
    assert_eq!(load(&sources).unwrap().settings.rpc.allowed_hosts, ["c"], "lists are replaced, not joined");
    sources.environment = vec![("TIMED_RPC__ALLOWED_HOSTS".into(), String::new())];
    assert!(load(&sources).unwrap().settings.rpc.allowed_hosts.is_empty());
}

#[test]
fn an_unknown_key_names_its_line_and_what_was_probably_meant() {
    let said = problems("[network]\n\nlistn = []\n");
    assert!(said.ends_with("config.toml:3: unknown key network.listn; did you mean network.listen?"), "{said}");
    let said = problems("[consensu]\nalpha = 15\n");
    assert!(said.contains("unknown key consensu.alpha; did you mean consensus.alpha?"), "{said}");
    let said = problems("listen = 5\n");
    assert!(said.contains("config.toml:1: unknown key listen"), "{said}");
}

#[test]
fn an_unknown_variable_of_the_environment_is_an_error_and_not_ignored() {
    let sources = Sources { environment: vec![("TIMED_RPC__LISTN".into(), "x".into())], ..Sources::default() };
    let said = load(&sources).unwrap_err().to_string();
    assert_eq!(said, "environment variable TIMED_RPC__LISTN: unknown key rpc.listn; did you mean rpc.listen?");
}

#[test]
fn all_problems_of_a_file_are_told_at_once() {
    let said = problems(
        "[consensus]\nquery_timeout_ms = 2001\nalpha = \"many\"\nbeta = 3\n[rpc]\nenabled = 1\n[mempool]\nbytes_max = -1\n",
    );
    for expected in [
        "config.toml:2: consensus.query_timeout_ms must be from 50 to 2000, not 2001",
        "config.toml:3: consensus.alpha must be a whole number, not \"many\"",
        "config.toml:4: unknown key consensus.beta",
        "config.toml:6: rpc.enabled must be true or false, not 1",
        "config.toml:8: mempool.bytes_max must be a whole number, not -1",
    ] {
        assert!(said.contains(expected), "{expected} is not in:\n{said}");
    }
    assert_eq!(said.lines().count(), 5);
}

#[test]
fn values_that_do_not_fit_together_are_told_at_once() {
    let said = problems(
        "[network]\nlisten = [\"/ip4/127.0.0.1\", \"here\"]\nbootstrap = [\"/ip4/1.2.3.4/tcp/5\"]\n\
         [consensus]\nalpha = 10\nmax_rounds = 3\nunopposed_confidence = 40\n\
         [rpc]\nlisten = \"0.0.0.0:1\"\ncookie_file = \"\"\n[log]\nlevel = \"loud\"\nformat = \"xml\"\n",
    );
    for expected in [
        "network.listen: \"/ip4/127.0.0.1\" is neither TCP",
        "network.listen: \"here\" is not a multiaddr",
        "network.bootstrap: \"/ip4/1.2.3.4/tcp/5\" must end with the peer's id",
        "consensus.alpha: 10 must be more than half of consensus.sample_size (20)",
        "consensus.max_rounds: 3 must not be below",
        "consensus.unopposed_confidence: 40 must not be above",
        "rpc.listen: 0.0.0.0:1 is not a loopback address",
        "log.level: \"loud\" is not a log level",
        "log.format: \"xml\" must be text or json",
    ] {
        assert!(said.contains(expected), "{expected} is not in:\n{said}");
    }
}

#[test]
fn a_file_that_is_not_toml_names_the_line() {
    let said = problems("[rpc]\nlisten = \n");
    assert!(said.contains("config.toml:2: not valid TOML"), "{said}");
}

#[test]
fn relative_paths_of_a_file_start_where_the_file_is_and_those_of_flags_do_not() {
    let (directory, mut sources) = file_with("[node]\ndata_dir = \"db\"\n[validator]\nkey_file = \"v.key\"\n");
    sources.flags = vec![flag("node.genesis", "g.toml")];
    let config = parse(&load(&sources).unwrap()).unwrap();
    assert_eq!(config.data_dir, directory.path().join("db"));
    assert_eq!(config.validator_key_file, Some(directory.path().join("v.key")));
    assert_eq!(config.rpc.unwrap().cookie, Some(directory.path().join("db/rpc.cookie")));
    assert_eq!(config.genesis, PathBuf::from("g.toml"));
}

#[test]
fn the_consensus_section_becomes_the_tuning_of_the_engine() {
    let (_directory, sources) = file_with(
        "[consensus]\nvote_interval_ms = 5\nquery_timeout_ms = 500\nsample_size = 9\nalpha = 6\nfinality_confidence = 7\n\
         unopposed_confidence = 3\nmax_rounds = 50\npropose_timeout_ms = 400\nvote_timeout_ms = 200\n\
         [mempool]\ntransactions_max = 1000\nbytes_max = 2000000\n",
    );
    let tuning = parse(&load(&sources).unwrap()).unwrap().tuning;
    assert_eq!((tuning.vote_interval_ms, tuning.query_timeout_ms, tuning.sample_size), (5, 500, 9));
    assert_eq!((tuning.alpha_preference, tuning.beta, tuning.beta_virtuous, tuning.rounds_max), (6, 7, 3, 50));
    assert_eq!((tuning.propose_timeout_ms, tuning.vote_timeout_ms), (400, 200));
    assert_eq!((tuning.pool_transactions_max, tuning.pool_bytes_max), (1_000, 2_000_000));
}
