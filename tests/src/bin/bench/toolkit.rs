//! What an experiment of Chaos Toolkit's format takes, with `chaosctl run` and with Chaos Toolkit itself, by turns: until its
//! first probe, and with many probes.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use chaos_tests::{lab::Lab, programs};
use serde_json::{Value, json};

use super::figure::{Figure, Goal, report};

#[derive(clap::Args)]
pub(super) struct Options {
    /// How often each is measured, in turn
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Process probes of the long experiment
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    probes: u32,
}

/// A program that plays experiments.
struct Player {
    program: PathBuf,
    arguments: &'static [&'static str],
}

/// How long a player may take to come to its first probe, or to start a program for it.
const PATIENCE: Duration = Duration::from_mins(2);

/// What a player took, in milliseconds.
#[derive(Default)]
struct Times {
    first_probe: Vec<f64>,
    short: Vec<f64>,
    long: Vec<f64>,
}

pub(super) fn measure(options: &Options) -> Result<Value> {
    let lab = Lab::new("toolkit")?;
    let directory = lab.directory();
    let ours = Player {
        program: programs::program("chaosctl")?,
        arguments: &["run"],
    };
    let reference = Player {
        program: programs::chaostoolkit()?,
        arguments: &["--no-version-check", "--no-log-file", "run"],
    };
    let short = experiment(directory, "short", 1)?;
    let long = experiment(directory, "long", options.probes)?;
    let (mut our_times, mut their_times) = (Times::default(), Times::default());
    let mut alone = Vec::new();
    for round in 0..=options.rounds {
        eprintln!("toolkit: round {round} of {}", options.rounds);
        for (player, times) in [(&ours, &mut our_times), (&reference, &mut their_times)] {
            let first_probe = player.until_first_probe(directory)?;
            let (one, many) = (
                player.play(directory, &short)?,
                player.play(directory, &long)?,
            );
            // The first brings programs and libraries into memory.
            if round > 0 {
                times.first_probe.push(milliseconds(first_probe));
                times.short.push(milliseconds(one));
                times.long.push(milliseconds(many));
            }
        }
        let programs = programs_alone(options.probes)?;
        if round > 0 {
            alone.push(milliseconds(programs));
        }
    }
    let figure = |name: String, of: fn(&Times) -> &Vec<f64>| {
        let theirs = Figure::median("", "", of(&their_times)).value;
        Figure::median(name, "ms", of(&our_times)).beside("Chaos Toolkit", theirs)
    };
    let many = format!("{} process probes", options.probes);
    let ratios = our_times.long.iter().zip(&their_times.long);
    let ratios: Vec<f64> = ratios.map(|(ours, theirs)| ours / theirs).collect();
    let figures = [
        figure("start to first probe".to_owned(), |times| {
            &times.first_probe
        })
        .goal(Goal::AtMost(20.0)),
        figure("one process probe and one action".to_owned(), |times| {
            &times.short
        }),
        figure(many.clone(), |times| &times.long),
        Figure::median(
            format!("{} such programs by themselves", options.probes),
            "ms",
            &alone,
        ),
        Figure::median(format!("{many}, of Chaos Toolkit's time"), "", &ratios)
            .goal(Goal::AtMost(0.5)),
    ];
    let details = |times: &Times| {
        json!({
            "first_probe_ms": times.first_probe,
            "short_ms": times.short,
            "long_ms": times.long,
        })
    };
    let details = json!({
        "chaosctl": details(&our_times),
        "chaostoolkit": details(&their_times),
        "alone_ms": alone,
    });
    report("toolkit", None, &figures, &details)
}

impl Player {
    /// From the start of the program to the connection of its first probe, which is of HTTP.
    fn until_first_probe(&self, directory: &Path) -> Result<Duration> {
        let listener = TcpListener::bind("127.0.0.1:0").context("listen for the first probe")?;
        let url = format!("http://{}/", listener.local_addr()?);
        let probe = json!({
            "type": "probe", "name": "first", "provider": { "type": "http", "url": url },
        });
        let file = written(directory, "first", &json!([probe]))?;
        listener.set_nonblocking(true)?;
        let started = Instant::now();
        let mut child = self.command(directory, &file).spawn()?;
        let connected = accepted(&listener, &mut child).map(|()| started.elapsed());
        drop(listener);
        // It is not answered: what the player makes of that does not matter here.
        child.wait().context("wait for the player")?;
        connected
    }

    /// From the start of the program to its end.
    fn play(&self, directory: &Path, file: &Path) -> Result<Duration> {
        let started = Instant::now();
        let mut child = self.command(directory, file).spawn()?;
        let status = child.wait().context("wait for the player")?;
        let took = started.elapsed();
        if !status.success() {
            bail!("{} failed: {status}", self.program.display());
        }
        Ok(took)
    }

    fn command(&self, directory: &Path, file: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.args(self.arguments).arg(file);
        command.current_dir(directory).env("HOME", directory);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }
}

/// What the kernel and the programs themselves take, one after the other: nobody's probes can take less.
fn programs_alone(count: u32) -> Result<Duration> {
    let started = Instant::now();
    for _ in 0..count {
        Command::new("true")
            .stdin(Stdio::null())
            .status()
            .context("run a program")?;
    }
    Ok(started.elapsed())
}

/// Waits for the connection in small steps, so that a player that ends without one is seen to.
fn accepted(listener: &TcpListener, child: &mut Child) -> Result<()> {
    let since = Instant::now();
    loop {
        match listener.accept() {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => {
                return Err(error).context("wait for the first probe");
            }
            Err(_) => {}
        }
        if let Some(status) = child.try_wait()? {
            bail!("the player ended without a probe: {status}");
        }
        if since.elapsed() > PATIENCE {
            child.kill()?;
            bail!("the player came to no probe");
        }
        thread::sleep(Duration::from_micros(100));
    }
}

/// An experiment of so many probes, and an action.
fn experiment(directory: &Path, name: &str, probes: u32) -> Result<PathBuf> {
    let activity = |kind: &str, name: String| json!({ "type": kind, "name": name, "provider": { "type": "process", "path": "true" } });
    let mut method: Vec<Value> = (0..probes)
        .map(|number| activity("probe", format!("probe {number}")))
        .collect();
    method.push(activity("action", "act".to_owned()));
    written(directory, name, &json!(method))
}

fn written(directory: &Path, name: &str, method: &Value) -> Result<PathBuf> {
    let file = directory.join(format!("{name}.json"));
    let experiment = json!({ "title": name, "description": name, "method": method });
    fs::write(&file, experiment.to_string())
        .with_context(|| format!("write {}", file.display()))?;
    Ok(file)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
