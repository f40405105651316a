//! Keeps one part going: what is wanted there acts there, for as long as it should, whatever happens to the agent or the
//! way to it.

mod begin;
mod rejoin;

use std::sync::Arc;
use std::time::Duration;

use chaos_proto::v1::selector::Where;
use chaos_proto::v1::{EndReason, Experiment, PodsSelector, PrepareRequest, UpdateRequest};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tonic::{Code, Status};

use super::listen::{Heard, Listener};
use super::run::{Run, Slot};
use super::start::{Armed, Prepared};
use crate::client::ClientError;

/// What an agent may say no to because the kubelet or the API server is not as far yet is asked for again.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(300);
/// For so long; then it is told.
const TRY_FOR: Duration = Duration::from_secs(5);

/// What is to act in a slot; nothing: let go of what does.
pub(super) type Wanted = Option<Box<PrepareRequest>>;

/// What is told about a slot.
#[derive(Debug)]
pub(super) enum What {
    /// What acts there now.
    Now(Box<Experiment>),
    /// What acted there and acts no more; something else may take its place.
    Past(Box<Experiment>),
    /// Nothing has to act there now.
    Idle,
    /// What is wanted there does not act, and why; nothing: now it does.
    Trouble(Option<String>),
    /// A sentence for a person, worth keeping.
    Note(String),
    /// The agent says nothing.
    Silent,
    /// It is over there.
    Over(End),
}

/// How it went in a slot.
#[derive(Debug)]
pub(super) enum End {
    /// As the agent says.
    Ended(Box<Experiment>),
    /// Nobody can say.
    Lost {
        /// As it was last seen.
        seen: Box<Experiment>,
        /// What the agent or the transport said; nothing when the stream just ended or nothing came.
        cause: Option<Box<Status>>,
    },
    /// Nothing had to act there at the end.
    Idle,
}

/// Why a part is no longer attended to.
enum Left {
    Ended(Box<Experiment>),
    Lost(Option<Box<Status>>),
    /// The agent is another one, and does not know it.
    Replaced,
    LetGo(Box<Experiment>),
}

pub(super) struct Keeper {
    run: Arc<Run>,
    slot: Slot,
    wanted: watch::Receiver<Wanted>,
    news: mpsc::UnboundedSender<(Slot, What)>,
    interval: Duration,
}

impl Keeper {
    pub(super) fn new(
        run: Arc<Run>,
        slot: Slot,
        wanted: watch::Receiver<Wanted>,
        news: mpsc::UnboundedSender<(Slot, What)>,
        interval: Duration,
    ) -> Self {
        Self {
            run,
            slot,
            wanted,
            news,
            interval,
        }
    }

    fn tell(&self, what: What) {
        // Whoever does not listen any more has left.
        let _ = self.news.send((self.slot.clone(), what));
    }

    fn note(&self, sentence: &str) {
        self.tell(What::Note(format!("{}: {sentence}", self.slot.node)));
    }

    /// Goes on until it is over in this slot. Without a part, begins one.
    pub(super) async fn keep(mut self, first: Option<Armed>) {
        let end = self.go_on(first).await;
        self.tell(What::Over(end));
    }

    async fn go_on(&mut self, mut next: Option<Armed>) -> End {
        // What acted here last, where something should act still.
        let mut missing: Option<End> = None;
        loop {
            let Some(mut armed) = next.take() else {
                next = self.begin(missing.is_some()).await;
                let is_gone = next.is_none();
                if is_gone && self.wanted.borrow().is_some() {
                    return missing.unwrap_or(End::Idle);
                }
                if let Some(End::Ended(past) | End::Lost { seen: past, .. }) = missing.take() {
                    self.tell(What::Past(past));
                }
                if is_gone {
                    return End::Idle;
                }
                continue;
            };
            let left = self.attend(&mut armed).await;
            let Prepared {
                request,
                experiment: seen,
                ..
            } = armed.prepared;
            if !matches!(left, Left::Lost(_)) {
                self.run.ended(&self.slot.node, &seen.id);
            }
            let seen = Box::new(seen);
            let is_let_go = matches!(left, Left::LetGo(_));
            match left {
                // Where its pods were deleted, others may come.
                Left::LetGo(ended) | Left::Ended(ended)
                    if is_let_go
                        || (self.run.follows && ended.end_reason() == EndReason::TargetGone) =>
                {
                    self.tell(What::Past(ended));
                    if !self.is_wanted_again(&request).await {
                        return End::Idle;
                    }
                }
                Left::Ended(ended)
                    if ended.end_reason() == EndReason::AgentStopped
                        && self.run.reach.is_cluster() =>
                {
                    self.note(
                        "its agent was stopped, and faults there have ended: waiting for the next agent",
                    );
                    missing = Some(End::Ended(ended));
                }
                Left::LetGo(ended) | Left::Ended(ended) => return End::Ended(ended),
                Left::Replaced => missing = Some(End::Lost { seen, cause: None }),
                Left::Lost(cause) => return End::Lost { seen, cause },
            }
        }
    }

    /// Waits until something is wanted that what has ended did not have. False when it is over before.
    async fn is_wanted_again(&mut self, ended: &PrepareRequest) -> bool {
        loop {
            let is_new = match &*self.wanted.borrow_and_update() {
                Some(wanted) => has_others(wanted, ended),
                None => false,
            };
            if is_new {
                return true;
            }
            self.tell(What::Idle);
            if !self.has_changed().await {
                return false;
            }
        }
    }

    /// Waits until something else is wanted. False when it is over before.
    async fn has_changed(&mut self) -> bool {
        tokio::select! {
            changed = self.wanted.changed() => changed.is_ok(),
            () = self.run.over() => false,
        }
    }

    /// Passes news on and applies changes until the part is over, or out of reach for good.
    async fn attend(&mut self, armed: &mut Armed) -> Left {
        let news = std::mem::replace(&mut armed.news, Box::pin(tokio_stream::empty()));
        let part = &mut armed.prepared;
        let mut listener = Listener::new(news, &part.experiment);
        self.tell(What::Now(Box::new(part.experiment.clone())));
        // What is wanted may have changed while it began.
        let mut change = Change::default();
        change.is_due(Instant::now());
        loop {
            tokio::select! {
                heard = listener.next() => match heard {
                    Heard::Now(now) => {
                        self.run.hears(&part.experiment, &now);
                        part.experiment = (*now).clone();
                        self.tell(What::Now(now));
                    }
                    Heard::Ended(ended) => return Left::Ended(ended),
                    Heard::Silence => self.tell(What::Silent),
                    Heard::GivenUp => return Left::Lost(None),
                    Heard::Broken(cause) => {
                        match self.rejoin(part, cause.map(Box::new)).await {
                            Ok(news) => listener.resume(news),
                            Err(left) => return left,
                        }
                    }
                },
                changed = self.wanted.changed(), if self.run.follows && !change.is_closed => {
                    change = Change::default();
                    match changed {
                        Ok(()) => change.is_due(Instant::now()),
                        Err(_) => change.is_closed = true,
                    }
                }
                () = change.wait() => if let Some(left) = self.apply(part, &mut change).await {
                    return left;
                }
            }
        }
    }

    /// Tells the agent what is wanted now, where that is something else than it knows.
    async fn apply(&self, part: &mut Prepared, change: &mut Change) -> Option<Left> {
        let wanted = self.wanted.borrow().clone();
        let Some(wanted) = wanted else {
            let Ok(ended) = part.agent.disarm(part.id()).await else {
                change.again(Instant::now());
                return None;
            };
            return Some(Left::LetGo(Box::new(ended)));
        };
        let update = update(part, &wanted);
        if update.pods.is_none() && update.rules.is_empty() {
            change.due = None;
            return None;
        }
        match part.agent.update(update).await {
            Ok(now) => {
                part.request.selector = wanted.selector;
                part.request.rules = wanted.rules;
                self.run.hears(&part.experiment, &now);
                part.experiment = now.clone();
                self.tell(What::Now(Box::new(now)));
                self.tell(What::Trouble(None));
                change.due = None;
            }
            Err(error) => {
                let now = Instant::now();
                if change.again(now) || !may_pass(&error) {
                    self.tell(What::Trouble(Some(error.to_string())));
                    change.due = None;
                }
            }
        }
        None
    }
}

/// When what is wanted is applied, or tried again.
#[derive(Debug, Default)]
struct Change {
    due: Option<Instant>,
    first_try: Option<Instant>,
    /// Nothing else will be wanted.
    is_closed: bool,
}

impl Change {
    fn is_due(&mut self, now: Instant) {
        self.due = Some(now);
        self.first_try = Some(now);
    }

    /// Tries again; true when that has been done for long enough.
    fn again(&mut self, now: Instant) -> bool {
        self.due = Some(now + TRY_AGAIN_AFTER);
        self.first_try.is_some_and(|first| now > first + TRY_FOR)
    }

    async fn wait(&self) {
        match self.due {
            Some(due) => tokio::time::sleep_until(due).await,
            None => std::future::pending().await,
        }
    }
}

/// Whether the same may be granted a little later: a pod whose container is about to run, an agent that is about to come
/// back.
fn may_pass(error: &ClientError) -> bool {
    match error {
        ClientError::Refused { status } => {
            matches!(status.code(), Code::NotFound | Code::Unavailable)
        }
        ClientError::Unknown { .. }
        | ClientError::OddToken
        | ClientError::Pem { .. }
        | ClientError::TokenInTheClear { .. }
        | ClientError::NoWay { .. }
        | ClientError::Interrupted
        | ClientError::Incomplete => false,
        ClientError::NoSocket { .. }
        | ClientError::Denied { .. }
        | ClientError::NobodyListens { .. }
        | ClientError::Socket { .. }
        | ClientError::Unreachable { .. }
        | ClientError::Silent { .. }
        | ClientError::Broken { .. }
        | ClientError::Forward { .. }
        | ClientError::NoAgent { .. }
        | ClientError::NoToken { .. } => true,
    }
}

/// What to change so that a part becomes what is wanted.
fn update(part: &Prepared, wanted: &PrepareRequest) -> UpdateRequest {
    let pods = pods(wanted).filter(|wanted| pods_changed(pods(&part.request), wanted));
    UpdateRequest {
        id: part.id().to_owned(),
        rules: if wanted.rules == part.request.rules {
            Vec::new()
        } else {
            wanted.rules.clone()
        },
        duration: None,
        pods: pods.cloned(),
    }
}

fn pods(request: &PrepareRequest) -> Option<&PodsSelector> {
    match request.selector.as_ref()?.r#where.as_ref()? {
        Where::Pods(pods) => Some(pods),
        Where::Service(_) | Where::Netns(_) | Where::Pid(_) | Where::Cgroup(_) | Where::Node(_) => {
            None
        }
    }
}

/// How many pods are ready elsewhere is no reason to tell an agent anything.
fn pods_changed(there: Option<&PodsSelector>, wanted: &PodsSelector) -> bool {
    there.is_none_or(|there| there.pods != wanted.pods || there.container != wanted.container)
}

/// Whether pods are wanted that are not among those that were.
fn has_others(wanted: &PrepareRequest, before: &PrepareRequest) -> bool {
    let Some(wanted) = pods(wanted) else {
        return true;
    };
    let before = pods(before).map_or(&[][..], |before| &before.pods);
    wanted.pods.iter().any(|pod| !before.contains(pod))
}
