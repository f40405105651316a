//! Users, as a test gives them to the server: their tokens and certificates, and what they may.

use std::{sync::PoisonError, time::Duration};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{
    ApiServer, Certificate,
    access::{Identity, OWN_AUDIENCE, Rule},
    random_uid, resource,
};

impl ApiServer {
    /// A user who shows a token that never ends.
    pub fn add_user(&self, token: &str, name: &str) {
        self.state().access.add_token(token, Identity::user(name));
    }

    /// A certificate for a user. The server must have been started with TLS.
    pub fn certify(&self, user: &str) -> Result<Certificate> {
        let authority = self.shared.authority.as_ref();
        let authority = authority.context("a server without TLS has no certificates")?;
        let mut authority = authority.lock().unwrap_or_else(PoisonError::into_inner);
        authority.certify(&Identity::user(user))
    }

    /// Allows a user, a group or a service account (`system:serviceaccount:NS:NAME`) something.
    pub fn allow(&self, user: &str, rule: Rule) {
        self.state().access.allow(user, rule);
    }

    /// Allows a user what a `Role` or `ClusterRole` lists, in one namespace or in all.
    pub fn bind(&self, role: &Value, user: &str, namespace: Option<&str>) {
        for allowed in Rule::of_role(role) {
            let allowed = match namespace {
                Some(namespace) => allowed.within(namespace),
                None => allowed,
            };
            self.allow(user, allowed);
        }
    }

    /// Takes all that is allowed from a user.
    pub fn deny(&self, user: &str) {
        self.state().access.deny(user);
    }

    /// A token of a service account that is there, for these audiences (none: the server's own).
    pub fn token(
        &self,
        namespace: &str,
        name: &str,
        audiences: &[&str],
        lifetime: Duration,
    ) -> Result<String> {
        let accounts = resource::of_kind("ServiceAccount").context("there are service accounts")?;
        let mut state = self.state();
        let account = state.store.object(accounts, namespace, name);
        let account = account.with_context(|| format!("no service account {namespace}/{name}"))?;
        let uid = account["metadata"]["uid"].as_str().unwrap_or_default();
        let identity = Identity::service_account(namespace, name, uid);
        let mut audiences: Vec<String> = audiences.iter().map(|&word| word.to_owned()).collect();
        if audiences.is_empty() {
            audiences.push(OWN_AUDIENCE.to_owned());
        }
        let clock = state.clock;
        Ok(state
            .access
            .issue(identity, audiences, lifetime, clock, random_uid()))
    }

    /// Makes a token unknown.
    pub fn revoke(&self, token: &str) {
        self.state().access.revoke(token);
    }

    /// Makes all tokens of a user unknown.
    pub fn revoke_all(&self, user: &str) {
        self.state().access.revoke_all(user);
    }
}
