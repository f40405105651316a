//! Talks to one agent: a channel, the calls of `AgentService`, and what can go wrong between here and there.
//!
//! Knows tonic; knows nothing about flags, terminals or what the answers mean.

mod connect;
mod failure;

use std::time::Duration;

use chaos_proto::v1::agent_service_client::AgentServiceClient;
use chaos_proto::v1::disarm_request::Which;
use chaos_proto::v1::{
    ArmRequest, DescribeRequest, DescribeResponse, DisarmRequest, Experiment, ListRequest,
    PrepareRequest, UpdateRequest, WatchRequest, WatchResponse,
};
use tonic::transport::Channel;
use tonic::{Response, Status, Streaming};

pub use connect::{Address, DEFAULT_SOCKET};
pub use failure::ClientError;

/// A stopped agent accepts connections and answers nothing: no call waits longer than this.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Resolving and attaching hundreds of targets may take its time.
const PREPARE_WITHIN: Duration = Duration::from_mins(1);
/// Many experiments with many targets each; the agent is trusted not to flood its own operator.
const LARGEST_ANSWER: usize = 64 << 20;

/// A connection to one agent.
#[derive(Debug, Clone)]
pub struct Agent {
    address: Address,
    service: AgentServiceClient<Channel>,
}

impl Agent {
    /// Connects.
    pub async fn connect(address: &Address) -> Result<Self, ClientError> {
        let channel = address.connect().await?;
        Ok(Self {
            address: address.clone(),
            service: AgentServiceClient::new(channel).max_decoding_message_size(LARGEST_ANSWER),
        })
    }

    /// Where the agent is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// What the agent's kernel offers.
    pub async fn describe(&self) -> Result<DescribeResponse, ClientError> {
        let mut service = self.service.clone();
        self.answer(ANSWER_WITHIN, service.describe(DescribeRequest {}))
            .await
    }

    /// Resolves and attaches, or with `dry_run` only resolves.
    pub async fn prepare(&self, request: PrepareRequest) -> Result<Experiment, ClientError> {
        let mut service = self.service.clone();
        let answer = self
            .answer(PREPARE_WITHIN, service.prepare(request))
            .await?;
        answer.experiment.ok_or(ClientError::Incomplete)
    }

    /// Starts the clock.
    pub async fn arm(&self, id: &str) -> Result<Experiment, ClientError> {
        let mut service = self.service.clone();
        let request = ArmRequest { id: id.to_owned() };
        let answer = self.answer(ANSWER_WITHIN, service.arm(request)).await?;
        answer.experiment.ok_or(ClientError::Incomplete)
    }

    /// Changes an experiment that has not ended.
    pub async fn update(&self, request: UpdateRequest) -> Result<Experiment, ClientError> {
        let mut service = self.service.clone();
        let answer = self.answer(PREPARE_WITHIN, service.update(request)).await?;
        answer.experiment.ok_or(ClientError::Incomplete)
    }

    /// Ends one experiment and returns what it hit.
    pub async fn disarm(&self, id: &str) -> Result<Experiment, ClientError> {
        let mut ended = self.disarm_which(Which::Id(id.to_owned())).await?;
        ended.pop().ok_or(ClientError::Incomplete)
    }

    /// Ends every experiment of the agent.
    pub async fn disarm_all(&self) -> Result<Vec<Experiment>, ClientError> {
        self.disarm_which(Which::All(true)).await
    }

    async fn disarm_which(&self, which: Which) -> Result<Vec<Experiment>, ClientError> {
        let mut service = self.service.clone();
        let request = DisarmRequest { which: Some(which) };
        let answer = self.answer(ANSWER_WITHIN, service.disarm(request)).await?;
        Ok(answer.experiments)
    }

    /// Running experiments, newest first, and on request those that have ended.
    pub async fn list(&self, include_ended: bool) -> Result<Vec<Experiment>, ClientError> {
        let mut service = self.service.clone();
        let request = ListRequest { include_ended };
        let answer = self.answer(ANSWER_WITHIN, service.list(request)).await?;
        Ok(answer.experiments)
    }

    /// Follows one experiment; with `hold`, as its client.
    pub async fn watch(
        &self,
        id: &str,
        hold: bool,
        interval: Option<Duration>,
    ) -> Result<Streaming<WatchResponse>, ClientError> {
        let mut service = self.service.clone();
        let request = WatchRequest {
            id: id.to_owned(),
            hold,
            interval: interval.and_then(|interval| interval.try_into().ok()),
        };
        self.answer(ANSWER_WITHIN, service.watch(request)).await
    }

    /// One experiment as it is now, whether it runs or has ended.
    pub async fn experiment(&self, id: &str) -> Result<Experiment, ClientError> {
        let mut stream = self.watch(id, false, None).await?;
        let first = tokio::time::timeout(ANSWER_WITHIN, stream.message())
            .await
            .map_err(|_| self.silent(ANSWER_WITHIN))?
            .map_err(|status| ClientError::from_status(&self.address, status))?;
        first
            .and_then(|message| message.experiment)
            .ok_or(ClientError::Incomplete)
    }

    async fn answer<T>(
        &self,
        within: Duration,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, ClientError> {
        match tokio::time::timeout(within, call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(ClientError::from_status(&self.address, status)),
            Err(_) => Err(self.silent(within)),
        }
    }

    fn silent(&self, after: Duration) -> ClientError {
        ClientError::Silent {
            address: self.address.clone(),
            after,
        }
    }
}
