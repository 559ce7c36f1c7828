//! JSON-RPC over HTTP and WebSocket, on one port.
//!
//! A request passes [`http`] (who may ask, old dialects), finds its method in [`table`], and is
//! answered from [`View`] by one of the subjects' files. Calls that may read the database run on
//! threads that may block, a bounded number at once.

mod addresses;
mod args;
pub mod bounds;
mod build;
mod chain;
mod consensus;
mod context;
mod control;
mod cookie;
mod error;
mod explain;
mod finality;
mod http;
mod network;
mod outputs;
mod pool;
mod pool_view;
mod shape;
mod subscriptions;
pub mod table;
mod transactions;
mod waiters;

pub use cookie::COOKIE_USER;
pub use error::{code, variant_slug};
pub use finality::path_name;

use crate::view::View;
use args::Args;
use bounds::{
    BATCH_REQUESTS_MAX, CONNECTION_MESSAGES_MAX, CONNECTIONS_MAX, REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX,
    SUBSCRIPTIONS_PER_CONNECTION_MAX,
};
use context::Context;
use cookie::Cookie;
use error::RpcError;
use explain::Explain;
use http::{FrontLayer, Gate};
use jsonrpsee::RpcModule;
use jsonrpsee::core::RegisterMethodError;
use jsonrpsee::server::middleware::rpc::RpcServiceBuilder;
use jsonrpsee::server::{BatchRequestConfig, PingConfig, Server, ServerConfig, ServerHandle};
use jsonrpsee::types::{ErrorObjectOwned, Params};
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use table::{Answer, Handler, Method};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How RPC is served.
#[derive(Clone, Debug)]
pub struct RpcOptions {
    /// Address; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Where the cookie file is written (user `__cookie__`, a random password, mode 0600); none
    /// serves without authentication, which is refused on addresses other than loopback.
    pub cookie: Option<PathBuf>,
    /// Whether `stop` and the like are allowed.
    pub unsafe_methods: bool,
    /// Host names accepted in the `Host` header besides loopback names and the listening address.
    pub allowed_hosts: Vec<String>,
}

/// A running RPC server.
#[derive(Debug)]
pub struct RpcServer {
    /// Where it listens.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl RpcServer {
    /// Resolves when the server has ended: calls in progress are answered, the cookie file is gone.
    pub async fn ended(self) {
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the RPC server ended badly");
        }
    }
}

/// Starts serving; `stop` is cancelled by the `stop` method, and cancelling it ends the server.
///
/// # Errors
/// The address cannot be listened on, the cookie file cannot be written, or it would be open to
/// other machines without a password.
pub async fn serve(options: RpcOptions, view: Arc<View>, stop: CancellationToken) -> Result<RpcServer, Error> {
    if options.cookie.is_none() && !options.listen.ip().is_loopback() {
        let text = format!(
            "RPC on {} would let every machine that reaches it use this node without a password; configure a cookie \
             file, or listen on 127.0.0.1",
            options.listen
        );
        return Err(Error::new(ErrorKind::InvalidInput, text));
    }
    let listener = TcpListener::bind(options.listen).await?;
    let address = listener.local_addr()?;
    // After the port is ours: a second node that fails to start leaves the first one's cookie alone.
    let cookie = options.cookie.as_deref().map(Cookie::create).transpose()?;
    let gate = Gate::new(address, &options.allowed_hosts, cookie.as_ref().map(Cookie::authorization));

    let context = Context::new(Arc::clone(&view), stop.clone(), options.unsafe_methods);
    let dispatcher = waiters::dispatch(Arc::clone(&view), Arc::clone(&context.waiters), view.subscribe(), stop.clone());
    let module = module(context).map_err(Error::other)?;
    let server = Server::builder()
        .set_config(config())
        .set_rpc_middleware(RpcServiceBuilder::new().layer_fn(Explain))
        .set_http_middleware(tower::ServiceBuilder::new().layer(FrontLayer::new(gate)))
        .build_from_tcp(listener.into_std()?)?;
    let handle = server.start(module);
    tokio::spawn(dispatcher);
    Ok(RpcServer { address, task: tokio::spawn(run(handle, cookie, stop)) })
}

async fn run(handle: ServerHandle, cookie: Option<Cookie>, stop: CancellationToken) {
    stop.cancelled().await;
    // It fails only if the server has stopped already.
    let _ = handle.stop();
    handle.stopped().await;
    if let Some(cookie) = cookie
        && tokio::task::spawn_blocking(move || cookie.remove()).await.is_err()
    {
        tracing::warn!("the cookie file may be left behind");
    }
}

fn config() -> ServerConfig {
    ServerConfig::builder()
        .max_request_body_size(REQUEST_BYTES_MAX)
        .max_response_body_size(RESPONSE_BYTES_MAX)
        .max_connections(CONNECTIONS_MAX)
        .max_subscriptions_per_connection(SUBSCRIPTIONS_PER_CONNECTION_MAX)
        .set_batch_request_config(BatchRequestConfig::Limit(BATCH_REQUESTS_MAX))
        .set_message_buffer_capacity(CONNECTION_MESSAGES_MAX)
        .enable_ws_ping(PingConfig::new())
        .set_tcp_no_delay(true)
        .build()
}

/// Registers every method of the table.
fn module(context: Context) -> Result<RpcModule<Context>, RegisterMethodError> {
    let mut module = RpcModule::new(context);
    for method in table::methods() {
        if let Handler::Subscription { notification, unsubscribe, topic } = method.handler {
            module.register_subscription(
                method.name,
                notification,
                unsubscribe,
                move |params, pending, context, _| {
                    subscriptions::serve(topic, parse(method, &params), pending, context)
                },
            )?;
        } else {
            module.register_async_method(method.name, move |params, context, _| async move {
                call(method, &params, context).await.map_err(ErrorObjectOwned::from)
            })?;
        }
    }
    Ok(module)
}

fn parse(method: &'static Method, params: &Params<'_>) -> Result<Args, RpcError> {
    Args::parse(method, params.as_str())
}

async fn call(method: &'static Method, params: &Params<'_>, context: Arc<Context>) -> Answer {
    if method.unsafe_method && !context.unsafe_methods {
        let text = format!("{} is an unsafe method, and this node does not allow them over RPC", method.name);
        let hint = "allow unsafe methods in the node's configuration, or do it on the node's machine";
        return Err(RpcError::new(code::METHOD_NOT_FOUND, text, "unsafe-method", hint));
    }
    tracing::debug!(method = method.name, "called over RPC");
    let args = parse(method, params)?;
    match method.handler {
        Handler::Memory(answer) => answer(&context, &args),
        Handler::Storage(answer) => context.blocking(move |context| answer(context, &args)).await,
        Handler::Waiting(answer) => answer(context, args).await,
        // Registered as a subscription; never called this way.
        Handler::Subscription { .. } => Err(RpcError::internal("a subscription was called as a method")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use std::collections::BTreeSet;
    use timecoin_protocol::address::{NetworkKind, Owner};
    use timecoin_protocol::amount::Amount;
    use timecoin_protocol::engine::Time;
    use timecoin_protocol::genesis::{Genesis, Params};
    use timecoin_protocol::keys::PublicKey;
    use timecoin_protocol::transaction::{Lock, Output};

    fn context(dir: &std::path::Path) -> Context {
        let lock = Lock::Bond { validator: PublicKey([1; 32]), owner: Owner([1; 20]) };
        let genesis = Genesis {
            name: "table".to_owned(),
            network: NetworkKind::Devnet,
            time_ms: 0,
            params: Params {
                block_interval_ms: 1_000,
                block_reward_units: 100,
                unbonding_blocks: 10,
                epoch_blocks: 60,
            },
            outputs: vec![Output { amount: Amount::from_time(1_000).unwrap(), lock }],
        };
        let opened = Store::open(dir, &genesis).unwrap();
        let peer_id = libp2p::identity::Keypair::generate_ed25519().public().to_peer_id();
        let calls = tokio::sync::mpsc::channel(1).0;
        let view = View::new(Arc::new(genesis), None, peer_id, opened.state, opened.reader, Time(0), calls);
        Context::new(Arc::new(view), CancellationToken::new(), false)
    }

    #[test]
    fn what_is_registered_is_what_the_table_describes() {
        let dir = tempfile::tempdir().unwrap();
        let module = module(context(&dir.path().join("data"))).unwrap();
        let registered: BTreeSet<&str> = module.method_names().collect();
        let description = table::discover();
        let described: BTreeSet<&str> = description["methods"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|method| [&method["name"], &method["x-unsubscribe"]])
            .filter_map(|name| name.as_str())
            .collect();
        assert_eq!(registered, described);
        for name in table::methods().map(|method| method.name) {
            assert!(table::overview().contains(&format!("{name}(")), "{name} is missing in help");
        }
    }
}
