//! Listens to one agent: passes its news on, and notices when none come any more.

use std::pin::Pin;
use std::time::Duration;

use chaos_proto::v1::{Experiment, State, WatchResponse};
use tokio::time::Instant;
use tokio_stream::{Stream, StreamExt};
use tonic::Status;

use crate::quantity::from_wire;

/// News come every second or more often. The kernel lets packets pass when an agent has been silent for 3 s.
const SILENT_AFTER: Duration = Duration::from_secs(4);
/// How long after its deadline a silent experiment is given up.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// What a watch of an agent brings.
pub(super) type News = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

/// What was heard.
#[derive(Debug)]
pub(super) enum Heard {
    /// It runs, and this is how.
    Now(Box<Experiment>),
    /// It has ended.
    Ended(Box<Experiment>),
    /// Nothing for a while; said once until news come again.
    Silence,
    /// Nothing until long after the deadline.
    GivenUp,
    /// The stream is over without an end: the agent died, or the way to it was cut.
    Broken(Option<Status>),
}

/// Listens to one part of an experiment.
pub(super) struct Listener {
    news: News,
    heard_at: Instant,
    is_silent: bool,
    give_up_at: Instant,
}

impl Listener {
    pub(super) fn new(news: News, seen: &Experiment) -> Self {
        Self {
            news,
            heard_at: Instant::now(),
            is_silent: false,
            give_up_at: given_up(seen),
        }
    }

    /// Listens to the same part over another connection.
    pub(super) fn resume(&mut self, news: News) {
        self.news = news;
        self.heard_at = Instant::now();
        self.is_silent = false;
    }

    /// Waits for the next thing to be heard. Nothing is lost when it is not waited for to the end.
    pub(super) async fn next(&mut self) -> Heard {
        loop {
            let wait_until = if self.is_silent {
                self.give_up_at
            } else {
                self.give_up_at.min(self.heard_at + SILENT_AFTER)
            };
            match tokio::time::timeout_at(wait_until, self.news.next()).await {
                Ok(Some(Ok(news))) => {
                    self.is_silent = false;
                    self.heard_at = Instant::now();
                    let Some(news) = news.experiment else {
                        continue;
                    };
                    match news.state() {
                        State::Ended => return Heard::Ended(Box::new(news)),
                        State::Unspecified | State::Prepared => {}
                        State::Armed => {
                            self.give_up_at = given_up(&news);
                            return Heard::Now(Box::new(news));
                        }
                    }
                }
                Ok(Some(Err(status))) => return Heard::Broken(Some(status)),
                Ok(None) => return Heard::Broken(None),
                Err(_) if wait_until == self.give_up_at => return Heard::GivenUp,
                Err(_) => {
                    self.is_silent = true;
                    return Heard::Silence;
                }
            }
        }
    }
}

/// A hung agent ends no experiment, but its deadline passes all the same.
fn given_up(seen: &Experiment) -> Instant {
    Instant::now() + from_wire(seen.remaining.as_ref()).saturating_add(PATIENCE)
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;
    use tokio_stream::wrappers::ReceiverStream;

    use super::*;

    fn experiment(state: State) -> Experiment {
        Experiment {
            id: "delay-1".to_owned(),
            state: state.into(),
            remaining: Duration::from_secs(30).try_into().ok(),
            ..Experiment::default()
        }
    }

    fn news(state: State) -> WatchResponse {
        WatchResponse {
            experiment: Some(experiment(state)),
        }
    }

    fn listen(news: News) -> Listener {
        Listener::new(news, &experiment(State::Armed))
    }

    #[tokio::test(start_paused = true)]
    async fn an_agent_that_hangs_is_given_up_after_the_deadline() {
        let began = Instant::now();
        let mut listener = listen(Box::pin(tokio_stream::pending()));
        assert!(matches!(listener.next().await, Heard::Silence));
        assert_eq!(began.elapsed(), SILENT_AFTER);
        assert!(matches!(listener.next().await, Heard::GivenUp));
        assert_eq!(began.elapsed(), Duration::from_secs(30) + PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn an_agent_that_comes_back_is_listened_to() {
        let (sender, receiver) = mpsc::channel(1);
        let agent = async move {
            for state in [State::Prepared, State::Armed, State::Armed, State::Ended] {
                tokio::time::sleep(SILENT_AFTER * 2).await;
                let _ = sender.send(Ok(news(state))).await;
            }
        };
        let mut listener = listen(Box::pin(ReceiverStream::new(receiver)));
        let hear = async {
            let mut silences = 0;
            loop {
                match listener.next().await {
                    Heard::Silence => silences += 1,
                    Heard::Now(_) => {}
                    end @ (Heard::Ended(_) | Heard::GivenUp | Heard::Broken(_)) => {
                        return (silences, end);
                    }
                }
            }
        };
        let ((silences, end), ()) = tokio::join!(hear, agent);
        assert!(matches!(end, Heard::Ended(_)), "{end:?}");
        assert_eq!(silences, 4, "one before each of the news");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_stops_without_an_end_is_broken() {
        let stream = tokio_stream::iter([Ok(news(State::Armed))]);
        let mut listener = listen(Box::pin(stream));
        assert!(matches!(listener.next().await, Heard::Now(_)));
        assert!(matches!(listener.next().await, Heard::Broken(None)));
        let stream = tokio_stream::iter([Err(Status::unknown("broken pipe"))]);
        let mut listener = listen(Box::pin(stream));
        assert!(matches!(listener.next().await, Heard::Broken(Some(_))));
    }
}
