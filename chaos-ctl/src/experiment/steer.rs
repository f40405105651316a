//! What a run is told from outside: Ctrl-C and SIGTERM, or the hand of a program that it is a part of.

use std::{fmt, io};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

/// Who ends a run before its time, and whether it begins by itself.
#[derive(Debug, Default)]
pub struct Steer {
    /// Nothing: signals.
    told: Option<mpsc::UnboundedReceiver<()>>,
    hold: Option<Hold>,
}

/// The other end of [`Steer`], for programs. Without it the run ends.
#[derive(Debug)]
pub struct Hand {
    stop: mpsc::UnboundedSender<()>,
    ready: Option<oneshot::Receiver<()>>,
    go: Option<oneshot::Sender<()>>,
}

/// A run that is in place, and waits for a word to act.
#[derive(Debug)]
pub(super) struct Hold {
    ready: oneshot::Sender<()>,
    go: oneshot::Receiver<()>,
}

/// Interruptions.
pub(super) enum Interrupt {
    /// From its creation on they no longer end the process by themselves.
    Signals(Signal, Signal),
    /// Of a hand.
    Told(mpsc::UnboundedReceiver<()>),
    /// The hand is gone, and the run has been told so.
    Alone,
}

impl Steer {
    /// By Ctrl-C and SIGTERM; it begins at once.
    pub fn by_signals() -> Self {
        Self::default()
    }

    /// By a hand; it begins at once.
    pub fn by_hand() -> (Hand, Self) {
        let (stop, told) = mpsc::unbounded_channel();
        let hand = Hand {
            stop,
            ready: None,
            go: None,
        };
        let steer = Self {
            told: Some(told),
            hold: None,
        };
        (hand, steer)
    }

    /// By a hand; it begins when that says so. Agents drop what has been in place for 30 s and has not begun.
    pub fn held() -> (Hand, Self) {
        let (mut hand, mut steer) = Self::by_hand();
        let (ready, is_ready) = oneshot::channel();
        let (begin, go) = oneshot::channel();
        hand.ready = Some(is_ready);
        hand.go = Some(begin);
        steer.hold = Some(Hold { ready, go });
        (hand, steer)
    }

    /// Waits until a hand ends it, before it listens; forever where signals do, which then end the process by themselves.
    pub async fn told(&mut self) {
        match &mut self.told {
            Some(told) => {
                told.recv().await;
            }
            None => std::future::pending().await,
        }
    }

    /// Begins to listen: from here on an interruption must undo what was done.
    pub(super) fn listen(self) -> io::Result<(Interrupt, Option<Hold>)> {
        let interrupt = match self.told {
            Some(told) => Interrupt::Told(told),
            None => Interrupt::Signals(
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
            ),
        };
        Ok((interrupt, self.hold))
    }
}

impl Hand {
    /// Waits until everything is in place on all nodes; at once where nothing is held, or the run is over.
    pub async fn ready(&mut self) {
        if let Some(ready) = &mut self.ready {
            let _ = ready.await;
            self.ready = None;
        }
    }

    /// Lets what is held begin.
    pub fn begin(&mut self) {
        if let Some(go) = self.go.take() {
            let _ = go.send(());
        }
    }

    /// As Ctrl-C does: ends the run; asked again, leaves without waiting for the agents.
    pub fn stop(&self) {
        let _ = self.stop.send(());
    }
}

impl Hold {
    /// Waits for the word.
    pub(super) async fn wait(self) {
        let _ = self.ready.send(());
        if self.go.await.is_err() {
            // Without its hand it has been interrupted as well.
            std::future::pending::<()>().await;
        }
    }
}

impl Interrupt {
    /// Waits for the next one.
    pub(super) async fn next(&mut self) {
        match self {
            Self::Signals(interrupt, terminate) => {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            }
            Self::Told(told) => {
                if told.recv().await.is_none() {
                    *self = Self::Alone;
                }
            }
            Self::Alone => std::future::pending().await,
        }
    }
}

impl fmt::Debug for Interrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signals(..) => "Signals",
            Self::Told(_) => "Told",
            Self::Alone => "Alone",
        })
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_hand_that_is_gone_interrupts_once() {
        let (hand, steer) = Steer::by_hand();
        let (mut interrupt, _) = steer.listen().unwrap();
        assert_eq!(interrupt.next().now_or_never(), None);
        hand.stop();
        assert_eq!(interrupt.next().now_or_never(), Some(()));
        drop(hand);
        assert_eq!(interrupt.next().now_or_never(), Some(()));
        assert_eq!(interrupt.next().now_or_never(), None);
    }

    #[tokio::test]
    async fn a_hand_is_felt_before_anything_listens() {
        let (hand, mut steer) = Steer::by_hand();
        assert_eq!(steer.told().now_or_never(), None);
        hand.stop();
        assert_eq!(steer.told().now_or_never(), Some(()));
        drop(hand);
        assert_eq!(steer.told().now_or_never(), Some(()));
        assert_eq!(Steer::by_signals().told().now_or_never(), None);
    }

    #[tokio::test]
    async fn what_is_held_waits_for_its_word() {
        let (mut hand, steer) = Steer::held();
        let mut waiting = Box::pin(steer.listen().unwrap().1.unwrap().wait());
        assert_eq!(hand.ready().now_or_never(), None);
        assert_eq!(waiting.as_mut().now_or_never(), None);
        assert_eq!(hand.ready().now_or_never(), Some(()));
        hand.begin();
        assert_eq!(waiting.as_mut().now_or_never(), Some(()));
    }
}
