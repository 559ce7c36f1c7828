//! Parameters of a call, by position or by name, checked against the method's table entry.

use super::error::{RpcError, code};
use super::table::Method;
use serde_json::Value;
use timecoin_protocol::hash::{BlockHash, Txid};
use timecoin_protocol::validator::Height;

/// The parameters of one call, in the order of the method's table entry. `null` counts as absent.
#[derive(Clone, Debug)]
pub struct Args {
    method: &'static Method,
    values: Vec<Option<Value>>,
}

/// A type that a parameter can have.
pub trait FromParam: Sized {
    /// What is expected, for error messages: "64 hexadecimal digits".
    const EXPECTED: &'static str;
    /// The value, or `None` if it is something else.
    fn from_param(value: &Value) -> Option<Self>;
}

impl Args {
    /// Reads the `params` of a request to `method`; absent ones are as good as an empty list.
    ///
    /// # Errors
    /// Not a list or an object, too many parameters, or a name that the method does not have.
    pub fn parse(method: &'static Method, params: Option<&str>) -> Result<Self, RpcError> {
        let params: Value = match params {
            None => Value::Null,
            Some(text) => serde_json::from_str(text).map_err(|error| Self::shape(method, &error.to_string()))?,
        };
        let mut values = vec![None; method.params.len()];
        match params {
            Value::Null => {}
            Value::Array(list) if list.len() > values.len() => {
                return Err(Self::shape(method, &format!("{} parameters were given", list.len())));
            }
            Value::Array(list) => {
                for (slot, value) in values.iter_mut().zip(list) {
                    *slot = Some(value);
                }
            }
            Value::Object(named) => {
                for (name, value) in named {
                    let at = method.params.iter().position(|param| param.name == name);
                    match at.and_then(|at| values.get_mut(at)) {
                        Some(slot) => *slot = Some(value),
                        None => return Err(Self::shape(method, &format!("`{name}` is not a parameter"))),
                    }
                }
            }
            other => return Err(Self::shape(method, &format!("the parameters are {}", describe(&other)))),
        }
        for value in &mut values {
            value.take_if(|value| value.is_null());
        }
        Ok(Self { method, values })
    }

    fn shape(method: &Method, problem: &str) -> RpcError {
        let message = format!("{problem}; expected {}", method.signature());
        RpcError::new(code::INVALID_PARAMS, message, "bad-parameter", "see `help` with the name of the method")
    }

    /// The method that is called.
    #[must_use]
    pub const fn method(&self) -> &'static Method {
        self.method
    }

    /// The value of a parameter as it came.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Value> {
        let at = self.method.params.iter().position(|param| param.name == name)?;
        self.values.get(at)?.as_ref()
    }

    /// A parameter that may be left out.
    ///
    /// # Errors
    /// It has the wrong type.
    pub fn optional<T: FromParam>(&self, name: &str) -> Result<Option<T>, RpcError> {
        let Some(value) = self.value(name) else { return Ok(None) };
        match T::from_param(value) {
            Some(parsed) => Ok(Some(parsed)),
            None => Err(RpcError::bad_parameter(name, T::EXPECTED, &describe(value))),
        }
    }

    /// A parameter that must be there.
    ///
    /// # Errors
    /// It is missing or has the wrong type.
    pub fn required<T: FromParam>(&self, name: &str) -> Result<T, RpcError> {
        self.optional(name)?.ok_or_else(|| RpcError::bad_parameter(name, T::EXPECTED, "nothing"))
    }
}

/// What a value is, short enough for an error message.
#[must_use]
pub fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Array(list) => format!("a list of {}", list.len()),
        Value::Object(_) => "an object".to_owned(),
        Value::String(text) if text.chars().count() > 80 => format!("a text of {} bytes", text.len()),
        other => other.to_string(),
    }
}

impl FromParam for Txid {
    const EXPECTED: &'static str = "a txid of 64 hexadecimal digits";
    fn from_param(value: &Value) -> Option<Self> {
        value.as_str()?.parse().ok()
    }
}

impl FromParam for BlockHash {
    const EXPECTED: &'static str = "a block hash of 64 hexadecimal digits";
    fn from_param(value: &Value) -> Option<Self> {
        value.as_str()?.parse().ok()
    }
}

impl FromParam for Height {
    const EXPECTED: &'static str = "a height, 0 or more";
    fn from_param(value: &Value) -> Option<Self> {
        value.as_u64().map(Self)
    }
}

impl FromParam for u64 {
    const EXPECTED: &'static str = "an integer, 0 or more";
    fn from_param(value: &Value) -> Option<Self> {
        value.as_u64()
    }
}

impl FromParam for u32 {
    const EXPECTED: &'static str = "an integer from 0 to 4294967295";
    fn from_param(value: &Value) -> Option<Self> {
        value.as_u64()?.try_into().ok()
    }
}

impl FromParam for bool {
    const EXPECTED: &'static str = "true or false";
    fn from_param(value: &Value) -> Option<Self> {
        value.as_bool()
    }
}

impl FromParam for String {
    const EXPECTED: &'static str = "a text";
    fn from_param(value: &Value) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
}

impl FromParam for Vec<Value> {
    const EXPECTED: &'static str = "a list";
    fn from_param(value: &Value) -> Option<Self> {
        value.as_array().cloned()
    }
}

/// Bytes in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HexBytes(pub Vec<u8>);

impl FromParam for HexBytes {
    const EXPECTED: &'static str = "bytes in hexadecimal";
    fn from_param(value: &Value) -> Option<Self> {
        hex::decode(value.as_str()?).ok().map(Self)
    }
}

/// A block by its hash or its height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockId {
    /// By hash.
    Hash(BlockHash),
    /// By height.
    Height(Height),
}

impl FromParam for BlockId {
    const EXPECTED: &'static str = "a block hash of 64 hexadecimal digits, or a height";
    fn from_param(value: &Value) -> Option<Self> {
        if let Some(height) = value.as_u64() {
            return Some(Self::Height(Height(height)));
        }
        BlockHash::from_param(value).map(Self::Hash)
    }
}

/// How much to show: 0, 1, 2; `false` and `true` stand for 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Verbosity(pub u64);

impl FromParam for Verbosity {
    const EXPECTED: &'static str = "0, 1, 2, true or false";
    fn from_param(value: &Value) -> Option<Self> {
        let level = value.as_bool().map(u64::from).or_else(|| value.as_u64())?;
        (level <= 2).then_some(Self(level))
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::method;
    use super::*;

    fn args(name: &str, params: &str) -> Result<Args, RpcError> {
        Args::parse(method(name).unwrap(), Some(params))
    }

    #[test]
    fn positions_and_names_mean_the_same() {
        let txid = "ab".repeat(32);
        for params in [format!("[\"{txid}\", 3]"), format!("{{\"n\": 3, \"txid\": \"{txid}\"}}")] {
            let args = args("gettxout", &params).unwrap();
            assert_eq!(args.required::<Txid>("txid").unwrap(), Txid([0xab; 32]));
            assert_eq!(args.required::<u32>("n").unwrap(), 3);
            assert_eq!(args.optional::<bool>("include_mempool").unwrap(), None);
        }
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_names_that_exist() {
        let error = args("gettxout", r#"{"txid": "", "vout": 0}"#).unwrap_err();
        assert_eq!(error.code, code::INVALID_PARAMS);
        assert!(error.message.contains("`vout` is not a parameter"), "{error}");
        assert!(error.message.contains("gettxout(txid, n, include_mempool?)"), "{error}");
    }

    #[test]
    fn too_many_positions_are_refused() {
        assert!(args("getblockcount", "[1]").unwrap_err().message.contains("1 parameters were given"));
    }

    #[test]
    fn a_value_of_the_wrong_type_is_named_with_what_was_expected_and_what_was_found() {
        let args = args("gettxout", r#"["xyz", -1]"#).unwrap();
        let error = args.required::<Txid>("txid").unwrap_err();
        assert_eq!(error.message, "parameter `txid`: expected a txid of 64 hexadecimal digits, found \"xyz\"");
        let error = args.required::<u32>("n").unwrap_err();
        assert!(error.message.ends_with("found -1"), "{error}");
        assert_eq!(error.data["parameter"], "n");
    }

    #[test]
    fn null_counts_as_absent() {
        let args = args("gettxout", "[null, null, null]").unwrap();
        assert!(args.required::<Txid>("txid").unwrap_err().message.ends_with("found nothing"));
        assert_eq!(args.optional::<bool>("include_mempool").unwrap(), None);
    }

    #[test]
    fn true_is_verbosity_one() {
        assert_eq!(Verbosity::from_param(&Value::Bool(true)), Some(Verbosity(1)));
        assert_eq!(Verbosity::from_param(&serde_json::json!(3)), None);
    }
}
