//! Objects of the wire, and what they are here. Their numbers are doubles, as JavaScript's are: what is too large for one is
//! a string, and so may a seed be.

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};
use serde_json::{Map, Number};
use tonic::{Code, Status};

use crate::error::{CommandError, ErrorKind};

/// Up to it, each integer is a double.
const LARGEST: u64 = 1 << 53;

/// As the text of an experiment file would have it.
pub(super) fn json_of(object: Struct) -> serde_json::Value {
    let fields = object.fields.into_iter().map(|(name, value)| {
        let value = json_of_value(value);
        let text = value.as_str().filter(|_| name == "seed");
        let number = text.and_then(|text| text.parse::<u64>().ok());
        (name, number.map_or(value, Into::into))
    });
    serde_json::Value::Object(fields.collect::<Map<_, _>>())
}

fn json_of_value(value: Value) -> serde_json::Value {
    match value.kind {
        None | Some(Kind::NullValue(_)) => serde_json::Value::Null,
        Some(Kind::BoolValue(value)) => value.into(),
        Some(Kind::StringValue(value)) => value.into(),
        Some(Kind::NumberValue(value)) => number(value),
        Some(Kind::StructValue(object)) => json_of(object),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(json_of_value).collect(),
    }
}

/// Whole numbers are written without a point.
fn number(value: f64) -> serde_json::Value {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "it was found to be whole, and small enough"
    )]
    if value.fract() == 0.0 && value.abs() <= LARGEST as f64 {
        return (value as i64).into();
    }
    Number::from_f64(value).map_or(serde_json::Value::Null, Into::into)
}

/// The result of a command.
pub(super) fn object_of(value: serde_json::Value) -> Option<Struct> {
    match value_of(value).kind? {
        Kind::StructValue(object) => Some(object),
        Kind::NullValue(_)
        | Kind::NumberValue(_)
        | Kind::StringValue(_)
        | Kind::BoolValue(_)
        | Kind::ListValue(_) => None,
    }
}

fn value_of(value: serde_json::Value) -> Value {
    let kind = match value {
        serde_json::Value::Null => Kind::NullValue(0),
        serde_json::Value::Bool(value) => Kind::BoolValue(value),
        serde_json::Value::Number(number) if number.as_u64().is_some_and(|n| n > LARGEST) => {
            Kind::StringValue(number.to_string())
        }
        serde_json::Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::String(text) => Kind::StringValue(text),
        serde_json::Value::Array(values) => Kind::ListValue(ListValue {
            values: values.into_iter().map(value_of).collect(),
        }),
        serde_json::Value::Object(fields) => Kind::StructValue(Struct {
            fields: fields
                .into_iter()
                .map(|(name, value)| (name, value_of(value)))
                .collect(),
        }),
    };
    Value { kind: Some(kind) }
}

/// The sentence that chaosctl would have printed, with its hints.
pub(super) fn status(error: &CommandError) -> Status {
    let code = match error.kind {
        ErrorKind::Usage => Code::InvalidArgument,
        ErrorKind::Failed | ErrorKind::NothingHit | ErrorKind::Threshold => {
            Code::FailedPrecondition
        }
        ErrorKind::Unreachable => Code::Unavailable,
    };
    let hints = error.hints.iter().map(|hint| format!("\nhint: {hint}"));
    Status::new(
        code,
        format!("{}{}", error.source, hints.collect::<String>()),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_come_back_as_they_went() {
        let value = json!({
            "service": "provider", "duration": "30s", "none": null, "on": true,
            "rules": [{ "delay": { "latency": "100ms" }, "share": 0.5, "ports": [80, -1] }],
        });
        assert_eq!(json_of(object_of(value.clone()).unwrap()), value);
    }

    #[test]
    fn a_seed_that_is_no_double_is_not_rounded() {
        let seed = u64::MAX - 1;
        let object = object_of(json!({ "seed": seed, "name": "7" })).unwrap();
        assert_eq!(
            object.fields["seed"].kind,
            Some(Kind::StringValue(seed.to_string()))
        );
        assert_eq!(json_of(object), json!({ "seed": seed, "name": "7" }));
    }
}
