//! HTTP by hand, so that tests say exactly what is on the wire.

use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Response {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let prefix = format!("{name}: ");
        self.head.lines().find_map(|line| {
            let (start, value) = line.split_at_checked(prefix.len())?;
            start.eq_ignore_ascii_case(&prefix).then_some(value)
        })
    }
}

/// Longest that an answer may take; longer than any wait that a test asks the server for.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Sends a request on a connection and reads the answer to it.
pub async fn exchange(stream: &mut TcpStream, request: &str) -> Response {
    let answer = tokio::time::timeout(PATIENCE, answer(stream, request)).await;
    answer.unwrap_or_else(|_| panic!("no answer within {PATIENCE:?} to {request}"))
}

async fn answer(stream: &mut TcpStream, request: &str) -> Response {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "the connection closed: {bytes:?}");
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let mut response = Response { status: head.split(' ').nth(1).unwrap().parse().unwrap(), head, body: String::new() };
    let length: usize = response.header("content-length").map_or(0, |length| length.parse().unwrap());
    while bytes.len() < head_end + length {
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "the connection closed within the body");
    }
    response.body = String::from_utf8(bytes[head_end..].to_vec()).unwrap();
    response
}

/// The text of a request with these headers (lines, without `Host` and `Content-Length`).
pub fn request(method: &str, path: &str, host: &str, headers: &[&str], body: &str) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n", body.len());
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    text + "\r\n" + body
}

pub async fn send(address: SocketAddr, request: &str) -> Response {
    let mut stream = TcpStream::connect(address).await.unwrap();
    exchange(&mut stream, request).await
}

pub async fn post_with(address: SocketAddr, headers: &[&str], body: &str) -> Response {
    send(address, &request("POST", "/", &address.to_string(), headers, body)).await
}

pub async fn post(address: SocketAddr, body: &str) -> Response {
    post_with(address, &["Content-Type: application/json"], body).await
}

pub async fn get(address: SocketAddr, path: &str) -> Response {
    send(address, &request("GET", path, &address.to_string(), &[], "")).await
}
