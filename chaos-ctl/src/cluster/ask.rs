//! Questions to the API server, and what it can answer instead: each as one sentence.

use std::error::Error as _;
use std::fmt::Debug;
use std::time::Duration;

use kube::api::{Api, ListParams};
use kube::{Resource, ResourceExt as _};
use serde::de::DeserializeOwned;

use super::Cluster;
use crate::error::{CommandError, ErrorKind, innermost};
use crate::quantity::time_in_words;

/// A page of a list is an answer, too.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// What client-go asks for: large enough to be few, small enough not to hurt the API server.
const PAGE: u32 = 500;

/// An API server that does not answer, or answers no.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// Nothing is there.
    #[error("cannot reach the API server at {url}: {}", innermost(source))]
    Unreachable {
        /// Where it should be.
        url: String,
        /// Why.
        source: Box<kube::Error>,
    },
    /// It is there, and says nothing.
    #[error(
        "the API server at {url} did not answer within {}",
        time_in_words(ANSWER_WITHIN)
    )]
    Silent {
        /// Where it is.
        url: String,
    },
    /// 401.
    #[error(
        "the API server at {url} does not know who you are: log in anew, or check the user of the context"
    )]
    Unauthenticated {
        /// Where it is.
        url: String,
    },
    /// A plugin or provider that should have said who we are.
    #[error("cannot log in to the API server at {url}: {}", innermost(source))]
    LogIn {
        /// Where it is.
        url: String,
        /// Why.
        source: Box<kube::Error>,
    },
    /// 403.
    #[error("{who} may not {verb} {resource} in {place}: ask for a role with this right")]
    Forbidden {
        /// The user, as the API server calls it.
        who: String,
        /// What was asked for.
        verb: &'static str,
        /// Of what.
        resource: String,
        /// `namespace x`, or `all namespaces`.
        place: String,
    },
    /// Anything else that it says.
    #[error("the API server would not {verb} {resource}: {message}")]
    Answer {
        /// What was asked for.
        verb: &'static str,
        /// Of what.
        resource: String,
        /// HTTP status.
        code: u16,
        /// Its words.
        message: String,
    },
}

impl From<ApiError> for CommandError {
    fn from(error: ApiError) -> Self {
        Self::new(ErrorKind::Failed, error)
    }
}

/// What is asked for, for errors.
pub(super) struct Question {
    pub(super) verb: &'static str,
    pub(super) resource: String,
    pub(super) namespace: Option<String>,
}

/// What can be asked for.
pub(super) trait Object:
    Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug
{
}
impl<K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug> Object for K {}

impl Cluster {
    /// One object by its name; nothing where there is none.
    pub(super) async fn get<K: Object>(
        &self,
        api: &Api<K>,
        name: &str,
    ) -> Result<Option<K>, ApiError> {
        let question = question("get", api);
        self.within(api.get_opt(name), &question).await
    }

    /// All objects that fit, page by page.
    pub(super) async fn list<K: Object>(
        &self,
        api: &Api<K>,
        fits: ListParams,
    ) -> Result<Vec<K>, ApiError> {
        let question = question("list", api);
        let mut found: Vec<K> = Vec::new();
        let mut params = fits.clone().limit(PAGE);
        loop {
            let page = tokio::time::timeout(ANSWER_WITHIN, api.list(&params)).await;
            let page = match page {
                // The rest of the list is too old to be told: only the whole one is consistent.
                Ok(Err(kube::Error::Api(status)))
                    if status.code == 410 && params.continue_token.is_some() =>
                {
                    let all = self.within(api.list(&fits), &question).await?;
                    return Ok(all.items);
                }
                Ok(page) => page.map_err(|error| self.error(error, &question))?,
                Err(_) => return Err(self.silent()),
            };
            found.extend(page.items);
            match page.metadata.continue_.filter(|next| !next.is_empty()) {
                Some(next) => params = fits.clone().limit(PAGE).continue_token(&next),
                None => return Ok(found),
            }
        }
    }

    /// Names of all objects there, for suggestions; none where they may not be seen.
    pub(super) async fn names<K: Object>(&self, api: &Api<K>) -> Vec<String> {
        let all = self.list(api, ListParams::default()).await;
        all.unwrap_or_default().iter().map(K::name_any).collect()
    }

    /// An answer, or why there is none in time.
    pub(super) async fn within<T>(
        &self,
        answer: impl Future<Output = kube::Result<T>>,
        question: &Question,
    ) -> Result<T, ApiError> {
        match tokio::time::timeout(ANSWER_WITHIN, answer).await {
            Ok(answer) => answer.map_err(|error| self.error(error, question)),
            Err(_) => Err(self.silent()),
        }
    }

    fn silent(&self) -> ApiError {
        ApiError::Silent { url: self.url() }
    }

    /// Where the API server is, as a person writes it.
    pub fn url(&self) -> String {
        let url = self.config.cluster_url.to_string();
        url.trim_end_matches('/').to_owned()
    }

    fn error(&self, error: kube::Error, question: &Question) -> ApiError {
        let url = self.url();
        let is_auth = matches!(error, kube::Error::Auth(_))
            || error
                .source()
                .is_some_and(|source| source.downcast_ref::<kube::client::AuthError>().is_some());
        let kube::Error::Api(status) = error else {
            let source = Box::new(error);
            return if is_auth {
                ApiError::LogIn { url, source }
            } else {
                ApiError::Unreachable { url, source }
            };
        };
        let resource = question.resource.clone();
        match status.code {
            401 => ApiError::Unauthenticated { url },
            403 => ApiError::Forbidden {
                who: who(&status.message),
                verb: question.verb,
                resource,
                place: question.namespace.as_ref().map_or_else(
                    || "the whole cluster".to_owned(),
                    |namespace| format!("namespace {namespace}"),
                ),
            },
            _ => ApiError::Answer {
                verb: question.verb,
                resource,
                code: status.code,
                message: status.message.clone(),
            },
        }
    }
}

fn question<K: Object>(verb: &'static str, api: &Api<K>) -> Question {
    let group = K::group(&());
    let plural = K::plural(&());
    Question {
        verb,
        resource: if group.is_empty() {
            plural.into_owned()
        } else {
            format!("{plural}.{group}")
        },
        namespace: api.namespace().map(str::to_owned),
    }
}

/// `services "x" is forbidden: User "system:…" cannot get …`
fn who(message: &str) -> String {
    let user = message
        .split_once("User \"")
        .and_then(|(_, rest)| rest.split_once('"'));
    user.map_or_else(
        || "the user of this context".to_owned(),
        |(user, _)| user.to_owned(),
    )
}
