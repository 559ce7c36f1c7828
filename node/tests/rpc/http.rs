//! What stands between a socket and the methods: dialects of JSON-RPC, the gate, and the end of
//! the server.

use crate::support::Node;
use crate::support::http::{PATIENCE, exchange, get, post, post_with, request, send};
use serde_json::json;
use std::sync::Arc;
use timecoin_node::rpc::{RpcOptions, serve};
use tokio::net::TcpStream;

const COUNT: &str = r#"{"jsonrpc":"2.0","id":7,"method":"getblockcount"}"#;

#[tokio::test]
async fn a_call_of_version_2_is_answered_in_version_2() {
    let node = Node::new();
    let server = node.serve().await;
    let response = post(server.address, COUNT).await;
    assert_eq!((response.status, response.json()), (200, json!({"jsonrpc": "2.0", "id": 7, "result": 0})));
}

#[tokio::test]
async fn a_bitcoin_cli_style_call_without_content_type_is_answered_in_its_own_shape() {
    let node = Node::new();
    let server = node.serve().await;
    let body = r#"{"method":"getblockcount","params":[],"id":1}"#;
    let response = post_with(server.address, &[], body).await;
    assert_eq!((response.status, response.json()), (200, json!({"result": 0, "error": null, "id": 1})));
}

#[tokio::test]
async fn a_curl_one_liner_with_text_plain_and_version_1_works() {
    let node = Node::new();
    let server = node.serve().await;
    let body = r#"{"jsonrpc":"1.0","id":"curltest","method":"getblockhash","params":[0]}"#;
    let response = post_with(server.address, &["Content-Type: text/plain;"], body).await;
    let expected = json!({"result": node.view.genesis_hash, "error": null, "id": "curltest"});
    assert_eq!((response.status, response.json()), (200, expected));
}

#[tokio::test]
async fn an_old_style_error_has_the_status_that_bitcoind_gives_it() {
    let node = Node::new();
    let server = node.serve().await;
    let response = post(server.address, r#"{"version":"1.1","id":1,"method":"getblockhash","params":[99]}"#).await;
    assert_eq!(response.status, 500);
    let answer = response.json();
    assert_eq!((&answer["result"], &answer["error"]["code"], &answer["id"]), (&json!(null), &json!(-8), &json!(1)));
    assert_eq!(answer["error"]["data"]["reason"], "out-of-range");
    let response = post(server.address, r#"{"id":1,"method":"nosuch"}"#).await;
    assert_eq!((response.status, &response.json()["error"]["code"]), (404, &json!(-32601)));
}

#[tokio::test]
async fn a_batch_of_mixed_versions_is_answered_each_in_its_own_shape() {
    let node = Node::new();
    let server = node.serve().await;
    let body = format!(r#"[{COUNT},{{"id":"old","method":"getblockcount"}}]"#);
    let response = post(server.address, &body).await;
    let expected = json!([{"jsonrpc": "2.0", "id": 7, "result": 0}, {"result": 0, "error": null, "id": "old"}]);
    assert_eq!((response.status, response.json()), (200, expected));
}

#[tokio::test]
async fn one_connection_serves_many_calls_of_any_version() {
    let node = Node::new();
    let server = node.serve().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let host = server.address.to_string();
    for body in [COUNT, r#"{"id":1,"method":"uptime"}"#, COUNT] {
        assert_eq!(exchange(&mut stream, &request("POST", "/", &host, &[], body)).await.status, 200);
    }
}

#[tokio::test]
async fn a_form_is_refused_and_so_is_get() {
    let node = Node::new();
    let server = node.serve().await;
    let form = ["Content-Type: application/x-www-form-urlencoded"];
    let response = post_with(server.address, &form, COUNT).await;
    assert_eq!(response.status, 415);
    assert!(response.body.contains("application/json"), "it says what to send: {}", response.body);
    let response = get(server.address, "/").await;
    assert_eq!((response.status, response.header("allow")), (405, Some("POST")));
}

#[tokio::test]
async fn a_request_above_the_limit_is_refused() {
    let node = Node::new();
    let server = node.serve().await;
    let limit = timecoin_node::rpc::bounds::REQUEST_BYTES_MAX as usize;
    let fill = |length: usize| format!("{COUNT}{}", " ".repeat(length - COUNT.len()));
    assert_eq!(post(server.address, &fill(limit)).await.status, 200);
    assert_eq!(post(server.address, &fill(limit + 1)).await.status, 413);
}

#[tokio::test]
async fn a_batch_above_the_limit_is_refused_whole() {
    let node = Node::new();
    let server = node.serve().await;
    let limit = timecoin_node::rpc::bounds::BATCH_REQUESTS_MAX as usize;
    let batch = |length: usize| format!("[{}]", vec![COUNT; length].join(","));
    let answers = post(server.address, &batch(limit)).await.json();
    assert_eq!(answers.as_array().unwrap().len(), limit);
    assert_eq!(post(server.address, &batch(limit + 1)).await.json()["error"]["code"], -32010);
}

#[tokio::test]
async fn a_call_that_reaches_no_method_is_explained_also_within_a_batch() {
    let node = Node::new();
    let server = node.serve().await;
    let error = crate::support::call(&server, "getblokcount", json!([])).await.unwrap_err();
    assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(-32601), &json!("unknown-method")));
    assert!(error["data"]["hint"].as_str().unwrap().contains("getblockcount"), "{error}");
    let body = format!(r#"[{{"jsonrpc":"2.0","id":"s","method":"subscribeblocks"}},{COUNT}]"#);
    let answers = post(server.address, &body).await.json();
    assert_eq!((&answers[0]["id"], &answers[0]["error"]["data"]["reason"]), (&json!("s"), &json!("websocket-only")));
    assert_eq!(answers[1]["result"], 0);
}

#[tokio::test]
async fn a_body_that_is_not_json_is_said_to_be_so() {
    let node = Node::new();
    let server = node.serve().await;
    let response = post(server.address, "{").await;
    assert_eq!((response.status, &response.json()["error"]["code"]), (400, &json!(-32700)));
}

#[tokio::test]
async fn a_wrong_parameter_is_named_with_what_was_expected() {
    let node = Node::new();
    let server = node.serve().await;
    let error = crate::support::call(&server, "gettxout", json!({"txid": "ab", "n": 0})).await.unwrap_err();
    assert_eq!(error["code"], -32602);
    let text = "parameter `txid`: expected a txid of 64 hexadecimal digits, found \"ab\"";
    assert_eq!((&error["message"], &error["data"]["reason"]), (&json!(text), &json!("bad-parameter")));
}

#[tokio::test]
async fn help_and_the_machine_readable_description_know_the_same_methods() {
    let node = Node::new();
    let server = node.serve().await;
    let overview = crate::support::call(&server, "help", json!([])).await.unwrap();
    let described = crate::support::call(&server, "rpc.discover", json!([])).await.unwrap();
    let methods = described["methods"].as_array().unwrap();
    assert!(methods.len() > 35);
    for method in methods {
        let name = method["name"].as_str().unwrap();
        assert!(overview.as_str().unwrap().contains(&format!("{name}(")), "{name}");
        let help = crate::support::call(&server, "help", json!([name])).await.unwrap();
        assert!(help.as_str().unwrap().starts_with(&format!("{name}(")));
    }
}

#[test]
fn the_reference_describes_every_method_as_it_is() {
    let reference = include_str!("../../RPC.md");
    for method in timecoin_node::rpc::table::methods() {
        assert!(reference.contains(&format!("#### `{}`\n", method.signature())), "{}", method.signature());
        assert!(reference.contains(method.about), "{}: {}", method.name, method.about);
    }
    let headings = reference.lines().filter(|line| line.starts_with("#### `")).count();
    assert_eq!(headings, timecoin_node::rpc::table::methods().count(), "a method is described that does not exist");
}

#[tokio::test]
async fn a_web_page_cannot_reach_the_node_by_rebinding_its_name_or_by_blind_requests() {
    let node = Node::new();
    let server = node.serve().await;
    let response = send(server.address, &request("POST", "/", "evil.example", &[], COUNT)).await;
    assert_eq!((response.status, &response.json()["error"]["data"]["reason"]), (403, &json!("host-not-allowed")));
    let response = post_with(server.address, &["Origin: https://evil.example"], COUNT).await;
    assert_eq!((response.status, &response.json()["error"]["data"]["reason"]), (403, &json!("origin-not-allowed")));
    assert_eq!(response.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn an_allowed_host_name_passes() {
    let node = Node::new();
    let options = RpcOptions { allowed_hosts: vec!["timed".to_owned()], ..node.options() };
    let server = node.serve_with(options).await;
    assert_eq!(send(server.address, &request("POST", "/", "timed:9000", &[], COUNT)).await.status, 200);
}

fn basic(content: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: String = content.bytes().map(|byte| format!("{byte:08b}")).collect();
    let digits: String = bits
        .as_bytes()
        .chunks(6)
        .map(|chunk| {
            let chunk = format!("{:0<6}", std::str::from_utf8(chunk).unwrap());
            char::from(DIGITS[usize::from_str_radix(&chunk, 2).unwrap()])
        })
        .collect();
    format!("Authorization: Basic {digits}{}", "=".repeat(digits.len().next_multiple_of(4) - digits.len()))
}

#[tokio::test]
async fn with_a_cookie_only_who_has_read_it_is_served() {
    let node = Node::new();
    let path = node.dir.path().join("cookie");
    let server = node.serve_with(RpcOptions { cookie: Some(path.clone()), ..node.options() }).await;
    let response = post(server.address, COUNT).await;
    assert_eq!(response.status, 401);
    assert!(response.header("www-authenticate").is_some_and(|value| value.starts_with("Basic ")));
    assert_eq!(response.json()["error"]["data"]["reason"], "authentication-missing");
    let wrong = basic("__cookie__:0000");
    let response = post_with(server.address, &[&wrong], COUNT).await;
    assert_eq!((response.status, &response.json()["error"]["data"]["reason"]), (401, &json!("authentication-failed")));
    let cookie = std::fs::read_to_string(&path).unwrap();
    assert_eq!(post_with(server.address, &[&basic(&cookie)], COUNT).await.status, 200);
}

#[tokio::test]
async fn the_cookie_is_gone_after_a_clean_stop() {
    let node = Node::new();
    let path = node.dir.path().join("cookie");
    let server = node.serve_with(RpcOptions { cookie: Some(path.clone()), ..node.options() }).await;
    assert!(path.exists());
    node.stop.cancel();
    tokio::time::timeout(PATIENCE, server.ended()).await.expect("the server ends");
    assert!(!path.exists());
}

#[tokio::test]
async fn other_machines_are_not_let_in_without_a_password() {
    let node = Node::new();
    let options = RpcOptions { listen: "0.0.0.0:0".parse().unwrap(), ..node.options() };
    let error = serve(options, Arc::clone(&node.view), node.stop.clone()).await.unwrap_err();
    assert!(error.to_string().contains("without a password"), "{error}");
}

#[tokio::test]
async fn stop_is_refused_unless_unsafe_methods_are_allowed() {
    let node = Node::new();
    let server = node.serve().await;
    let error = crate::support::call(&server, "stop", json!([])).await.unwrap_err();
    assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(-32601), &json!("unsafe-method")));
    assert!(!node.stop.is_cancelled());
}

#[tokio::test]
async fn stop_answers_before_the_server_ends() {
    let node = Node::new();
    let server = node.serve_with(RpcOptions { unsafe_methods: true, ..node.options() }).await;
    assert_eq!(crate::support::call(&server, "stop", json!([])).await, Ok(json!("timed stopping")));
    assert!(node.stop.is_cancelled());
    tokio::time::timeout(PATIENCE, server.ended()).await.expect("the server ends");
}

#[tokio::test]
async fn whoever_may_use_unsafe_methods_cuts_the_node_off_and_others_may_not() {
    let node = Node::new();
    let server = node.serve().await;
    let error = crate::support::call(&server, "setnetworkactive", json!([false])).await.unwrap_err();
    assert_eq!(error["data"]["reason"], "unsafe-method");
    assert!(*node.view.network_active.borrow());

    let server = node.serve_with(RpcOptions { unsafe_methods: true, ..node.options() }).await;
    for state in [false, true] {
        assert_eq!(crate::support::call(&server, "setnetworkactive", json!([state])).await, Ok(json!(state)));
        assert_eq!(*node.view.network_active.borrow(), state);
        let info = crate::support::call(&server, "getnetworkinfo", json!([])).await.unwrap();
        assert_eq!(info["networkactive"], state);
    }
}
