//! How often something is asked for again that an agent refused, and when that is told.

use std::time::Duration;

use tokio::time::Instant;
use tonic::Code;

use crate::client::ClientError;

/// What an agent may say no to because the kubelet or the API server is not as far yet.
const SOON: Duration = Duration::from_millis(300);
/// What takes longer than that to pass.
const LATER: Duration = Duration::from_secs(1);
/// What is only granted when somebody changes something.
const MUCH_LATER: Duration = Duration::from_secs(5);
/// For so long nothing is said of what may pass by itself.
const UNSAID: Duration = Duration::from_secs(5);

/// Asks again, for as long as it is wanted.
#[derive(Debug)]
pub(super) struct Again {
    since: Instant,
    told: Option<String>,
}

impl Again {
    pub(super) fn new() -> Self {
        Self {
            since: Instant::now(),
            told: None,
        }
    }

    /// How long to wait, and what to tell, once.
    pub(super) fn refused(&mut self, error: &ClientError) -> (Duration, Option<String>) {
        let is_long = self.since.elapsed() > UNSAID;
        let (pause, is_told) = if error.may_pass() || may_run_later(error) {
            (if is_long { LATER } else { SOON }, is_long)
        } else {
            (MUCH_LATER, true)
        };
        let said = error.to_string();
        if !is_told || self.told.as_ref() == Some(&said) {
            return (pause, None);
        }
        self.told = Some(said.clone());
        (pause, Some(said))
    }
}

/// A container that has not begun, or is between two lives.
fn may_run_later(error: &ClientError) -> bool {
    matches!(error, ClientError::Refused { status } if status.code() == Code::FailedPrecondition)
}

#[cfg(test)]
mod tests {
    use tonic::Status;

    use super::*;

    fn refused(code: Code) -> ClientError {
        ClientError::Refused {
            status: Box::new(Status::new(code, "no")),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_pass_is_told_late_and_once() {
        for code in [Code::NotFound, Code::Unavailable, Code::FailedPrecondition] {
            let mut again = Again::new();
            assert_eq!(again.refused(&refused(code)), (SOON, None));
            tokio::time::advance(UNSAID + SOON).await;
            let told = Some("no".to_owned());
            assert_eq!(again.refused(&refused(code)), (LATER, told));
            assert_eq!(again.refused(&refused(code)), (LATER, None));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_somebody_may_not_is_told_at_once_and_asked_for_seldom() {
        let mut again = Again::new();
        let told = Some("no".to_owned());
        let denied = refused(Code::PermissionDenied);
        assert_eq!(again.refused(&denied), (MUCH_LATER, told));
        assert_eq!(again.refused(&denied), (MUCH_LATER, None));
    }
}
