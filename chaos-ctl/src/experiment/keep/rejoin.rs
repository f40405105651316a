//! Finds a part again whose connection broke: over another one, or at another agent.

use std::time::Duration;

use tokio::time::Instant;
use tonic::{Code, Status};

use super::{Keeper, Left, Loss};
use crate::client::{Agent, ClientError};
use crate::experiment::listen::News;
use crate::experiment::start::Prepared;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// An agent that ended the experiment in time can still say so a little later.
const AFTERWARDS: Duration = Duration::from_secs(2);

impl Keeper {
    /// Connects anew until the agent tells of the part again, as its client. It is not lost before its grace period has
    /// passed, and is looked for until its deadline.
    pub(super) async fn rejoin(
        &self,
        part: &mut Prepared,
        cause: Option<Box<Status>>,
    ) -> Result<News, Left> {
        if !self.run.reach.is_cluster() {
            return Err(Left::Lost(cause, Loss::Broken));
        }
        let broke_at = Instant::now();
        let why = part.agent.last_words().map(|said| format!(" ({said})"));
        self.note(&format!(
            "the connection to its agent broke{}: connecting anew",
            why.unwrap_or_default()
        ));
        let mut is_told = false;
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match self.reconnect(part.id()).await {
                Ok((agent, news)) => {
                    self.run.may_act(&self.slot.node, part.id(), &agent);
                    part.agent = agent;
                    self.note("connected again");
                    return Ok(news);
                }
                Err(ClientError::Refused { status }) if status.code() == Code::NotFound => {
                    self.note("another agent is there now, and faults there have ended");
                    return Err(Left::Replaced);
                }
                Err(error) => error,
            };
            let until = self.run.deadline() + AFTERWARDS;
            if self.run.is_stopped() || Instant::now() > until {
                return Err(Left::Lost(cause, Loss::OutOfReach(error.to_string())));
            }
            if !is_told && broke_at.elapsed() >= self.run.grace {
                is_told = true;
                self.note(&format!(
                    "its agent cannot be reached ({error}): faults there end by themselves, after its grace period or by their deadline; trying again"
                ));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn reconnect(&self, id: &str) -> Result<(Agent, News), ClientError> {
        let agent = self.run.reach.again(&self.slot.node).await?;
        let news = agent.watch(id, true, Some(self.interval)).await?;
        Ok((agent, Box::pin(news)))
    }
}
