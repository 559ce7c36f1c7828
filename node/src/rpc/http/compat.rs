//! Old dialects of JSON-RPC: 1.0, 1.1 and requests without a version are translated to 2.0, and
//! the answers back into the shape that the request asked for.

use axum::http::StatusCode;
use jsonrpsee::core::JsonRawValue;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// What a body turned out to be.
#[derive(Debug)]
pub enum Read {
    /// JSON-RPC 2.0 as the server understands it: to be passed on as it is.
    Standard,
    /// Something else: the same in 2.0, and how to answer.
    Translated(Vec<u8>, Dialect),
}

/// How to answer a translated body.
#[derive(Debug)]
pub struct Dialect {
    batch: bool,
    calls: Vec<Call>,
}

/// One call of a body: its id as it came, and its shape.
#[derive(Debug, Clone)]
struct Call {
    id: Value,
    legacy: bool,
}

/// The part of a request that decides about its dialect.
#[derive(Deserialize)]
struct Request<'a> {
    jsonrpc: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    id: Option<Value>,
    #[serde(borrow)]
    method: Option<&'a JsonRawValue>,
    #[serde(borrow)]
    params: Option<&'a JsonRawValue>,
}

/// Tells `"id": null` from no id.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl Request<'_> {
    fn is_legacy(&self) -> bool {
        self.jsonrpc.as_ref().is_none_or(|version| version != "2.0")
    }

    /// Whether the server takes the request as it is: 2.0, and an id that it can repeat.
    fn is_standard(&self) -> bool {
        let plain = |id: &Value| id.is_null() || id.is_string() || id.is_u64();
        !self.is_legacy() && self.id.as_ref().is_none_or(plain)
    }
}

/// The request as it is passed on, numbered.
#[derive(Serialize)]
struct Numbered<'a> {
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a JsonRawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<&'a JsonRawValue>,
}

/// Reads a body and translates it if need be.
///
/// # Errors
/// The answer to a body that is not JSON, or not a request or a list of requests.
pub fn read(body: &[u8]) -> Result<Read, String> {
    let batch = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let raw: Vec<&JsonRawValue> = if batch {
        serde_json::from_slice(body).map_err(|error| malformed(-32700, &error))?
    } else {
        vec![serde_json::from_slice(body).map_err(|error| malformed(-32700, &error))?]
    };
    let requests: Result<Vec<Request<'_>>, _> = raw.iter().map(|raw| serde_json::from_str(raw.get())).collect();
    let requests = match requests {
        Ok(requests) => requests,
        // The server answers each malformed member of a batch by itself.
        Err(_) if batch => return Ok(Read::Standard),
        Err(error) => return Err(malformed(-32600, &error)),
    };
    if requests.iter().all(Request::is_standard) {
        return Ok(Read::Standard);
    }
    let (numbered, calls) = number(&requests);
    let dialect = Dialect { batch, calls };
    let bytes = if batch { serde_json::to_vec(&numbered) } else { serde_json::to_vec(&numbered.first()) };
    Ok(Read::Translated(bytes.map_err(|error| malformed(-32603, &error))?, dialect))
}

/// Gives each call its position as id. A 2.0 request without id stays a notification; an older
/// one is answered with the id `null`.
fn number<'a>(requests: &[Request<'a>]) -> (Vec<Numbered<'a>>, Vec<Call>) {
    let numbered = requests.iter().enumerate().map(|(at, request)| Numbered {
        jsonrpc: "2.0",
        id: (request.id.is_some() || request.is_legacy()).then_some(at),
        method: request.method,
        params: request.params,
    });
    let calls = requests
        .iter()
        .map(|request| Call { id: request.id.clone().unwrap_or(Value::Null), legacy: request.is_legacy() });
    (numbered.collect(), calls.collect())
}

fn malformed(code: i32, error: &serde_json::Error) -> String {
    let message = if code == -32700 { "the body is not JSON" } else { "the body is not a JSON-RPC request" };
    let error =
        json!({"code": code, "message": format!("{message}: {error}"), "data": {"reason": "malformed-request"}});
    json!({"jsonrpc": "2.0", "result": null, "error": error, "id": null}).to_string()
}

/// An answer of the server. The result stays as it is, unread.
#[derive(Deserialize)]
struct Answer<'a> {
    id: Value,
    #[serde(borrow)]
    result: Option<&'a JsonRawValue>,
    error: Option<Value>,
}

impl Dialect {
    /// Translates the server's answer back; the status is that of bitcoind: an old-style single
    /// call that failed is not HTTP 200.
    ///
    /// # Errors
    /// The server's answer is not JSON.
    pub fn answer(&self, body: &[u8]) -> Result<(StatusCode, String), serde_json::Error> {
        if !self.batch {
            let answer: Answer<'_> = serde_json::from_slice(body)?;
            let call = self.calls.first().cloned().unwrap_or(Call { id: Value::Null, legacy: true });
            return Ok((call.status(&answer), call.shape(&answer)?));
        }
        let Ok(answers) = serde_json::from_slice::<Vec<Answer<'_>>>(body) else {
            // One error for the whole batch (too long).
            return Ok((StatusCode::OK, String::from_utf8_lossy(body).into_owned()));
        };
        let shaped: Result<Vec<String>, _> = answers.iter().map(|answer| self.call(answer).shape(answer)).collect();
        Ok((StatusCode::OK, format!("[{}]", shaped?.join(","))))
    }

    fn call(&self, answer: &Answer<'_>) -> Call {
        let at = answer.id.as_u64().and_then(|at| usize::try_from(at).ok());
        let call = at.and_then(|at| self.calls.get(at)).cloned();
        call.unwrap_or(Call { id: answer.id.clone(), legacy: false })
    }
}

impl Call {
    fn status(&self, answer: &Answer<'_>) -> StatusCode {
        let code = answer.error.as_ref().and_then(|error| error.get("code")).and_then(Value::as_i64);
        match code {
            None => StatusCode::OK,
            Some(_) if !self.legacy => StatusCode::OK,
            Some(-32600) => StatusCode::BAD_REQUEST,
            Some(-32601) => StatusCode::NOT_FOUND,
            Some(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn shape(&self, answer: &Answer<'_>) -> Result<String, serde_json::Error> {
        let id = serde_json::to_string(&self.id)?;
        let error = answer.error.as_ref().map(error_text).transpose()?;
        let result = answer.result.map_or("null", JsonRawValue::get);
        Ok(match (self.legacy, error) {
            (true, error) => {
                format!(r#"{{"result":{result},"error":{},"id":{id}}}"#, error.as_deref().unwrap_or("null"))
            }
            (false, Some(error)) => format!(r#"{{"jsonrpc":"2.0","error":{error},"id":{id}}}"#),
            (false, None) => format!(r#"{{"jsonrpc":"2.0","result":{result},"id":{id}}}"#),
        })
    }
}

/// An error object; `data` is always there, so that clients need not ask.
fn error_text(error: &Value) -> Result<String, serde_json::Error> {
    let mut fields = error.as_object().cloned().unwrap_or_default();
    fields.entry("data").or_insert_with(|| Value::Object(Map::new()));
    serde_json::to_string(&fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(body: &str) -> (Value, Dialect) {
        match read(body.as_bytes()).unwrap() {
            Read::Translated(bytes, dialect) => (serde_json::from_slice(&bytes).unwrap(), dialect),
            Read::Standard => panic!("{body} was passed on"),
        }
    }

    fn answer(dialect: &Dialect, body: &Value) -> (u16, Value) {
        let (status, text) = dialect.answer(body.to_string().as_bytes()).unwrap();
        (status.as_u16(), serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn a_request_of_version_2_is_passed_on_untouched() {
        for body in [
            r#"{"jsonrpc":"2.0","id":1,"method":"x"}"#,
            r#" [{"jsonrpc":"2.0","id":"a","method":"x","params":[]},{"jsonrpc":"2.0","method":"y"}]"#,
        ] {
            assert!(matches!(read(body.as_bytes()), Ok(Read::Standard)), "{body}");
        }
    }

    #[test]
    fn older_versions_become_version_2() {
        for version in [r#""jsonrpc":"1.0","#, r#""version":"1.1","#, "", r#""jsonrpc":1.0,"#] {
            let (request, _) = translated(&format!(r#"{{{version}"id":"curl","method":"x","params":[1]}}"#));
            assert_eq!(request, json!({"jsonrpc": "2.0", "id": 0, "method": "x", "params": [1]}));
        }
    }

    #[test]
    fn an_old_call_is_answered_with_result_and_error_both_present() {
        let (_, dialect) = translated(r#"{"id":"curl","method":"x"}"#);
        let reply = answer(&dialect, &json!({"jsonrpc": "2.0", "id": 0, "result": 7}));
        assert_eq!(reply, (200, json!({"result": 7, "error": null, "id": "curl"})));
    }

    #[test]
    fn an_old_call_that_fails_is_http_500_or_404_as_bitcoind_has_it() {
        let (_, dialect) = translated(r#"{"jsonrpc":"1.0","id":-1.5,"method":"x"}"#);
        for (code, status) in [(-5, 500), (-32601, 404), (-32600, 400)] {
            let error = json!({"code": code, "message": "m", "data": {"reason": "r"}});
            let reply = answer(&dialect, &json!({"jsonrpc": "2.0", "id": 0, "error": error}));
            assert_eq!(reply, (status, json!({"result": null, "error": error, "id": -1.5})));
        }
    }

    #[test]
    fn an_old_call_without_id_is_answered_with_the_id_null() {
        let (request, dialect) = translated(r#"{"method":"x"}"#);
        assert_eq!(request["id"], 0);
        assert_eq!(answer(&dialect, &json!({"jsonrpc": "2.0", "id": 0, "result": 1})).1["id"], Value::Null);
    }

    #[test]
    fn a_batch_of_mixed_versions_answers_each_call_in_its_own_shape() {
        let (request, dialect) = translated(
            r#"[{"id":"a","method":"x"},{"jsonrpc":"2.0","id":"b","method":"y"},{"jsonrpc":"2.0","method":"z"}]"#,
        );
        assert_eq!(
            request,
            json!([
                {"jsonrpc": "2.0", "id": 0, "method": "x"},
                {"jsonrpc": "2.0", "id": 1, "method": "y"},
                {"jsonrpc": "2.0", "method": "z"},
            ])
        );
        let error = json!({"code": -5, "message": "m", "data": {}});
        let answers = json!([{"jsonrpc": "2.0", "id": 0, "error": error}, {"jsonrpc": "2.0", "id": 1, "result": 2}]);
        let expected = json!([
            {"result": null, "error": error, "id": "a"},
            {"jsonrpc": "2.0", "result": 2, "id": "b"},
        ]);
        assert_eq!(answer(&dialect, &answers), (200, expected));
    }

    #[test]
    fn what_is_not_json_is_answered_in_a_shape_that_any_version_reads() {
        for (body, code) in [("not json", -32700), ("", -32700), ("5", -32600), ("\"x\"", -32600)] {
            let answer: Value = serde_json::from_str(&read(body.as_bytes()).unwrap_err()).unwrap();
            assert_eq!(answer["error"]["code"], code, "{body}");
            assert_eq!((&answer["result"], &answer["id"]), (&Value::Null, &Value::Null));
        }
    }
}
