//! What requests through a door cost that nothing happens to, beside nginx as a reverse proxy in the same place; that before
//! and after nothing of it is in their way; and what open connections cost in memory.
//!
//! A real agent, a real `chaosctl http`, and a rule that no request matches. The proxies (nginx with one worker, the agent
//! with all of its threads) have one processor, and the application and `wrk` share the other. Packets are handled where they
//! are sent, so that part of what the kernel does for one side runs on the other's processor, for all ways alike.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use chaos_tests::{
    lab::{Family, Host, Output, Process, tcp_sockets_of},
    wait::{wait_for, wait_until},
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};

use super::{
    figure::{Figure, Goal, report},
    node::Node,
};

/// Connections that are to be open at once.
const MANY: u32 = 10_000;
/// Memory that they may take, with all of the agent, in MiB.
const MEMORY: f64 = 200.0;
/// Of nginx's requests per second.
const SHARE: f64 = 0.8;
/// Connections that nginx takes.
const CONNECTIONS: u32 = 2 * MANY;
/// For programs to listen, and for the agent to let go.
const PATIENCE: Duration = Duration::from_secs(20);
/// The proxies' processor, and that of the application and `wrk`.
const CORES: [&str; 2] = ["0", "1"];
const APPLICATION: u16 = 3000;
const PROXY: u16 = 3001;
/// Read and decided on, and nothing happens.
const RULE: &str = "http --port 3000 --error-rate 1 --error-code 503 --match /never";
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n";

#[derive(clap::Args)]
pub(super) struct Options {
    /// Rounds, each with every way in turn
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Seconds for each way of a round
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,
    /// Keep-alive connections
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=1000))]
    connections: u32,
}

/// A way to the application.
struct Way {
    name: &'static str,
    port: u16,
    /// The proxy on it, or the application itself.
    pid: u32,
    runs: Vec<Run>,
}

/// What one run of `wrk` said.
struct Run {
    per_second: f64,
    p99_us: f64,
    /// Processor time of the proxy for a request.
    cpu_us: f64,
}

pub(super) fn measure(options: &Options) -> Result<Value> {
    let (_, files) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, files, files)?;
    let node = Node::new()?;
    let agent = node.daemon.pid()?;
    pin(agent)?;
    let directory = tempfile::tempdir().context("make a directory for nginx")?;
    let app = nginx(&node.sender, directory.path(), None)?;
    let proxy = nginx(&node.sender, directory.path(), Some(APPLICATION))?;
    let way = |name, port, pid| Way {
        name,
        port,
        pid,
        runs: Vec::new(),
    };
    let mut before = way("direct, before", APPLICATION, app.pid());
    let mut nginx = way("nginx", PROXY, proxy.pid());
    let mut door = way("through the door", APPLICATION, agent);
    let mut after = way("direct, after", APPLICATION, app.pid());
    let mut left: usize = 0;
    for round in 1..=options.rounds {
        before.run(&node, options, round)?;
        nginx.run(&node, options, round)?;
        let id = node.start(RULE)?;
        door.run(&node, options, round)?;
        let ended = node.stop(&id)?;
        let seen = ended["totals"]["requests"]["unmatched"].as_u64();
        ensure!(seen > Some(0), "nothing went through the door: {ended}");
        let_go(&node, agent)?;
        after.run(&node, options, round)?;
        left = left.max(tcp_sockets_of(&node.sender, agent)?);
    }
    let (opened, resident) = open_many(&node, agent, files)?;
    let share = ratios(&door, &nginx, |run| run.per_second);
    let cpu = ratios(&nginx, &door, |run| run.cpu_us);
    let of_before = ratios(&after, &before, |run| run.per_second);
    let p99 = |way: &Way| way.median("99th percentile", "us", |run| run.p99_us);
    let per_second = |way: &Way| way.median("requests", "1/s", |run| run.per_second);
    let cpu_of = |way: &Way| {
        let what = "the application's processor time for a request";
        way.median(what, "us", |run| run.cpu_us)
    };
    let scaled = resident * f64::from(MANY) / f64::from(opened);
    let figures = [
        per_second(&before),
        per_second(&nginx),
        per_second(&door).beside("direct, before", per_second(&before).value),
        Figure::median(
            "through the door: requests/s, of nginx's in the same round",
            "",
            &share,
        )
        .goal(Goal::AtLeast(SHARE)),
        Figure::median(
            "nginx's processor time for a request, of the agent's",
            "",
            &cpu,
        )
        .beside(
            "the agent's, in us",
            door.median("", "us", |run| run.cpu_us).value,
        ),
        p99(&door)
            .beside("nginx", p99(&nginx).value)
            .goal(Goal::AtMost(p99(&nginx).value)),
        per_second(&after).beside("direct, before", per_second(&before).value),
        p99(&after).beside("direct, before", p99(&before).value),
        Figure::median(
            "direct, after: requests/s, of those before in the same round",
            "",
            &of_before,
        ),
        cpu_of(&after).beside("direct, before", cpu_of(&before).value),
        Figure::of(
            "direct, after: sockets of the agent in the target's namespace",
            "",
            f64::from(u32::try_from(left)?),
        )
        .goal(Goal::AtMost(0.0)),
        Figure::of(
            format!("the agent's memory with {MANY} open connections"),
            "MiB",
            scaled,
        )
        .beside("so many were opened", f64::from(opened))
        .goal(Goal::AtMost(MEMORY)),
    ];
    let ways = [&before, &nginx, &door, &after];
    let details = json!({
        "seconds": options.seconds,
        "connections": options.connections,
        "runs": ways.map(Way::json),
    });
    node.end()?;
    report("relay", None, &figures, &details)
}

/// Of each round, one way by another.
fn ratios(one: &Way, other: &Way, of: fn(&Run) -> f64) -> Vec<f64> {
    let pairs = one.runs.iter().zip(&other.runs);
    pairs.map(|(one, other)| of(one) / of(other)).collect()
}

impl Way {
    fn run(&mut self, node: &Node, options: &Options, round: u32) -> Result<()> {
        let run = wrk(self, node, options)?;
        eprintln!(
            "bench: round {round}, {}: {:.0} requests/s, p99 {:.0} us, {:.1} us of processor for each",
            self.name, run.per_second, run.p99_us, run.cpu_us
        );
        self.runs.push(run);
        Ok(())
    }

    fn median(&self, what: &str, unit: &'static str, of: fn(&Run) -> f64) -> Figure {
        let values: Vec<f64> = self.runs.iter().map(of).collect();
        Figure::median(format!("{}: {what}", self.name), unit, &values)
    }

    fn json(&self) -> Value {
        let run = |run: &Run| json!([run.per_second, run.p99_us, run.cpu_us]);
        json!({ "way": self.name, "runs": self.runs.iter().map(run).collect::<Vec<_>>() })
    }
}

/// Has all threads of the agent, and those that it starts, share one processor.
fn pin(agent: u32) -> Result<()> {
    let mut taskset = std::process::Command::new("taskset");
    taskset.args(["-acp", CORES[0], &agent.to_string()]);
    Output::of(taskset, PATIENCE)?.success().map(drop)
}

/// Waits until the agent has let go of the target.
fn let_go(node: &Node, agent: u32) -> Result<()> {
    wait_until(
        "no socket of the agent is in the namespace",
        PATIENCE,
        || tcp_sockets_of(&node.sender, agent).is_ok_and(|sockets| sockets == 0),
    )
}

/// One nginx: the application, or a proxy before it.
fn nginx(host: &Host, directory: &Path, upstream: Option<u16>) -> Result<Process> {
    let base = directory.display();
    let at = |port| host.socket_address(Family::V4, port);
    let (name, listen, core, server, location) = match upstream {
        None => (
            "application",
            at(APPLICATION),
            CORES[1],
            String::new(),
            "default_type text/plain; return 200 hello;",
        ),
        Some(port) => (
            "proxy",
            at(PROXY),
            CORES[0],
            format!(
                "upstream application {{ server {}; keepalive 64; keepalive_requests 1000000000; }}",
                at(port)
            ),
            "proxy_pass http://application; proxy_http_version 1.1; proxy_set_header Connection \"\";",
        ),
    };
    let text = format!(
        "daemon off; master_process off; worker_processes 1; pid {base}/{name}.pid; error_log {base}/{name}.log;
        events {{ worker_connections {CONNECTIONS}; }}
        http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 1h; {server}
        client_body_temp_path {base}/{name}.body; proxy_temp_path {base}/{name}.proxy; fastcgi_temp_path {base}/{name}.fastcgi;
        uwsgi_temp_path {base}/{name}.uwsgi; scgi_temp_path {base}/{name}.scgi;
        server {{ listen {listen} backlog=4096; location / {{ {location} }} }} }}\n"
    );
    let file = directory.join(format!("{name}.conf"));
    fs::write(&file, text).with_context(|| format!("write {}", file.display()))?;
    let mut command = host.command("taskset")?;
    command.args(["-c", core, "nginx", "-c"]).arg(&file);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let mut process = Process::spawn(command)?;
    let listening = wait_for(&format!("nginx listens on {listen}"), PATIENCE, || {
        if let Some(status) = process.ended() {
            return Some(Err(status));
        }
        let connected = host.run(|| TcpStream::connect(listen));
        matches!(connected, Ok(Ok(_))).then_some(Ok(()))
    })?;
    match listening {
        Ok(()) => Ok(process),
        Err(status) => bail!("nginx ended: {status}"),
    }
}

fn wrk(way: &Way, node: &Node, options: &Options) -> Result<Run> {
    let before = cpu_us(way.pid)?;
    let mut command = node.receiver.command("taskset")?;
    command
        .args(["-c", CORES[1], "wrk", "-t1", "--latency"])
        .args([
            format!("-c{}", options.connections),
            format!("-d{}s", options.seconds),
        ])
        .arg(format!(
            "http://{}/",
            node.sender.socket_address(Family::V4, way.port)
        ));
    let patience = PATIENCE + Duration::from_secs(options.seconds.into());
    let text = Output::of(command, patience)?.success()?.stdout;
    let after = cpu_us(way.pid)?;
    ensure!(
        !text.contains("Non-2xx") && !text.contains("Socket errors"),
        "{}: {text}",
        way.name
    );
    let word = |name: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(name));
        line.map(str::trim)
            .with_context(|| format!("wrk did not say {name}: {text}"))
    };
    let count = text
        .lines()
        .find_map(|line| line.trim().split_once(" requests in "));
    let count: f64 = count.context("wrk did not say how many")?.0.parse()?;
    Ok(Run {
        per_second: word("Requests/sec:")?.parse()?,
        p99_us: microseconds(word("99%")?)?,
        cpu_us: (after - before) / count,
    })
}

/// Of `wrk`'s words, such as `1.21ms`.
fn microseconds(text: &str) -> Result<f64> {
    let units = [("us", 1.0), ("ms", 1e3), ("s", 1e6)];
    let read = units.iter().find_map(|(unit, factor)| {
        let number = text.strip_suffix(unit)?.parse::<f64>().ok()?;
        Some(number * factor)
    });
    read.with_context(|| format!("{text} is no time"))
}

/// Processor time of a process so far.
fn cpu_us(pid: u32) -> Result<f64> {
    let mut sum = 0.0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).context("list its threads")? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        let nanoseconds = text.split(' ').next().context("schedstat is empty")?;
        sum += nanoseconds.parse::<f64>()? / 1e3;
    }
    Ok(sum)
}

/// Opens as many connections through a door as can be, up to the goal, has one request on each, and looks at the agent's
/// memory, in MiB.
fn open_many(node: &Node, agent: u32, files: u64) -> Result<(u32, f64)> {
    // The agent has two files for each, keeps one in twenty, and has some others.
    let most = (files / 20 * 19).saturating_sub(300) / 2;
    let count = u32::try_from(most).unwrap_or(MANY).min(MANY);
    eprintln!("bench: {count} connections at once");
    let id = node.start(RULE)?;
    let to = node.sender.socket_address(Family::V4, APPLICATION);
    let open = node
        .receiver
        .run(|| (0..count).map(|_| ask(to)).collect::<Result<Vec<_>>>())??;
    let status = node.ask(&format!("status {id}"))?;
    let through = &status["experiment"]["totals"]["requests"]["open_connections"];
    ensure!(*through == count, "not all went through the door: {status}");
    let status = fs::read_to_string(format!("/proc/{agent}/status"))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident = resident.context("/proc/PID/status lacks VmRSS")?;
    let kib: f64 = resident.trim().trim_end_matches(" kB").parse()?;
    drop(open);
    node.stop(&id)?;
    let_go(node, agent)?;
    Ok((count, kib / 1024.0))
}

/// One request on a connection that stays open.
fn ask(to: SocketAddr) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(to).context("open one more connection")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(REQUEST)?;
    ensure!(stream.read(&mut [0; 1024])? > 0, "no answer");
    Ok(stream)
}
