//! What `deploy/` gives a cluster: roles and the policy. Tests use these, so that they are enough.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde_json::Value;

/// The object of this kind and name in a file of the base.
pub fn object(file: &str, kind: &str, name: &str) -> Result<Value> {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/kubernetes/base");
    let path = base.join(file);
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    for document in text.split("\n---\n") {
        let object: Value =
            serde_saphyr::from_str(document).with_context(|| format!("read {}", path.display()))?;
        if object["kind"] == kind && object["metadata"]["name"] == name {
            return Ok(object);
        }
    }
    anyhow::bail!("{} has no {kind} {name}", path.display())
}
