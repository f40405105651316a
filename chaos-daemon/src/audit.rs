//! The audit log: one JSON line for every decision. Who, what, where, and what came of it; never a token.
//!
//! A thread of its own writes it, so that a reader who is slow holds up nobody.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::Path,
    sync::mpsc::{self, SyncSender, TrySendError},
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use serde::Serialize;
use tracing::error;

use crate::{
    access::Asker,
    engine::{Pod, Rule, Selector, Where},
};

/// Lines that may wait for the writer.
const WAITING: usize = 4096;
/// Most pods, or faults, that one line names.
const MOST: usize = 64;
/// Most bytes of one text, which may be a caller's.
const LONGEST: usize = 512;
/// What is said of a call whose end nobody saw.
const UNFINISHED: &str = "whoever called did not wait for the answer";

/// What came of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It was done.
    Allowed,
    /// Whoever asked may not, or a guard said no.
    Refused,
    /// They may, but it could not be done.
    Failed,
}

/// A line that is being written: one that nobody finishes, because the caller has gone, is written all the same.
pub struct Entry {
    line: Line,
    audit: Audit,
}

/// One line.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    /// When the call came.
    time: String,
    /// Name of whoever called; empty where that is not known.
    user: String,
    /// Their groups.
    groups: Vec<String>,
    /// How they are known.
    known_by: &'static str,
    /// What they called.
    call: &'static str,
    /// The experiment, or those that were ended.
    #[serde(skip_serializing_if = "String::is_empty")]
    id: String,
    /// Its faults, in short.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rules: Vec<String>,
    /// For how long.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<String>,
    /// Only to see what would be.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
    /// The node.
    node: String,
    /// Pods, or whatever else was pointed at.
    #[serde(rename = "where", skip_serializing_if = "Vec::is_empty")]
    places: Vec<String>,
    /// What came of it.
    verdict: Option<Verdict>,
    /// Why, where it was not done.
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
}

/// The way to the log.
#[derive(Clone)]
pub struct Audit {
    node: String,
    lines: Option<SyncSender<String>>,
}

/// The thread that writes; ends when nobody has the way to it any more.
pub struct Writer(Option<JoinHandle<()>>);

impl Audit {
    /// No log.
    pub const fn none() -> Self {
        Self {
            node: String::new(),
            lines: None,
        }
    }

    /// Of the agent of this node: appended to a file, or to standard output.
    pub fn start(node: String, file: Option<&Path>) -> io::Result<(Self, Writer)> {
        let sink: Box<dyn Write + Send> = match file {
            Some(path) => Box::new(OpenOptions::new().create(true).append(true).open(path)?),
            None => Box::new(io::stdout()),
        };
        let (lines, inbox) = mpsc::sync_channel::<String>(WAITING);
        let writer = thread::Builder::new()
            .name("audit".into())
            .spawn(move || write(sink, &inbox))?;
        let lines = Some(lines);
        Ok((Self { node, lines }, Writer(Some(writer))))
    }

    /// A line about a call that has just come.
    pub fn entry(&self, call: &'static str) -> Entry {
        let now = humantime::format_rfc3339_millis(SystemTime::now());
        let line = Line {
            time: now.to_string(),
            call,
            node: self.node.clone(),
            ..Line::default()
        };
        Entry {
            line,
            audit: self.clone(),
        }
    }

    fn write(&self, line: &Line) {
        let Some(lines) = &self.lines else { return };
        match serde_json::to_string(line).map(|line| lines.try_send(line)) {
            Ok(Ok(())) => {}
            Ok(Err(TrySendError::Full(line) | TrySendError::Disconnected(line))) => {
                error!(line, "the audit log does not take a line");
            }
            Err(error) => error!(%error, "a line of the audit log cannot be written"),
        }
    }
}

impl Writer {
    /// Waits for what has been said, not for too long.
    pub fn finish(mut self, patience: Duration) {
        let Some(thread) = self.0.take() else { return };
        let (done, wait) = mpsc::channel();
        let waiting = thread::Builder::new().spawn(move || {
            // Whether it could write, it has said itself.
            let _ = thread.join();
            drop(done);
        });
        if waiting.is_ok() {
            // Closes when it is done.
            let _: Result<(), _> = wait.recv_timeout(patience);
        }
    }
}

impl Entry {
    /// Who it is.
    pub fn asker(&mut self, asker: &Asker) {
        self.line.user.clone_from(&asker.user.name);
        self.line.groups.clone_from(&asker.user.groups);
        self.line.known_by = asker.how.as_str();
    }

    /// Which experiment.
    pub fn id(&mut self, id: &str) {
        self.line.id = cut(id);
    }

    /// Which experiments: each of them, however many.
    pub fn ids<'a>(&mut self, ids: impl Iterator<Item = &'a str>) {
        self.line.id = ids.collect::<Vec<_>>().join(", ");
    }

    /// Nothing is to be done.
    pub const fn dry_run(&mut self) {
        self.line.dry_run = true;
    }

    /// What is to happen.
    pub fn rules(&mut self, rules: &[Rule]) {
        self.line.rules = rules.iter().take(MOST).map(in_short).collect();
    }

    /// For how long.
    pub fn duration(&mut self, duration: Duration) {
        self.line.duration = Some(humantime::format_duration(duration).to_string());
    }

    /// Where.
    pub fn place(&mut self, selector: &Selector) {
        self.line.places = places(selector).iter().map(|place| cut(place)).collect();
    }

    /// Writes it down.
    pub fn finish(mut self, verdict: Verdict, reason: &str) {
        self.end(verdict, reason);
    }

    fn end(&mut self, verdict: Verdict, reason: &str) {
        self.line.verdict = Some(verdict);
        self.line.reason = cut(reason);
        self.audit.write(&self.line);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if self.line.verdict.is_none() {
            self.end(Verdict::Failed, UNFINISHED);
        }
    }
}

/// At most [`LONGEST`] of a text.
fn cut(text: &str) -> String {
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(LONGEST)])
}

/// What was pointed at, in words.
pub fn places(selector: &Selector) -> Vec<String> {
    match &selector.at {
        Where::Pods(pods) => {
            let named = pods.pods.iter().take(MOST).map(Pod::words);
            let more = pods.pods.len().saturating_sub(MOST);
            let rest = (more > 0).then(|| format!("and {more} more"));
            named.chain(rest).collect()
        }
        Where::Service {
            name, namespace, ..
        } => vec![format!("inventory {namespace}/{name}")],
        Where::Netns(name) => vec![format!("netns {name}")],
        Where::Pid(pid) => vec![format!("pid {pid}")],
        Where::Cgroup(path) => vec![format!("cgroup {path}")],
        Where::Node => vec!["node".to_owned()],
    }
}

/// The fault and what tells its packets apart, as far as people ask who did it.
fn in_short(rule: &Rule) -> String {
    let filter = &rule.filter;
    let mut words = vec![
        rule.fault.name().to_owned(),
        format!("{:?}", filter.direction).to_lowercase(),
    ];
    if let Some(protocol) = filter.protocol {
        words.push(format!("{protocol:?}").to_lowercase());
    }
    if rule.fault.service().is_some() {
        let ports = rule.doors().map(|(port, _)| port.to_string());
        let ports: Vec<String> = ports.collect();
        words.push(format!("port {}", ports.join(",")));
    } else if !filter.ports.is_empty() {
        words.push(format!("{} port ranges", filter.ports.len()));
    }
    if !filter.peers.is_empty() {
        words.push(format!("{} peers", filter.peers.len()));
    }
    if !filter.exceptions.is_empty() {
        words.push(format!("{} exceptions", filter.exceptions.len()));
    }
    words.join(" ")
}

fn write(mut sink: Box<dyn Write + Send>, inbox: &mpsc::Receiver<String>) {
    for mut line in inbox {
        line.push('\n');
        if let Err(error) = sink.write_all(line.as_bytes()).and_then(|()| sink.flush()) {
            error!(%error, line = line.trim_end(), "the audit log does not take a line");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::access::{Access, Caller, User};

    #[tokio::test]
    async fn a_line_says_who_did_what_where() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.log");
        let (audit, writer) = Audit::start("node-a".to_owned(), Some(&path)).unwrap();
        let user = User {
            name: "ann".to_owned(),
            groups: vec!["sre".to_owned()],
            ..User::default()
        };
        let access = Access::new(None, String::new());
        let asker = access.identify(&Caller::Certificate(user)).await.unwrap();
        let mut entry = audit.entry("prepare");
        entry.asker(&asker);
        entry.id("delay-1");
        entry.duration(Duration::from_secs(30));
        entry.place(&Selector {
            at: Where::Node,
            interface: None,
        });
        entry.finish(Verdict::Refused, "not allowed");
        audit.entry("list").finish(Verdict::Allowed, "");
        let mut left = audit.entry("arm");
        left.id(&"x".repeat(1 << 20));
        drop(left);
        drop(audit);
        writer.finish(Duration::from_secs(10));
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 3, "{text}");
        for (key, value) in [
            ("user", "ann"),
            ("knownBy", "certificate"),
            ("call", "prepare"),
            ("id", "delay-1"),
            ("duration", "30s"),
            ("node", "node-a"),
            ("verdict", "refused"),
            ("reason", "not allowed"),
        ] {
            assert_eq!(lines[0][key], value, "{text}");
        }
        assert_eq!(lines[0]["where"][0], "node");
        assert_eq!(lines[0]["groups"][0], "sre");
        assert_eq!(lines[1]["verdict"], "allowed");
        assert_eq!(lines[2]["verdict"], "failed", "nobody waited for it");
        assert_eq!(lines[2]["reason"], UNFINISHED);
        assert!(lines[2]["id"].as_str().unwrap().len() <= LONGEST + '…'.len_utf8());
    }
}
