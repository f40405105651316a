//! The experiments of `examples/`, each against what is wrong and against what was mended.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use chaos_tests::{
    daemon::Daemon,
    lab::{Host, Lab, Output, Process},
    programs::{program, python_with_chaosk8s},
    requires, services,
};
use serde_json::Value;

use super::{journal, of, run};
use crate::scenario::PATIENCE;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");

/// A copy of an example, because running it leaves files.
fn copy(example: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(Path::new(EXAMPLES).join(example)).unwrap() {
        let from: PathBuf = entry.unwrap().path();
        let to = directory.path().join(from.file_name().unwrap());
        fs::copy(from, to).unwrap();
    }
    directory
}

/// Runs an example on a host; gives its journal, and its exit code.
fn play(
    host: &Host,
    directory: &Path,
    file: &str,
    socket: Option<&Path>,
    variables: &[(&str, &str)],
) -> (Value, Option<i32>) {
    let mut command = run(host, directory);
    command.arg(file).envs(variables.iter().copied());
    if let Some(socket) = socket {
        command.arg("--socket").arg(socket);
    }
    let output = Output::of(command, Duration::from_mins(2)).unwrap();
    assert!(
        directory.join("journal.json").exists(),
        "no journal: {output:?}"
    );
    (journal(directory), output.code)
}

/// Whether the hypothesis was met before the method, and whether it deviated after it.
fn deviated((journal, code): &(Value, Option<i32>)) -> bool {
    let states = &journal["steady_states"];
    assert_eq!(states["before"]["steady_state_met"], true, "{journal}");
    let deviated = journal["deviated"].as_bool().unwrap();
    assert_eq!(states["after"]["steady_state_met"], !deviated, "{journal}");
    assert_eq!(*code, Some(i32::from(deviated)), "{journal}");
    deviated
}

#[test]
fn the_vanished_file() {
    requires!(root, "python3");
    let lab = Lab::new("vanished").unwrap();
    let host = lab.host("host").unwrap();
    for (service, deviates) in [("before.py", true), ("after.py", false)] {
        let directory = copy("vanished-file");
        let mut command = host.command("python3").unwrap();
        command
            .arg(service)
            .current_dir(directory.path())
            // It is not to come back meanwhile.
            .env("EVERY", "3600")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let _service: Process = Process::spawn(command).unwrap();
        services::listening_at(&host, ([127, 0, 0, 1], 8080).into()).unwrap();
        let played = play(&host, directory.path(), "experiment.json", None, &[]);
        assert_eq!(deviated(&played), deviates, "{service}: {}", played.0);
    }
}

#[test]
fn a_provider_that_is_cut_off() {
    requires!(root);
    let lab = Lab::new("provider-down").unwrap();
    let (provider, consumer) = (lab.host("provider").unwrap(), lab.host("consumer").unwrap());
    let providers = [provider.clone()];
    let daemon = Daemon::start_with_service(&lab, "provider-chaos-service", &providers).unwrap();
    let _provider = services::provider(&provider).unwrap();
    for has_breaker in [false, true] {
        let mut service = if has_breaker {
            services::consumer_with_breaker(&consumer, &providers).unwrap()
        } else {
            services::consumer(&consumer, &providers).unwrap()
        };
        let directory = copy("provider-down");
        let socket = Some(daemon.socket());
        let played = play(&consumer, directory.path(), "experiment.yaml", socket, &[]);
        assert_eq!(deviated(&played), !has_breaker, "{}", played.0);
        let fault = &of(&played.0, "cut-the-provider-off")["chaos"];
        assert_eq!(fault["reason"], "the run stopped it", "{fault}");
        assert!(
            fault["totals"]["dropped_packets"].as_u64() > Some(0),
            "{fault}"
        );
        let rollback = of(&played.0, "close-the-circuit-breaker");
        assert_eq!(rollback["status"], "succeeded", "{rollback}");
        // The port is the next one's.
        service.signal(nix::sys::signal::Signal::SIGKILL).unwrap();
        service.wait(PATIENCE).unwrap();
    }
}

#[test]
fn a_slow_catalog() {
    requires!(root, cgroup2, "python3");
    let lab = Lab::new("slow-catalog").unwrap();
    let (catalog, host) = (lab.host("catalog").unwrap(), lab.host("host").unwrap());
    let catalogs = [catalog.clone()];
    let daemon = Daemon::start_with_service(&lab, "quickpizza-catalog", &catalogs).unwrap();
    let _catalog = services::catalog(&catalog).unwrap();
    // Of 40 orders 24 fail on average without retries (1 - (5/6)^5 = 0.598), and 4 or fewer in less than one of 10^9 runs;
    // with three retries 0.15 on average (5 (1/6)^4 = 0.0039), and more than 4 in less than one of 10^6.
    for (port, retries) in [(3333, 0), (3334, 3)] {
        let _recommender = services::recommender(&host, port, &catalog, retries).unwrap();
        let directory = copy("slow-catalog");
        let orders = format!("http://127.0.0.1:{port}/api/pizza");
        let variables = [("ORDERS_URL", orders.as_str())];
        let socket = Some(daemon.socket());
        let played = play(
            &host,
            directory.path(),
            "experiment.yaml",
            socket,
            &variables,
        );
        let after = &played.0["steady_states"]["after"]["probes"][0]["output"]["stdout"];
        eprintln!("with {retries} retries: {after}");
        assert_eq!(deviated(&played), retries == 0, "{}", played.0);
        let fault = &of(&played.0, "slow-the-catalog-down")["chaos"];
        let requests = &fault["totals"]["requests"];
        assert!(requests["delayed"].as_u64() >= Some(40), "{fault}");
    }
}

#[test]
fn a_drained_node() {
    requires!("chaosk8s");
    let validate = |file: &Path| {
        let mut command = Command::new(program("chaosctl").unwrap());
        command
            .arg("validate")
            .arg(file)
            .env("CHAOSCTL_PYTHON", python_with_chaosk8s().unwrap());
        Output::of(command, PATIENCE).unwrap()
    };
    let directory = copy("node-drain");
    let file = directory.path().join("experiment.json");
    validate(&file).success().unwrap();
    // It was looked at: an argument that there is not is told.
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("delete_pods_with", "remove_pods_with")).unwrap();
    let wrong = validate(&file);
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    assert!(
        wrong.stdout.contains("remove_pods_with_local_storage"),
        "{wrong:?}"
    );
}
