//! The program that boots virtual machines: virtme-ng, in a Python environment of its own.

use std::path::PathBuf;

use anyhow::Result;

use super::python::Environment;
use crate::workspace;

const VIRTME_NG: &str = "virtme-ng==1.42";

/// The program that starts virtual machines, once [`virtme`] has put it there.
pub(crate) fn vng() -> PathBuf {
    workspace::tools().join("venv/bin/vng")
}

pub(super) fn virtme() -> Result<()> {
    if vng().is_file() {
        return Ok(());
    }
    println!(
        "setup: installing {VIRTME_NG} from PyPI: it boots other kernels over this machine's files"
    );
    Environment::new(workspace::tools().join("venv"))?.pip(&["install", VIRTME_NG])
}
