//! Providers: who does the work of an activity, and what they must be told.

use std::env;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::keys::{self, Keys};
use super::report::{Asked, At, Report, is_nothing, kind, shown};

/// The types of providers that activities may have.
pub(super) const OF_ACTIVITIES: [&str; 4] = ["python", "process", "http", "chaos"];
/// Those of guards, which must be quick and change nothing.
pub(super) const OF_GUARDS: [&str; 3] = ["http", "process", "prometheus"];

/// Where programs are looked for if nothing says where.
const USUAL_PATH: &str = "/bin:/usr/bin";

/// Looks at a provider, which must be of one of these types.
pub(super) fn check<'a>(
    report: &mut Report<'a>,
    activity: &At<'a>,
    provider: &At<'a>,
    types: &[&str],
) {
    let Some(provider) = report.mapping(provider, "a provider") else {
        return;
    };
    let Some(of) = report.required(&provider, "type", "a provider", &keys::PROVIDER) else {
        return;
    };
    let said = of.value.as_str().filter(|said| types.contains(said));
    let known = match said {
        Some("process") => process(report, &provider),
        Some("http") => http(report, &provider),
        Some("python") => python(report, activity, &provider),
        Some("prometheus") => prometheus(report, &provider),
        Some("chaos") => return chaos(report, &provider),
        Some(_) | None => return report.one_of(&of, "a type of provider here", types),
    };
    keys::look(report, &provider, known);
}

fn process<'a>(report: &mut Report<'a>, provider: &At<'a>) -> &'static Keys {
    let known = &keys::PROCESS;
    let Some(path) = report.required(provider, "path", known.of, known) else {
        return known;
    };
    let Value::String(name) = path.value else {
        report.not_text(&path.pointer, "the path of a process", path.value);
        return known;
    };
    if let Err(unfound) = find(name, env::var_os("PATH")) {
        let shown = shown(path.value);
        let (what, instead) = match unfound {
            Unfound::NoFile => (format!("there is no file `{shown}`"), None),
            Unfound::NotRun(file) => (
                format!("`{}` is no program that may be run", file.display()),
                Some(format!("make it one with chmod +x {}", file.display())),
            ),
            Unfound::NotInPath => (
                format!("no directory of PATH has a program `{shown}`"),
                None,
            ),
        };
        let problem = report.wrong(&path.pointer, what);
        problem.instead = instead.or_else(|| {
            let hint = if name.starts_with('~') {
                "write the whole path: `~` is not looked at here"
            } else if name.contains("${") {
                "write it out: names are not replaced here"
            } else if name.contains(char::is_whitespace) {
                "write what comes after the program as `arguments`"
            } else {
                return None;
            };
            Some(hint.to_owned())
        });
    }
    known
}

/// Why there is no such program.
#[derive(Debug, PartialEq, Eq)]
enum Unfound {
    NoFile,
    NotRun(PathBuf),
    NotInPath,
}

/// Finds a program as `shutil.which` of Python does: a name with a slash is a path.
fn find(name: &str, path: Option<OsString>) -> Result<PathBuf, Unfound> {
    let is_file = |file: &Path| file.metadata().is_ok_and(|file| file.is_file());
    let is_run = |file: &Path| {
        let mode = file.metadata().map(|file| file.permissions().mode());
        is_file(file) && mode.is_ok_and(|mode| mode & 0o111 != 0)
    };
    if name.contains('/') {
        let file = PathBuf::from(name);
        return match (is_run(&file), is_file(&file)) {
            (true, _) => Ok(file),
            (false, true) => Err(Unfound::NotRun(file)),
            (false, false) => Err(Unfound::NoFile),
        };
    }
    let path = path.unwrap_or_else(|| USUAL_PATH.into());
    let files = || env::split_paths(&path).map(|directory| directory.join(name));
    if let Some(file) = files().find(|file| is_run(file)) {
        return Ok(file);
    }
    let unfound = files().find(|file| is_file(file)).map(Unfound::NotRun);
    Err(unfound.unwrap_or(Unfound::NotInPath))
}

fn http<'a>(report: &mut Report<'a>, provider: &At<'a>) -> &'static Keys {
    let known = &keys::HTTP;
    if let Some(url) = report.required(provider, "url", known.of, known) {
        address(report, &url);
    }
    headers(report, provider);
    known
}

fn headers(report: &mut Report<'_>, provider: &At<'_>) {
    if let Some(headers) = provider.key("headers")
        && !is_nothing(headers.value)
        && !headers.value.is_object()
    {
        let what = format!("headers are a mapping, and this is {}", kind(headers.value));
        report
            .wrong(&headers.pointer, what)
            .or("write each as `Name: value`");
    }
}

/// Warns of an address that is none; the reference sees that when it asks there.
fn address(report: &mut Report<'_>, url: &At<'_>) {
    let text = url.value.as_str();
    let is_address = |text: &str| {
        ["http://", "https://"]
            .iter()
            .any(|begin| text.starts_with(begin))
            || text.contains("${")
    };
    if !text.is_some_and(is_address) {
        let what = format!(
            "`{}` is no address of http or https, and this will fail",
            shown(url.value)
        );
        report
            .warn(&url.pointer, what)
            .or("write http://... or https://...");
    }
}

fn prometheus<'a>(report: &mut Report<'a>, provider: &At<'a>) -> &'static Keys {
    let known = &keys::PROMETHEUS;
    for key in ["url", "query"] {
        if let Some(value) = report.required(provider, key, known.of, known) {
            if !value.value.is_string() {
                let of = format!("the `{key}` of {}", known.of);
                report.not_text(&value.pointer, &of, value.value);
            } else if key == "url" {
                address(report, &value);
            }
        }
    }
    headers(report, provider);
    known
}

fn python<'a>(report: &mut Report<'a>, activity: &At<'a>, provider: &At<'a>) -> &'static Keys {
    let known = &keys::PYTHON;
    let mut whole = true;
    for (key, of) in [
        ("module", "the module of a provider"),
        ("func", "the function of a provider"),
    ] {
        match report.required(provider, key, known.of, known) {
            Some(name) if !name.value.is_string() => {
                report.not_text(&name.pointer, of, name.value);
                whole = false;
            }
            Some(_) => {}
            None => whole = false,
        }
    }
    if let Some(arguments) = provider.key("arguments")
        && !arguments.value.is_object()
    {
        let what = format!(
            "the arguments of a function are a mapping of its parameters, and this is {}",
            kind(arguments.value)
        );
        report.wrong(&arguments.pointer, what);
        whole = false;
    }
    secrets(report, provider);
    if let (true, Some(map)) = (whole, activity.map()) {
        report.asked.push(Asked {
            whole: map,
            control: false,
            provider: provider.pointer.clone(),
        });
    }
    known
}

/// The groups of secrets that a function asks for. One that is not there is no error of the reference's.
fn secrets(report: &mut Report<'_>, provider: &At<'_>) {
    let declared = report.document.value.get("secrets");
    let declared = declared.and_then(Value::as_object);
    let declared: Vec<_> = declared
        .into_iter()
        .flat_map(|groups| groups.keys().map(String::as_str))
        .collect();
    let asked = provider.key("secrets");
    for name in asked.into_iter().flat_map(|asked| asked.items()) {
        if let Some(said) = name.value.as_str()
            && !declared.contains(&said)
        {
            let what = format!("the experiment has no secrets called `{said}`");
            let meant = keys::nearest(said, &declared).map(|meant| format!("write `{meant}`"));
            report.warn(&name.pointer, what).instead = meant;
        }
    }
}

fn chaos<'a>(report: &mut Report<'a>, provider: &At<'a>) {
    if let (Some(faults), Some(map)) = (report.faults, provider.map())
        && let Err(problem) = faults.check(map)
    {
        match problem.key {
            // A key in keys has a path of them.
            Some(key) => {
                let pointer = format!("{}/{key}", provider.pointer);
                report.wrong(&pointer, problem.what).instead = problem.instead;
            }
            None => report.wrong(&provider.pointer, problem.what).instead = problem.instead,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{File, Permissions, set_permissions};

    use super::*;

    #[test]
    fn programs_are_found_where_python_finds_them() {
        let directory = tempfile::tempdir().unwrap();
        let path = Some(directory.path().as_os_str().to_owned());
        let file = |name: &str, mode| {
            let file = directory.path().join(name);
            File::create(&file).unwrap();
            set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            file
        };
        let run = file("run", 0o755);
        let kept = file("kept", 0o644);
        assert_eq!(find("run", path.clone()), Ok(run.clone()));
        assert_eq!(find(run.to_str().unwrap(), None), Ok(run));
        assert_eq!(find("kept", path.clone()), Err(Unfound::NotRun(kept)));
        assert_eq!(find("none", path), Err(Unfound::NotInPath));
        assert_eq!(find("/none", None), Err(Unfound::NoFile));
        assert!(find("sh", None).is_ok());
    }
}
