//! `chaosctl partition`: what it asks.

use chaos_proto::v1::rule::Fault;
use chaos_proto::v1::{Direction, Filter, Partition};

use crate::agent::Agent;
use crate::chaosctl::run;
use crate::script::Script;

fn asked(arguments: &str) -> Filter {
    let agent = Agent::start(Script::default());
    let words: Vec<_> = arguments.split(' ').collect();
    assert_eq!(run(&agent, &words).code, Some(0), "{arguments}");
    let rule = agent.prepared().rules.remove(0);
    assert_eq!(rule.fault, Some(Fault::Partition(Partition::default())));
    rule.filter.unwrap()
}

#[test]
fn both_directions_are_cut_unless_one_is_named() {
    let filter = asked("partition --netns web --peer 10.0.0.0/8,fd00::/8");
    assert_eq!(filter.direction(), Direction::Both);
    assert_eq!(filter.peers, ["10.0.0.0/8", "fd00::/8"]);
    let filter = asked("partition --netns web --direction egress");
    assert_eq!(filter.direction(), Direction::Egress);
}

#[test]
fn without_peers_it_is_everybody_but_the_exceptions() {
    let filter = asked("partition --netns web --except 10.0.0.7");
    assert_eq!(filter.peers, Vec::<String>::new());
    assert_eq!(filter.except_peers, ["10.0.0.7"]);
}

#[test]
fn a_dry_run_tells_who_is_cut_off() {
    let agent = Agent::start(Script::default());
    let arguments = [
        "partition",
        "--netns",
        "web",
        "--except",
        "10.0.0.7",
        "--dry-run",
    ];
    let finished = run(&agent, &arguments);
    assert!(
        finished.stdout.contains(
            "\
Rule:   partition: all packets that leave the target or arrive at it, to or from all but 10.0.0.7
Effect: all matching packets in either direction are dropped silently: open connections stall, \
new ones fail by timeout, and nobody is told why
"
        ),
        "{}",
        finished.stdout
    );
}
