//! A Python that runs `bridge.py`, and the socket between: who waits for which answer, and what is left when it is gone.
//! Knows neither activities nor controls.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};
use tokio::sync::{OwnedMutexGuard, mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::provider::Thread;

use super::SignalHandler;
use super::answer::Answer;

/// How long interrupted code may go on before Python is killed: for its own tidying up.
const GRACE: Duration = Duration::from_secs(3);

/// How long a Python that has ended may still be heard: what it wrote is in the socket.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// What Python runs first. The socket comes as its standard input, so that no descriptor has to be chosen; user code finds
/// nothing there, and nobody whom it starts inherits the socket.
pub(super) const START: &str = "import os
ANSWERS = os.dup(0)
with open(os.devnull, 'rb') as nothing:
    os.dup2(nothing.fileno(), 0)
REQUESTS = os.fdopen(ANSWERS, 'rb')
code = REQUESTS.read(int(REQUESTS.readline()))
exec(compile(code, '<chaosctl>', 'exec'), {'__name__': 'chaosctl', 'ANSWERS': ANSWERS, 'REQUESTS': REQUESTS})";

pub(super) const BRIDGE: &str = include_str!("bridge.py");

/// A running Python.
#[derive(Debug)]
pub(super) struct Bridge {
    requests: mpsc::UnboundedSender<Vec<u8>>,
    waiting: Arc<Mutex<Waiting>>,
    numbers: AtomicU64,
    /// Who has the main thread.
    main: Arc<tokio::sync::Mutex<()>>,
    /// Told to kill it.
    kill: mpsc::UnboundedSender<()>,
    ended: watch::Receiver<bool>,
}

#[derive(Debug, Default)]
struct Waiting {
    learnt: HashSet<&'static str>,
    asked: HashMap<u64, Asked>,
    /// Why Python is gone.
    gone: Option<String>,
    /// Whether the request that has the main thread is one that nobody waits for any more.
    abandoned: bool,
}

#[derive(Debug)]
struct Asked {
    answer: oneshot::Sender<Answer>,
    /// Keeps the main thread until the answer is here, also when nobody waits for it.
    main: Option<OwnedMutexGuard<()>>,
}

impl Bridge {
    pub(super) fn start(program: &Path, on_signal: SignalHandler) -> io::Result<Self> {
        let (ours, theirs) = StdUnixStream::pair()?;
        ours.set_nonblocking(true)?;
        // What user code prints is no result of ours.
        let stderr = io::stderr().as_fd().try_clone_to_owned()?;
        let child = Command::new(program)
            .arg("-c")
            .arg(START)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(stderr))
            // Ctrl-C is for the run to pass on, once.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let (from, to) = UnixStream::from_std(ours)?.into_split();
        let waiting = Arc::new(Mutex::new(Waiting::default()));
        let (requests, to_write) = mpsc::unbounded_channel();
        let (kill, killed) = mpsc::unbounded_channel();
        let (ended, is_ended) = watch::channel(false);
        tokio::spawn(write(to, to_write));
        tokio::spawn(read(from, child, killed, waiting.clone(), on_signal, ended));
        let mut code = format!("{}\n", BRIDGE.len()).into_bytes();
        code.extend_from_slice(BRIDGE.as_bytes());
        let _ = requests.send(code);
        let main = Arc::default();
        Ok(Self {
            requests,
            waiting,
            numbers: AtomicU64::new(1),
            main,
            kill,
            ended: is_ended,
        })
    }

    pub(super) fn is_gone(&self) -> bool {
        lock(&self.waiting).gone.is_some()
    }

    /// Asks; dropped before the answer, the code that runs is interrupted.
    pub(super) async fn ask(
        &self,
        op: &str,
        thread: Thread,
        mut request: Map<String, Value>,
    ) -> Answer {
        let main = match thread {
            Thread::Main => match self.main_thread().await {
                Some(main) => Some(main),
                None => return self.gone(),
            },
            Thread::Background => None,
        };
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        request.insert("id".into(), number.into());
        request.insert("op".into(), op.into());
        request.insert(
            "thread".into(),
            if main.is_some() { "main" } else { "background" }.into(),
        );
        let (answer, said) = oneshot::channel();
        {
            let mut waiting = lock(&self.waiting);
            if let Some(why) = &waiting.gone {
                return Answer::Gone(why.clone());
            }
            if main.is_some() {
                waiting.abandoned = false;
            }
            waiting.asked.insert(number, Asked { answer, main });
        }
        self.tell(&Value::Object(request));
        let mut asking = Asking {
            bridge: self,
            number,
            main: thread == Thread::Main,
            done: false,
        };
        let answer = said.await;
        asking.done = true;
        answer.unwrap_or_else(|_| self.gone())
    }

    /// Whoever has the main thread keeps it as long as it takes; but if nobody waits for that any more, not for ever.
    async fn main_thread(&self) -> Option<OwnedMutexGuard<()>> {
        loop {
            if let Ok(main) = timeout(GRACE, self.main.clone().lock_owned()).await {
                return (!self.is_gone()).then_some(main);
            }
            if lock(&self.waiting).abandoned {
                self.kill("code that was interrupted went on");
                return None;
            }
        }
    }

    /// The main thread, unless somebody has it.
    pub(super) fn free_thread(&self) -> Thread {
        if self.main.try_lock().is_ok() {
            Thread::Main
        } else {
            Thread::Background
        }
    }

    /// Has the main thread do something between what is asked of it; its answer is heard by nobody.
    pub(super) fn tell_main(&self, op: &str, mut request: Map<String, Value>) {
        request.insert("id".into(), 0.into());
        request.insert("op".into(), op.into());
        request.insert("thread".into(), "main".into());
        self.tell(&Value::Object(request));
    }

    fn gone(&self) -> Answer {
        Answer::Gone(
            lock(&self.waiting)
                .gone
                .clone()
                .unwrap_or_else(|| "Python ended".into()),
        )
    }

    /// Has what runs in the background end by an exception, where it can; those who wait for it go on waiting.
    pub(super) fn leave(&self) {
        self.tell(&json!({"op": "leave"}));
    }

    /// Has it know a further part of the program, once.
    pub(super) fn learn(&self, code: &'static str) {
        if lock(&self.waiting).learnt.insert(code) {
            self.tell(&json!({"op": "learn", "code": code}));
        }
    }

    /// What user code sees in its environment from now on.
    pub(super) fn environment(&self, variables: &BTreeMap<String, String>) {
        self.tell(&json!({"op": "environment", "variables": variables}));
    }

    fn tell(&self, request: &Value) {
        let mut line = request.to_string().into_bytes();
        line.push(b'\n');
        let _ = self.requests.send(line);
    }

    fn kill(&self, why: &str) {
        lock(&self.waiting)
            .gone
            .get_or_insert_with(|| format!("Python was killed: {why}"));
        let _ = self.kill.send(());
    }

    /// Lets Python end as programs do, and kills it if it does not.
    pub(super) async fn close(&self) {
        self.tell(&json!({"op": "close"}));
        let mut ended = self.ended.clone();
        if timeout(GRACE, ended.wait_for(|ended| *ended))
            .await
            .is_err()
        {
            self.kill("it went on after the run was over");
            let _ = ended.wait_for(|ended| *ended).await;
        }
    }
}

/// Somebody who waits for an answer.
struct Asking<'a> {
    bridge: &'a Bridge,
    number: u64,
    main: bool,
    done: bool,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if !self.done {
            let mut waiting = lock(&self.bridge.waiting);
            if waiting.asked.contains_key(&self.number) {
                waiting.abandoned |= self.main;
                self.bridge
                    .tell(&json!({"op": "cancel", "of": self.number}));
            }
        }
    }
}

async fn write(mut to: OwnedWriteHalf, mut requests: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(request) = requests.recv().await {
        if to.write_all(&request).await.is_err() {
            // Whoever reads finds out why.
            return;
        }
    }
}

async fn read(
    from: OwnedReadHalf,
    mut child: Child,
    mut killed: mpsc::UnboundedReceiver<()>,
    waiting: Arc<Mutex<Waiting>>,
    on_signal: SignalHandler,
    ended: watch::Sender<bool>,
) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    loop {
        // What was read of a line when something else happens stays in it.
        tokio::select! {
            read = from.read_until(b'\n', &mut line) => {
                if !matches!(read, Ok(1..)) || line.last() != Some(&b'\n') {
                    break;
                }
                hear(&line, &waiting, &on_signal);
                line.clear();
            }
            // Its sender is gone with the bridge: nobody asks any more.
            _ = killed.recv() => {
                let _ = child.start_kill();
                break;
            }
            // Somebody whom it started may still have the socket; what it said itself is here, or comes at once.
            _ = child.wait() => {
                while let Ok(Ok(1..)) = timeout(LAST_WORDS, from.read_until(b'\n', &mut line)).await {
                    hear(&line, &waiting, &on_signal);
                    line.clear();
                }
                break;
            }
        }
    }
    let why = if let Ok(Ok(status)) = timeout(GRACE, child.wait()).await {
        format!("Python ended ({status})")
    } else {
        let _ = child.kill().await;
        "Python closed its end of the socket".into()
    };
    let asked = {
        let mut waiting = lock(&waiting);
        waiting.gone.get_or_insert(why);
        std::mem::take(&mut waiting.asked)
    };
    drop(asked);
    let _ = ended.send(true);
}

/// One line of Python's: `NUMBER KIND JSON`. The number comes first, so that also a value that is none is an answer.
fn hear(line: &[u8], waiting: &Mutex<Waiting>, on_signal: &SignalHandler) {
    let mut parts = line
        .splitn(3, |byte| *byte == b' ')
        .map(String::from_utf8_lossy);
    let (Some(number), Some(kind), Some(text)) = (parts.next(), parts.next(), parts.next()) else {
        return;
    };
    let (kind, value) = match serde_json::from_str(&text) {
        Ok(value) => (kind.into_owned(), value),
        Err(error) => (
            "failed".into(),
            json!({"message": format!("what it gave cannot be read: {error}")}),
        ),
    };
    if kind == "signal" {
        return on_signal.hear(value.as_str().unwrap_or_default());
    }
    let asked = number
        .parse()
        .ok()
        .and_then(|number: u64| lock(waiting).asked.remove(&number));
    if let Some(Asked { answer, main }) = asked {
        // The main thread is free before whoever waited asks again.
        drop(main);
        let _ = answer.send(Answer::Said { kind, value });
    }
}

/// Nothing panics while it is held, and what is in it is whole at every step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
