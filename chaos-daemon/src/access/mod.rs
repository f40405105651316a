//! Who may do what: whoever calls has a name, and the API server says what that name may.
//!
//! A yes is remembered for [`KEPT`] by a hash of the token, never the token itself; a no is not remembered. Where the API
//! server cannot be asked, the answer is no. But whoever started an experiment may end it, whatever the API server says or
//! does not say: they are known by the tokens that were accepted for it. Knows no gRPC and no Kubernetes client: what asks
//! the API server is behind [`Reviews`].

mod error;
mod owners;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{StreamExt, TryStreamExt, future::BoxFuture, stream};
use tokio::{sync::Semaphore, time::Instant};

use crate::cluster::ClusterError;

pub use error::AccessError;
use owners::Owners;

/// How long a yes counts.
pub const KEPT: Duration = Duration::from_secs(10);
/// Questions to the API server at a time, of one call.
const AT_ONCE: usize = 8;
/// The same about whose tokens they are, of all calls.
const TOKENS_AT_ONCE: usize = 32;
/// Namespace of what is in none: the node and whatever is not a pod.
pub const CLUSTER_WIDE: &str = "";

/// Somebody, as Kubernetes or a certificate knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// Such as `system:serviceaccount:chaos-system:chaosctl`.
    pub name: String,
    /// Groups.
    pub groups: Vec<String>,
    /// For the review of what they may.
    pub uid: Option<String>,
    /// For the review of what they may.
    pub extra: Option<BTreeMap<String, Vec<String>>>,
}

/// What somebody wants to do with faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Prepare, arm, update.
    Create,
    /// Disarm.
    Delete,
    /// List and watch.
    Get,
}

/// How somebody came, before anybody knows who they are.
pub enum Caller {
    /// By the Unix socket, which only root may open.
    Socket,
    /// With a certificate that our authority signed.
    Certificate(User),
    /// With a bearer token.
    Token(String),
    /// With nothing.
    Nobody,
}

/// Somebody who is known.
#[derive(Clone, Debug)]
pub struct Asker {
    /// Who.
    pub user: User,
    /// How that is known.
    pub how: How,
    token: Option<TokenHash>,
}

/// How somebody is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// By the Unix socket.
    Socket,
    /// By a certificate.
    Certificate,
    /// By a token that the API server knows.
    Token,
    /// By a token that was accepted for the experiment before.
    Owner,
    /// Nobody is asked here.
    Unasked,
}

/// What asks the API server. A refusal is an answer; an error is none.
pub trait Reviews: Send + Sync {
    /// Whose token it is, or why it is nobody's.
    fn know<'a>(
        &'a self,
        token: &'a str,
    ) -> BoxFuture<'a, Result<Result<User, String>, ClusterError>>;

    /// Whether they may, or why not.
    fn allow<'a>(
        &'a self,
        user: &'a User,
        verb: Verb,
        namespace: &'a str,
    ) -> BoxFuture<'a, Result<Result<(), String>, ClusterError>>;
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct TokenHash([u8; 32]);

#[derive(Default)]
struct Remembered {
    users: HashMap<TokenHash, (User, Instant)>,
    allowed: HashMap<(TokenHash, Verb, String), Instant>,
}

/// Who may, for one agent.
pub struct Access {
    reviews: Option<Box<dyn Reviews>>,
    audience: String,
    turns: Semaphore,
    remembered: Mutex<Remembered>,
    owners: Mutex<Owners>,
}

impl Access {
    /// With somebody to ask whose tokens are for this audience; without, callers are not asked who they are, unless they
    /// say so by a certificate.
    pub fn new(reviews: Option<Box<dyn Reviews>>, audience: String) -> Self {
        Self {
            reviews,
            audience,
            turns: Semaphore::new(TOKENS_AT_ONCE),
            remembered: Mutex::default(),
            owners: Mutex::default(),
        }
    }

    /// Who calls.
    pub async fn identify(&self, caller: &Caller) -> Result<Asker, AccessError> {
        let known = |name: &str, how| Asker {
            user: User {
                name: name.to_owned(),
                ..User::default()
            },
            how,
            token: None,
        };
        match (caller, &self.reviews) {
            (Caller::Socket, _) => Ok(known("root", How::Socket)),
            (Caller::Certificate(user), _) => Ok(Asker {
                user: user.clone(),
                how: How::Certificate,
                token: None,
            }),
            (_, None) => Ok(known("", How::Unasked)),
            (Caller::Nobody, Some(_)) => Err(AccessError::NoToken),
            (Caller::Token(token), Some(reviews)) => {
                let hash = TokenHash::of(token);
                let remembered = self.remembered().user(hash);
                let user = match remembered {
                    Some(user) => user,
                    None => self.review(reviews.as_ref(), token, hash).await?,
                };
                Ok(Asker {
                    user,
                    how: How::Token,
                    token: Some(hash),
                })
            }
        }
    }

    async fn review(
        &self,
        reviews: &dyn Reviews,
        token: &str,
        hash: TokenHash,
    ) -> Result<User, AccessError> {
        // Never closed.
        let _turn = self.turns.acquire().await;
        match reviews.know(token).await? {
            Ok(user) => {
                self.remembered().keep_user(hash, &user);
                Ok(user)
            }
            Err(why) => Err(AccessError::UnknownToken {
                why,
                audience: self.audience.clone(),
            }),
        }
    }

    /// Who calls about this experiment: the API server need not be asked about whoever started it.
    pub async fn identify_about(&self, caller: &Caller, id: &str) -> Result<Asker, AccessError> {
        match self.known_owner(caller, id) {
            Some(owner) => Ok(owner),
            None => self.identify(caller).await,
        }
    }

    /// Who calls, if by the token they are known to have started this experiment.
    pub fn known_owner(&self, caller: &Caller, id: &str) -> Option<Asker> {
        self.owner(caller, Some(id))
    }

    /// Who calls; where the API server does not say, whoever started any experiment is known by that.
    pub async fn identify_or_owner(&self, caller: &Caller) -> Result<Asker, AccessError> {
        match self.identify(caller).await {
            Err(error) => self.owner(caller, None).ok_or(error),
            known => known,
        }
    }

    /// Whether they may, in each of these namespaces.
    pub async fn may(
        &self,
        asker: &Asker,
        verb: Verb,
        namespaces: &[String],
    ) -> Result<(), AccessError> {
        let (Some(reviews), Some(token)) = (&self.reviews, asker.token) else {
            return Ok(());
        };
        let each = namespaces.iter().cloned().map(|namespace| async move {
            if self.remembered().is_allowed(token, verb, &namespace) {
                return Ok(());
            }
            match reviews.allow(&asker.user, verb, &namespace).await? {
                Ok(()) => {
                    self.remembered().keep_allowed(token, verb, &namespace);
                    Ok(())
                }
                Err(why) => Err(AccessError::Denied {
                    user: asker.user.name.clone(),
                    verb,
                    namespace,
                    why,
                }),
            }
        });
        let answers = stream::iter(each).buffer_unordered(AT_ONCE);
        answers.try_collect().await
    }

    /// Whether they started it.
    pub fn owns(&self, asker: &Asker, id: &str) -> bool {
        self.owners().has(id, &asker.user.name, asker.token)
    }

    /// They have started it: this token and name may end it.
    pub fn started(&self, asker: &Asker, id: &str) {
        if let Some(token) = asker.token {
            self.owners().start(id, &asker.user.name, token);
        }
    }

    /// They go on with it: if they started it, this token may end it, too.
    pub fn goes_on(&self, asker: &Asker, id: &str) {
        if let Some(token) = asker.token {
            self.owners().add(id, &asker.user.name, token);
        }
    }

    /// Forgets who started experiments that nobody knows any more.
    pub fn forget_but(&self, is_known: impl Fn(&str) -> bool) {
        self.owners().retain(is_known);
    }

    fn owner(&self, caller: &Caller, id: Option<&str>) -> Option<Asker> {
        let Caller::Token(token) = caller else {
            return None;
        };
        let hash = TokenHash::of(token);
        let name = self.owners().name(hash, id)?;
        Some(Asker {
            user: User {
                name,
                ..User::default()
            },
            how: How::Owner,
            token: Some(hash),
        })
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn owners(&self) -> MutexGuard<'_, Owners> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Remembered {
    fn user(&self, token: TokenHash) -> Option<User> {
        let (user, until) = self.users.get(&token)?;
        (*until > Instant::now()).then(|| user.clone())
    }

    fn keep_user(&mut self, token: TokenHash, user: &User) {
        let now = Instant::now();
        self.users.retain(|_, (_, until)| *until > now);
        self.users.insert(token, (user.clone(), now + KEPT));
    }

    fn is_allowed(&self, token: TokenHash, verb: Verb, namespace: &str) -> bool {
        let key = (token, verb, namespace.to_owned());
        self.allowed
            .get(&key)
            .is_some_and(|until| *until > Instant::now())
    }

    fn keep_allowed(&mut self, token: TokenHash, verb: Verb, namespace: &str) {
        let now = Instant::now();
        self.allowed.retain(|_, until| *until > now);
        self.allowed
            .insert((token, verb, namespace.to_owned()), now + KEPT);
    }
}

impl Asker {
    /// As it is said in `started_by`.
    pub fn name(&self) -> &str {
        &self.user.name
    }
}

impl Verb {
    /// As RBAC has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Delete => "delete",
            Self::Get => "get",
        }
    }
}

impl How {
    /// As the audit log has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Socket => "socket",
            Self::Certificate => "certificate",
            Self::Token => "token",
            Self::Owner => "owner",
            Self::Unasked => "unasked",
        }
    }
}

impl TokenHash {
    fn of(token: &str) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, token.as_bytes());
        let mut hash = [0; 32];
        hash.copy_from_slice(digest.as_ref());
        Self(hash)
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash")
    }
}
