//! `chaosctl reorder`: what it asks.

use std::time::Duration;

use chaos_proto::v1::Reorder;
use chaos_proto::v1::rule::Fault;

use crate::agent::Agent;
use crate::chaosctl::run;
use crate::script::Script;

#[test]
fn packets_are_held_for_ten_milliseconds_unless_told() {
    for (arguments, gap, by) in [
        ("reorder 5% --netns web", 0, 10),
        ("reorder 5% --netns web --gap 9 --by 25ms", 9, 25),
    ] {
        let agent = Agent::start(Script::default());
        let words: Vec<_> = arguments.split(' ').collect();
        assert_eq!(run(&agent, &words).code, Some(0));
        assert_eq!(
            agent.prepared().rules.remove(0).fault,
            Some(Fault::Reorder(Reorder {
                share_ppm: 50_000,
                correlation_ppm: 0,
                gap,
                by: Duration::from_millis(by).try_into().ok(),
                ramp: None,
            }))
        );
    }
}
