//! Where a path leads.

use std::cmp::Ordering;

use serde_json::Value;

use super::{Comparison, Expression, Function, Node, Operand, Step, Subscript, Wrong};
use crate::python_value::{equal, order, truth};

type Found<'a> = &'a mut dyn FnMut(&Value) -> Result<(), Wrong>;

/// Tells of each value, depth first.
pub(super) fn steps(
    steps: &[Step],
    root: &Value,
    current: &Value,
    found: Found<'_>,
) -> Result<(), Wrong> {
    let Some((step, rest)) = steps.split_first() else {
        return found(current);
    };
    for subscript in &step.subscripts {
        subscript.find(root, current, &mut |value| {
            self::steps(rest, root, value, found)
        })?;
    }
    if step.descends {
        children(current, &mut |child| self::steps(steps, root, child, found))?;
    }
    Ok(())
}

fn children(value: &Value, found: Found<'_>) -> Result<(), Wrong> {
    match value {
        Value::Array(items) => items.iter().try_for_each(found),
        Value::Object(entries) => entries.values().try_for_each(found),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

/// As Python counts: from the end if negative.
fn item(value: &Value, index: i64) -> Option<&Value> {
    let Value::Array(items) = value else {
        return None;
    };
    position(index, items.len()).and_then(|position| items.get(position))
}

fn position(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    usize::try_from(if index < 0 { index + length } else { index }).ok()
}

/// A whole number, as Python has them: true is 1.
fn whole(value: &Value) -> Option<i64> {
    value.as_bool().map(i64::from).or_else(|| value.as_i64())
}

impl Subscript {
    fn find(&self, root: &Value, current: &Value, found: Found<'_>) -> Result<(), Wrong> {
        match self {
            Self::Name(name) => current
                .as_object()
                .and_then(|entries| entries.get(name))
                .map_or(Ok(()), found),
            Self::Index(index) => item(current, *index).map_or(Ok(()), found),
            Self::Wildcard => children(current, found),
            Self::Filter(expression) if expression.holds(root, current)? => found(current),
            Self::Filter(_) => Ok(()),
            Self::Node(node) => node.find(root, current, &mut |key| {
                let named = key
                    .as_str()
                    .and_then(|name| current.as_object().and_then(|entries| entries.get(name)));
                named
                    .or_else(|| whole(key).and_then(|index| item(current, index)))
                    .map_or(Ok(()), &mut *found)
            }),
            Self::Slice { start, end, step } => {
                slice(current, *start, *end, step.unwrap_or(1), found)
            }
            Self::Call {
                function,
                arguments,
            } => {
                let mut values = Vec::new();
                for argument in arguments {
                    values.push(argument.values(root, current)?);
                }
                each_choice(&values, &mut Vec::new(), &mut |chosen| match function
                    .call(current, chosen)
                {
                    Some(value) => found(&value),
                    None => Ok(()),
                })
            }
        }
    }
}

/// Each way to take one of each.
fn each_choice<'a>(
    values: &'a [Vec<Value>],
    chosen: &mut Vec<&'a Value>,
    found: &mut dyn FnMut(&[&Value]) -> Result<(), Wrong>,
) -> Result<(), Wrong> {
    let Some((first, rest)) = values.split_first() else {
        return found(chosen);
    };
    for value in first {
        chosen.push(value);
        each_choice(rest, chosen, found)?;
        chosen.pop();
    }
    Ok(())
}

/// Not quite Python's slices: without a start it begins at the first item, whichever way it goes.
fn slice(
    current: &Value,
    start: Option<i64>,
    end: Option<i64>,
    step: i64,
    found: Found<'_>,
) -> Result<(), Wrong> {
    let Value::Array(items) = current else {
        return Ok(());
    };
    if step == 0 {
        return Err(Wrong {
            column: None,
            what: "a slice cannot go in steps of 0".to_owned(),
        });
    }
    let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let start = match start {
        Some(start) if start >= 0 => start,
        Some(start) if -start < length => start + length,
        _ => 0,
    };
    let end = match end {
        None => length,
        Some(end) if end < 0 => end + length,
        Some(end) => end,
    };
    // Numbers that no item has are passed over at once, however many there are.
    let mut index = start;
    while if step > 0 {
        index < end.min(length)
    } else {
        index > end.max(-length - 1)
    } {
        item(current, index).map_or(Ok(()), &mut *found)?;
        let back = step.abs();
        index += step
            * if step < 0 && index > length {
                (index - length + back - 1) / back
            } else {
                1
            };
    }
    Ok(())
}

impl Function {
    fn call(self, current: &Value, arguments: &[&Value]) -> Option<Value> {
        let number = |index: usize| arguments.get(index).and_then(|value| whole(value));
        match (self, current, arguments.len()) {
            (Self::Length, Value::Array(items), 0) => Some(Value::from(items.len())),
            (Self::Length, Value::String(text), 0) => Some(Value::from(text.chars().count())),
            (Self::Keys, Value::Object(entries), 0) => Some(entries.keys().cloned().collect()),
            (Self::Keys, Value::Array(items), 0) => Some((0..items.len()).collect()),
            (Self::Values, Value::Object(entries), 0) => Some(entries.values().cloned().collect()),
            (Self::Values, Value::Array(_), 0) => Some(current.clone()),
            (Self::Entries, Value::Object(entries), 0) => Some(
                entries
                    .iter()
                    .map(|(key, value)| Value::from(vec![Value::from(key.as_str()), value.clone()]))
                    .collect(),
            ),
            (Self::Entries, Value::Array(items), 0) => Some(
                items
                    .iter()
                    .enumerate()
                    .map(|(index, value)| Value::from(vec![Value::from(index), value.clone()]))
                    .collect(),
            ),
            (Self::CharAt, Value::String(text), 1) => {
                let at = position(number(0)?, text.chars().count())?;
                text.chars()
                    .nth(at)
                    .map(|character| Value::from(character.to_string()))
            }
            (Self::Substring, Value::String(text), count @ (1 | 2)) => {
                let length = text.chars().count();
                let bound = |index: i64| position(index, length).unwrap_or(0).min(length);
                let start = bound(number(0)?);
                let end = if count == 2 {
                    bound(number(1)?)
                } else {
                    length
                };
                Some(Value::from(
                    text.chars().take(end).skip(start).collect::<String>(),
                ))
            }
            _ => None,
        }
    }
}

impl Node {
    fn find(&self, root: &Value, current: &Value, found: Found<'_>) -> Result<(), Wrong> {
        steps(
            &self.steps,
            root,
            if self.from_root { root } else { current },
            found,
        )
    }
}

impl Operand {
    fn values(&self, root: &Value, current: &Value) -> Result<Vec<Value>, Wrong> {
        match self {
            Self::Value(value) => Ok(vec![value.clone()]),
            Self::Node(node) => {
                let mut values = Vec::new();
                node.find(root, current, &mut |value| {
                    values.push(value.clone());
                    Ok(())
                })?;
                Ok(values)
            }
        }
    }
}

impl Expression {
    fn holds(&self, root: &Value, current: &Value) -> Result<bool, Wrong> {
        Ok(match self {
            Self::All(all) => {
                for part in all {
                    if !part.holds(root, current)? {
                        return Ok(false);
                    }
                }
                true
            }
            Self::Any(any) => {
                for part in any {
                    if part.holds(root, current)? {
                        return Ok(true);
                    }
                }
                false
            }
            Self::Not(inside) => !inside.holds(root, current)?,
            Self::Some(Operand::Value(value)) => truth(value),
            Self::Some(node) => !node.values(root, current)?.is_empty(),
            Self::Compare(comparison, left, right) => {
                let right = right.values(root, current)?;
                left.values(root, current)?
                    .iter()
                    .any(|left| right.iter().any(|right| comparison.holds(left, right)))
            }
        })
    }
}

impl Comparison {
    /// Only numbers have an order here.
    fn holds(self, left: &Value, right: &Value) -> bool {
        let ordered = || {
            let number = |value: &Value| value.is_number() || value.is_boolean();
            Some(())
                .filter(|()| number(left) && number(right))
                .and_then(|()| order(left, right).ok().flatten())
        };
        match self {
            Self::Equal => equal(left, right),
            Self::NotEqual => !equal(left, right),
            Self::Less => ordered() == Some(Ordering::Less),
            Self::LessOrEqual => ordered().is_some_and(Ordering::is_le),
            Self::Greater => ordered() == Some(Ordering::Greater),
            Self::GreaterOrEqual => ordered().is_some_and(Ordering::is_ge),
        }
    }
}
