//! `timed healthcheck`: for containers and scripts.

use super::flags::NodeFlags;
use crate::cli::failure::{Failure, Misuse};
use crate::cli::output::Output;
use crate::config::parse;
use crate::exit::Exit;
use clap::Args;
use serde_json::json;
use std::io::{Error, ErrorKind};
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// Arguments of `healthcheck`.
#[derive(Clone, Debug, Args)]
pub struct HealthcheckArgs {
    /// What to ask; without it metrics.listen of the configuration is asked for /readyz.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Configuration file of the node.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Longest to wait, in seconds.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
}

impl HealthcheckArgs {
    /// Runs it.
    pub async fn run(&self, output: Output) -> Result<Exit, Failure> {
        let url = self.target()?;
        let (host, path) = split(&url)?;
        let answer = tokio::time::timeout(Duration::from_secs(self.timeout), ask(host, path));
        let answer = answer.await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()));
        let (status, body) = answer.map_err(|source| Failure::Unreachable { url: url.clone(), source })?;
        let ready = (200..300).contains(&status);
        output.result(&json!({"url": url, "ready": ready, "status": status, "answer": body}), || {
            let reason =
                if body.trim().is_empty() { format!("HTTP status {status}") } else { body.trim_end().to_owned() };
            format!("{}: {reason}", if ready { "ready" } else { "not ready" })
        });
        Ok(if ready { Exit::Ok } else { Exit::Runtime })
    }

    fn target(&self) -> Result<String, Failure> {
        if let Some(url) = &self.url {
            return Ok(url.clone());
        }
        let flags = NodeFlags::of_file(self.config.clone());
        let listen = parse(&flags.load()?)?.metrics.ok_or(Misuse::MetricsOff)?;
        // Whoever listens everywhere listens on loopback too.
        let host = match listen.ip() {
            ip if !ip.is_unspecified() => ip,
            std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        };
        Ok(format!("http://{}/readyz", std::net::SocketAddr::new(host, listen.port())))
    }
}

/// Host with port, and path, of an `http://` URL.
fn split(url: &str) -> Result<(&str, &str), Misuse> {
    let malformed = || Misuse::HealthUrl(url.to_owned());
    let rest = url.strip_prefix("http://").ok_or_else(malformed)?;
    let at = rest.find('/').unwrap_or(rest.len());
    let (host, path) = (rest.get(..at).unwrap_or_default(), rest.get(at..).unwrap_or_default());
    if !host.contains(':') || url.contains(char::is_whitespace) {
        return Err(malformed());
    }
    Ok((host, if path.is_empty() { "/readyz" } else { path }))
}

/// One request of HTTP/1.0, which ends with the connection.
async fn ask(host: &str, path: &str) -> Result<(u16, String), Error> {
    let mut stream = TcpStream::connect(host).await?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes()).await?;
    let mut bytes = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes).await?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text.as_ref(), ""));
    let status = head.split_whitespace().nth(1).and_then(|status| status.parse().ok());
    let status = status.filter(|_| head.starts_with("HTTP/")).ok_or(ErrorKind::InvalidData)?;
    Ok((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_split_into_host_and_path() {
        assert_eq!(split("http://127.0.0.1:1/livez"), Ok(("127.0.0.1:1", "/livez")));
        assert_eq!(split("http://[::1]:1"), Ok(("[::1]:1", "/readyz")));
        for url in ["https://127.0.0.1:1/", "127.0.0.1:1", "http://localhost/", "http://a:1/x y"] {
            assert!(split(url).is_err(), "{url}");
        }
    }
}
