//! Stands in.
use super::{Flaw, Stopped};
use crate::variables::Variables;
use serde_json::{Map, Value};
pub(super) async fn run(
    _provider: &Map<String, Value>,
    _variables: &Variables,
) -> Result<Value, Stopped> {
    Ok(Value::Null)
}
pub(super) fn check(_provider: &Map<String, Value>) -> Vec<Flaw> {
    Vec::new()
}
