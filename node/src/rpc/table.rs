//! The one table of methods: it is what is registered, what `help` prints, and what
//! `rpc.discover` describes.

use super::args::Args;
use super::context::Context;
use super::error::RpcError;
use super::{addresses, chain, consensus, control, finality, network, outputs, pool, subscriptions, transactions};
use futures::future::BoxFuture;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::sync::Arc;

/// What a call answers.
pub type Answer = Result<Value, RpcError>;

/// One parameter.
#[derive(Debug)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// JSON Schema type: "string", "integer", "boolean", "array", "object", or several with `|`.
    pub kind: &'static str,
    /// Whether it must be given.
    pub required: bool,
    /// What it means.
    pub about: &'static str,
}

/// A parameter that must be given.
#[must_use]
pub const fn required(name: &'static str, kind: &'static str, about: &'static str) -> Param {
    Param { name, kind, required: true, about }
}

/// A parameter that may be left out.
#[must_use]
pub const fn optional(name: &'static str, kind: &'static str, about: &'static str) -> Param {
    Param { name, kind, required: false, about }
}

/// How a method is answered.
pub enum Handler {
    /// From memory, at once.
    Memory(fn(&Context, &Args) -> Answer),
    /// It may read the database: on a thread that may block.
    Storage(fn(&Context, &Args) -> Answer),
    /// It waits for somebody.
    Waiting(fn(Arc<Context>, Args) -> BoxFuture<'static, Answer>),
    /// It opens a subscription (WebSocket only).
    Subscription {
        /// Method name of its notifications.
        notification: &'static str,
        /// Method that ends it.
        unsubscribe: &'static str,
        /// What it is about.
        topic: subscriptions::Topic,
    },
}

impl std::fmt::Debug for Handler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Memory(_) => "Memory",
            Self::Storage(_) => "Storage",
            Self::Waiting(_) => "Waiting",
            Self::Subscription { .. } => "Subscription",
        })
    }
}

/// One method.
#[derive(Debug)]
pub struct Method {
    /// Its name.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// Its parameters, in order.
    pub params: &'static [Param],
    /// What it answers.
    pub result: &'static str,
    /// Error codes it may answer besides -32602 and -32603.
    pub errors: &'static [i32],
    /// Example parameters, as JSON.
    pub example: &'static str,
    /// Whether it is refused unless unsafe methods are allowed.
    pub unsafe_method: bool,
    /// How it is answered.
    pub handler: Handler,
}

impl Method {
    /// The call as it is written: `gettxout(txid, n, include_mempool?)`.
    #[must_use]
    pub fn signature(&self) -> String {
        let names: Vec<String> = self
            .params
            .iter()
            .map(|param| format!("{}{}", param.name, if param.required { "" } else { "?" }))
            .collect();
        format!("{}({})", self.name, names.join(", "))
    }

    /// All there is to say, for people.
    #[must_use]
    pub fn help(&self) -> String {
        let mut text = format!("{}\n\n{}\n", self.signature(), self.about);
        for param in self.params {
            let note = if param.required { "" } else { ", optional" };
            let _ = write!(text, "\n  {} ({}{note}): {}", param.name, param.kind, param.about);
        }
        let _ = write!(text, "\n\nAnswers: {}", self.result);
        if !self.errors.is_empty() {
            let codes: Vec<String> = self.errors.iter().map(ToString::to_string).collect();
            let _ = write!(text, "\nErrors: {}", codes.join(", "));
        }
        if self.unsafe_method {
            text.push_str("\nRefused unless the node allows unsafe methods.");
        }
        let _ = write!(
            text,
            "\n\nExample: {{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"{}\", \"params\": {}}}",
            self.name, self.example
        );
        text
    }

    fn describe(&self) -> Value {
        let params: Vec<Value> = self
            .params
            .iter()
            .map(|param| {
                let kinds: Vec<&str> = param.kind.split('|').collect();
                let schema = if let [kind] = kinds.as_slice() { json!({"type": kind}) } else { json!({"type": kinds}) };
                json!({"name": param.name, "description": param.about, "required": param.required, "schema": schema})
            })
            .collect();
        let errors: Vec<Value> =
            self.errors.iter().map(|code| json!({"code": code, "message": control::code_meaning(*code)})).collect();
        let example: Value = serde_json::from_str(self.example).unwrap_or_default();
        let mut description = json!({
            "name": self.name,
            "summary": self.about,
            "paramStructure": "either",
            "params": params,
            "result": {"name": "result", "description": self.result, "schema": {}},
            "errors": errors,
            "x-example-params": example,
            "x-unsafe": self.unsafe_method,
        });
        if let (Handler::Subscription { notification, unsubscribe, .. }, Some(fields)) =
            (&self.handler, description.as_object_mut())
        {
            fields.insert("x-notification".to_owned(), json!(notification));
            fields.insert("x-unsubscribe".to_owned(), json!(unsubscribe));
        }
        description
    }
}

/// The methods by subject, in the order in which they are listed.
pub const SUBJECTS: &[(&str, &[Method])] = &[
    ("Chain", chain::METHODS),
    ("Transactions", transactions::METHODS),
    ("Finality", finality::METHODS),
    ("Outputs", outputs::METHODS),
    ("Addresses", addresses::METHODS),
    ("Pool", pool::METHODS),
    ("Network", network::METHODS),
    ("Consensus", consensus::METHODS),
    ("Subscriptions", subscriptions::METHODS),
    ("Control", control::METHODS),
];

/// All methods.
pub fn methods() -> impl Iterator<Item = &'static Method> {
    SUBJECTS.iter().flat_map(|(_, methods)| methods.iter())
}

/// The method of this name.
#[must_use]
pub fn method(name: &str) -> Option<&'static Method> {
    methods().find(|method| method.name == name)
}

/// One line for each method, by subject.
#[must_use]
pub fn overview() -> String {
    let mut text = String::new();
    for (subject, methods) in SUBJECTS {
        let _ = writeln!(text, "== {subject} ==");
        for method in *methods {
            let _ = writeln!(text, "{}", method.signature());
        }
        text.push('\n');
    }
    text.trim_end().to_owned()
}

/// The OpenRPC description of all methods.
#[must_use]
pub fn discover() -> Value {
    let methods: Vec<Value> = SUBJECTS
        .iter()
        .flat_map(|(subject, methods)| methods.iter().map(move |method| (subject, method)))
        .map(|(subject, method)| {
            let mut description = method.describe();
            if let Some(fields) = description.as_object_mut() {
                fields.insert("tags".to_owned(), json!([{"name": subject}]));
            }
            description
        })
        .collect();
    json!({
        "openrpc": "1.2.6",
        "info": {"title": "TimeCoin JSON-RPC", "version": env!("CARGO_PKG_VERSION")},
        "methods": methods,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_methods_have_the_same_name() {
        let names: Vec<&str> = methods().map(|method| method.name).collect();
        let unique: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(names.len(), unique.len());
    }

    #[test]
    fn every_example_is_accepted_by_its_own_parameters() {
        for method in methods() {
            let args = Args::parse(method, Some(method.example));
            let args = args.unwrap_or_else(|error| panic!("{}: {error}", method.name));
            for param in method.params.iter().filter(|param| param.required) {
                assert!(args.value(param.name).is_some(), "the example of {} lacks {}", method.name, param.name);
            }
        }
    }

    #[test]
    fn required_parameters_come_before_optional_ones() {
        for method in methods() {
            assert!(method.params.is_sorted_by_key(|param| !param.required), "{}", method.name);
        }
    }

    #[test]
    fn every_parameter_kind_is_a_json_schema_type() {
        let known = ["string", "integer", "boolean", "array", "object"];
        for param in methods().flat_map(|method| method.params) {
            assert!(param.kind.split('|').all(|kind| known.contains(&kind)), "{}: {}", param.name, param.kind);
        }
    }
}
