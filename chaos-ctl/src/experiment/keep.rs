//! Keeps one part going: what is wanted there acts there, for as long as it should, whatever happens to the agent or
//! the way to it.

mod again;
mod begin;
mod change;
mod rejoin;
mod rules;

use std::sync::Arc;
use std::time::Duration;

use chaos_proto::v1::{EndReason, Experiment, PrepareRequest, Rule};
use tokio::sync::{mpsc, watch};
use tonic::Status;

use super::listen::{Heard, Listener};
use super::run::{Run, Slot};
use super::start::{Armed, Prepared};
use change::Change;
pub(super) use rules::Changed;

/// How soon a pod joins again whose network or container is another one now.
const ADD_AGAIN_AFTER: Duration = Duration::from_secs(1);

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
    /// Something should act there, and does not yet; what acted there before, if that is not told yet.
    Waiting(Option<Box<Experiment>>),
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
        /// What is known besides.
        how: Loss,
    },
    /// Nothing had to act there at the end.
    Idle,
}

/// How a part was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Loss {
    /// Its agent said nothing any more, over a connection that held.
    Silent,
    /// The connection broke, and that is all there is to know.
    Broken,
    /// The connection broke, and there was no other one; the last attempt's error.
    OutOfReach(String),
    /// Another agent is there, which does not know it.
    Replaced,
}

/// Why a part is no longer attended to.
enum Left {
    Ended(Box<Experiment>),
    Lost(Option<Box<Status>>, Loss),
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
    /// What somebody else made of the rules here.
    changed: Option<Changed>,
    /// Rules as the agent told them after what was asked of it here, the latest two: news that were on their way
    /// meanwhile have the one before.
    told: Vec<Vec<Rule>>,
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
            changed: None,
            told: Vec::new(),
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
            if !matches!(left, Left::Lost(..)) {
                self.run.ended(&self.slot.node, &seen.id);
            }
            let seen = Box::new(seen);
            match left {
                Left::LetGo(ended) => {
                    self.tell(What::Past(ended));
                    if !self.is_wanted_again(None).await {
                        return End::Idle;
                    }
                }
                // The answer to letting it go was lost.
                Left::Ended(ended)
                    if ended.end_reason() == EndReason::Stopped
                        && self.wanted.borrow().is_none() =>
                {
                    self.tell(What::Past(ended));
                    if !self.is_wanted_again(None).await {
                        return End::Idle;
                    }
                }
                // Where its pods were deleted, others may come; where they are restarted, the same.
                Left::Ended(ended)
                    if self.run.follows && ended.end_reason() == EndReason::TargetGone =>
                {
                    self.tell(What::Past(ended));
                    if !self.is_wanted_again(Some(&request)).await {
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
                    self.tell(What::Waiting(Some(ended.clone())));
                    missing = Some(End::Ended(ended));
                }
                Left::Ended(ended) => return End::Ended(ended),
                Left::Replaced => {
                    self.tell(What::Waiting(None));
                    missing = Some(End::Lost {
                        seen,
                        cause: None,
                        how: Loss::Replaced,
                    });
                }
                Left::Lost(cause, how) => return End::Lost { seen, cause, how },
            }
        }
    }

    /// Waits until something is wanted here again. False when it is over before. Pods that are gone may be there again,
    /// but not at once, and those that were deleted are not wanted for long.
    async fn is_wanted_again(&mut self, gone: Option<&PrepareRequest>) -> bool {
        let is_same = |wanted: &Wanted| {
            let both = wanted.as_ref().zip(gone);
            both.is_some_and(|(wanted, gone)| !change::has_others(wanted, gone))
        };
        let waits = is_same(&self.wanted.borrow_and_update());
        if waits {
            self.tell(What::Waiting(None));
            let _ = tokio::time::timeout(ADD_AGAIN_AFTER, self.has_changed()).await;
        }
        while self.wanted.borrow_and_update().is_none() {
            self.tell(What::Idle);
            if !self.has_changed().await {
                return false;
            }
        }
        self.tell(What::Waiting(None));
        true
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
        self.told = vec![part.experiment.rules.clone()];
        self.tell(What::Now(Box::new(part.experiment.clone())));
        // What is wanted may have changed while it began.
        let mut change = Change::due_now();
        loop {
            tokio::select! {
                heard = listener.next() => match heard {
                    Heard::Now(now) => {
                        self.hears(part, &now);
                        if self.run.reach.is_cluster() && change::lost_some(&now, &part.request) {
                            change.is_due_within(ADD_AGAIN_AFTER);
                        }
                        self.tell(What::Now(now));
                    }
                    Heard::Ended(ended) => return Left::Ended(ended),
                    Heard::Silence => self.tell(What::Silent),
                    Heard::GivenUp => return Left::Lost(None, Loss::Silent),
                    Heard::Broken(cause) => {
                        match self.rejoin(part, cause.map(Box::new)).await {
                            Ok(news) => listener.resume(news),
                            Err(left) => return left,
                        }
                    }
                },
                changed = self.wanted.changed(), if self.run.follows && !change.is_closed => {
                    match changed {
                        Ok(()) => change = Change::due_now(),
                        Err(_) => change.is_closed = true,
                    }
                }
                () = change.wait() => if let Some(left) = self.apply(part, &mut change).await {
                    return left;
                }
            }
        }
    }

    /// Takes over what the agent tells, and what somebody else has changed of it.
    fn hears(&mut self, part: &mut Prepared, now: &Experiment) {
        self.run.hears(&part.experiment, now);
        let before = &part.experiment.rules;
        if now.rules != *before && !self.told.contains(&now.rules) {
            let changed = self.changed.get_or_insert_default();
            changed.add(before, &now.rules);
            part.request.rules = changed.in_place_of(&part.request.rules);
            self.run.has_changed(changed);
            self.told = vec![now.rules.clone()];
        }
        part.experiment = now.clone();
    }

    /// What is wanted, with what somebody else has made of the rules.
    fn wanted(&self) -> Wanted {
        let mut wanted = self.wanted.borrow().clone();
        if let Some(wanted) = &mut wanted
            && let Some(changed) = self.changed.clone().or_else(|| self.run.changed())
        {
            wanted.rules = changed.in_place_of(&wanted.rules);
        }
        wanted
    }
}
