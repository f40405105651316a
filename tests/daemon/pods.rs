//! Pods, by their UIDs: whatever form their cgroups have, on a network of their own or the node's, as they come and go.

mod container;
mod host_network;

use std::{cell::Cell, time::Duration};

use chaos_proto::v1::{
    Delay, EndReason, Experiment, Filter, Loss, Pod as WirePod, PodsSelector, PrepareRequest, Rule,
    Selector, State, Target, UpdateRequest, rule::Fault, selector::Where,
};
use chaos_tests::{
    agent::Agent,
    daemon::Daemon,
    lab::{Family, Host, Lab},
    pauses::Times,
    pod::{Driver, Pod},
    requires,
    traffic::{Series, ping_rtt},
    wait::wait_for,
};
use tonic::Code;

use crate::scenario::{PATIENCE, assert_adds, rate};

const UIDS: [&str; 3] = [
    "0d3f9c1e-6a1b-4c1e-9d2f-0a1b2c3d4e5f",
    "1d3f9c1e-6a1b-4c1e-9d2f-0a1b2c3d4e5f",
    "2d3f9c1e-6a1b-4c1e-9d2f-0a1b2c3d4e5f",
];
const LATENCY: Duration = Duration::from_millis(100);

/// A container's id.
fn id(digit: char) -> String {
    digit.to_string().repeat(64)
}

/// The agent on the machine that has the pods, which looks below the lab's cgroup; and a client of it.
fn agent_of(lab: &Lab) -> (Daemon, Agent) {
    let root = lab.cgroup().to_string_lossy().into_owned();
    let daemon = Daemon::start_with(lab, &["--cgroup-root", &root, "--node-name", "worker-1"]);
    let daemon = daemon.unwrap();
    let agent = Agent::at(daemon.socket()).unwrap();
    (daemon, agent)
}

fn wire(name: &str, uid: &str) -> WirePod {
    WirePod {
        namespace: "default".into(),
        name: name.into(),
        uid: uid.into(),
    }
}

fn selector(pods: &[&Pod]) -> PodsSelector {
    PodsSelector {
        pods: pods.iter().map(|pod| wire(&pod.name, &pod.uid)).collect(),
        ..PodsSelector::default()
    }
}

fn request(pods: PodsSelector, fault: Fault) -> PrepareRequest {
    PrepareRequest {
        selector: Some(Selector {
            r#where: Some(Where::Pods(pods)),
            interface: String::new(),
        }),
        rules: vec![Rule {
            filter: Some(Filter::default()),
            fault: Some(fault),
            pulse: None,
        }],
        duration: Some(prost_types::Duration {
            seconds: 600,
            nanos: 0,
        }),
        detached: true,
        ..PrepareRequest::default()
    }
}

fn delay() -> Fault {
    Fault::Delay(Delay {
        latency: Some(prost_types::Duration::try_from(LATENCY).unwrap()),
        ..Delay::default()
    })
}

fn loss() -> Fault {
    Fault::Loss(Loss {
        share_ppm: 1_000_000,
        ..Loss::default()
    })
}

fn start(agent: &mut Agent, request: PrepareRequest) -> Experiment {
    let prepared = agent.prepare(request).unwrap();
    agent.arm(&prepared.id).unwrap()
}

/// Round trips from a pod to somebody who is not hit.
fn times(from: &Host, to: &Host) -> Times {
    let to = to.address(Family::V4);
    ping_rtt(from, to, Series::new(30, rate(100))).unwrap()
}

/// The experiment of this id now.
fn status(agent: &mut Agent, id: &str) -> Experiment {
    let all = agent.list().unwrap();
    all.into_iter()
        .find(|experiment| experiment.id == id)
        .unwrap()
}

fn matched(target: &Target) -> u64 {
    target.counters[0].matched_packets
}

/// Nothing is left of an agent that is told to stop.
fn leaves_nothing(mut daemon: Daemon, lab: &Lab) {
    assert!(daemon.stop().unwrap().success());
    let left = wait_for("nothing is left", PATIENCE, || {
        lab.leftovers().unwrap().is_empty().then_some(())
    });
    assert!(left.is_ok(), "left behind: {}", lab.leftovers().unwrap());
}

#[test]
fn one_is_hit_and_its_neighbour_is_not() {
    requires!(root, cgroup2);
    let lab = Lab::new("pods").unwrap();
    let hosts = ["provider-1", "provider-2", "provider-3", "consumer"];
    let [one, two, three, consumer] = hosts.map(|name| lab.host(name).unwrap());
    let mut pods = [
        (&one, UIDS[0], Driver::Systemd),
        (&two, UIDS[1], Driver::Cgroupfs),
        (&three, UIDS[2], Driver::Nested),
    ]
    .map(|(host, uid, driver)| Pod::start(&lab, host, uid, driver).unwrap());
    for (pod, digit) in pods.iter_mut().zip(['a', 'b', 'c']) {
        // Each process of a pod is in the same namespace, but for a monitor.
        pod.run(&id(digit)).unwrap();
        pod.monitor(&id(digit)).unwrap();
    }
    let (daemon, mut agent) = agent_of(&lab);
    let measure = || [&one, &two, &three].map(|host| times(host, &consumer));
    let before = measure();
    for (hit, pod) in pods.iter().enumerate() {
        let mut request = request(selector(&[pod]), delay());
        request.id = format!("delay-{hit}.2");
        let experiment = start(&mut agent, request.clone());
        assert_eq!(experiment.id, request.id);
        assert_eq!(experiment.node, "worker-1");
        assert_eq!(experiment.started_by, "");
        assert_eq!(experiment.selector, request.selector);
        let [target] = &experiment.targets[..] else {
            panic!("one target: {:?}", experiment.targets);
        };
        assert_eq!(target.name, format!("default/{}", pod.name));
        assert_eq!(target.pod, Some(wire(&pod.name, &pod.uid)));
        let mut added = [Duration::ZERO; 3];
        added[hit] = LATENCY;
        let measured = Cell::new(0);
        assert_adds(&request.id, &before, (added, 1), || {
            measured.set(measured.get() + 1);
            (measure(), ())
        });
        let ended = agent.disarm(&experiment.id).unwrap();
        assert_eq!(matched(&ended.targets[0]), 30 * measured.get());
    }
    leaves_nothing(daemon, &lab);
}

#[test]
fn an_id_is_taken_once_and_a_stranger_is_not_hit() {
    requires!(root, cgroup2);
    let lab = Lab::new("pods-refused").unwrap();
    let host = lab.host("provider-1").unwrap();
    let pod = Pod::start(&lab, &host, UIDS[0], Driver::Systemd).unwrap();
    let (daemon, mut agent) = agent_of(&lab);
    let mut good = request(selector(&[&pod]), loss());
    good.id = "loss-3f9a1c".into();
    // The same name, another pod; beside one that is there.
    let mut stale = good.clone();
    let mut pods = selector(&[&pod]);
    pods.pods.push(wire("provider-1", UIDS[1]));
    stale.selector.as_mut().unwrap().r#where = Some(Where::Pods(pods));
    for dry_run in [true, false] {
        let request = PrepareRequest {
            dry_run,
            ..stale.clone()
        };
        let refused = agent.prepare(request).unwrap_err();
        assert_eq!(refused.code(), Code::NotFound, "{refused}");
        assert!(refused.message().contains(UIDS[1]), "{refused}");
        assert!(
            refused.message().contains("default/provider-1"),
            "{refused}"
        );
    }
    assert!(agent.list().unwrap().is_empty(), "nothing was applied");
    for bad in ["Loss", "loss_1", "-", &"a".repeat(64)] {
        let request = PrepareRequest {
            id: bad.to_owned(),
            ..good.clone()
        };
        let refused = agent.prepare(request).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    }
    let planned = agent.prepare(PrepareRequest {
        dry_run: true,
        ..good.clone()
    });
    assert_eq!(planned.unwrap().id, good.id);
    agent.prepare(good.clone()).unwrap();
    let taken = |agent: &mut Agent, dry_run| {
        let request = PrepareRequest {
            dry_run,
            ..good.clone()
        };
        assert_eq!(
            agent.prepare(request).unwrap_err().code(),
            Code::AlreadyExists
        );
    };
    taken(&mut agent, false);
    taken(&mut agent, true);
    agent.disarm(&good.id).unwrap();
    taken(&mut agent, false);
    // A container's id is known to those only that ask the API.
    let mut of_container = good.clone();
    of_container.id.clear();
    let pods = PodsSelector {
        container: "app".into(),
        ..selector(&[&pod])
    };
    of_container.selector.as_mut().unwrap().r#where = Some(Where::Pods(pods));
    let refused = agent.prepare(of_container).unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    assert!(refused.message().contains("--kubernetes"), "{refused}");
    // Of a pod that is being deleted, the processes go first.
    pod.delete().unwrap();
    let gone = PrepareRequest {
        id: String::new(),
        ..good
    };
    assert_eq!(agent.prepare(gone).unwrap_err().code(), Code::NotFound);
    leaves_nothing(daemon, &lab);
}

#[test]
fn where_nobody_asks_whose_pods_they_are_a_policy_takes_them_for_the_node() {
    requires!(root, cgroup2);
    let lab = Lab::new("pod-policy").unwrap();
    let host = lab.host("a").unwrap();
    let pod = Pod::start(&lab, &host, UIDS[0], Driver::Systemd).unwrap();
    let policy = lab.directory().join("policy.yaml");
    std::fs::write(&policy, "namespaces: {allow: [default]}").unwrap();
    let root = lab.cgroup().to_string_lossy().into_owned();
    let policy_text = policy.to_string_lossy().into_owned();
    let arguments = ["--cgroup-root", &root, "--policy", &policy_text];
    let daemon = Daemon::start_with(&lab, &arguments).unwrap();
    let mut agent = Agent::at(daemon.socket()).unwrap();
    let refused = agent
        .prepare(request(selector(&[&pod]), loss()))
        .unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    assert!(refused.message().contains("nodeLevel"), "{refused}");
    std::fs::write(&policy, "nodeLevel: true").unwrap();
    agent.prepare(request(selector(&[&pod]), loss())).unwrap();
    leaves_nothing(daemon, &lab);
}

fn update(id: &str, pods: &[&Pod]) -> UpdateRequest {
    UpdateRequest {
        id: id.to_owned(),
        pods: Some(selector(pods)),
        ..UpdateRequest::default()
    }
}

/// Targets' names, and whether they are gone.
fn names(experiment: &Experiment) -> Vec<(&str, bool)> {
    let targets = experiment.targets.iter();
    targets
        .map(|target| (target.name.as_str(), target.gone))
        .collect()
}

#[test]
fn pods_join_and_leave() {
    requires!(root, cgroup2);
    let lab = Lab::new("pods-follow").unwrap();
    let names_of_hosts = ["provider-1", "provider-2", "provider-3", "consumer"];
    let [one, two, three, consumer] = names_of_hosts.map(|name| lab.host(name).unwrap());
    let pod = |host, uid, driver| Pod::start(&lab, host, uid, driver).unwrap();
    let mut first = pod(&one, UIDS[0], Driver::Systemd);
    let second = pod(&two, UIDS[1], Driver::Cgroupfs);
    let (daemon, mut agent) = agent_of(&lab);
    let before = [times(&one, &consumer)];
    let is_hit = |what: &str, from: &Host, added: Duration| {
        let attempt = || ([times(from, &consumer)], ());
        assert_adds(what, &before, ([added], 1), attempt);
    };
    let running = start(&mut agent, request(selector(&[&first]), delay()));
    let id = running.id.as_str();
    is_hit("not yet", &two, Duration::ZERO);

    // One joins, another is there only by name: nothing happens. Then it joins.
    let mut stale = update(id, &[&first, &second]);
    let pods = &mut stale.pods.as_mut().unwrap().pods;
    pods.push(wire("provider-3", UIDS[2]));
    assert_eq!(agent.update(stale).unwrap_err().code(), Code::NotFound);
    is_hit("refused", &two, Duration::ZERO);
    let joined = agent.update(update(id, &[&first, &second])).unwrap();
    assert_eq!(joined.state, i32::from(State::Armed));
    let left = |of: &Experiment| of.remaining.as_ref().unwrap().seconds;
    assert!(left(&joined) < 600, "the time that is left");
    is_hit("joined", &two, LATENCY);

    // A container that starts again is none of our business; the first leaves.
    let container = first.run(&self::id('a')).unwrap();
    container.delete().unwrap();
    first.run(&self::id('b')).unwrap();
    is_hit("restarted", &one, LATENCY);
    let third = pod(&three, UIDS[2], Driver::Nested);
    let moved = agent.update(update(id, &[&second, &third])).unwrap();
    let expected = [
        ("default/provider-1", true),
        ("default/provider-2", false),
        ("default/provider-3", false),
    ];
    assert_eq!(names(&moved), expected);
    is_hit("let go", &one, Duration::ZERO);
    is_hit("joined", &three, LATENCY);
    // What was counted stays: the pings, measured once or again, and what an interface says by itself.
    let counted = matched(&status(&mut agent, id).targets[0]);
    assert_eq!(counted, matched(&moved.targets[0]));
    assert!(counted >= 30 && counted % 30 < 10, "{counted}");

    // It comes back, as another target of the same pod.
    let back = agent
        .update(update(id, &[&first, &second, &third]))
        .unwrap();
    assert_eq!(names(&back).last(), Some(&("default/provider-1", false)));
    is_hit("is back", &one, LATENCY);

    // Its sandbox is made anew: the one is gone, and the other is found by the same UID.
    one.delete().unwrap();
    drop(first);
    wait_for("the sandbox is missed", PATIENCE, || {
        let status = status(&mut agent, id);
        status.targets[3].gone.then_some(())
    })
    .unwrap();
    let again = lab.host("provider-1-again").unwrap();
    let first = pod(&again, UIDS[0], Driver::Systemd);
    let back = agent
        .update(update(id, &[&first, &second, &third]))
        .unwrap();
    assert_eq!(back.targets.len(), 5);
    is_hit("anew", &again, LATENCY);

    // When all are gone, it is over.
    for host in [&again, &two, &three] {
        host.delete().unwrap();
    }
    drop((first, second, third));
    let ended = wait_for("the experiment has ended", PATIENCE, || {
        Some(status(&mut agent, id)).filter(|now| now.state == i32::from(State::Ended))
    });
    let ended = ended.unwrap();
    assert_eq!(ended.end_reason, i32::from(EndReason::TargetGone));
    // A host that is new says a word of its own.
    assert!(matched(&ended.targets[4]) >= 30);
    leaves_nothing(daemon, &lab);
}
