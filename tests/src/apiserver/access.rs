//! Who may do what: users, their tokens and what is allowed to them.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::clock::Clock;

/// The audience that the server itself has, for tokens without another one.
pub const OWN_AUDIENCE: &str = "https://kubernetes.default.svc.cluster.local";

/// Someone that the server knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Such as `system:serviceaccount:demo:agent`.
    pub name: String,
    /// UID of the service account; empty for others.
    pub uid: String,
    /// Groups, `system:authenticated` among them.
    pub groups: Vec<String>,
    /// The id of the token, where there is one.
    pub credential: Option<String>,
}

impl Identity {
    /// A person, by a certificate or a token of a file.
    pub fn user(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            groups: vec!["system:authenticated".to_owned()],
            ..Self::default()
        }
    }

    /// A service account.
    pub fn service_account(namespace: &str, name: &str, uid: &str) -> Self {
        Self {
            name: format!("system:serviceaccount:{namespace}:{name}"),
            uid: uid.to_owned(),
            groups: vec![
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{namespace}"),
                "system:authenticated".to_owned(),
            ],
            credential: None,
        }
    }

    /// Nobody in particular.
    pub fn anonymous() -> Self {
        Self {
            name: "system:anonymous".to_owned(),
            groups: vec!["system:unauthenticated".to_owned()],
            ..Self::default()
        }
    }

    /// Whether it is nobody in particular.
    pub fn is_anonymous(&self) -> bool {
        self.name == "system:anonymous"
    }

    /// The binding that allows something to this user, as reviews name it.
    pub fn binding(&self) -> String {
        let words: Vec<&str> = self.name.split(':').collect();
        let (name, subject) = match words.as_slice() {
            ["system", "serviceaccount", namespace, name] => (
                *name,
                format!("ServiceAccount {:?}", format!("{name}/{namespace}")),
            ),
            _ => (self.name.as_str(), format!("User {:?}", self.name)),
        };
        format!("ClusterRoleBinding {name:?} of ClusterRole {name:?} to {subject}")
    }

    /// As reviews have it.
    pub fn to_json(&self) -> Value {
        let mut user = json!({"username": self.name, "groups": self.groups});
        if !self.uid.is_empty() {
            user["uid"] = self.uid.as_str().into();
        }
        if let Some(credential) = &self.credential {
            user["extra"] = json!({"authentication.kubernetes.io/credential-id": [format!("JTI={credential}")]});
        }
        user
    }
}

/// What a user asks for.
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'request> {
    /// "list", "create", …
    pub verb: &'request str,
    /// API group.
    pub group: &'request str,
    /// Plural, with the subresource: "pods/portforward".
    pub resource: &'request str,
    /// Empty: the whole cluster.
    pub namespace: &'request str,
    /// Empty: none in particular.
    pub name: &'request str,
}

/// Something that is allowed; `*` is any.
#[derive(Debug, Clone)]
pub struct Rule {
    verbs: Vec<String>,
    group: String,
    resource: String,
    namespace: Option<String>,
    names: Vec<String>,
}

impl Rule {
    /// These verbs, separated by commas, on a resource of a group, in the whole cluster.
    pub fn cluster(verbs: &str, group: &str, resource: &str) -> Self {
        Self {
            verbs: verbs
                .split(',')
                .map(|verb| verb.trim().to_owned())
                .collect(),
            group: group.to_owned(),
            resource: resource.to_owned(),
            namespace: None,
            names: Vec::new(),
        }
    }

    /// What a `Role` or `ClusterRole` lists.
    pub fn of_role(role: &Value) -> Vec<Self> {
        let words = |list: &Value| -> Vec<String> {
            let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
            list.iter()
                .filter_map(|word| word.as_str().map(str::to_owned))
                .collect()
        };
        let mut rules = Vec::new();
        for rule in role["rules"].as_array().into_iter().flatten() {
            for group in words(&rule["apiGroups"]) {
                for resource in words(&rule["resources"]) {
                    rules.push(Self {
                        verbs: words(&rule["verbs"]),
                        group: group.clone(),
                        resource,
                        namespace: None,
                        names: words(&rule["resourceNames"]),
                    });
                }
            }
        }
        rules
    }

    /// Only in this namespace.
    #[must_use]
    pub fn within(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// Only objects of this name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.names.push(name.to_owned());
        self
    }

    fn allows(&self, asked: &Attributes<'_>) -> bool {
        let any = |rule: &str, asked: &str| rule == "*" || rule == asked;
        self.verbs.iter().any(|verb| any(verb, asked.verb))
            && any(&self.group, asked.group)
            && any(&self.resource, asked.resource)
            && self
                .namespace
                .as_deref()
                .is_none_or(|namespace| namespace == asked.namespace)
            && (self.names.is_empty() || self.names.iter().any(|name| name == asked.name))
    }
}

/// A token that was given out.
#[derive(Debug, Clone)]
struct Token {
    identity: Identity,
    audiences: Vec<String>,
    expires: Option<i64>,
}

/// Users, tokens and rules.
#[derive(Debug, Default)]
pub struct Access {
    tokens: BTreeMap<String, Token>,
    rules: BTreeMap<String, Vec<Rule>>,
}

impl Access {
    /// Gives a user something that is allowed.
    pub fn allow(&mut self, user: &str, rule: Rule) {
        self.rules.entry(user.to_owned()).or_default().push(rule);
    }

    /// Takes all that is allowed from a user.
    pub fn deny(&mut self, user: &str) {
        self.rules.remove(user);
    }

    /// Whether a user may.
    pub fn allows(&self, user: &Identity, asked: &Attributes<'_>) -> bool {
        // What every authenticated user may, by the cluster's own roles.
        let about_self = asked.verb == "create"
            && ["selfsubjectaccessreviews", "selfsubjectreviews"].contains(&asked.resource)
            && !user.is_anonymous();
        about_self
            || std::iter::once(&user.name)
                .chain(&user.groups)
                .filter_map(|name| self.rules.get(name))
                .flatten()
                .any(|rule| rule.allows(asked))
    }

    /// A token without end, as in a file of tokens.
    pub fn add_token(&mut self, token: &str, identity: Identity) {
        let known = Token {
            identity,
            audiences: vec![OWN_AUDIENCE.to_owned()],
            expires: None,
        };
        self.tokens.insert(token.to_owned(), known);
    }

    /// Makes a token as `TokenRequest` does: a JWT with its audiences and its end. `uid` is the token's own.
    pub fn issue(
        &mut self,
        mut identity: Identity,
        audiences: Vec<String>,
        lifetime: Duration,
        clock: Clock,
        uid: String,
    ) -> String {
        let now = clock.now().as_second();
        let expires = now.saturating_add(i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX));
        let mut words = identity.name.split(':').skip(2);
        let (namespace, name) = (
            words.next().unwrap_or_default().to_owned(),
            words.next().unwrap_or_default().to_owned(),
        );
        let header = json!({"alg": "RS256", "kid": "standin"});
        let claims = json!({
            "aud": audiences, "exp": expires, "iat": now, "nbf": now, "iss": OWN_AUDIENCE, "jti": uid,
            "sub": identity.name,
            "kubernetes.io": {
                "namespace": namespace,
                "serviceaccount": {"name": name, "uid": identity.uid},
            },
        });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signature = URL_SAFE_NO_PAD.encode(super::random_bytes::<64>());
        let token = format!("{}.{}.{signature}", part(&header), part(&claims));
        identity.credential = Some(uid);
        let known = Token {
            identity,
            audiences,
            expires: Some(expires),
        };
        self.tokens.insert(token.clone(), known);
        token
    }

    /// Forgets a token.
    pub fn revoke(&mut self, token: &str) {
        self.tokens.remove(token);
    }

    /// Forgets all tokens of a user.
    pub fn revoke_all(&mut self, user: &str) {
        self.tokens.retain(|_, known| known.identity.name != user);
    }

    /// Whose token it is, for one of these audiences (the server's own if there are none), and for which of them; else
    /// why not.
    pub fn review(
        &self,
        token: &str,
        audiences: &[String],
        clock: Clock,
    ) -> Result<(Identity, Vec<String>), String> {
        let own = [OWN_AUDIENCE.to_owned()];
        let audiences = if audiences.is_empty() {
            &own
        } else {
            audiences
        };
        let Some(known) = self.tokens.get(token) else {
            return Err("invalid bearer token".to_owned());
        };
        if known
            .expires
            .is_some_and(|expires| clock.now().as_second() >= expires)
        {
            return Err("[invalid bearer token, service account token has expired]".to_owned());
        }
        let both: Vec<String> = known
            .audiences
            .iter()
            .filter(|audience| audiences.contains(audience))
            .cloned()
            .collect();
        if both.is_empty() {
            return Err(format!(
                "[invalid bearer token, token audiences {} is invalid for the target audiences {}]",
                words(&known.audiences),
                words(audiences)
            ));
        }
        Ok((known.identity.clone(), both))
    }
}

/// As Go prints a list of quoted strings.
fn words(list: &[String]) -> String {
    let quoted: Vec<String> = list.iter().map(|word| format!("{word:?}")).collect();
    format!("[{}]", quoted.join(" "))
}
