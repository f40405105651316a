//! Asks a person before each activity: yes, skip or abort.

use chaos_toolkit::observe::{Answer, Gate, Phase};
use futures::future::BoxFuture;
use serde_json::{Map, Value};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines, Stdin};
use tokio::sync::{Mutex, mpsc};

use crate::output::Output;

/// Where answers come from.
pub(super) enum From {
    /// Keys of the terminal.
    Keys(mpsc::UnboundedReceiver<char>),
    /// Lines of standard input.
    Lines(Lines<BufReader<Stdin>>),
}

impl From {
    pub(super) fn lines() -> Self {
        Self::Lines(BufReader::new(tokio::io::stdin()).lines())
    }

    /// The first letter of the next answer; none: there will be none.
    async fn next(&mut self) -> Option<char> {
        match self {
            Self::Keys(keys) => keys.recv().await,
            Self::Lines(lines) => {
                let line = lines.next_line().await.ok().flatten()?;
                Some(line.trim().chars().next().unwrap_or(' '))
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

/// Asks.
pub(super) struct Confirm {
    from: Mutex<From>,
    output: Output<'static>,
}

impl Confirm {
    pub(super) fn new(from: From, output: Output<'static>) -> Self {
        Self {
            from: Mutex::new(from),
            output,
        }
    }

    /// One question at a time: those of activities in the background wait.
    async fn answer(&self, question: &str) -> Answer {
        let mut from = self.from.lock().await;
        from.forget();
        loop {
            self.output
                .warn(&format!("{question}: [y]es, [s]kip or [a]bort?"));
            match from.next().await {
                Some('y' | 'Y') => return Answer::Yes,
                Some('s' | 'S') => return Answer::Skip,
                // Nobody is there to say yes.
                Some('a' | 'A') | None => return Answer::Abort,
                Some(_) => {}
            }
        }
    }
}

impl Gate for Confirm {
    fn ask<'a>(&'a self, phase: Phase, activity: &'a Map<String, Value>) -> BoxFuture<'a, Answer> {
        let word = |key: &str| activity.get(key).and_then(Value::as_str).unwrap_or("?");
        let question = format!("{}: {} `{}`", phase.as_str(), word("type"), word("name"));
        Box::pin(async move { self.answer(&question).await })
    }
}
