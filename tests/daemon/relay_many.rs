//! Ten thousand open connections take little of the agent's memory.

use chaos_tests::{
    lab::{Family, tcp_sockets_of},
    requires, services,
    wait::wait_until,
};

use crate::{
    connections::{as_many_files_as_may_be, open, resident},
    scenario::{PATIENCE, Scenario, is_emulated},
};

/// For so many the bound holds.
const MANY: u64 = 10_000;
/// As many as an emulated machine opens in time.
const MANY_EMULATED: u64 = 500;
/// What they may take, with all of the agent, in KiB.
const MOST: u64 = 200 * 1024;

#[test]
fn ten_thousand_connections_take_little_memory() {
    requires!(root);
    let files = as_many_files_as_may_be();
    // The agent has two for each, and keeps one in twenty, and has some others.
    let most = if is_emulated() { MANY_EMULATED } else { MANY };
    let count = most.min((files / 20 * 19).saturating_sub(300) / 2);
    let mut scenario = Scenario::new("relay-many");
    let _provider = services::provider(&scenario.target).unwrap();
    let id = scenario.start("http --port 3000 --delay 1ms --exclude /");
    let pid = scenario.daemon.pid().unwrap();
    let before = resident(pid);
    let to = scenario.target.socket_address(Family::V4, services::PORT);
    let connections = open(&scenario.peer, to, usize::try_from(count).unwrap());
    let with = resident(pid);
    let status = scenario.status(&id);
    let requests = &status["totals"]["requests"];
    assert_eq!(requests["open_connections"], count, "{status}");
    assert_eq!(requests["excluded"], count, "{status}");
    let each = with.saturating_sub(before).div_ceil(count);
    let all = before + each * MANY;
    eprintln!(
        "{before} KiB before, {with} KiB with {count} connections, {each} KiB each: {all} KiB with {MANY}"
    );
    assert!(all <= MOST, "{all} KiB");
    // They are idle, so that nobody waits for them at the end.
    scenario.stop(&id);
    drop(connections);
    wait_until("nothing is open behind the door", PATIENCE, || {
        tcp_sockets_of(&scenario.target, pid).unwrap() == 0
    })
    .unwrap();
    scenario.leaves_nothing();
}
