//! `chaosctl delay`: distributions, ramps and measured latencies.

use std::time::Duration;

use chaos_proto::v1::rule::Fault;
use chaos_proto::v1::{Delay, Distribution, Ramp};

use crate::agent::Agent;
use crate::chaosctl::{run, text};
use crate::script::Script;

fn wire(time: Duration) -> Option<prost_types::Duration> {
    time.try_into().ok()
}

fn asked(agent: &Agent) -> Delay {
    match agent.prepared().rules.remove(0).fault {
        Some(Fault::Delay(delay)) => delay,
        other => panic!("{other:?}"),
    }
}

#[test]
fn shapes_of_a_delay_reach_the_agent() {
    let ms = |ms| wire(Duration::from_millis(ms));
    for (arguments, expected) in [
        (
            "50ms --jitter 20ms --distribution pareto --correlation 25 --reorder",
            Delay {
                latency: ms(50),
                jitter: ms(20),
                distribution: Distribution::Pareto.into(),
                correlation_ppm: 250_000,
                reorder: true,
                ..Delay::default()
            },
        ),
        (
            "--ramp 0..200ms/30s",
            Delay {
                latency: ms(200),
                ramp: Some(Ramp {
                    from: ms(0),
                    over: ms(30_000),
                    ..Ramp::default()
                }),
                ..Delay::default()
            },
        ),
        (
            "20ms --ramp 200ms..20ms/1m",
            Delay {
                latency: ms(20),
                ramp: Some(Ramp {
                    from: ms(200),
                    over: ms(60_000),
                    ..Ramp::default()
                }),
                ..Delay::default()
            },
        ),
    ] {
        let agent = Agent::start(Script::default());
        let mut words = vec!["delay", "--netns", "web"];
        words.extend(arguments.split(' '));
        assert_eq!(run(&agent, &words).code, Some(0), "{arguments}");
        assert_eq!(asked(&agent), expected, "{arguments}");
    }
}

#[test]
fn measured_latencies_are_sent_as_quantiles() {
    let agent = Agent::start(Script::default());
    let file = agent.directory().join("production.txt");
    std::fs::write(&file, "# ms of last night\n12.5ms 2\n3ms\n").unwrap();
    let arguments = [
        "delay",
        "--netns",
        "web",
        "--distribution",
        text(&file),
        "-o",
        "json",
    ];
    let json = run(&agent, &arguments).json();
    let quantiles = asked(&agent).quantile_ns;
    let short = quantiles.iter().filter(|ns| **ns == 3_000_000).count();
    assert_eq!((quantiles.len(), short), (1025, 342));
    assert_eq!(quantiles.last(), Some(&12_500_000));
    let fault = &json["experiment"]["rules"][0]["fault"];
    assert_eq!(fault["distribution"], "measured");
    assert_eq!(fault["quantiles_ns"][0], 3_000_000);
}

#[test]
fn a_file_of_latencies_that_cannot_be_used_is_named() {
    let agent = Agent::start(Script::default());
    let file = agent.directory().join("production.txt");
    std::fs::write(&file, "12.5ms\n13\n").unwrap();
    let delay = |file: &str| run(&agent, &["delay", "--netns", "web", "--distribution", file]);
    let finished = delay(text(&file));
    assert!(
        finished
            .stderr
            .contains("production.txt, line 2: latency `13` has no unit: "),
        "{}",
        finished.stderr
    );
    assert_eq!(finished.code, Some(2));
    let finished = delay("paret");
    assert_eq!(
        finished.stderr,
        "error: cannot read the distribution paret: No such file or directory; \
         by name there are uniform, normal, pareto and paretonormal\n"
    );
    assert_eq!(finished.code, Some(2));
    assert_eq!(agent.calls(), []);
}
