//! Talks to one agent: a channel, the calls of `AgentService`, and what can go wrong between here and there.
//!
//! Knows tonic; knows nothing about flags, terminals or what the answers mean.

mod connect;
mod credentials;
mod failure;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chaos_proto::v1::agent_service_client::AgentServiceClient;
use chaos_proto::v1::disarm_request::Which;
use chaos_proto::v1::{
    ArmRequest, DescribeRequest, DescribeResponse, DisarmRequest, Experiment, ListRequest,
    PrepareRequest, PrepareResponse, UpdateRequest, WatchRequest, WatchResponse,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status, Streaming};

pub use connect::{Address, DEFAULT_SOCKET, Tls};
pub use credentials::{GivenToken, TokenAnswer, TokenSource};
pub use failure::ClientError;

/// A stopped agent accepts connections and answers nothing: no call waits longer than this.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Resolving and attaching hundreds of targets may take its time, but an agent drops after 30 s what is not armed.
const PREPARE_WITHIN: Duration = Duration::from_secs(25);
/// Many experiments with many targets each; the agent is trusted not to flood its own operator.
const LARGEST_ANSWER: usize = 64 << 20;

/// What a transport says when it is cut, where it says more than that it was.
pub type LastWords = Arc<OnceLock<String>>;

/// A connection to one agent.
#[derive(Debug, Clone)]
pub struct Agent {
    address: Address,
    service: AgentServiceClient<Channel>,
    token: Option<Arc<dyn TokenSource>>,
    last_words: LastWords,
}

impl Agent {
    /// Connects to where an agent listens. A token goes with each call, except over a socket of this host.
    pub async fn connect(
        address: &Address,
        tls: &Tls,
        token: Option<Arc<dyn TokenSource>>,
    ) -> Result<Self, ClientError> {
        let (channel, token) = match address {
            Address::Socket(path) => (connect::over_socket(path).await?, None),
            Address::Server(uri) => {
                if token.is_some() && connect::is_in_the_clear(uri) {
                    let address = address.clone();
                    return Err(ClientError::TokenInTheClear { address });
                }
                (connect::over_tcp(uri, tls).await?, token)
            }
            Address::Pod { .. } => {
                return Err(ClientError::NoWay {
                    address: address.clone(),
                });
            }
        };
        Ok(Self::new(address, channel, token, LastWords::default()))
    }

    /// Speaks to an agent over a stream that reaches it already.
    pub async fn over(
        address: &Address,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        token: Option<Arc<dyn TokenSource>>,
        last_words: LastWords,
    ) -> Result<Self, ClientError> {
        let channel = connect::over_forwarded(address, stream).await?;
        Ok(Self::new(address, channel, token, last_words))
    }

    fn new(
        address: &Address,
        channel: Channel,
        token: Option<Arc<dyn TokenSource>>,
        last_words: LastWords,
    ) -> Self {
        Self {
            address: address.clone(),
            service: AgentServiceClient::new(channel).max_decoding_message_size(LARGEST_ANSWER),
            token,
            last_words,
        }
    }

    /// Where the agent is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// What the agent's kernel offers.
    pub async fn describe(&self) -> Result<DescribeResponse, ClientError> {
        self.call(
            ANSWER_WITHIN,
            DescribeRequest {},
            |mut service, request| async move { service.describe(request).await },
        )
        .await
    }

    /// Resolves and attaches, or with `dry_run` only resolves. The answer has an experiment.
    pub async fn prepare(
        &self,
        request: PrepareRequest,
    ) -> Result<(Experiment, PrepareResponse), ClientError> {
        let mut answer = self
            .call(PREPARE_WITHIN, request, |mut service, request| async move {
                service.prepare(request).await
            })
            .await?;
        let experiment = answer.experiment.take().ok_or(ClientError::Incomplete)?;
        Ok((experiment, answer))
    }

    /// Starts the clock.
    pub async fn arm(&self, id: &str) -> Result<Experiment, ClientError> {
        let request = ArmRequest { id: id.to_owned() };
        let answer = self
            .call(ANSWER_WITHIN, request, |mut service, request| async move {
                service.arm(request).await
            })
            .await?;
        answer.experiment.ok_or(ClientError::Incomplete)
    }

    /// Changes an experiment that has not ended.
    pub async fn update(&self, request: UpdateRequest) -> Result<Experiment, ClientError> {
        let answer = self
            .call(PREPARE_WITHIN, request, |mut service, request| async move {
                service.update(request).await
            })
            .await?;
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
        let request = DisarmRequest { which: Some(which) };
        let answer = self
            .call(ANSWER_WITHIN, request, |mut service, request| async move {
                service.disarm(request).await
            })
            .await?;
        Ok(answer.experiments)
    }

    /// Running experiments, newest first, and on request those that have ended.
    pub async fn list(&self, include_ended: bool) -> Result<Vec<Experiment>, ClientError> {
        let request = ListRequest { include_ended };
        let answer = self
            .call(ANSWER_WITHIN, request, |mut service, request| async move {
                service.list(request).await
            })
            .await?;
        Ok(answer.experiments)
    }

    /// Follows one experiment; with `hold`, as its client.
    pub async fn watch(
        &self,
        id: &str,
        hold: bool,
        interval: Option<Duration>,
    ) -> Result<Streaming<WatchResponse>, ClientError> {
        let request = WatchRequest {
            id: id.to_owned(),
            hold,
            interval: interval.and_then(|interval| interval.try_into().ok()),
        };
        self.call(ANSWER_WITHIN, request, |mut service, request| async move {
            service.watch(request).await
        })
        .await
    }

    /// One experiment as it is now, whether it runs or has ended.
    pub async fn experiment(&self, id: &str) -> Result<Experiment, ClientError> {
        let mut stream = self.watch(id, false, None).await?;
        let first = tokio::time::timeout(ANSWER_WITHIN, stream.message())
            .await
            .map_err(|_| self.silent(ANSWER_WITHIN))?
            .map_err(|status| self.failed(status))?;
        first
            .and_then(|message| message.experiment)
            .ok_or(ClientError::Incomplete)
    }

    /// One call with a token, and once more with another where the agent does not take it: it may have expired.
    async fn call<M, T, F>(
        &self,
        within: Duration,
        message: M,
        call: impl Fn(AgentServiceClient<Channel>, Request<M>) -> F,
    ) -> Result<T, ClientError>
    where
        M: Clone,
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut refused: Option<String> = None;
        loop {
            let mut request = Request::new(message.clone());
            let token = self.sign(&mut request, refused.as_deref()).await?;
            let answer = tokio::time::timeout(within, call(self.service.clone(), request)).await;
            match answer {
                Ok(Ok(response)) => return Ok(response.into_inner()),
                Ok(Err(status)) if status.code() == Code::Unauthenticated && refused.is_none() => {
                    match token {
                        Some(token) => refused = Some(token),
                        None => return Err(self.failed(status)),
                    }
                }
                Ok(Err(status)) => return Err(self.failed(status)),
                Err(_) => return Err(self.silent(within)),
            }
        }
    }

    /// Puts a token into a request, and returns it.
    async fn sign<M>(
        &self,
        request: &mut Request<M>,
        refused: Option<&str>,
    ) -> Result<Option<String>, ClientError> {
        let Some(source) = &self.token else {
            return Ok(None);
        };
        let token = source
            .token(refused)
            .await
            .map_err(|source| ClientError::NoToken { source })?;
        let mut value = MetadataValue::try_from(format!("Bearer {token}"))
            .map_err(|_| ClientError::OddToken)?;
        value.set_sensitive(true);
        request.metadata_mut().insert("authorization", value);
        Ok(Some(token))
    }

    /// What the transport said at its end counts more than what was noticed of it here.
    fn failed(&self, status: Status) -> ClientError {
        ClientError::from_status(&self.address, status, self.last_words())
    }

    /// What the transport said when it was cut.
    pub fn last_words(&self) -> Option<&str> {
        self.last_words.get().map(String::as_str)
    }

    /// What to say of an agent that has not answered for so long.
    pub(crate) fn silent(&self, after: Duration) -> ClientError {
        ClientError::Silent {
            address: self.address.clone(),
            after,
        }
    }
}
