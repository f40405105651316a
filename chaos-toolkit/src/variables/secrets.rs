//! The secrets of a file: values as they stand, from the environment, and from Vault.

use futures::future::{BoxFuture, FutureExt as _};
use serde_json::{Map, Value};

use super::vault::Vault;
use super::{Environment, VariableError, key_of, pointer};

/// What secrets are found with.
pub(super) struct Loading<'a> {
    pub(super) vault: Vault<'a>,
    pub(super) environment: &'a Environment,
    pub(super) notices: Vec<String>,
}

impl Loading<'_> {
    /// A mapping of secrets, or of groups of them. What was given replaces a mapping of the outermost as a whole.
    pub(super) fn group<'b>(
        &'b mut self,
        entries: &'b Map<String, Value>,
        given: &'b Map<String, Value>,
        place: &'b str,
    ) -> BoxFuture<'b, Result<Map<String, Value>, VariableError>> {
        async move {
            let mut secrets = Map::new();
            for (name, value) in entries {
                let Value::Object(entry) = value else {
                    secrets.insert(name.clone(), value.clone());
                    continue;
                };
                let secret = if let Some(given) = crate::python_value::given(given, name) {
                    given.clone()
                } else {
                    let place = pointer(place, name);
                    match entry.get("type").and_then(Value::as_str) {
                        Some("env") => self.environment_variable(name, entry, &place)?,
                        Some("vault") => self.vault(name, entry).await?,
                        _ => Value::Object(self.group(entry, &Map::new(), &place).await?),
                    }
                };
                secrets.insert(name.clone(), secret);
            }
            Ok(secrets)
        }
        .boxed()
    }

    /// What is at no path, or is empty, is an empty mapping, as in the reference.
    async fn vault(
        &mut self,
        name: &str,
        entry: &Map<String, Value>,
    ) -> Result<Value, VariableError> {
        let nothing = Value::Object(Map::new());
        let Some(path) = entry.get("path").and_then(Value::as_str) else {
            self.notices.push(format!(
                "secret `{name}` is empty: it is of type vault and has no `path`"
            ));
            return Ok(nothing);
        };
        let wrong = |vault: &Vault<'_>, what| VariableError::Vault {
            name: name.to_owned(),
            address: vault.address(),
            what,
        };
        let found = self
            .vault
            .read(path)
            .await
            .map_err(|what| wrong(&self.vault, what))?;
        match entry.get("key") {
            None | Some(Value::Null) => Ok(found),
            Some(key) => {
                let value = key.as_str().and_then(|key| found.get(key)).cloned();
                value.ok_or_else(|| wrong(&self.vault, format!("there is no key {key} at {path}")))
            }
        }
    }

    fn environment_variable(
        &self,
        name: &str,
        entry: &Map<String, Value>,
        place: &str,
    ) -> Result<Value, VariableError> {
        let key = key_of(entry, place)?;
        self.environment
            .get(key)
            .map(Value::String)
            .ok_or_else(|| VariableError::NotSet {
                section: "secret",
                name: name.to_owned(),
                key: key.to_owned(),
                default: false,
            })
    }
}
