//! The command line of `timed`: what it says and how it ends.

use crate::support::{command, run, text};
use std::io::{Read, Write};
use std::path::Path;

fn timed(arguments: &[&str]) -> crate::support::Ran {
    run(command(env!("CARGO_BIN_EXE_timed")).args(arguments))
}

#[test]
fn help_ends_well_and_shows_examples() {
    for arguments in [["--help"].as_slice(), &["init", "--help"], &["dev", "--help"]] {
        let ran = timed(arguments);
        assert_eq!(ran.code, 0);
        assert!(ran.out.contains("Examples:"), "{}", ran.out);
    }
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    for arguments in
        [["--no-such-flag"].as_slice(), &["runn"], &[], &["run", "--set", "no-equals-sign"], &["--config", "x", "keys"]]
    {
        assert_eq!(timed(arguments).code, 2, "{arguments:?}");
    }
}

#[test]
fn a_missing_configuration_file_is_named() {
    let ran = timed(&["--config", "/nonexistent/config.toml"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("cannot read the configuration file /nonexistent/config.toml"), "{}", ran.err);
}

#[test]
fn errors_are_json_objects_if_asked_for() {
    let ran = timed(&["--json", "config", "check", "/nonexistent/config.toml"]);
    let error: serde_json::Value = serde_json::from_str(&ran.err).unwrap();
    assert_eq!((ran.code, &error["error"]["exit"], &error["error"]["kind"]), (2, &2.into(), &"usage".into()));
    assert!(error["error"]["message"].as_str().unwrap().contains("/nonexistent/config.toml"));
    assert_eq!(ran.out, "");
}

#[test]
fn a_mistyped_key_is_refused_with_a_suggestion() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    std::fs::write(&file, "[rpc]\nlissten = \"127.0.0.1:1\"\n").unwrap();
    let ran = timed(&["config", "check", text(&file)]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("config.toml:2: unknown key rpc.lissten; did you mean rpc.listen?"), "{}", ran.err);
}

#[test]
fn a_missing_genesis_file_is_mentioned_by_check_and_fatal_to_run() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    std::fs::write(&file, "[node]\ngenesis = \"not-there.toml\"\n").unwrap();
    let checked = timed(&["config", "check", text(&file)]);
    assert_eq!(checked.code, 0, "{}", checked.err);
    assert!(checked.err.contains("not-there.toml does not exist; get it from whoever runs the network"));
    assert_eq!(timed(&["config", "check", "--files", text(&file)]).code, 2);
    let ran = timed(&["--config", text(&file)]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("not-there.toml does not exist"), "{}", ran.err);
}

#[test]
fn show_tells_where_each_value_came_from() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    std::fs::write(&file, "[log]\nlevel = \"warn\"\n").unwrap();
    let mut show = command(env!("CARGO_BIN_EXE_timed"));
    show.args(["--json", "config", "show", "--config", text(&file), "--rpc-listen", "127.0.0.1:9"]);
    let shown = run(show.env("TIMED_METRICS__LISTEN", "127.0.0.1:8")).json();
    let value = |key: &str| (shown[key]["value"].clone(), shown[key]["origin"]["from"].clone());
    assert_eq!(value("log.level"), ("warn".into(), "file".into()));
    assert_eq!(shown["log.level"]["origin"]["line"], 2);
    assert_eq!(value("metrics.listen"), ("127.0.0.1:8".into(), "environment".into()));
    assert_eq!(value("rpc.listen"), ("127.0.0.1:9".into(), "flag".into()));
    assert_eq!(value("consensus.alpha"), (15.into(), "default".into()));

    let mut show = command(env!("CARGO_BIN_EXE_timed"));
    let plain = run(show.args(["config", "show", "--config", text(&file)]));
    let line = plain.out.lines().find(|line| line.starts_with("log.level")).unwrap();
    assert!(line.contains("\"warn\"") && line.contains("config.toml:2"), "{line}");
}

#[test]
fn default_prints_the_file_of_the_repository() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/default.toml");
    assert_eq!(timed(&["config", "default"]).out, std::fs::read_to_string(file).unwrap());
}

#[test]
fn init_founds_a_network_of_four_separate_nodes() {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("devnet");
    let arguments = ["--json", "init", "--network", "devnet", "--validators", "4", "--output", text(&output)];
    let founded = timed(&[arguments.as_slice(), &["--base-port", "40000"]].concat());
    assert_eq!(founded.code, 0, "{}", founded.err);
    let told = founded.json();
    assert_eq!(told["addresses"].as_array().unwrap().len(), 10);
    let genesis = std::fs::read(output.join("genesis.toml")).unwrap();
    let first_keys = timed(&["--json", "keys", "--config", text(&output.join("node-1/config.toml"))]).json();
    for number in 1..=4 {
        let node = output.join(format!("node-{number}"));
        assert_eq!(std::fs::read(node.join("genesis.toml")).unwrap(), genesis);
        let config = node.join("config.toml");
        assert_eq!(timed(&["config", "check", "--files", text(&config)]).code, 0, "node {number}");
        let shown = timed(&["--json", "config", "show", "--config", text(&config)]).json();
        let port = 40_000 + 10 * (number - 1);
        assert_eq!(shown["network.listen"]["value"][0], format!("/ip4/127.0.0.1/tcp/{port}"));
        assert_eq!(shown["rpc.listen"]["value"], format!("127.0.0.1:{}", port + 1));
        assert_eq!(shown["metrics.listen"]["value"], format!("127.0.0.1:{}", port + 2));
        let bootstrap = &shown["network.bootstrap"]["value"];
        let joins = format!("/ip4/127.0.0.1/tcp/40000/p2p/{}", first_keys["peer_id"].as_str().unwrap());
        let expected = if number == 1 { serde_json::json!([]) } else { serde_json::json!([joins]) };
        assert_eq!(bootstrap, &expected);
        private(&node.join("node.key"));
        private(&node.join("validator.key"));
    }
    private(&output.join("mnemonic.txt"));

    let before = std::fs::read(output.join("node-1/validator.key")).unwrap();
    let again = timed(&arguments);
    assert_eq!(again.code, 2);
    assert!(again.err.contains("holds a node already"), "{}", again.err);
    assert_eq!(std::fs::read(output.join("node-1/validator.key")).unwrap(), before);
}

#[cfg(unix)]
fn private(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
}

#[cfg(not(unix))]
fn private(_: &Path) {}

#[test]
fn init_makes_the_directory_of_one_node_and_says_what_is_missing() {
    let directory = tempfile::tempdir().unwrap();
    let node = directory.path().join("node");
    let made = timed(&["init", "--network", "testnet", "--dir", text(&node)]);
    assert_eq!(made.code, 0, "{}", made.err);
    assert!(made.err.contains("put the network's genesis file at"), "{}", made.err);
    let shown = timed(&["--json", "config", "show", "--config", text(&node.join("config.toml"))]).json();
    assert_eq!(shown["rpc.listen"]["value"], "127.0.0.1:24111");
    assert_eq!(timed(&["init", "--dir", text(&node)]).code, 2, "a second time it is refused");
}

#[test]
fn ports_beyond_the_last_one_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("devnet");
    let ran = timed(&["init", "--output", text(&output), "--base-port", "65520"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("--base-port") && !output.exists(), "{}", ran.err);
}

#[test]
fn keys_are_generated_once_and_shown_without_their_secret() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("validator.key");
    let missing = timed(&["keys", "--validator-key", text(&file)]);
    assert_eq!(missing.code, 2);
    assert!(missing.err.contains("validator.key does not exist"), "{}", missing.err);
    let first = timed(&["--json", "keys", "--validator-key", text(&file), "--generate"]).json();
    let second = timed(&["--json", "keys", "--validator-key", text(&file), "--generate"]);
    assert_eq!(first, second.json());
    let secret = std::fs::read_to_string(&file).unwrap();
    assert!(!second.out.contains(secret.trim()));
    private(&file);
}

/// Answers one HTTP request with a status line; gives the URL.
fn health_server(status: &'static str) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/readyz", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 512];
        let read = stream.read(&mut request).unwrap();
        assert!(request[..read].starts_with(b"GET /readyz HTTP/1.0\r\n"));
        stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 5\r\n\r\nhello").as_bytes()).unwrap();
    });
    url
}

#[test]
fn healthcheck_ends_with_0_1_or_5() {
    assert_eq!(timed(&["healthcheck", "--url", &health_server("200 OK")]).code, 0);
    let sick = timed(&["--json", "healthcheck", "--url", &health_server("503 Service Unavailable")]);
    assert_eq!((sick.code, &sick.json()["answer"]), (1, &"hello".into()));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone = timed(&["healthcheck", "--url", &format!("http://{free}/readyz")]);
    assert_eq!(gone.code, 5);
    assert!(gone.err.contains("does not answer"), "{}", gone.err);
    assert_eq!(timed(&["healthcheck", "--url", "ftp://x"]).code, 2);
}

#[test]
fn completions_are_there_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = timed(&["completions", shell]);
        assert!(script.code == 0 && script.out.contains("healthcheck"), "{shell}");
    }
}

#[test]
fn what_is_missing_is_named_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("node.key");
    let ran = timed(&["keys", "--node-key", text(&key)]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("--generate"), "{}", ran.err);
    let ran = timed(&["init"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("--dir <DIR>|--output <DIR>"), "{}", ran.err);
}

#[test]
fn one_node_may_have_ports_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let node = directory.path().join("node");
    assert_eq!(timed(&["init", "--dir", text(&node), "--base-port", "41000"]).code, 0);
    let shown = timed(&["--json", "config", "show", "--config", text(&node.join("config.toml"))]).json();
    assert_eq!(shown["rpc.listen"]["value"], "127.0.0.1:41001");
}
