//! What stands between a socket and the methods: the gate (who may ask) and the translation of
//! old JSON-RPC dialects.

mod compat;
mod gate;

pub use gate::Gate;

use super::bounds::{REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX};
use super::explain::OverHttp;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use compat::Dialect;
use futures::future::BoxFuture;
use jsonrpsee::core::BoxError;
use jsonrpsee::server::{HttpBody, HttpRequest, HttpResponse};
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::{Layer, Service};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Puts the gate and the translation in front of a service.
#[derive(Clone, Debug)]
pub struct FrontLayer {
    gate: Arc<Gate>,
}

impl FrontLayer {
    /// A layer with this gate.
    #[must_use]
    pub fn new(gate: Gate) -> Self {
        Self { gate: Arc::new(gate) }
    }
}

impl<S> Layer<S> for FrontLayer {
    type Service = Front<S>;

    fn layer(&self, inner: S) -> Front<S> {
        Front { gate: Arc::clone(&self.gate), inner }
    }
}

/// The service that [`FrontLayer`] makes.
#[derive(Clone, Debug)]
pub struct Front<S> {
    gate: Arc<Gate>,
    inner: S,
}

impl<S> Service<HttpRequest> for Front<S>
where
    S: Service<HttpRequest, Response = HttpResponse, Error = BoxError> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = HttpResponse;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<HttpResponse, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: HttpRequest) -> Self::Future {
        // The clone is left behind: the service that was polled ready is the one to call.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let gate = Arc::clone(&self.gate);
        Box::pin(async move {
            if let Err(refusal) = gate.admit(request.headers(), request.uri().host()) {
                tracing::info!(%refusal, "an RPC request was refused");
                return Ok(refused(&refusal));
            }
            match *request.method() {
                Method::POST => post(&mut inner, request).await,
                // WebSocket.
                Method::GET if request.headers().contains_key("upgrade") => inner.call(request).await,
                _ => Ok(only_post()),
            }
        })
    }
}

/// Answers one POST: reads it, translates it if need be, calls, and translates the answer back.
async fn post<S>(inner: &mut S, request: HttpRequest) -> Result<HttpResponse, BoxError>
where
    S: Service<HttpRequest, Response = HttpResponse, Error = BoxError>,
{
    let (mut parts, body) = request.into_parts();
    if let Some(kind) = refused_content(&parts.headers) {
        let text = format!(
            "{kind} is not a JSON-RPC request; send JSON, such as curl --data-binary does with\n  -H 'Content-Type: application/json'\n"
        );
        return Ok(plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    }
    let limit = usize::try_from(REQUEST_BYTES_MAX).unwrap_or(usize::MAX);
    let Ok(bytes) = to_bytes(Body::new(body), limit).await else {
        return Ok(plain(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the request is longer than {REQUEST_BYTES_MAX} bytes, or broke off\n"),
        ));
    };
    let (bytes, dialect) = match compat::read(&bytes) {
        Ok(compat::Read::Standard) => (bytes, None),
        Ok(compat::Read::Translated(translated, dialect)) => (Bytes::from(translated), Some(dialect)),
        Err(answer) => return Ok(json(StatusCode::BAD_REQUEST, answer.into_bytes())),
    };
    parts.extensions.insert(OverHttp);
    parts.headers.insert(CONTENT_TYPE, JSON);
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    let response = inner.call(HttpRequest::from_parts(parts, HttpBody::new(Body::from(bytes)))).await?;
    match dialect {
        None => Ok(response),
        Some(dialect) => translate(response, &dialect).await,
    }
}

async fn translate(response: HttpResponse, dialect: &Dialect) -> Result<HttpResponse, BoxError> {
    if response.status() != StatusCode::OK {
        return Ok(response);
    }
    // Room for the envelope around a result of the largest size.
    let limit = usize::try_from(RESPONSE_BYTES_MAX).unwrap_or(usize::MAX).saturating_mul(2);
    let bytes = to_bytes(Body::new(response.into_body()), limit).await?;
    let (status, answer) = dialect.answer(&bytes)?;
    Ok(json(status, answer.into_bytes()))
}

/// Content types that cannot be JSON-RPC. Any other is taken as JSON: clients send text/plain or
/// nothing at all.
fn refused_content(headers: &HeaderMap) -> Option<String> {
    let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?.split(';').next()?.trim().to_ascii_lowercase();
    matches!(kind.as_str(), "application/x-www-form-urlencoded" | "multipart/form-data").then_some(kind)
}

fn refused(refusal: &gate::Refused) -> HttpResponse {
    let mut response = json(refusal.status(), refusal.body().into_bytes());
    if refusal.status() == StatusCode::UNAUTHORIZED {
        response
            .headers_mut()
            .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"timed\", charset=\"UTF-8\""));
    }
    response
}

fn only_post() -> HttpResponse {
    let text = "JSON-RPC requests are sent by POST, or over WebSocket; `help` lists the methods\n";
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, text.to_owned());
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    response
}

fn json(status: StatusCode, body: Vec<u8>) -> HttpResponse {
    respond(status, JSON, body)
}

fn plain(status: StatusCode, body: String) -> HttpResponse {
    respond(status, HeaderValue::from_static("text/plain; charset=utf-8"), body.into_bytes())
}

fn respond(status: StatusCode, kind: HeaderValue, body: Vec<u8>) -> HttpResponse {
    let mut response = HttpResponse::new(HttpBody::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
