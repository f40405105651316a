//! `chaosctl doctor`.

use chaos_proto::v1::{AttachMode, DescribeResponse, Feature, LineEngine};

use crate::agent::Agent;
use crate::chaosctl::{documented, run, text};
use crate::script::Script;

fn script() -> Script {
    let feature = |name: &str, available, used, detail: &str| Feature {
        name: name.to_owned(),
        available,
        used,
        detail: detail.to_owned(),
    };
    Script {
        describe: DescribeResponse {
            agent_version: "0.1.0".to_owned(),
            kernel_release: "6.18.0".to_owned(),
            node_name: "node-1".to_owned(),
            attach_mode: AttachMode::Tcx.into(),
            line_engine: LineEngine::Tap.into(),
            features: vec![
                feature("tcx", true, true, "Linux 6.6 or later"),
                feature("fq", false, false, "this kernel has no sch_fq"),
            ],
        },
        ..Script::default()
    }
}

#[test]
fn a_kernel_that_cannot_delay_is_told_with_the_reason() {
    let mut script = script();
    script.describe.line_engine = LineEngine::Unspecified.into();
    let agent = Agent::start(script);
    let finished = run(&agent, &["doctor"]);
    for line in [
        "Delay line: nothing works: no delay can be applied\n",
        "fq       no         no    this kernel has no sch_fq\n",
    ] {
        assert!(finished.stdout.contains(line), "{finished:?}");
    }
    assert_eq!(finished.code, Some(0));
    let json = run(&agent, &["doctor", "-o", "json"]).json();
    assert_eq!(json["agent"]["line_engine"], serde_json::Value::Null);
}

#[test]
fn features_are_shown_with_what_is_used() {
    let agent = Agent::start(script());
    let finished = run(&agent, &["doctor"]);
    assert_eq!(
        finished.stdout.replace(text(&agent.socket()), "SOCKET"),
        "\
Agent:      chaos-daemon 0.1.0 at SOCKET
Node:       node-1, kernel 6.18.0
Attach:     tcx
Delay line: tap

FEATURE  AVAILABLE  USED  DETAIL
tcx      yes        yes   Linux 6.6 or later
fq       no         no    this kernel has no sch_fq
"
    );
    assert_eq!((finished.stderr.as_str(), finished.code), ("", Some(0)));
    let mut json = run(&agent, &["doctor", "-o", "json"]).json();
    json["agent"]["address"] = "/run/chaos/chaos.sock".into();
    assert_eq!(json, documented("## doctor"));
}
