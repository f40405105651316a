//! Command lines that cannot be right: exit code 2, one sentence, nothing asked of the agent.

use crate::agent::Agent;
use crate::chaosctl::{chaosctl, finish, run};
use crate::script::Script;

/// Command lines and how our sentence about each begins.
const OURS: &[(&str, &str)] = &[
    (
        "delay 5ms --netns web -n shop",
        "--netns is in no namespace of Kubernetes: leave out --namespace",
    ),
    (
        "delay 5ms --netns web --mode one",
        "--mode is for a cluster, and this goes to one host: ",
    ),
    (
        "delay 5ms --svc web --mode two",
        "mode `two` is not one: give all, one, fixed=N",
    ),
    (
        "delay 5ms --netns web --context c",
        "--netns points at something of one host, which no cluster knows: ",
    ),
    (
        "delay 5ms --svc web --port http",
        "port `http` is a name, and only ports of services and pods in a cluster have names: ",
    ),
    (
        "delay 5ms --netns web --peer provider",
        "peer `provider` is not one: give an address or CIDR",
    ),
    (
        "delay 5ms --netns web --peer svc/db",
        "peer `svc/db` is of a cluster, and this goes to one host: ",
    ),
    (
        "delay -5ms --netns web",
        "latency `-5ms` is negative: give a number above 0",
    ),
    (
        "delay --netns web -5ms",
        "latency `-5ms` is negative: give a number above 0",
    ),
    ("delay -1 --netns web", "latency `-1` is negative: "),
    ("delay -.5s --netns web", "latency `-.5s` is negative: "),
    ("delay 0ms --netns web", "latency `0ms` is zero: "),
    ("delay 0 --netns web", "latency `0` is zero: "),
    ("delay 100 --netns web", "latency `100` has no unit: "),
    (
        "delay 100parsecs --netns web",
        "latency `100parsecs` has the unknown unit `parsecs`: ",
    ),
    (
        "delay 0.5ns --netns web",
        "latency `0.5ns` is finer than a nanosecond: ",
    ),
    (
        "delay 99999999999h --netns web",
        "latency `99999999999h` is too large: ",
    ),
    (
        "delay fast --netns web",
        "latency `fast` is not a number with a unit: ",
    ),
    (
        "delay 5ms --netns web --duration -1s",
        "duration `-1s` is negative: ",
    ),
    (
        "delay 5ms --netns web --duration=-1s",
        "duration `-1s` is negative: ",
    ),
    (
        "delay 5ms --netns web --duration 0s",
        "duration `0s` is zero: ",
    ),
    (
        "delay 5ms --netns web --jitter -1ms",
        "jitter `-1ms` is negative: ",
    ),
    (
        "delay 5ms --netns web --grace -1s",
        "grace period `-1s` is negative: ",
    ),
    ("delay 5ms --netns web --seed -1", "seed `-1` is negative: "),
    ("delay 5ms --pid -1", "process id `-1` is negative: "),
    ("delay 5ms --pid 0", "process id `0` is not one: "),
    (
        "delay 5ms --netns web --port 0",
        "port `0` is zero: give ports from 1 to 65535",
    ),
    (
        "delay 5ms --netns web --port 80,65536",
        "port `65536` is too large: ",
    ),
    (
        "delay 5ms --netns web --port 90-80",
        "port `90-80` ends before it starts: ",
    ),
    (
        "delay 5ms --netns web --port Http",
        "port `Http` is not one: ",
    ),
    ("delay 5ms --netns web --port 80,,90", "port `` is empty: "),
    (
        "delay 5ms --netns web --peer 10.0.0.0/33",
        "peer `10.0.0.0/33` is not one: give an address",
    ),
    (
        "loss -1 --netns web",
        "percentage `-1` is negative: give a percentage above 0",
    ),
    ("loss -0.5% --netns web", "percentage `-0.5%` is negative: "),
    ("loss 0 --netns web", "percentage `0` is zero: "),
    ("loss 101% --netns web", "percentage `101%` is too large: "),
    (
        "loss 0.00001 --netns web",
        "percentage `0.00001` is finer than 0.0001 %: ",
    ),
    (
        "loss 30 % --netns web",
        "`30 %` is two arguments: write 30% without a space",
    ),
    (
        "delay 1.5 ms --netns web",
        "`1.5 ms` is two arguments: write 1.5ms without a space",
    ),
    (
        "delay 5ms --netns web --duration 30 s",
        "`30 s` is two arguments: write 30s without a space",
    ),
    ("loss half --netns web", "percentage `half` is not one: "),
    (
        "delay 5ms",
        "the command does not say where: give one of --svc, --pod, --selector, --deployment, --statefulset, --daemonset, --node, --node-selector, --netns, --pid and --cgroup",
    ),
    (
        "delay --netns web",
        "delay does not say how long to hold packets: give a latency",
    ),
    (
        "loss --netns web",
        "loss does not say how many packets to drop: give a percentage",
    ),
    (
        "duplicate --netns web",
        "duplicate does not say how many packets to send twice: ",
    ),
    (
        "reorder --netns web",
        "reorder does not say how many packets to hold back: ",
    ),
    (
        "corrupt --netns web",
        "corrupt does not say how many packets to corrupt: ",
    ),
    ("rate --netns web", "rate does not say how much may pass: "),
    (
        "delay 5ms --netns web --distribution normal",
        "delay does not say how wide the distribution is: give a jitter",
    ),
    (
        "delay 5ms --netns web --distribution x.txt",
        "delay cannot take a file of latencies together with a latency: ",
    ),
    (
        "delay --netns web --jitter 1ms --distribution x.txt",
        "delay cannot take a file of latencies together with a jitter: ",
    ),
    (
        "delay 100ms --netns web --ramp 0..200ms/30s",
        "delay cannot take a latency together with a ramp that ends at another: ",
    ),
    (
        "delay --netns web --ramp 200ms/30s",
        "ramp `200ms/30s` is not one: give the first and the last latency",
    ),
    (
        "delay 5ms --netns web --correlation 100",
        "correlation `100` is too large: ",
    ),
    (
        "delay 5ms --netns web --correlation -1",
        "correlation `-1` is negative: ",
    ),
    (
        "loss 5 --netns web --burst 1,10",
        "loss cannot take burst together with a percentage: ",
    ),
    (
        "loss --netns web --every 5 --first 5",
        "loss cannot take every together with first: ",
    ),
    (
        "loss --netns web --every 5 --correlation 5",
        "loss cannot take every together with a correlation: ",
    ),
    (
        "loss --netns web --burst 1",
        "burst model `1` is not one: give p,r",
    ),
    (
        "loss --netns web --burst -1,10",
        "burst model `-1,10` is negative: ",
    ),
    (
        "loss --netns web --every 0",
        "number of packets `0` is zero: ",
    ),
    (
        "rate 10 --netns web",
        "rate `10` has no unit: give bits or bytes a second",
    ),
    (
        "rate 10mbps --netns web",
        "rate `10mbps` has the unknown unit `mbps`: ",
    ),
    ("rate -1mbit --netns web", "rate `-1mbit` is negative: "),
    (
        "rate 10 mbit --netns web",
        "`10 mbit` is two arguments: write 10mbit without a space",
    ),
    (
        "rate 10mbit --netns web --burst 64",
        "size `64` has no unit: ",
    ),
    (
        "rate 10mbit --netns web --burst -1kB",
        "size `-1kB` is negative: ",
    ),
    ("duplicate -5 --netns web", "percentage `-5` is negative: "),
    ("reorder 5 --netns web --gap -1", "gap `-1` is negative: "),
    (
        "reorder 5 --netns web --by 0ms",
        "time by which packets are held back `0ms` is zero: ",
    ),
    (
        "partition --netns web --pulse 2s",
        "pulse `2s` is not one: give how long",
    ),
    (
        "partition --netns web --match-dscp 64",
        "DSCP `64` is too large: give 0 to 63, ef",
    ),
    (
        "partition --netns web --length 9-5",
        "length `9-5` ends before it starts: ",
    ),
    (
        "partition --netns web --except host",
        "exception `host` is not one: ",
    ),
    (
        "partition --netns web --percent-flows 0",
        "percentage `0` is zero: ",
    ),
    (
        "partition",
        "the command does not say where: give one of --svc",
    ),
    (
        "apply",
        "the command does not say which experiment to run: ",
    ),
    ("stop", "the command does not say which experiment: "),
    ("status", "the command does not say which experiment: "),
    ("list --server 10.0.0.7:1", "server address `10.0.0.7:1` "),
    (
        "list --server ftp://x:1",
        "server address `ftp://x:1` does not start with http:// or https://",
    ),
];

/// The same where clap's own words are clear.
const CLAPS: &[(&str, &str)] = &[
    (
        "delay 5ms --netns web --svc web",
        "the argument '--netns <NAME_OR_PATH>' cannot be used with '--svc <NAME>'",
    ),
    (
        "delay 5ms 6ms --netns web",
        "unexpected argument '6ms' found",
    ),
    (
        "delay 5ms --netns web --nets",
        "unexpected argument '--nets' found",
    ),
    (
        "delay 5ms --netns web --proto sctp",
        "invalid value 'sctp' for '--proto <PROTO>'",
    ),
    (
        "delay 5ms --netns web --direction up",
        "invalid value 'up' for '--direction <DIRECTION>'",
    ),
    (
        "delay 5ms --netns web --connections old",
        "invalid value 'old' for '--connections <CONNECTIONS>'",
    ),
    ("partition 5 --netns web", "unexpected argument '5' found"),
    (
        "delay 5ms --netns web --duration",
        "a value is required for '--duration <TIME>'",
    ),
    (
        "delay 5ms --netns web --detach --grace 1s",
        "the argument '--detach' cannot be used with '--grace <TIME>'",
    ),
    (
        "stop x --all",
        "the argument '[ID]...' cannot be used with '--all'",
    ),
    ("explode", "unrecognized subcommand 'explode'"),
];

#[test]
fn wrong_values_are_named_with_what_would_be_right() {
    let agent = Agent::start(Script::default());
    for (arguments, sentence) in OURS.iter().chain(CLAPS) {
        let words: Vec<_> = arguments.split(' ').collect();
        let finished = run(&agent, &words);
        let said = finished
            .stderr
            .strip_prefix("error: ")
            .unwrap_or(&finished.stderr);
        assert!(
            said.starts_with(sentence),
            "{arguments}\n{}",
            finished.stderr
        );
        assert_eq!(
            (finished.stdout.as_str(), finished.code),
            ("", Some(2)),
            "{arguments}"
        );
    }
    assert_eq!(agent.calls(), []);
}

#[test]
fn a_wrong_address_in_the_environment_is_usage_too() {
    let finished = finish(chaosctl(&["list"]).env("CHAOS_SERVER", "nowhere"));
    assert!(
        finished
            .stderr
            .starts_with("error: server address `nowhere` "),
        "{finished:?}"
    );
    assert_eq!(finished.code, Some(2));
}

#[test]
fn help_is_the_reference() {
    let help = |arguments: &[&str]| {
        let finished = finish(&mut chaosctl(arguments));
        assert_eq!((finished.stderr.as_str(), finished.code), ("", Some(0)));
        finished
            .stdout
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    let general = help(&["--help"]);
    for fact in [
        "Every fault ends by itself",
        "ARP and IPv6 neighbour discovery never are",
        "3 the experiment ran, but no packet matched",
    ] {
        assert!(general.contains(fact), "{fact}");
    }
    let delay = help(&["delay", "--help"]);
    for fact in [
        "source OR its destination port",
        "seen from the target",
        "With egress, what the target sends is affected: the answers of a server",
        "[default: 30s]",
        "stay in order while the fault lasts; those sent after its end may overtake those still held",
        "chaosctl delay --svc provider-chaos-service 100ms --duration 30s",
    ] {
        assert!(delay.contains(fact), "{fact}");
    }
    for (verb, fact) in [
        ("corrupt", "WRONG DATA THAT LOOKS VALID"),
        ("rate", "`mbps` is refused"),
        (
            "partition",
            "In both directions, unless --direction says otherwise",
        ),
        ("loss", "`1,10` loses series of 10 packets on average"),
        ("apply", "docs/experiment.md"),
        ("apply", "[default: what the file says, or 30s]"),
    ] {
        assert!(help(&[verb, "--help"]).contains(fact), "{verb}: {fact}");
    }
    assert!(help(&["--version"]).starts_with("chaosctl "));
}
