//! Prometheus metrics and health over HTTP.
//!
//! Numbers that the node keeps anyway are read when somebody asks ([`gauges`]); what happens
//! between two looks is counted from the news ([`events`]).

mod events;
mod gauges;
mod health;

use crate::view::View;
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, StatusCode};
use axum::routing::get;
use events::Events;
use gauges::Gauges;
use health::Report;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// Registers the node's metrics, all under `timecoin_`, in `registry`; they read `view`. Must be
/// called within a tokio runtime: a task counts the news until the view is gone.
pub fn register(registry: &mut Registry, view: &Arc<View>) {
    registry.register_collector(Box::new(gauges::StartTime(view.started_at)));
    let registry = registry.sub_registry_with_prefix("timecoin");
    let build = vec![("version", env!("CARGO_PKG_VERSION")), ("network", view.network().prefix())];
    registry.register("build", "The running program and its kind of network", Info::new(build));
    registry.register_collector(Box::new(Gauges::new(Arc::clone(view))));
    let events = Events::register(registry, view.state.load().time_ms);
    tokio::spawn(events.count(view.subscribe()));
}

/// What the handlers need.
#[derive(Debug)]
struct Shared {
    registry: Registry,
    view: Arc<View>,
}

/// Serves `/metrics`, `/livez`, `/readyz` and `/healthz` until `stop`; gives the real address.
///
/// # Errors
/// The address cannot be listened on.
pub async fn serve(
    listen: SocketAddr,
    registry: Registry,
    view: Arc<View>,
    stop: CancellationToken,
) -> Result<SocketAddr, std::io::Error> {
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/healthz", get(healthz))
        .with_state(Arc::new(Shared { registry, view }));
    tokio::spawn(async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
        if let Err(error) = served.await {
            tracing::error!(%error, "the metrics server ended");
        }
    });
    Ok(address)
}

type Response = (StatusCode, [(HeaderName, &'static str); 1], String);

fn text(status: StatusCode, body: String) -> Response {
    (status, [(CONTENT_TYPE, TEXT)], body)
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let mut body = String::new();
    match prometheus_client::encoding::text::encode(&mut body, &shared.registry) {
        Ok(()) => (StatusCode::OK, [(CONTENT_TYPE, OPENMETRICS)], body),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

/// The process works: it answers. Nothing else is a reason to kill it.
async fn livez() -> Response {
    text(StatusCode::OK, "ok\n".to_owned())
}

/// Whether clients should be sent here.
async fn readyz(State(shared): State<Arc<Shared>>) -> Response {
    let report = report(shared).await;
    text(report.status(), report.summary())
}

/// The same judgement as `/readyz`; with `?verbose`, one line for each check.
async fn healthz(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Response {
    let verbose = query.is_some_and(|query| query.split('&').any(|part| part == "verbose" || part == "verbose=true"));
    let report = report(shared).await;
    text(report.status(), if verbose { report.lines() } else { report.summary() })
}

async fn report(shared: Arc<Shared>) -> Report {
    let checked = tokio::task::spawn_blocking(move || Report::of(&shared.view)).await;
    checked.unwrap_or_else(|_| Report::failed("the checks did not end"))
}
