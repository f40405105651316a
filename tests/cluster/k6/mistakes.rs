//! What the module refuses: an exception with a sentence.

use std::{fs, process::Command, time::Duration};

use anyhow::Result;
use chaos_tests::{lab::Output, programs::k6, requires};

use super::{command, logged, run};
use crate::run::{SERVICE, Scene};

/// Each as somebody may write it, and what is said.
const MISTAKES: [(&str, &str); 19] = [
    ("new PodDisruptor({})", "cannot all be empty"),
    ("new PodDisruptor(null)", "expects a non null PodSelector"),
    (
        "new PodDisruptor({ select: { label: { a: 'b' } } })",
        "unknown field label of select of a selector",
    ),
    ("new ServiceDisruptor('')", "must specify a service name"),
    (
        "new ServiceDisruptor('a', 'b', { timeout: 1 })",
        "unknown field timeout of the options of a disruptor",
    ),
    (
        "service.injectHTTPFaults({ errorRate: 0.1 })",
        "HTTPFault and duration are required",
    ),
    (
        "service.injectHTTPFaults('slow', 1)",
        "an HTTP fault is to be an object",
    ),
    (
        "service.injectHTTPFaults({ errorCde: 500 }, 1)",
        "unknown field errorCde",
    ),
    (
        "service.injectHTTPFaults({ errorRate: 0.1 }, 1)",
        "error-code",
    ),
    (
        "service.injectHTTPFaults({ errorRate: 1.5, errorCode: 500 }, 1)",
        "share `1.5` is above 1",
    ),
    (
        "service.injectHTTPFaults({ averageDelay: '1' }, 1)",
        "has no unit",
    ),
    (
        "service.injectHTTPFaults({ averageDelay: '1s' }, 'soon')",
        "duration",
    ),
    (
        "service.injectHTTPFaults({ averageDelay: '1s', port: 99 }, 1)",
        "99",
    ),
    (
        "service.injectGrpcFaults({ statusCde: 14 }, 1)",
        "unknown field statusCde of a gRPC fault",
    ),
    (
        "service.injectNetworkFaults({ port: 80, protcol: 'tcp' }, 1)",
        "unknown field protcol",
    ),
    (
        "service.injectNetworkFaults({ dely: { latency: 1 } }, 1)",
        "did you mean `delay`?",
    ),
    (
        "service.terminatePods()",
        "PodTermination fault is required",
    ),
    (
        "service.terminatePods({ count: '0' })",
        "count `0` is not one",
    ),
    (
        "new ServiceDisruptor('provder', 'demo').targets()",
        "there is no service `provder`",
    ),
];

#[test]
fn mistakes_are_exceptions_with_a_sentence() {
    requires!("k6");
    mistakes().unwrap();
}

fn mistakes() -> Result<()> {
    let scene = Scene::new(1, 1)?;
    let calls = MISTAKES
        .map(|(call, _)| format!("() => {call}"))
        .join(",\n");
    let script = format!(
        r"
        import {{ PodDisruptor, ServiceDisruptor }} from './chaos.js';
        export default function () {{
          const service = new ServiceDisruptor('{SERVICE}', 'demo');
          const said = [{calls}].map((mistake) => {{
            try {{ mistake(); return 'nothing'; }} catch (error) {{ return error.message; }}
          }});
          console.log(JSON.stringify({{ said }}));
        }}"
    );
    let output = run(&scene, &script)?;
    assert_eq!(output.code, Some(0), "{output:?}");
    let said = logged(&output)?["said"].clone();
    let other = MISTAKES
        .iter()
        .enumerate()
        .filter_map(|(index, (call, words))| {
            let said = said[index].as_str().unwrap_or_default();
            (!said.contains(words)).then(|| format!("{call}: {said}"))
        });
    let other: Vec<_> = other.collect();
    assert!(other.is_empty(), "{}", other.join("\n"));
    assert!(scene.experiments("node-000").is_empty());
    Ok(())
}

#[test]
fn a_server_that_is_not_there_is_said() {
    requires!("k6");
    lonely().unwrap();
}

fn lonely() -> Result<()> {
    let mut k6 = Command::new(k6()?);
    let directory = tempfile::tempdir()?;
    let module = Output::of(command(&["k6-module"])?, Duration::from_secs(20))?;
    fs::write(directory.path().join("chaos.js"), &module.stdout)?;
    let lonely = "import { ServiceDisruptor } from './chaos.js';
        export default function () { new ServiceDisruptor('a', 'b').targets(); }";
    fs::write(directory.path().join("lonely.js"), lonely)?;
    // Nothing can listen at port 0.
    k6.args([
        "run",
        "--quiet",
        "--no-usage-report",
        "--address",
        "127.0.0.1:0",
    ])
    .arg(directory.path().join("lonely.js"))
    .env("CHAOS_SERVE", "127.0.0.1:0")
    .env("HOME", directory.path());
    let output = Output::of(k6, Duration::from_mins(1))?;
    let wanted = "chaosctl serve does not answer at 127.0.0.1:0";
    assert!(output.stderr.contains(wanted), "{output:?}");
    Ok(())
}
