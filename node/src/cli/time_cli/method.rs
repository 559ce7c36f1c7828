//! `time-cli rpc METHOD …` and `time-cli METHOD …`.

use super::NodeArgs;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::exit::Exit;
use clap::Args;
use serde_json::Value;
use std::time::Duration;

/// Longest that a method may wait on purpose (`waittransactionfinality`).
const WAIT_MAX: Duration = Duration::from_secs(600);
/// From so many hexadecimal digits on a parameter is a hash or bytes, even if all are decimal.
const HEX_DIGITS_MIN: usize = 40;

/// Arguments of `rpc`.
#[derive(Clone, Debug, Args)]
pub struct RpcArgs {
    /// The method; `time-cli rpc help` lists them.
    method: String,
    /// Parameters by position: JSON where it is JSON, else text. One object alone gives them by name.
    #[arg(allow_hyphen_values = true)]
    params: Vec<String>,
}

impl RpcArgs {
    /// A method with its parameters, as typed.
    pub fn of_words(words: Vec<String>) -> Self {
        let mut words = words.into_iter();
        Self { method: words.next().unwrap_or_default(), params: words.collect() }
    }

    /// Runs it. Texts are printed without quotes, everything else as JSON.
    pub async fn run(&self, node: &NodeArgs, output: Output) -> Result<Exit, Failure> {
        let answer = node.waiting_client(WAIT_MAX)?.call(&self.method, self.parameters()).await?;
        output.result(&answer, || match &answer {
            Value::String(text) => text.clone(),
            other => format!("{other:#}"),
        });
        Ok(Exit::Ok)
    }

    fn parameters(&self) -> Value {
        let mut values: Vec<Value> = self.params.iter().map(|text| parameter(text)).collect();
        match values.as_mut_slice() {
            [only @ Value::Object(_)] => only.take(),
            _ => Value::Array(values),
        }
    }
}

fn parameter(text: &str) -> Value {
    let is_hex = text.len() >= HEX_DIGITS_MIN && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let text_value = || Value::String(text.to_owned());
    if is_hex { text_value() } else { serde_json::from_str(text).unwrap_or_else(|_| text_value()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parameters(words: &[&str]) -> Value {
        let words = std::iter::once("m").chain(words.iter().copied()).map(str::to_owned).collect();
        RpcArgs::of_words(words).parameters()
    }

    #[test]
    fn parameters_are_json_where_they_are_json_and_text_elsewhere() {
        assert_eq!(
            parameters(&["12", "true", "dtime1abc", "[1]", "\"12\""]),
            json!([12, true, "dtime1abc", [1], "12"])
        );
        assert_eq!(parameters(&[]), json!([]));
    }

    #[test]
    fn one_object_gives_parameters_by_name() {
        assert_eq!(parameters(&["{\"height\": 3}"]), json!({"height": 3}));
        assert_eq!(parameters(&["dtime1abc", "{\"limit\": 3}"]), json!(["dtime1abc", {"limit": 3}]));
    }

    #[test]
    fn a_hash_of_decimal_digits_stays_a_text() {
        let hash = "1".repeat(64);
        assert_eq!(parameters(&[&hash]), json!([hash]));
    }
}
