//! Attends to a running experiment: passes its news on, and notices when none come any more.

use std::time::Duration;

use chaos_proto::v1::{Experiment, State, WatchResponse};
use tokio::time::Instant;
use tokio_stream::{Stream, StreamExt};
use tonic::Status;

use crate::output::progress::Progress;
use crate::quantity::from_wire;

/// News come every second or more often. The kernel lets packets pass when an agent has been silent for 3 s.
const SILENT_AFTER: Duration = Duration::from_secs(4);
/// How long after its deadline a silent experiment is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// How following an experiment ended.
#[derive(Debug)]
pub(super) enum Followed {
    /// With the experiment in its last state.
    Ended(Experiment),
    /// By the user.
    Interrupted,
    /// Without an end: the agent died, or hangs.
    Lost {
        /// The experiment as it was last seen.
        seen: Experiment,
        /// What the agent or the transport said; nothing when the stream just ended or nothing came.
        cause: Option<Status>,
    },
}

/// Follows the stream until the experiment has ended.
pub(super) async fn follow(
    mut stream: impl Stream<Item = Result<WatchResponse, Status>> + Unpin,
    armed: Experiment,
    progress: &mut Progress,
) -> Followed {
    let mut seen = armed;
    let mut warned = false;
    let mut give_up_at = given_up(&seen);
    loop {
        let wait_until = if warned {
            give_up_at
        } else {
            give_up_at.min(Instant::now() + SILENT_AFTER)
        };
        match tokio::time::timeout_at(wait_until, stream.next()).await {
            Ok(Some(Ok(news))) => {
                warned = false;
                let Some(news) = news.experiment else {
                    continue;
                };
                match news.state() {
                    State::Ended => return Followed::Ended(news),
                    State::Unspecified | State::Prepared => {}
                    State::Armed => {
                        progress.update(&news);
                        give_up_at = given_up(&news);
                        seen = news;
                    }
                }
            }
            Ok(Some(Err(status))) => {
                return Followed::Lost {
                    seen,
                    cause: Some(status),
                };
            }
            Ok(None) => return Followed::Lost { seen, cause: None },
            Err(_) if wait_until == give_up_at => return Followed::Lost { seen, cause: None },
            Err(_) => {
                progress.warn(
                    "the agent has been silent for 4 s: the kernel lets all packets pass until it is back",
                );
                warned = true;
            }
        }
    }
}

/// A hung agent ends no experiment, but its deadline passes all the same.
fn given_up(armed: &Experiment) -> Instant {
    Instant::now() + from_wire(armed.remaining.as_ref()).saturating_add(PATIENCE)
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use tokio::sync::mpsc;
    use tokio_stream::wrappers::ReceiverStream;

    use super::*;
    use crate::output::Output;

    type News = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>>>>;

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

    async fn followed(stream: News) -> Followed {
        let armed = experiment(State::Armed);
        let mut progress = Progress::start(Output::silent(), &armed);
        follow(stream, armed, &mut progress).await
    }

    #[tokio::test(start_paused = true)]
    async fn an_agent_that_hangs_is_given_up_after_the_deadline() {
        let began = Instant::now();
        let end = followed(Box::pin(tokio_stream::pending())).await;
        assert!(matches!(end, Followed::Lost { cause: None, .. }), "{end:?}");
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
        let (end, ()) = tokio::join!(followed(Box::pin(ReceiverStream::new(receiver))), agent);
        assert!(matches!(end, Followed::Ended(_)), "{end:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_stops_without_an_end_is_a_lost_agent() {
        let stream = tokio_stream::iter([Ok(news(State::Armed))]);
        let end = followed(Box::pin(stream)).await;
        assert!(matches!(end, Followed::Lost { cause: None, .. }), "{end:?}");
        let stream =
            tokio_stream::iter([Ok(news(State::Armed)), Err(Status::unknown("broken pipe"))]);
        let end = followed(Box::pin(stream)).await;
        assert!(
            matches!(end, Followed::Lost { cause: Some(_), .. }),
            "{end:?}"
        );
    }
}
