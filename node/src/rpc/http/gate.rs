//! Who may ask: the `Host` and `Origin` checks against web pages, and the password.

use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use serde_json::json;
use std::net::{IpAddr, SocketAddr};

/// The conditions under which a request is looked at.
#[derive(Clone, Debug)]
pub struct Gate {
    listen: SocketAddr,
    allowed_hosts: Vec<String>,
    authorization: Option<String>,
}

/// Why a request is not looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The `Host` header names something else than this node.
    #[error("the Host header `{0}` is not a name of this node; add it to the allowed hosts if it is one")]
    Host(String),
    /// A web page of another site asks.
    #[error("requests from web pages of {0} are refused")]
    Origin(String),
    /// No password.
    #[error("a user name and password are needed: those in the node's cookie file")]
    NoPassword,
    /// A wrong password.
    #[error("wrong user name or password; the cookie file changes at each start of the node")]
    WrongPassword,
}

impl Refused {
    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Host(_) | Self::Origin(_) => StatusCode::FORBIDDEN,
            Self::NoPassword | Self::WrongPassword => StatusCode::UNAUTHORIZED,
        }
    }

    const fn reason(&self) -> &'static str {
        match self {
            Self::Host(_) => "host-not-allowed",
            Self::Origin(_) => "origin-not-allowed",
            Self::NoPassword => "authentication-missing",
            Self::WrongPassword => "authentication-failed",
        }
    }

    /// A body that clients of any JSON-RPC version can read.
    #[must_use]
    pub fn body(&self) -> String {
        let error = json!({"code": -32600, "message": self.to_string(), "data": {"reason": self.reason()}});
        json!({"jsonrpc": "2.0", "result": null, "error": error, "id": null}).to_string()
    }
}

impl Gate {
    /// A gate for a server at `listen`. `authorization` is the header that requests must carry;
    /// `allowed_hosts` are names besides loopback and the listening address.
    #[must_use]
    pub fn new(listen: SocketAddr, allowed_hosts: &[String], authorization: Option<String>) -> Self {
        let allowed_hosts = allowed_hosts.iter().map(|name| name.to_ascii_lowercase()).collect();
        Self { listen, allowed_hosts, authorization }
    }

    /// Lets a request in, or says why not. `authority` is the host in the request line, if any.
    ///
    /// # Errors
    /// [`Refused`]
    pub fn admit(&self, headers: &HeaderMap, authority: Option<&str>) -> Result<(), Refused> {
        self.check_host(headers, authority)?;
        self.check_origin(headers)?;
        self.check_password(headers)
    }

    /// Against DNS rebinding: a web page whose name was made to point here sends its own name.
    fn check_host(&self, headers: &HeaderMap, authority: Option<&str>) -> Result<(), Refused> {
        let header = headers.get(HOST).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        for host in header.as_deref().into_iter().chain(authority) {
            if !self.is_own_name(host_part(host)) {
                return Err(Refused::Host(host.to_owned()));
            }
        }
        Ok(())
    }

    /// There is no CORS: whatever a browser marks as coming from another site is refused, so that
    /// a page cannot even send a blind request.
    fn check_origin(&self, headers: &HeaderMap) -> Result<(), Refused> {
        let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
        let origin = String::from_utf8_lossy(origin.as_bytes()).into_owned();
        let host = origin.split_once("://").map_or("", |(_, rest)| rest);
        if self.is_own_name(host_part(host)) { Ok(()) } else { Err(Refused::Origin(origin)) }
    }

    fn is_own_name(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        if host == "localhost" || self.allowed_hosts.contains(&host) {
            return true;
        }
        match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            // Rebinding needs a name; an address in the header is what the client connected to.
            Ok(address) => address.is_loopback() || address == self.listen.ip() || self.listen.ip().is_unspecified(),
            Err(_) => false,
        }
    }

    fn check_password(&self, headers: &HeaderMap) -> Result<(), Refused> {
        let Some(expected) = &self.authorization else { return Ok(()) };
        let given = headers.get(AUTHORIZATION).ok_or(Refused::NoPassword)?;
        if same(given.as_bytes(), expected.as_bytes()) { Ok(()) } else { Err(Refused::WrongPassword) }
    }
}

/// A host without its port.
fn host_part(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|byte| byte.is_ascii_digit()) && (!name.contains(':') || name.ends_with(']')) =>
        {
            name
        }
        _ => host,
    }
}

/// Compares in a time that depends on the lengths only, so that it tells nothing about how much
/// of a guess was right.
fn same(given: &[u8], expected: &[u8]) -> bool {
    let difference =
        given.iter().zip(expected).fold(0, |difference, (a, b)| std::hint::black_box(difference | (a ^ b)));
    given.len() == expected.len() && difference == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn gate(listen: &str) -> Gate {
        Gate::new(listen.parse().unwrap(), &["Node.example".to_owned()], None)
    }

    fn host(gate: &Gate, host: &str) -> Result<(), Refused> {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(host).unwrap());
        gate.admit(&headers, None)
    }

    #[test]
    fn loopback_names_the_listening_address_and_allowed_names_pass() {
        let gate = gate("192.168.1.5:9000");
        for name in ["localhost", "LOCALHOST:9000", "127.0.0.1:9000", "[::1]:9000", "192.168.1.5", "node.EXAMPLE:1"] {
            assert_eq!(host(&gate, name), Ok(()), "{name}");
        }
    }

    #[test]
    fn a_rebound_name_is_refused() {
        let gate = gate("127.0.0.1:9000");
        for name in ["evil.example:9000", "localhost.evil.example", "192.168.1.5:9000", "127.0.0.1.evil.example", ""] {
            assert_eq!(host(&gate, name), Err(Refused::Host(name.to_owned())));
        }
    }

    #[test]
    fn listening_everywhere_any_address_passes_but_no_name() {
        let gate = gate("0.0.0.0:9000");
        assert_eq!(host(&gate, "10.0.0.7:9000"), Ok(()));
        assert!(host(&gate, "evil.example").is_err());
    }

    #[test]
    fn a_web_page_of_another_site_is_refused() {
        let gate = gate("127.0.0.1:9000");
        for (origin, passes) in [("https://evil.example", false), ("null", false), ("http://localhost:3000", true)] {
            let mut headers = HeaderMap::new();
            headers.insert(ORIGIN, HeaderValue::from_str(origin).unwrap());
            assert_eq!(gate.admit(&headers, None).is_ok(), passes, "{origin}");
        }
    }

    #[test]
    fn only_the_very_password_passes() {
        let gate = Gate::new("127.0.0.1:1".parse().unwrap(), &[], Some("Basic abc".to_owned()));
        let with = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
            gate.admit(&headers, None)
        };
        assert_eq!(gate.admit(&HeaderMap::new(), None), Err(Refused::NoPassword));
        for wrong in ["Basic abd", "Basic ab", "Basic abcc", ""] {
            assert_eq!(with(wrong), Err(Refused::WrongPassword));
        }
        assert_eq!(with("Basic abc"), Ok(()));
    }
}
