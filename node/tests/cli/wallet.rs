//! The command line of `time-cli`, as far as it needs no node.

use crate::support::{command, run, text};

fn time_cli(arguments: &[&str]) -> crate::support::Ran {
    run(command(env!("CARGO_BIN_EXE_time-cli")).args(arguments))
}

/// A directory with a passphrase file, and the arguments that name it and a keystore.
fn wallet() -> (tempfile::TempDir, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let (passphrase, keystore) = (directory.path().join("passphrase"), directory.path().join("wallet.json"));
    std::fs::write(&passphrase, "correct horse\n").unwrap();
    let arguments =
        ["--json", "--keystore", text(&keystore), "--passphrase-file", text(&passphrase)].map(str::to_owned).to_vec();
    (directory, arguments)
}

fn with(arguments: &[String], more: &[&str]) -> crate::support::Ran {
    let all: Vec<&str> = arguments.iter().map(String::as_str).chain(more.iter().copied()).collect();
    time_cli(&all)
}

#[test]
fn a_wallet_is_created_grows_and_comes_back_from_its_phrase() {
    let (directory, arguments) = wallet();
    let created = with(&arguments, &["wallet", "create", "--network", "testnet"]);
    assert_eq!(created.code, 0, "{}", created.err);
    let (mnemonic, first) = (created.json()["mnemonic"].clone(), created.json()["addresses"][0].clone());
    assert_eq!(mnemonic.as_str().unwrap().split(' ').count(), 24);
    assert!(first.as_str().unwrap().starts_with("ttime1"));
    let second = with(&arguments, &["address", "new"]).json()["address"].clone();
    assert_ne!(first, second);
    assert_eq!(with(&arguments, &["address"]).json()["address"], second);
    assert_eq!(with(&arguments, &["wallet", "addresses"]).json(), serde_json::json!([first, second]));
    assert_eq!(with(&arguments, &["wallet", "show"]).json().get("mnemonic"), None);
    assert_eq!(with(&arguments, &["wallet", "show", "--phrase"]).json()["mnemonic"], mnemonic);

    let (words, copy) = (directory.path().join("words"), directory.path().join("copy.json"));
    std::fs::write(&words, mnemonic.as_str().unwrap()).unwrap();
    let mut elsewhere = arguments.clone();
    elsewhere[2] = text(&copy).to_owned();
    let import = ["wallet", "import", "--phrase-file", text(&words), "--network", "testnet", "--addresses", "2"];
    let imported = with(&elsewhere, &import);
    assert_eq!(imported.code, 0, "{}", imported.err);
    assert_eq!(imported.json()["addresses"], serde_json::json!([first, second]));
}

#[test]
fn a_wallet_is_never_overwritten() {
    let (_directory, arguments) = wallet();
    assert_eq!(with(&arguments, &["wallet", "create", "--network", "devnet"]).code, 0);
    let again = with(&arguments, &["wallet", "create", "--network", "devnet"]);
    assert_eq!(again.code, 2);
    assert!(again.err.contains("exists already and is not overwritten"), "{}", again.err);
}

#[test]
fn a_wrong_passphrase_is_told_and_without_a_terminal_nobody_is_asked() {
    let (directory, arguments) = wallet();
    assert_eq!(with(&arguments, &["wallet", "create", "--network", "devnet"]).code, 0);
    std::fs::write(directory.path().join("passphrase"), "wrong horse\n").unwrap();
    let wrong = with(&arguments, &["wallet", "show", "--phrase"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.err.contains("wrong passphrase"), "{}", wrong.err);
    let keystore = directory.path().join("wallet.json");
    let unasked = time_cli(&["--keystore", text(&keystore), "wallet", "show", "--phrase"]);
    assert_eq!(unasked.code, 2);
    assert!(unasked.err.contains("no terminal") && unasked.err.contains("--passphrase-file"), "{}", unasked.err);
}

#[test]
fn a_node_that_does_not_answer_ends_with_5() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{free}");
    for arguments in [["getblockcount"].as_slice(), &["--dev", "balance"], &["rpc", "getblock", "1"]] {
        let ran = time_cli(&[&["--rpc", &url], arguments].concat());
        assert_eq!(ran.code, 5, "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains(&url) && ran.err.lines().count() == 1, "{}", ran.err);
    }
}

#[test]
fn a_wrong_amount_or_address_is_told_before_anybody_is_asked() {
    let to = "dtime1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq";
    for (address, amount) in [(to, "1,5"), ("not-an-address", "1.5")] {
        let ran = time_cli(&["--dev", "--rpc", "http://127.0.0.1:1", "send", address, amount]);
        assert_eq!(ran.code, 2, "{address} {amount}: {}", ran.err);
    }
}

#[test]
fn two_wallets_at_once_are_refused() {
    let ran = time_cli(&["--dev", "--keystore", "wallet.json", "balance"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("--keystore"), "{}", ran.err);
}

#[test]
fn a_missing_wallet_comes_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let keystore = directory.path().join("wallet.json");
    let ran = time_cli(&["--keystore", text(&keystore), "address"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("time-cli wallet create"), "{}", ran.err);
    let ran = time_cli(&["--dev", "address"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("have no keystore"), "{}", ran.err);
}
