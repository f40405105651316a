//! Every option of every verb with values that nobody means: our sentence, or for a name how to give it all the same.

use crate::agent::Agent;
use crate::chaosctl::{chaosctl, finish, run};
use crate::script::Script;

/// Options whose values are words and names, which may be anything or are listed by clap.
const WORDS: &[&str] = &[
    "--svc",
    "--pod",
    "--selector",
    "--deployment",
    "--statefulset",
    "--daemonset",
    "--node-selector",
    "--container",
    "--context",
    "--kubeconfig",
    "--agent-namespace",
    "--tls-ca",
    "--tls-cert",
    "--tls-key",
    "--token",
    "--service-account",
    "--netns",
    "--cgroup",
    "--namespace",
    "--inventory",
    "--interface",
    "--name",
    "--distribution",
    "--direction",
    "--proto",
    "--connections",
    "--ecn",
    "--output",
    "--server",
    "--socket",
];

/// The options of a verb that take a value, as its help has them.
fn options(verb: &str) -> Vec<String> {
    let help = finish(&mut chaosctl(&[verb, "--help"])).stdout;
    let with_value = |line: &str| {
        let words = line.trim();
        let words = match words.split_once(", ") {
            Some((short, long)) if short.len() == 2 => long,
            _ => words,
        };
        let (option, value) = words.split_once(' ')?;
        (option.starts_with("--") && value.starts_with('<')).then(|| option.to_owned())
    };
    help.lines().filter_map(with_value).collect()
}

#[test]
fn no_number_leaves_its_option_to_clap() {
    let agent = Agent::start(Script::default());
    let mut tried = 0;
    for verb in [
        "delay 5ms",
        "loss 5",
        "duplicate 5",
        "reorder 5",
        "corrupt 5",
        "rate 10mbit",
        "partition",
        "reset",
        "rewrite",
        "dns nxdomain",
    ] {
        let name = verb.split(' ').next().unwrap();
        for option in options(name) {
            for value in ["-1", "-abc", "", "abc"] {
                let mut words: Vec<_> = verb.split(' ').collect();
                if option != "--pid" {
                    words.extend(["--netns", "web"]);
                }
                words.extend([option.as_str(), value]);
                let is_word = WORDS.contains(&option.as_str());
                if is_word && value != "-1" {
                    continue;
                }
                // The name of a port is one of a service; whether there is one is known later.
                if option == "--port" && value == "abc" {
                    continue;
                }
                // From 1 on, a length has no end.
                if option == "--length" && value == "-1" {
                    continue;
                }
                let finished = run(&agent, &words);
                let said = &finished.stderr;
                assert_eq!(finished.code, Some(2), "{words:?}\n{said}");
                assert_eq!(said.lines().count(), 1, "{words:?}\n{said}");
                let what = if is_word {
                    format!("write {option}={value}")
                } else {
                    format!("`{value}` ")
                };
                assert!(said.contains(&what), "{words:?}\n{said}");
                tried += 1;
            }
        }
    }
    assert!(tried > 500, "{tried} values");
    assert_eq!(agent.calls(), []);
}

#[test]
fn a_flag_does_not_take_the_value_behind_it() {
    let agent = Agent::start(Script::default());
    for (words, sentence) in [
        (
            "delay --reorder -5ms --netns web",
            "latency `-5ms` is negative: ",
        ),
        ("dns --netns web -1", "answer `-1` is not one: "),
        (
            "delay 5ms --duration --netns web",
            "--duration lacks its value: --netns is another option",
        ),
        (
            "delay 5ms --interface -1 --netns web",
            "`-1` begins as an option does: to give it to --interface all the same, write --interface=-1",
        ),
    ] {
        let finished = run(&agent, &words.split(' ').collect::<Vec<_>>());
        let said = finished.stderr.strip_prefix("error: ").unwrap_or_default();
        assert!(said.starts_with(sentence), "{words}\n{}", finished.stderr);
    }
}
