//! Plays a case with a program in a directory of its own, and tells what is left: exit code, journals, other files.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::case::{Case, When};
use crate::programs::{self, Program};
use crate::server::Server;
use crate::{compare, differences, journal};

/// No case takes nearly as long on an idle machine.
const LIMIT: Duration = Duration::from_mins(1);

/// What a program left of a case.
pub(crate) struct Left {
    /// What is compared: exit code, journals, files.
    pub(crate) outcome: Value,
    /// Journals as they are.
    pub(crate) journals: BTreeMap<String, String>,
    /// What was said to the user.
    pub(crate) said: String,
}

impl Left {
    /// Whether there is a journal, and none that breaks off.
    fn has_journals(&self) -> bool {
        let journals = self.outcome["journals"].as_object();
        journals.is_some_and(|all| !all.is_empty() && all.values().all(Value::is_object))
    }
}

/// Plays a case with both programs, and compares.
pub(crate) fn compared(subject: &str, name: &str) {
    if !programs::reference_is_here() {
        return;
    }
    let case = Case::read(subject, name);
    let scene = Scene::new();
    let reference = play(&case, Program::Reference, &scene);
    let ours = play(&case, Program::subject(), &scene);
    let found = compare::differences(&reference.outcome, &ours.outcome);
    let has_journals = [&reference, &ours].iter().all(|left| left.has_journals());
    let wrong = if Program::subject() == Program::Ours {
        differences::unexpected(&case.name, &found, has_journals)
    } else {
        found.iter().map(ToString::to_string).collect()
    };
    assert!(
        wrong.is_empty(),
        "{}: {} unexpected\n{}\n\nThe reference said:\n{}\nAnd the other:\n{}",
        case.name,
        wrong.len(),
        wrong.join("\n"),
        reference.said,
        ours.said
    );
    if Program::subject() == Program::Ours {
        assert!(!ours.said.contains("panicked at"), "{}", ours.said);
        let is_silent = ours.outcome["exit"] != 0 && ours.said.trim().is_empty();
        assert!(!is_silent, "it failed, and did not say why");
    }
}

/// Where a case is played. Paths and addresses are in messages, so both programs have the same.
pub(crate) struct Scene {
    server: Server,
    around: TempDir,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self {
            server: Server::start(),
            around: tempfile::tempdir().unwrap(),
        }
    }
}

/// Plays a case with one program.
pub(crate) fn play(case: &Case, program: Program, scene: &Scene) -> Left {
    let Scene { server, around } = scene;
    let directory = Directory::make(around.path().join("here"), case, server);
    let mut command = program.command("run", &directory.path);
    command
        .env("SERVER", server.address())
        .envs(&case.how.env)
        .args(&case.how.options)
        .arg(directory.source(case, server))
        .stdin(Stdio::null())
        .stdout(File::create(around.path().join("stdout")).unwrap())
        .stderr(File::create(around.path().join("stderr")).unwrap())
        .process_group(0);
    let mut running = Running {
        child: command.spawn().unwrap(),
        deadline: Instant::now() + LIMIT,
        said: ["stdout", "stderr"].map(|name| around.path().join(name)),
    };
    for signal in &case.how.signals {
        running.wait_for(&signal.when, &directory.path);
        running.send(signal.send.into());
    }
    let status = running.end();
    let (journals, files) = directory.left();
    let exit = status.code().map_or_else(
        || json!(format!("signal {:?}", status.signal())),
        |code| json!(code),
    );
    let normal = |(name, text): (&String, &String)| {
        let value = journal::read(text).unwrap();
        (name.clone(), journal::normalized(value, &case.how))
    };
    Left {
        outcome: json!({
            "exit": exit,
            "journals": journals.iter().map(normal).collect::<serde_json::Map<_, _>>(),
            "files": files,
        }),
        said: running.said(),
        journals,
    }
}

/// The directory that a program runs in; gone when dropped.
struct Directory {
    path: PathBuf,
    /// What was there before.
    given: BTreeMap<String, Vec<u8>>,
}

impl Directory {
    fn make(path: PathBuf, case: &Case, server: &Server) -> Self {
        let mut given: BTreeMap<String, Vec<u8>> = case
            .how
            .files
            .iter()
            .map(|(name, text)| {
                let text = text.replace("<server>", &server.address());
                (name.clone(), text.into_bytes())
            })
            .collect();
        let name = case.how.stands_as.as_ref().unwrap_or(&case.file);
        given.insert(name.clone(), case.text.clone());
        for (name, content) in &given {
            let file = path.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, content).unwrap();
        }
        Self { path, given }
    }

    /// What the program is told to run.
    fn source(&self, case: &Case, server: &Server) -> String {
        let name = case.how.stands_as.as_ref().unwrap_or(&case.file);
        server.serve_files(&self.path);
        case.how
            .source
            .as_ref()
            .unwrap_or(name)
            .replace("{server}", &server.address())
    }

    /// Journals, and other files that are new or were changed.
    fn left(&self) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
        let (mut journals, mut others) = (BTreeMap::new(), BTreeMap::new());
        for path in files(&self.path) {
            let name = path
                .strip_prefix(&self.path)
                .unwrap()
                .to_string_lossy()
                .into_owned();
            let content = fs::read(&path).unwrap();
            if self.given.get(&name) == Some(&content) {
                continue;
            }
            let text = String::from_utf8_lossy(&content).into_owned();
            if journal::read(&text).is_some() {
                journals.insert(name, text);
            } else {
                others.insert(name, text);
            }
        }
        (journals, others)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.path);
    }
}

/// All files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

/// A program that has not ended. Dropped, it and all that it started are ended.
struct Running {
    child: Child,
    deadline: Instant,
    said: [PathBuf; 2],
}

impl Running {
    fn wait_for(&mut self, when: &When, directory: &Path) {
        loop {
            let When::File(name) = when;
            let is_there = directory.join(name).exists();
            if is_there {
                return;
            }
            let ended = self.child.try_wait().unwrap();
            let gone_by = Instant::now() > self.deadline;
            assert!(
                ended.is_none() && !gone_by,
                "before {when:?}, it {}:\n{}",
                if gone_by { "had its time" } else { "ended" },
                self.said()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn send(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    fn end(&mut self) -> ExitStatus {
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                Instant::now() < self.deadline,
                "it does not end:\n{}",
                self.said()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn said(&self) -> String {
        self.said
            .iter()
            .map(|path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned())
            .collect()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Its group may outlive it: activities of a program that was interrupted.
        let _gone = killpg(self.pid(), Signal::SIGKILL);
        let _ended = self.child.wait();
    }
}
