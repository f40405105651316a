//! Tells an agent what is wanted of a part that acts there, where that is something else than it knows.

use std::time::Duration;

use chaos_proto::v1::selector::Where;
use chaos_proto::v1::{Experiment, Pod, PodsSelector, PrepareRequest, Selector, UpdateRequest};
use tokio::time::Instant;

use super::again::Again;
use super::{Keeper, Left, What};
use crate::client::ClientError;
use crate::experiment::start::Prepared;

/// When what is wanted is applied, or tried again.
#[derive(Debug)]
pub(super) struct Change {
    due: Option<Instant>,
    again: Again,
    /// Nothing else will be wanted.
    pub(super) is_closed: bool,
}

impl Change {
    pub(super) fn due_now() -> Self {
        Self {
            due: Some(Instant::now()),
            again: Again::new(),
            is_closed: false,
        }
    }

    /// Is due then, unless it is earlier.
    pub(super) fn is_due_within(&mut self, time: Duration) {
        if self.due.is_none() {
            self.due = Some(Instant::now() + time);
            self.again = Again::new();
        }
    }

    pub(super) async fn wait(&self) {
        match self.due {
            Some(due) => tokio::time::sleep_until(due).await,
            None => std::future::pending().await,
        }
    }
}

impl Keeper {
    /// Tells the agent what is wanted now, where that is something else than it knows. What is refused is asked for
    /// again.
    pub(super) async fn apply(&mut self, part: &mut Prepared, change: &mut Change) -> Option<Left> {
        let Some(wanted) = self.wanted() else {
            return self.let_go(part, change).await;
        };
        // Who leaves is let go first: it must not wait for who joins, and may be refused.
        if let Some(staying) = staying(&part.request, &wanted) {
            if staying.pods.is_empty() {
                return self.let_go(part, change).await;
            }
            let update = UpdateRequest {
                id: part.id().to_owned(),
                pods: Some(staying.clone()),
                ..UpdateRequest::default()
            };
            if let Err(error) = self.update(part, update).await {
                self.refused(change, &error);
                return None;
            }
            if let Some(pods) = pods_mut(&mut part.request) {
                *pods = staying;
            }
        }
        let update = update(part, &wanted);
        if update.pods.is_some() || !update.rules.is_empty() {
            if let Err(error) = self.update(part, update).await {
                self.refused(change, &error);
                return None;
            }
            part.request.selector = wanted.selector;
            part.request.rules = wanted.rules;
            self.tell(What::Now(Box::new(part.experiment.clone())));
        }
        self.tell(What::Trouble(None));
        change.due = None;
        None
    }

    async fn let_go(&self, part: &Prepared, change: &mut Change) -> Option<Left> {
        match part.agent.disarm(part.id()).await {
            Ok(ended) => Some(Left::LetGo(Box::new(ended))),
            Err(error) => {
                self.refused(change, &error);
                None
            }
        }
    }

    async fn update(
        &mut self,
        part: &mut Prepared,
        update: UpdateRequest,
    ) -> Result<(), ClientError> {
        let now = part.agent.update(update).await?;
        self.run.hears(&part.experiment, &now);
        if self.told.last() != Some(&now.rules) {
            self.told.push(now.rules.clone());
            let older = self.told.len().saturating_sub(2);
            self.told.drain(..older);
        }
        part.experiment = now;
        Ok(())
    }

    fn refused(&self, change: &mut Change, error: &ClientError) {
        let (pause, told) = change.again.refused(error);
        if told.is_some() {
            self.tell(What::Trouble(told));
        }
        change.due = Some(Instant::now() + pause);
    }
}

/// What to change so that a part becomes what is wanted.
fn update(part: &Prepared, wanted: &PrepareRequest) -> UpdateRequest {
    let is_other = |wanted: &&PodsSelector| {
        pods_changed(pods(&part.request), wanted) || lost_some(&part.experiment, &part.request)
    };
    UpdateRequest {
        id: part.id().to_owned(),
        rules: if wanted.rules == part.request.rules {
            Vec::new()
        } else {
            wanted.rules.clone()
        },
        duration: None,
        pods: pods(wanted).filter(is_other).cloned(),
    }
}

fn pods(request: &PrepareRequest) -> Option<&PodsSelector> {
    match request.selector.as_ref()?.r#where.as_ref()? {
        Where::Pods(pods) => Some(pods),
        Where::Service(_) | Where::Netns(_) | Where::Pid(_) | Where::Cgroup(_) | Where::Node(_) => {
            None
        }
    }
}

fn pods_mut(request: &mut PrepareRequest) -> Option<&mut PodsSelector> {
    match &mut request.selector {
        Some(Selector {
            r#where: Some(Where::Pods(pods)),
            ..
        }) => Some(pods),
        _ => None,
    }
}

/// How many pods are ready elsewhere is no reason to tell an agent anything.
fn pods_changed(there: Option<&PodsSelector>, wanted: &PodsSelector) -> bool {
    there.is_none_or(|there| there.pods != wanted.pods || there.container != wanted.container)
}

/// Those of the pods that stay, where some leave and others join.
fn staying(there: &PrepareRequest, wanted: &PrepareRequest) -> Option<PodsSelector> {
    let (there, wanted) = (pods(there)?, pods(wanted)?);
    let has = |pods: &[Pod], pod: &Pod| pods.iter().any(|other| other.uid == pod.uid);
    let leaves = there.pods.iter().any(|pod| !has(&wanted.pods, pod));
    let joins = wanted.pods.iter().any(|pod| !has(&there.pods, pod));
    (leaves && joins).then(|| {
        let mut staying = wanted.clone();
        staying.pods.retain(|pod| has(&there.pods, pod));
        staying
    })
}

/// Whether a pod that should be hit is not any more: its network or its container is another one now.
pub(super) fn lost_some(now: &Experiment, asked: &PrepareRequest) -> bool {
    let of = |uid: &str| {
        let of_pod = now.targets.iter().filter(|target| {
            let pod = target.pod.as_ref();
            pod.is_some_and(|pod| pod.uid == uid)
        });
        of_pod.map(|target| target.gone).collect::<Vec<_>>()
    };
    let is_lost = |pod: &Pod| {
        let gone = of(&pod.uid);
        !gone.is_empty() && gone.iter().all(|gone| *gone)
    };
    pods(asked).is_some_and(|pods| pods.pods.iter().any(is_lost))
}

/// Whether pods are wanted that are not among those that were.
pub(super) fn has_others(wanted: &PrepareRequest, before: &PrepareRequest) -> bool {
    let Some(wanted) = pods(wanted) else {
        return true;
    };
    let before = pods(before).map_or(&[][..], |before| &before.pods);
    wanted.pods.iter().any(|pod| !before.contains(pod))
}

#[cfg(test)]
mod tests {
    use chaos_proto::v1::Target;

    use super::*;

    fn request(uids: &[&str]) -> PrepareRequest {
        let pods = uids.iter().map(|uid| pod(uid)).collect();
        let pods = PodsSelector {
            pods,
            ..PodsSelector::default()
        };
        PrepareRequest {
            selector: Some(Selector {
                r#where: Some(Where::Pods(pods)),
                ..Selector::default()
            }),
            ..PrepareRequest::default()
        }
    }

    fn pod(uid: &str) -> Pod {
        Pod {
            uid: uid.to_owned(),
            ..Pod::default()
        }
    }

    #[test]
    fn who_leaves_does_not_wait_for_who_joins() {
        let uids = |there: &[&str], wanted: &[&str]| {
            let staying = staying(&request(there), &request(wanted))?;
            Some(
                staying
                    .pods
                    .into_iter()
                    .map(|pod| pod.uid)
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(uids(&["a", "b"], &["b", "c"]), Some(vec!["b".to_owned()]));
        assert_eq!(uids(&["a"], &["c"]), Some(Vec::new()));
        assert_eq!(uids(&["a", "b"], &["b"]), None, "one call does it");
        assert_eq!(uids(&["a"], &["a", "b"]), None);
    }

    #[test]
    fn a_pod_is_lost_when_all_of_it_is_gone() {
        let target = |uid: &str, gone| Target {
            pod: Some(pod(uid)),
            gone,
            ..Target::default()
        };
        let lost = |targets: Vec<Target>| {
            let now = Experiment {
                targets,
                ..Experiment::default()
            };
            lost_some(&now, &request(&["a"]))
        };
        assert!(lost(vec![target("a", true), target("b", false)]));
        assert!(!lost(vec![target("a", true), target("a", false)]));
        assert!(!lost(vec![target("a", false), target("b", true)]));
        assert!(!lost(Vec::new()), "it never was one");
    }
}
