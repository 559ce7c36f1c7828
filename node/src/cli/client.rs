//! Calling a node's JSON-RPC.

use super::base64;
use super::failure::{Failure, Misuse};
use crate::exit::Exit;
use jsonrpsee::core::ClientError;
use jsonrpsee::core::client::ClientT;
use jsonrpsee::core::traits::ToRpcParams;
use jsonrpsee_http_client::transport::Error as TransportError;
use jsonrpsee_http_client::{HeaderMap, HeaderValue, HttpClient};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// Longest that a call may take beyond what it waits for on purpose.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest answer, in bytes: the history or the outputs of a busy address.
const ANSWER_BYTES_MAX: u32 = 64 * 1024 * 1024;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum RpcFailure {
    /// Nobody answers there.
    #[error("no node answers at {url}: {why}")]
    Unreachable {
        /// Whom.
        url: String,
        /// The reason of the transport.
        why: String,
    },
    /// Not a URL.
    #[error("\"{url}\" is not a URL like http://127.0.0.1:24101: {why}")]
    Url {
        /// As given.
        url: String,
        /// Why not.
        why: String,
    },
    /// Wrong or missing cookie.
    #[error("the node at {url} refuses access (HTTP status {status})")]
    Access {
        /// Whom.
        url: String,
        /// HTTP status.
        status: u16,
    },
    /// The node said no.
    #[error(transparent)]
    Refused(#[from] Rejection),
    /// The answer is not what this program expects.
    #[error("the answer to {method} is not understood: {what} is missing or malformed")]
    Answer {
        /// Which call.
        method: &'static str,
        /// Which field.
        what: &'static str,
    },
}

/// A node's refusal, in its own words.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message} (code {code})")]
pub struct Rejection {
    /// JSON-RPC error code.
    pub code: i32,
    /// What was wrong.
    pub message: String,
    /// `reason`, `hint` and more.
    pub data: Value,
}

impl RpcFailure {
    /// The exit code.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Unreachable { .. } => Exit::Unreachable,
            Self::Url { .. } | Self::Access { .. } => Exit::Usage,
            Self::Refused(_) | Self::Answer { .. } => Exit::Runtime,
        }
    }

    /// What to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unreachable { .. } => Some("is the node running, and is --rpc right?".to_owned()),
            Self::Access { .. } => Some(
                "give the node's cookie file with --cookie DATA_DIR/rpc.cookie; it changes at each start".to_owned(),
            ),
            Self::Refused(rejection) => rejection.data.get("hint").and_then(Value::as_str).map(str::to_owned),
            Self::Url { .. } | Self::Answer { .. } => None,
        }
    }
}

/// Parameters by position, or by name.
struct Params(Value);

impl ToRpcParams for Params {
    fn to_rpc_params(self) -> Result<Option<Box<serde_json::value::RawValue>>, serde_json::Error> {
        serde_json::value::to_raw_value(&self.0).map(Some)
    }
}

/// A connection to a node.
#[derive(Clone, Debug)]
pub struct Client {
    url: String,
    http: HttpClient,
}

impl Client {
    /// A client for the node at `url`, with the user and password of a cookie file if one is given.
    ///
    /// # Errors
    /// The URL is none, or the cookie file cannot be read or holds something else.
    pub fn new(url: &str, cookie: Option<&Path>) -> Result<Self, Failure> {
        Self::with_timeout(url, cookie, CALL_TIMEOUT)
    }

    /// The same, for calls that wait up to `wait` on purpose.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn waiting(url: &str, cookie: Option<&Path>, wait: Duration) -> Result<Self, Failure> {
        Self::with_timeout(url, cookie, CALL_TIMEOUT.saturating_add(wait))
    }

    fn with_timeout(url: &str, cookie: Option<&Path>, timeout: Duration) -> Result<Self, Failure> {
        let mut headers = HeaderMap::new();
        if let Some(cookie) = cookie {
            headers.insert("authorization", authorization(cookie)?);
        }
        let http = HttpClient::builder()
            .set_headers(headers)
            .request_timeout(timeout)
            .max_response_size(ANSWER_BYTES_MAX)
            .build(url)
            .map_err(|error| RpcFailure::Url { url: url.to_owned(), why: error.to_string() })?;
        Ok(Self { url: url.to_owned(), http })
    }

    /// Where the node is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Calls a method; `params` is a list or an object.
    ///
    /// # Errors
    /// [`RpcFailure`]
    pub async fn call(&self, method: &str, params: Value) -> Result<Value, RpcFailure> {
        self.http.request(method, Params(params)).await.map_err(|error| self.failure(error))
    }

    fn failure(&self, error: ClientError) -> RpcFailure {
        let url = self.url.clone();
        match error {
            ClientError::Call(error) => {
                let data = error.data().and_then(|data| serde_json::from_str(data.get()).ok()).unwrap_or_default();
                RpcFailure::Refused(Rejection { code: error.code(), message: error.message().to_owned(), data })
            }
            ClientError::Transport(error) => match error.downcast_ref::<TransportError>() {
                Some(TransportError::Rejected { status_code }) if matches!(status_code, 401 | 403) => {
                    RpcFailure::Access { url, status: *status_code }
                }
                _ => RpcFailure::Unreachable { url, why: root_cause(error.as_ref()) },
            },
            other => RpcFailure::Unreachable { url, why: other.to_string() },
        }
    }
}

/// The innermost reason: "connection refused" rather than "client error".
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

fn authorization(cookie: &Path) -> Result<HeaderValue, Failure> {
    let text = std::fs::read_to_string(cookie).map_err(|source| Failure::Io {
        action: "read the cookie file",
        path: cookie.to_owned(),
        source,
    })?;
    let text = text.trim();
    let malformed = || Misuse::Cookie(cookie.to_owned());
    if !text.contains(':') || text.contains(char::is_whitespace) {
        return Err(malformed().into());
    }
    let mut value =
        HeaderValue::from_str(&format!("Basic {}", base64::encode(text.as_bytes()))).map_err(|_| malformed())?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn a_node_that_is_not_there_is_unreachable() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let client = Client::new(&format!("http://{free}"), None).unwrap();
        let failure = client.call("getblockcount", json!([])).await.unwrap_err();
        assert_eq!(failure.exit(), Exit::Unreachable);
        assert!(failure.to_string().contains(&free.to_string()), "{failure}");
    }

    #[test]
    fn a_cookie_file_with_something_else_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rpc.cookie");
        std::fs::write(&path, "hello world").unwrap();
        assert!(matches!(Client::new("http://127.0.0.1:1", Some(&path)), Err(Failure::Usage(Misuse::Cookie(_)))));
        std::fs::write(&path, "__cookie__:abc\n").unwrap();
        assert!(Client::new("http://127.0.0.1:1", Some(&path)).is_ok());
    }

    #[test]
    fn what_is_not_a_url_is_the_users_mistake() {
        let Err(Failure::Rpc(failure)) = Client::new("localhost:24101", None) else { panic!() };
        assert_eq!(failure.exit(), Exit::Usage);
    }
}
