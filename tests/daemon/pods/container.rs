//! One container of a pod: its id comes from the Kubernetes API, without which the agent refuses. So this puts the
//! agent's parts together as it does, and gives them the id.

use std::time::{Duration, Instant};

use chaos_daemon::{
    attach::{
        Kernel, Object,
        features::{Features, Wishes},
    },
    engine::{
        Choice, Direction, EndReason, Engine, Fault, Filter, Pod as Named, Pods, Rule, Selector,
        Spec, State, Where,
    },
    targets::Finder,
};
use chaos_tests::{
    daemon::alone,
    lab::Lab,
    pod::{Driver, Pod},
    requires,
};

use super::{UIDS, host_network::lost, id};
use crate::scenario::series;

/// All packets of a container in one direction are lost.
fn spec(pod: &Pod, container: &str, direction: Direction) -> Spec {
    let pods = Pods {
        pods: vec![Named {
            namespace: "default".into(),
            name: pod.name.clone(),
            uid: pod.uid.clone(),
            of_file: None,
            container_ids: vec![format!("containerd://{container}")],
            network: None,
        }],
        origin: None,
        container: Some("app".into()),
    };
    Spec {
        selector: Selector {
            at: Where::Pods(pods),
            interface: None,
        },
        rules: vec![Rule {
            filter: Filter {
                direction,
                ..Filter::default()
            },
            fault: Fault::Loss(Choice::Every(1)),
            pulse: None,
        }],
        duration: Duration::from_mins(10),
        detached: true,
        grace: Duration::ZERO,
        seed: 1,
        include_probes: false,
    }
}

#[test]
fn only_what_leaves_its_sockets_is_hit() {
    requires!(root, cgroup2);
    let lab = Lab::new("pods-container").unwrap();
    let (host, peer) = (lab.host("provider-1").unwrap(), lab.host("peer").unwrap());
    let mut pod = Pod::start(&lab, &host, UIDS[0], Driver::Systemd).unwrap();
    let [app, beside] = ['a', 'b'].map(|digit| pod.run(&id(digit)).unwrap());
    let _alone = alone().unwrap();
    let features = Features::find(Wishes::default());
    let mut object = Object::load().unwrap();
    let mut heartbeat = object.heartbeat().unwrap();
    let kernel = Kernel::new(object, features.unwrap().attach_mode, None).unwrap();
    let mut engine = Engine::new(kernel);
    let finder = Finder {
        cgroup_root: Some(lab.cgroup().to_owned()),
        ..Finder::default()
    };
    let none = finder.find(&spec(&pod, &id('c'), Direction::Egress).selector);
    let none = none.unwrap_err().to_string();
    assert!(
        none.contains("container app of pod default/provider-1"),
        "{none}"
    );

    let all = series(50, 500).count as usize;
    let now = Instant::now();
    let egress = spec(&pod, &id('a'), Direction::Egress);
    let targets = finder.find(&egress.selector).unwrap();
    let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
    assert_eq!(names, ["default/provider-1/app"]);
    engine
        .prepare("a".into(), egress, targets.clone(), None, now)
        .unwrap();
    engine.arm("a", now).unwrap();
    for (cgroup, from, to, expected) in [(&app, &host, &peer, all), (&beside, &host, &peer, 0)] {
        heartbeat.beat().unwrap();
        assert_eq!(lost(cgroup, from, to), expected, "{cgroup:?}");
    }

    // What arrives is not known to be its own before it is there.
    for direction in [Direction::Ingress, Direction::Both] {
        let ingress = spec(&pod, &id('a'), direction);
        let refused = engine.prepare("b".into(), ingress, targets.clone(), None, now);
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("--direction egress"), "{refused}");
    }

    // The container ends; its pod, and its pod's network, do not.
    app.delete().unwrap();
    engine.wake("a", now + Duration::from_secs(1));
    let State::Ended(ending) = engine.state("a").unwrap() else {
        panic!("its container is gone");
    };
    assert_eq!(ending.reason, EndReason::TargetGone);
    engine.into_datapath().finish(Duration::from_secs(1));
}
