//! Asks a person before each activity: yes, skip or abort.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chaos_toolkit::observe::{Answer, Gate, Phase};
use futures::future::BoxFuture;
use serde_json::{Map, Value};
use tokio::io::{self, AsyncBufReadExt as _, BufReader, Stdin};
use tokio::sync::{Mutex, mpsc};

use crate::output::Output;

/// Lines of standard input. They are shared, as more may have been read from it than was asked for.
#[derive(Clone)]
pub(super) struct Lines(Arc<Mutex<io::Lines<BufReader<Stdin>>>>);

impl Default for Lines {
    fn default() -> Self {
        let lines = BufReader::new(io::stdin()).lines();
        Self(Arc::new(Mutex::new(lines)))
    }
}

/// Where answers come from.
pub(super) enum From {
    /// Keys of the terminal.
    Keys(mpsc::UnboundedReceiver<char>),
    /// Lines of standard input.
    Lines(Lines),
}

impl From {
    /// The letter of the next answer, blank where it is none; none: there will be none.
    async fn next(&mut self) -> Option<char> {
        match self {
            Self::Keys(keys) => keys.recv().await,
            Self::Lines(Lines(lines)) => {
                let line = lines.lock().await.next_line().await.ok().flatten()?;
                Some(letter(line.trim()).unwrap_or(' '))
            }
        }
    }

    /// Forgets keys that were pressed before there was a question.
    fn forget(&mut self) {
        if let Self::Keys(keys) = self {
            while keys.try_recv().is_ok() {}
        }
    }
}

/// Of an answer in a line: a letter, or the word that it stands for. What only begins likewise, such as `stop`, is neither.
fn letter(line: &str) -> Option<char> {
    const WORDS: [&str; 3] = ["yes", "skip", "abort"];
    let line = line.to_lowercase();
    let word = WORDS
        .iter()
        .find(|word| line == **word || (line.len() == 1 && word.starts_with(&line)));
    word.and_then(|word| word.chars().next())
}

/// Asks.
pub(super) struct Confirm {
    from: Mutex<From>,
    output: Output<'static>,
    /// Whether somebody said no to everything.
    is_refused: Arc<AtomicBool>,
}

impl Confirm {
    pub(super) fn new(from: From, output: Output<'static>, is_refused: Arc<AtomicBool>) -> Self {
        Self {
            from: Mutex::new(from),
            output,
            is_refused,
        }
    }

    /// One question at a time: those of activities in the background wait.
    async fn answer(&self, phase: Phase, question: &str) -> Answer {
        let mut from = self.from.lock().await;
        from.forget();
        loop {
            self.output
                .warn(&format!("{question}: [y]es, [s]kip or [a]bort?"));
            match from.next().await {
                Some('y' | 'Y') => return Answer::Yes,
                Some('s' | 'S') => return Answer::Skip,
                // Nobody is there to undo it by hand; nor, before that, to say yes.
                None if phase == Phase::Rollbacks => return Answer::Yes,
                Some('a' | 'A') | None => {
                    self.is_refused.store(true, Ordering::Relaxed);
                    return Answer::Abort;
                }
                Some(_) => {}
            }
        }
    }
}

impl Gate for Confirm {
    fn ask<'a>(&'a self, phase: Phase, activity: &'a Map<String, Value>) -> BoxFuture<'a, Answer> {
        let word = |key: &str| activity.get(key).and_then(Value::as_str).unwrap_or("?");
        let question = format!("{}: {} `{}`", phase.as_str(), word("type"), word("name"));
        Box::pin(async move { self.answer(phase, &question).await })
    }
}
