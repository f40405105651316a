//! The token that agents ask for: given, at hand, or asked of the API server.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, PostParams};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::ask::{ApiError, Question};
use super::config::Cluster;
use crate::client::{TokenAnswer, TokenSource};

/// Whom the token is for.
const AUDIENCE: &str = "chaos-daemon";
/// Whose token is asked for when nothing else says.
const DEFAULT_ACCOUNT: &str = "chaos-system/chaosctl";
const LIFETIME: Duration = Duration::from_hours(1);

/// Tokens for the agents of a cluster.
pub struct Tokens {
    cluster: Cluster,
    given: Option<String>,
    /// The file or the text of the kubeconfig's or the pod's own token.
    own: Own,
    account: Option<String>,
    granted: Mutex<Option<Granted>>,
}

#[derive(Clone)]
enum Own {
    Text(String),
    File(PathBuf),
    None,
}

/// A token that was asked for, and until when it is used.
struct Granted {
    token: String,
    renew_at: Instant,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It is not `NAMESPACE/NAME`.
    #[error("--service-account `{0}` is not NAMESPACE/NAME, such as {DEFAULT_ACCOUNT}")]
    Account(String),
    /// Who asks may not.
    #[error(
        "you may not have a token of the service account {account}: that takes the right to `create` `serviceaccounts/token` in namespace {namespace}, which {who} does not have"
    )]
    Forbidden {
        /// Namespace and name.
        account: String,
        /// Its namespace.
        namespace: String,
        /// The user, as the API server calls it.
        who: String,
    },
    /// There is no such account.
    #[error(
        "the service account {account} does not exist: name another one with --service-account, or install this one (docs/kubernetes.md)"
    )]
    NoAccount {
        /// Namespace and name.
        account: String,
    },
    /// Something else.
    #[error("there is no token of the service account {account}: {source}")]
    Api {
        /// Namespace and name.
        account: String,
        /// What the API server says.
        source: ApiError,
    },
    /// The answer has none.
    #[error("the API server's answer has no token")]
    Empty,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

/// What a token says about itself. It is read, not believed: agents ask the API server.
#[derive(Debug, Default, Deserialize)]
struct Claims {
    #[serde(default)]
    aud: Audiences,
    #[serde(default)]
    sub: String,
    #[serde(default)]
    iat: u64,
    #[serde(default)]
    exp: u64,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audiences {
    One(String),
    Many(Vec<String>),
}

impl Default for Audiences {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Claims {
    fn of(token: &str) -> Self {
        let payload = token.trim().split('.').nth(1).unwrap_or_default();
        URL_SAFE_NO_PAD
            .decode(payload.trim_end_matches('='))
            .ok()
            .and_then(|json| serde_json::from_slice(&json).ok())
            .unwrap_or_default()
    }

    fn is_for_agents(&self) -> bool {
        match &self.aud {
            Audiences::One(audience) => audience == AUDIENCE,
            Audiences::Many(audiences) => audiences.iter().any(|audience| audience == AUDIENCE),
        }
    }

    /// `NAMESPACE/NAME` of the service account whose token it is.
    fn account(&self) -> Option<String> {
        let (namespace, name) = self
            .sub
            .strip_prefix("system:serviceaccount:")?
            .split_once(':')?;
        Some(format!("{namespace}/{name}"))
    }

    /// By the clock of whoever issued it: ours may be an hour off.
    fn lifetime(&self) -> Option<Duration> {
        let seconds = self.exp.checked_sub(self.iat)?;
        (seconds > 0 && self.iat > 0).then(|| Duration::from_secs(seconds))
    }
}

impl Tokens {
    /// Nothing is read or asked yet.
    pub fn new(cluster: &Cluster) -> Self {
        let auth = &cluster.config.auth_info;
        let own = match (&auth.token, &auth.token_file) {
            (Some(token), _) => Own::Text(token.expose_secret().to_owned()),
            (None, Some(file)) => Own::File(file.into()),
            (None, None) => Own::None,
        };
        Self {
            cluster: cluster.clone(),
            given: cluster.options.token.clone(),
            own,
            account: cluster.options.service_account.clone(),
            granted: Mutex::new(None),
        }
    }

    async fn current(&self, refused: Option<&str>) -> Result<String, TokenError> {
        if let Some(given) = &self.given {
            return Ok(given.clone());
        }
        // A file is read anew each time: the kubelet renews it.
        let own = match &self.own {
            Own::Text(token) => Some(token.trim().to_owned()),
            Own::File(file) => std::fs::read_to_string(file)
                .ok()
                .map(|token| token.trim().to_owned()),
            Own::None => None,
        };
        let claims = own.as_deref().map(Claims::of).unwrap_or_default();
        if let Some(own) = own.filter(|own| claims.is_for_agents() && refused != Some(own)) {
            return Ok(own);
        }
        // Whoever comes while it is asked for waits here, and takes what the first one got.
        let mut granted = self.granted.lock().await;
        if let Some(granted) = &*granted
            && granted.renew_at > Instant::now()
            && refused != Some(&granted.token)
        {
            return Ok(granted.token.clone());
        }
        let account = self
            .account
            .clone()
            .or_else(|| claims.account())
            .unwrap_or_else(|| DEFAULT_ACCOUNT.to_owned());
        let now = Instant::now();
        match self.ask(account).await {
            Ok(token) => {
                let lifetime = Claims::of(&token).lifetime().unwrap_or(LIFETIME);
                *granted = Some(Granted {
                    token: token.clone(),
                    renew_at: now + lifetime.mul_f64(0.8),
                });
                Ok(token)
            }
            // The API server may be away for a while; the token that is there is good for some time yet.
            Err(error) => match &*granted {
                Some(granted) if refused.is_none() => Ok(granted.token.clone()),
                _ => Err(error),
            },
        }
    }

    async fn ask(&self, account: String) -> Result<String, TokenError> {
        let Some((namespace, name)) = account.split_once('/') else {
            return Err(TokenError::Account(account));
        };
        let accounts: Api<ServiceAccount> = Api::namespaced(self.cluster.client.clone(), namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec {
                audiences: vec![AUDIENCE.to_owned()],
                expiration_seconds: i64::try_from(LIFETIME.as_secs()).ok(),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let params = PostParams::default();
        let answer = accounts.create_token_request(name, &params, &request);
        let question = Question {
            verb: "create",
            resource: "serviceaccounts/token".to_owned(),
            namespace: Some(namespace.to_owned()),
        };
        match self.cluster.within(answer, &question).await {
            Ok(answer) => Ok(answer.status.ok_or(TokenError::Empty)?.token),
            Err(ApiError::Forbidden { who, .. }) => Err(TokenError::Forbidden {
                namespace: namespace.to_owned(),
                account,
                who,
            }),
            Err(ApiError::Answer { code: 404, .. }) => Err(TokenError::NoAccount { account }),
            Err(source) => Err(TokenError::Api { account, source }),
        }
    }
}

impl TokenSource for Tokens {
    fn token<'a>(&'a self, refused: Option<&'a str>) -> TokenAnswer<'a> {
        Box::pin(async move {
            let token = self.current(refused).await;
            token.map_err(|error| Box::new(error) as Box<dyn Error + Send + Sync>)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &serde_json::Value) -> String {
        format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    #[test]
    fn a_token_says_whose_it_is_and_for_whom() {
        let text = token(&serde_json::json!({
            "aud": ["https://kubernetes.default.svc", "chaos-daemon"],
            "sub": "system:serviceaccount:shop:deployer", "iat": 1000, "exp": 4600,
        }));
        let claims = Claims::of(&text);
        assert!(claims.is_for_agents());
        assert_eq!(claims.account().as_deref(), Some("shop/deployer"));
        assert_eq!(claims.lifetime(), Some(Duration::from_hours(1)));
        let one = Claims::of(&token(
            &serde_json::json!({"aud": "chaos-daemon", "sub": "jane"}),
        ));
        assert!(one.is_for_agents());
        assert_eq!((one.account(), one.lifetime()), (None, None));
    }

    #[test]
    fn what_is_no_jwt_says_nothing() {
        for text in ["", "a", "a.b.c", "..", "a.e30.c", "\u{0}.\u{0}"] {
            let claims = Claims::of(text);
            assert!(!claims.is_for_agents(), "{text}");
            assert_eq!(claims.account(), None);
        }
    }
}
