//! The node itself as a target: the agent runs inside a test host, which is then its node.

use std::{process::Command, time::Duration};

use chaos_tests::{
    lab::{Family, Host},
    requires,
    stats::Binomial,
    traffic::{Series, UdpProbe},
    wait::wait_until,
};
use serde_json::Value;

use crate::scenario::{PATIENCE, Scenario, series};

/// How many datagrams of so many do not arrive.
fn lost(from: &Host, to: &Host, family: Family, count: u32) -> (u64, u64) {
    let probe = UdpProbe {
        family,
        series: Series {
            patience: Duration::from_millis(300),
            ..series(count, 1000)
        },
        ..UdpProbe::default()
    };
    let report = probe.run(from, to).unwrap();
    (report.lost() as u64, report.sent.len() as u64)
}

fn assert_none_lost(what: &str, scenario: &Scenario) {
    let (node, peer) = (&scenario.target, &scenario.peer);
    for family in Family::BOTH {
        for (from, to) in [(node, peer), (peer, node)] {
            let (lost, sent) = lost(from, to, family, 50);
            assert_eq!(lost, 0, "{what}: lost, of {sent} ({family:?})");
        }
    }
}

#[test]
fn a_share_is_lost_each_way_and_nothing_else() {
    requires!(root);
    for (xdp, expected) in [
        ("auto", "native".into()),
        ("generic", "generic".into()),
        ("off", Value::Null),
    ] {
        lose_each_way(xdp, &expected);
    }
}

/// What the agent tells of the first target of an experiment.
fn xdp_of(scenario: &Scenario, id: &str) -> Value {
    scenario.status(id)["targets"][0]["xdp"].clone()
}

fn lose_each_way(xdp: &str, expected: &Value) {
    let options = ["--xdp", xdp];
    let mut scenario = Scenario::on_node("node-loss", &options);
    let (node, peer) = (scenario.target.clone(), scenario.peer.clone());
    for (direction, from, to) in [("egress", &node, &peer), ("ingress", &peer, &node)] {
        for family in Family::BOTH {
            let fault = format!("loss 30% --proto udp --direction {direction}");
            let id = scenario.start_at("--node", &fault);
            let is_xdp = direction == "ingress";
            let told = if is_xdp { expected } else { &Value::Null };
            assert_eq!(&xdp_of(&scenario, &id), told, "{xdp}, {direction}");
            // No echo comes back to where it would be dropped too.
            let (lost, sent) = lost(from, to, family, 1000);
            let ended = scenario.stop(&id);
            assert_share(&format!("{xdp}, {direction}, {family:?}"), lost, sent, 0.3);
            let totals = &ended["totals"];
            assert!(totals["dropped_packets"].as_u64() >= Some(lost), "{totals}");
        }
    }
    assert_none_lost("after loss", &scenario);
    scenario.leaves_nothing();
}

fn assert_share(what: &str, lost: u64, sent: u64, share: f64) {
    let (least, most) = Binomial {
        n: sent,
        p: share,
        z: 5.0,
    }
    .bounds();
    eprintln!("{what}: {lost} of {sent}, expected {least} to {most}");
    assert!((least..=most).contains(&lost), "{what}");
}

#[test]
fn what_is_put_back_on_its_way_in_meets_a_loss_once() {
    requires!(root);
    for (xdp, while_delayed) in [("native", "native".into()), ("generic", Value::Null)] {
        let options = ["--xdp", xdp];
        let mut scenario = Scenario::on_node("node-put-back", &options);
        let (node, peer) = (scenario.target.clone(), scenario.peer.clone());
        let checks = |what: &str| {
            let (lost, sent) = lost(&peer, &node, Family::V4, 1000);
            assert_share(&format!("{xdp}, {what}"), lost, sent, 0.3);
        };
        let loss = scenario.start_at("--node", "loss 30% --proto udp --direction ingress");
        assert_eq!(xdp_of(&scenario, &loss), xdp);
        checks("alone");
        let delay = scenario.start_at("--node", "delay 5ms --proto udp --direction ingress");
        assert_eq!(xdp_of(&scenario, &loss), while_delayed);
        checks("delayed");
        scenario.stop(&delay);
        scenario.stop(&loss);
        let copies = scenario.start_at("--node", "duplicate 100% --proto udp --direction ingress");
        let loss = scenario.start_at("--node", "loss 30% --proto udp --direction ingress");
        assert_eq!(xdp_of(&scenario, &loss), while_delayed);
        checks("sent twice");
        scenario.stop(&copies);
        assert_eq!(xdp_of(&scenario, &loss), xdp);
        checks("alone again");
        scenario.leaves_nothing();
    }
}

#[test]
fn the_program_at_xdp_stays_no_longer_than_a_rule_needs_it() {
    requires!(root);
    let mut scenario = Scenario::on_node("node-xdp-goes", &["--xdp", "generic"]);
    let node = scenario.target.clone();
    let has_program = || {
        let mut ip = Command::new("ip");
        ip.args([
            "-n",
            node.netns_name(),
            "link",
            "show",
            "dev",
            Host::INTERFACE,
        ]);
        let said = String::from_utf8(ip.output().unwrap().stdout).unwrap();
        said.contains("prog/xdp")
    };
    let delay = scenario.start_at("--node", "delay 5ms --proto udp --direction ingress");
    assert!(!has_program(), "a delay needs none");
    let loss = scenario.start_at("--node", "loss 30% --proto udp --direction ingress");
    assert!(has_program(), "it waits for the end of the delay");
    scenario.stop(&loss);
    assert!(!has_program(), "the delay goes on without it");
    let loss = scenario.start_at("--node", "loss 30% --proto udp --direction ingress");
    scenario.stop(&delay);
    assert!(has_program(), "there is a rule again that it is for");
    scenario.ask(&format!("update {loss} loss 30% --direction egress"));
    assert!(!has_program(), "what leaves does not need it");
    scenario.stop(&loss);
    scenario.leaves_nothing();
}

#[test]
fn a_partition_cuts_the_node_off_both_ways_until_it_ends() {
    requires!(root);
    let mut scenario = Scenario::on_node("node-partition", &[]);
    let other = scenario.lab.host("other").unwrap();
    for (selector, name) in [("--node", "default"), ("--node --interface eth0", "eth0")] {
        let id = scenario.start_at(selector, "partition");
        let target = scenario.status(&id)["targets"].clone();
        assert_eq!(target.as_array().map(Vec::len), Some(1), "{target}");
        assert_eq!(target[0]["interface"], "eth0", "{name}: {target}");
        for family in Family::BOTH {
            for (from, to) in [
                (&scenario.target, &scenario.peer),
                (&scenario.peer, &scenario.target),
            ] {
                let (lost, sent) = lost(from, to, family, 50);
                assert_eq!(lost, sent, "{family:?}: arrived through a partition");
            }
            assert_eq!(lost(&scenario.peer, &other, family, 50).0, 0, "bystanders");
        }
        scenario.stop(&id);
        assert_none_lost("after the partition", &scenario);
    }
    scenario.leaves_nothing();
}

/// All ports that no fault touches here are above.
const UNPROTECTED: u16 = 6999;

#[test]
fn what_is_protected_stays_in_reach_of_a_node_that_is_cut_off() {
    requires!(root);
    // The hosts' addresses, in the order in which they are made: the node, the peer, the others.
    let list = "10.77.0.3,10.77.0.2:7000,[fd77::2]:7000,:7100";
    let options = ["--protect", list, "--listen", "127.0.0.1:7411"];
    let mut scenario = Scenario::on_node("node-protected", &options);
    let doctor = scenario.chaosctl("doctor").stdout;
    for entry in list.split(',').chain([":7411"]) {
        assert!(doctor.contains(entry), "{entry}: {doctor}");
    }
    let (node, peer) = (scenario.target.clone(), scenario.peer.clone());
    let [other, workload] = ["other", "workload"].map(|name| scenario.lab.host(name).unwrap());
    let reaches = |from: &Host, to: &Host, family, port| {
        let probe = UdpProbe {
            family,
            port,
            series: Series {
                patience: Duration::from_millis(300),
                ..series(20, 1000)
            },
            ..UdpProbe::default()
        };
        let report = probe.run(from, to).unwrap();
        let (back, sent) = (report.rtts().count(), report.sent.len());
        assert!(
            back == 0 || back == sent,
            "{back} of {sent} to {port} came back"
        );
        back == sent
    };
    scenario.start_at("--node", "partition");
    scenario.start_at("--node", "loss 100% --direction both");
    for (from, to, family, port, expected) in [
        (&node, &other, Family::V4, UNPROTECTED, true),
        (&other, &node, Family::V4, UNPROTECTED, true),
        (&node, &other, Family::V6, UNPROTECTED, false),
        (&node, &peer, Family::V4, 7000, true),
        (&node, &peer, Family::V6, 7000, true),
        (&node, &peer, Family::V4, UNPROTECTED, false),
        // Another's port is not the node's, nor the other way round.
        (&node, &workload, Family::V4, 7000, false),
        (&peer, &node, Family::V4, 7000, false),
        (&peer, &node, Family::V4, 7100, true),
        (&peer, &node, Family::V6, 7100, true),
        (&node, &peer, Family::V4, 7100, false),
        // The agent's own.
        (&peer, &node, Family::V4, 7411, true),
    ] {
        let (from_name, to_name) = (from.name(), to.name());
        assert_eq!(
            reaches(from, to, family, port),
            expected,
            "{from_name} to {to_name}, {family:?}, {port}"
        );
    }
    scenario.ask("stop --all");
    // Of another target, the node's ports are nobody's.
    scenario.start_at(&format!("--netns {}", workload.netns_name()), "partition");
    assert!(reaches(&workload, &other, Family::V4, UNPROTECTED));
    assert!(reaches(&workload, &peer, Family::V4, 7000));
    assert!(!reaches(&peer, &workload, Family::V4, 7100));
    scenario.leaves_nothing();
}

#[test]
fn a_killed_agent_leaves_the_node_whole() {
    requires!(root);
    let mut scenario = Scenario::on_node("node-killed", &[]);
    scenario.start_at("--node", "partition");
    scenario.start_at("--node", "delay 10ms --direction both");
    let (lost_of_all, sent) = lost(&scenario.peer, &scenario.target, Family::V4, 20);
    assert_eq!(lost_of_all, sent, "arrived through a partition");
    scenario.daemon.kill().unwrap();
    wait_until("datagrams arrive again", PATIENCE, || {
        lost(&scenario.peer, &scenario.target, Family::V4, 5).0 == 0
    })
    .unwrap();
    assert_none_lost("after the agent was killed", &scenario);
    scenario.daemon.cleanup().unwrap().success().unwrap();
    scenario.nothing_is_left();
}

#[test]
fn what_would_cut_off_more_is_refused() {
    requires!(root);
    let scenario = Scenario::on_node("node-refused", &[]);
    for (words, sentence) in [
        ("partition --node --interface lo", "loopback"),
        ("partition --node --interface eth9", "it has lo, eth0"),
        ("partition --netns {target}", "--node"),
    ] {
        let refused = scenario.chaosctl(words);
        assert_eq!(refused.code, Some(1), "{words}: {refused:?}");
        assert!(refused.stderr.contains(sentence), "{words}: {refused:?}");
    }
    scenario
        .target
        .namespace()
        .ip("route del default\nroute del ::/0\n")
        .unwrap();
    let refused = scenario.chaosctl("partition --node");
    let sentence = "no interface of this node that is up has a default route; it has eth0: choose one with --interface IF";
    assert!(refused.stderr.contains(sentence), "{refused:?}");
}
