//! Explains calls that reach no method: a name that does not exist, or a subscription over HTTP.

use super::error::{RpcError, code};
use super::table::{self, Handler};
use futures::future::{Either, ready};
use jsonrpsee::MethodResponse;
use jsonrpsee::core::middleware::{Batch, BatchEntry, BatchEntryErr, Notification};
use jsonrpsee::server::middleware::rpc::RpcServiceT;
use jsonrpsee::types::{ErrorObjectOwned, Request};

/// Marks a request that came by HTTP, where there are no subscriptions.
#[derive(Clone, Copy, Debug)]
pub struct OverHttp;

/// The service in front of the methods.
#[derive(Clone, Debug)]
pub struct Explain<S>(pub S);

/// How alike two names must be for one to be suggested in the place of the other.
const SIMILARITY_MIN: f64 = 0.75;

/// Why a call reaches no method.
fn objection(request: &Request<'_>) -> Option<RpcError> {
    let name = request.method.as_ref();
    let over_http = request.extensions.get::<OverHttp>().is_some();
    for method in table::methods() {
        match &method.handler {
            Handler::Subscription { unsubscribe, .. } if method.name == name || *unsubscribe == name => {
                return over_http.then(|| websocket_only(name));
            }
            _ if method.name == name => return None,
            _ => {}
        }
    }
    Some(unknown(name))
}

fn websocket_only(name: &str) -> RpcError {
    let hint = "connect by WebSocket to the same address, such as ws://127.0.0.1:<port>";
    RpcError::new(code::METHOD_NOT_FOUND, format!("{name} needs a WebSocket connection"), "websocket-only", hint)
}

fn unknown(name: &str) -> RpcError {
    let alike = |known: &str| strsim::jaro_winkler(known, &name.to_ascii_lowercase());
    let best = table::methods().map(|method| method.name).max_by(|a, b| alike(a).total_cmp(&alike(b)));
    let hint = match best {
        Some(best) if alike(best) >= SIMILARITY_MIN => format!("did you mean {best}? `help` lists all methods"),
        _ => "`help` lists all methods".to_owned(),
    };
    RpcError::new(code::METHOD_NOT_FOUND, "Method not found", "unknown-method", &hint)
}

impl<S> RpcServiceT for Explain<S>
where
    S: RpcServiceT<MethodResponse = MethodResponse>,
{
    type MethodResponse = MethodResponse;
    type NotificationResponse = S::NotificationResponse;
    type BatchResponse = S::BatchResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        match objection(&request) {
            None => Either::Left(self.0.call(request)),
            Some(error) => {
                Either::Right(ready(MethodResponse::error(request.id.into_owned(), ErrorObjectOwned::from(error))))
            }
        }
    }

    fn batch<'a>(&self, requests: Batch<'a>) -> impl Future<Output = S::BatchResponse> + Send + 'a {
        let explained = requests.into_iter().map(|entry| match entry {
            Ok(BatchEntry::Call(request)) => match objection(&request) {
                None => Ok(BatchEntry::Call(request)),
                Some(error) => Err(BatchEntryErr::new(request.id, ErrorObjectOwned::from(error))),
            },
            other => other,
        });
        self.0.batch(Batch::from(explained.collect::<Vec<_>>()))
    }

    fn notification<'a>(
        &self,
        notification: Notification<'a>,
    ) -> impl Future<Output = S::NotificationResponse> + Send + 'a {
        self.0.notification(notification)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_typing_mistake_gets_a_suggestion() {
        assert_eq!(unknown("getblokcount").data["hint"], "did you mean getblockcount? `help` lists all methods");
        assert_eq!(unknown("xyzzy").data["hint"], "`help` lists all methods");
    }
}
