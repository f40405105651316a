//! Who somebody is, and whether they may: `TokenReview` and `SubjectAccessReview`.

use futures::future::BoxFuture;
use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec},
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
};
use kube::api::{Api, PostParams};

use super::{Cluster, ClusterError, ask_all};
use crate::access::{Reviews, User, Verb};

/// What permissions are about.
const GROUP: &str = "chaos.dev";
const RESOURCE: &str = "faults";

impl Reviews for Cluster {
    fn know<'a>(
        &'a self,
        token: &'a str,
    ) -> BoxFuture<'a, Result<Result<User, String>, ClusterError>> {
        Box::pin(async move {
            let review = TokenReview {
                spec: TokenReviewSpec {
                    token: Some(token.to_owned()),
                    audiences: Some(self.audiences.clone()),
                },
                ..TokenReview::default()
            };
            let reviews: Api<TokenReview> = Api::all(self.client.clone());
            let parameters = PostParams::default();
            let asked = reviews.create(&parameters, &review);
            let answer = ask_all("whose token this is", asked).await?;
            let status = answer.status.unwrap_or_default();
            if status.authenticated != Some(true) {
                let why = status.error.unwrap_or_default();
                return Ok(Err(why));
            }
            // A server that does not know of audiences takes every token that is good for itself.
            let for_us = status.audiences.unwrap_or_default();
            if !for_us.iter().any(|one| self.audiences.contains(one)) {
                return Ok(Err(format!(
                    "it is for {}",
                    if for_us.is_empty() {
                        "the API server only".to_owned()
                    } else {
                        for_us.join(", ")
                    }
                )));
            }
            let user = status.user.unwrap_or_default();
            Ok(Ok(User {
                name: user.username.unwrap_or_default(),
                groups: user.groups.unwrap_or_default(),
                uid: user.uid,
                extra: user.extra,
            }))
        })
    }

    fn allow<'a>(
        &'a self,
        user: &'a User,
        verb: Verb,
        namespace: &'a str,
    ) -> BoxFuture<'a, Result<Result<(), String>, ClusterError>> {
        Box::pin(async move {
            let review = SubjectAccessReview {
                spec: SubjectAccessReviewSpec {
                    user: Some(user.name.clone()),
                    groups: Some(user.groups.clone()),
                    uid: user.uid.clone(),
                    extra: user.extra.clone(),
                    resource_attributes: Some(ResourceAttributes {
                        group: Some(GROUP.to_owned()),
                        resource: Some(RESOURCE.to_owned()),
                        verb: Some(verb.as_str().to_owned()),
                        namespace: Some(namespace.to_owned()).filter(|name| !name.is_empty()),
                        ..ResourceAttributes::default()
                    }),
                    ..SubjectAccessReviewSpec::default()
                },
                ..SubjectAccessReview::default()
            };
            let reviews: Api<SubjectAccessReview> = Api::all(self.client.clone());
            let parameters = PostParams::default();
            let asked = reviews.create(&parameters, &review);
            let answer = ask_all("what this user may", asked).await?;
            let status = answer.status.unwrap_or_default();
            if status.allowed {
                return Ok(Ok(()));
            }
            let why = [status.reason, status.evaluation_error];
            Ok(Err(why
                .into_iter()
                .flatten()
                .filter(|words| !words.is_empty())
                .collect::<Vec<_>>()
                .join("; ")))
        })
    }
}
