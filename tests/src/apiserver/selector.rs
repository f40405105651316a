//! Label and field selectors, parsed and matched as the API server does it.

use serde_json::Value;

use super::{resource::Resource, status::Failure};

/// All of these must hold.
#[derive(Debug, Clone, Default)]
pub(super) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<Field>,
}

#[derive(Debug, Clone)]
struct Requirement {
    key: String,
    operator: Operator,
}

#[derive(Debug, Clone)]
enum Operator {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
}

#[derive(Debug, Clone)]
struct Field {
    path: String,
    value: String,
    equal: bool,
}

impl Selector {
    /// From the two parameters of a request; empty: everything.
    pub(super) fn parse(resource: &Resource, labels: &str, fields: &str) -> Result<Self, Failure> {
        Ok(Self {
            labels: Labels::new(labels).parse()?,
            fields: parse_fields(resource, fields)?,
        })
    }

    /// Whether it asks for nothing.
    pub(super) fn is_any(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether an object is one of these.
    pub(super) fn matches(&self, object: &Value) -> bool {
        self.labels
            .iter()
            .all(|requirement| requirement.matches(object))
            && self.fields.iter().all(|field| field.matches(object))
    }
}

impl Requirement {
    fn matches(&self, object: &Value) -> bool {
        let label = object["metadata"]["labels"][&self.key].as_str();
        match &self.operator {
            Operator::In(values) => {
                label.is_some_and(|label| values.iter().any(|value| value == label))
            }
            Operator::NotIn(values) => {
                label.is_none_or(|label| values.iter().all(|value| value != label))
            }
            Operator::Exists => label.is_some(),
            Operator::Absent => label.is_none(),
        }
    }
}

impl Field {
    fn matches(&self, object: &Value) -> bool {
        let mut at = object;
        for step in self.path.split('.') {
            at = &at[step];
        }
        let is = match at {
            Value::String(text) => text.clone(),
            Value::Null if self.path.ends_with("hostNetwork") => "false".to_owned(),
            Value::Null => String::new(),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                at.to_string()
            }
        };
        (is == self.value) == self.equal
    }
}

fn parse_fields(resource: &Resource, text: &str) -> Result<Vec<Field>, Failure> {
    let mut fields = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (path, value, equal) = if let Some((path, value)) = part.split_once("!=") {
            (path, value, false)
        } else if let Some((path, value)) = part.split_once("==") {
            (path, value, true)
        } else if let Some((path, value)) = part.split_once('=') {
            (path, value, true)
        } else {
            let message = format!("invalid selector: '{text}'; can't understand '{part}'");
            return Err(Failure::bad_request(&message));
        };
        let known = path == "metadata.name"
            || (path == "metadata.namespace" && resource.namespaced)
            || resource.fields.contains(&path);
        if !known {
            let message = match resource.group {
                "" | "events.k8s.io" => format!("field label not supported: {path}"),
                _ => format!(
                    "\"{path}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
                ),
            };
            return Err(Failure::bad_request(&message));
        }
        fields.push(Field {
            path: path.to_owned(),
            value: value.to_owned(),
            equal,
        });
    }
    Ok(fields)
}

/// A reader of label selectors; its words in errors are those of the real one.
struct Labels<'text> {
    tokens: Vec<Token<'text>>,
    next: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'text> {
    Word(&'text str),
    Mark(&'text str),
}

impl<'text> Labels<'text> {
    fn new(text: &'text str) -> Self {
        let mut tokens = Vec::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let mark = ["!=", "==", "=", "!", "(", ")", ",", ">", "<"]
                .into_iter()
                .find(|mark| rest.starts_with(mark));
            let end = mark.map_or_else(
                || {
                    rest.find(|c: char| c.is_whitespace() || "=!(),<>".contains(c))
                        .unwrap_or(rest.len())
                },
                str::len,
            );
            let (token, after) = rest.split_at(end);
            tokens.push(if mark.is_some() {
                Token::Mark(token)
            } else {
                Token::Word(token)
            });
            rest = after.trim_start();
        }
        Self { tokens, next: 0 }
    }

    fn peek(&self) -> Option<Token<'text>> {
        self.tokens.get(self.next).copied()
    }

    fn take(&mut self) -> Option<Token<'text>> {
        let token = self.peek();
        self.next += 1;
        token
    }

    fn parse(mut self) -> Result<Vec<Requirement>, Failure> {
        let mut all = Vec::new();
        while self.peek().is_some() {
            all.push(self.requirement()?);
            match self.take() {
                None => break,
                Some(Token::Mark(","))
                    if matches!(self.peek(), Some(Token::Word(_) | Token::Mark("!"))) => {}
                Some(Token::Mark(",")) => {
                    return Err(unexpected(self.peek(), "identifier after ','"));
                }
                other => return Err(unexpected(other, "',' or 'end of string'")),
            }
        }
        Ok(all)
    }

    fn requirement(&mut self) -> Result<Requirement, Failure> {
        let absent = self.peek() == Some(Token::Mark("!"));
        if absent {
            self.take();
        }
        let key = match self.take() {
            Some(Token::Word(key)) => key.to_owned(),
            other if absent => return Err(unexpected(other, "identifier")),
            other => return Err(unexpected(other, "!, identifier, or 'end of string'")),
        };
        check_key(&key)?;
        if absent {
            return Ok(Requirement {
                key,
                operator: Operator::Absent,
            });
        }
        let operator = match self.peek() {
            None | Some(Token::Mark(",")) => Operator::Exists,
            Some(Token::Mark("=" | "==")) => Operator::In(vec![self.value()?]),
            Some(Token::Mark("!=")) => Operator::NotIn(vec![self.value()?]),
            Some(Token::Word("in")) => Operator::In(self.values()?),
            Some(Token::Word("notin")) => Operator::NotIn(self.values()?),
            other => {
                return Err(unexpected(other, "in, notin, =, ==, !=, gt, lt"));
            }
        };
        Ok(Requirement { key, operator })
    }

    fn value(&mut self) -> Result<String, Failure> {
        self.take();
        match self.peek() {
            // `key=` asks for the empty value.
            None | Some(Token::Mark(",")) => Ok(String::new()),
            Some(Token::Word(word)) => {
                self.take();
                check_value(word)?;
                Ok(word.to_owned())
            }
            other => Err(unexpected(other, "identifier")),
        }
    }

    fn values(&mut self) -> Result<Vec<String>, Failure> {
        self.take();
        match self.take() {
            Some(Token::Mark("(")) => {}
            other => return Err(unexpected(other, "'('")),
        }
        let mut values = Vec::new();
        loop {
            match self.take() {
                Some(Token::Word(word)) => {
                    check_value(word)?;
                    values.push(word.to_owned());
                }
                Some(Token::Mark(",")) => {}
                Some(Token::Mark(")")) => return Ok(values),
                other => return Err(unexpected(other, "',', ')' or identifier")),
            }
        }
    }
}

fn unexpected(found: Option<Token<'_>>, expected: &str) -> Failure {
    let found = match found {
        Some(Token::Word(text) | Token::Mark(text)) => text,
        None => "",
    };
    Failure::bad_request(&format!("found '{found}', expected: {expected}"))
}

fn check_key(key: &str) -> Result<(), Failure> {
    let name = key.rsplit('/').next().unwrap_or_default();
    if is_name(name) && key.matches('/').count() <= 1 {
        return Ok(());
    }
    Err(Failure::bad_request(&format!(
        "unable to parse requirement: key: Invalid value: \"{key}\": name part must consist of alphanumeric characters, \
         '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or \
         '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
    )))
}

fn check_value(value: &str) -> Result<(), Failure> {
    if is_name(value) {
        return Ok(());
    }
    Err(Failure::bad_request(&format!(
        "unable to parse requirement: values[0][]: Invalid value: \"{value}\": a valid label must be an empty string or \
         consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
    )))
}

/// A label's value, or the name part of its key.
fn is_name(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (1..=63).contains(&text.len())
        && text.chars().all(inner)
        && !text.starts_with(|c: char| !c.is_ascii_alphanumeric())
        && !text.ends_with(|c: char| !c.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::apiserver::resource;

    fn matches(labels: &str, fields: &str) -> bool {
        let pods = resource::of_kind("Pod").unwrap();
        let pod = json!({
            "metadata": {"name": "a", "namespace": "demo", "labels": {"app": "web", "tier": "front"}},
            "spec": {"nodeName": "node-b"},
        });
        Selector::parse(pods, labels, fields).unwrap().matches(&pod)
    }

    #[test]
    fn labels_are_chosen_by_value_set_and_presence() {
        for yes in [
            "",
            "app=web",
            "app==web,tier",
            "app in (api, web)",
            "app notin (api),!gone",
            "gone!=1",
            " app = web ",
        ] {
            assert!(matches(yes, ""), "{yes}");
        }
        for no in ["app=api", "!app", "app notin (web)", "gone", "app="] {
            assert!(!matches(no, ""), "{no}");
        }
    }

    #[test]
    fn fields_are_chosen_by_value() {
        assert!(matches("", "spec.nodeName=node-b,metadata.namespace!=x"));
        assert!(!matches("", "metadata.name==b"));
    }

    #[test]
    fn what_the_real_one_refuses_is_refused_in_its_words() {
        let pods = resource::of_kind("Pod").unwrap();
        let text = |labels: &str, fields: &str| {
            let failure = Selector::parse(pods, labels, fields).unwrap_err();
            failure.status()["message"].as_str().unwrap().to_owned()
        };
        assert_eq!(
            text("==bad !", ""),
            "found '==', expected: !, identifier, or 'end of string'"
        );
        assert_eq!(
            text("", "spec.foo=1"),
            "field label not supported: spec.foo"
        );
    }
}
