//! Pods that are deleted, as a node that fails or an eviction would have it: whoever owns them makes others.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use chaos_proto::v1::Pod;
use futures::future::join_all;
use k8s_openapi::api::core::v1 as k8s;
use kube::api::{DeleteParams, Preconditions};
use kube::{Api, Client};
use tokio_util::sync::CancellationToken;

use crate::cluster::{Mode, choose, said};
use crate::error::{CommandError, ErrorKind};
use crate::quantity::time_in_words;

/// How often it is asked whether a pod is gone.
const INTERVAL: Duration = Duration::from_millis(250);
/// The whole, in parts per million.
const WHOLE: u128 = 1_000_000;

/// Why pods are not gone.
#[derive(Debug, thiserror::Error)]
enum TerminateError {
    #[error("cannot terminate {asked} pods: there are {there} that are ready")]
    TooFew { asked: u32, there: usize },
    #[error("{0}")]
    Left(Ends),
}

impl From<TerminateError> for CommandError {
    fn from(error: TerminateError) -> Self {
        let is_forbidden = match &error {
            TerminateError::TooFew { .. } => false,
            TerminateError::Left(ends) => {
                let mut errors = ends.not_deleted.iter().map(|(_, error)| error);
                errors.any(|error| is_status(error, &[403]))
            }
        };
        let error = Self::new(ErrorKind::Failed, error);
        if is_forbidden {
            return error.hint(
                "deleting takes the right to `delete` pods there, which is in none of chaosctl's roles: see docs/k6.md",
            );
        }
        error
    }
}

/// What became of each, by name.
#[derive(Debug, Default)]
struct Ends {
    gone: Vec<String>,
    still_there: Vec<String>,
    not_deleted: Vec<(String, kube::Error)>,
    within: Duration,
    /// Nobody waits any more.
    is_closing: bool,
}

/// What became of one.
enum End {
    Gone,
    StillThere,
    NotDeleted(kube::Error),
}

impl fmt::Display for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        for (name, error) in &self.not_deleted {
            parts.push(format!("cannot delete pod {name}: {}", said(error)));
        }
        if !self.still_there.is_empty() {
            let why = if self.is_closing {
                "not waited for, because chaosctl serve is about to end".to_owned()
            } else {
                let within = time_in_words(self.within);
                format!("still there after {within} (the grace period may be longer)")
            };
            parts.push(format!(
                "deleted, and {why}: {}",
                self.still_there.join(", ")
            ));
        }
        if !self.gone.is_empty() {
            parts.push(format!("gone: {}", self.gone.join(", ")));
        }
        f.write_str(&parts.join("; "))
    }
}

/// Draws so many of these; a share is rounded to the nearest number, and is never none.
pub(super) fn draw(pods: &[Pod], count: Mode, seed: u64) -> Result<Vec<Pod>, CommandError> {
    let there = pods.len();
    let wanted = match count {
        Mode::All => Mode::All,
        Mode::One => Mode::One,
        Mode::Fixed(asked) if usize::try_from(asked).is_ok_and(|asked| asked <= there) => count,
        Mode::Fixed(asked) => return Err(TerminateError::TooFew { asked, there }.into()),
        Mode::Share(ppm) => {
            let nearest = (there as u128 * u128::from(ppm) + WHOLE / 2) / WHOLE;
            Mode::Fixed(u32::try_from(nearest.max(1)).unwrap_or(u32::MAX))
        }
    };
    let ids = pods.iter().map(|pod| pod.uid.as_str());
    let chosen = choose(ids, wanted, seed, &BTreeSet::new());
    let pods = pods.iter().filter(|pod| chosen.contains(pod.uid.as_str()));
    Ok(pods.cloned().collect())
}

/// Deletes these and no others of their names, and waits until they are gone. What fails for one stops none of the
/// others; once all is to end, none is waited for.
pub(super) async fn terminate(
    client: Client,
    pods: Vec<Pod>,
    within: Duration,
    closing: CancellationToken,
) -> Result<(), CommandError> {
    // All at once: what the service loses, it loses together.
    let each = pods.iter().map(|pod| end(&client, pod, within, &closing));
    let mut ends = Ends {
        within,
        ..Ends::default()
    };
    for (pod, end) in pods.iter().zip(join_all(each).await) {
        let name = format!("{}/{}", pod.namespace, pod.name);
        match end {
            End::Gone => ends.gone.push(name),
            End::StillThere => ends.still_there.push(name),
            End::NotDeleted(error) => ends.not_deleted.push((name, error)),
        }
    }
    if ends.gone.len() == pods.len() {
        return Ok(());
    }
    ends.is_closing = closing.is_cancelled();
    Err(TerminateError::Left(ends).into())
}

async fn end(client: &Client, pod: &Pod, within: Duration, closing: &CancellationToken) -> End {
    let api: Api<k8s::Pod> = Api::namespaced(client.clone(), &pod.namespace);
    if let Err(error) = delete(&api, pod).await {
        return End::NotDeleted(error);
    }
    tokio::select! {
        gone = tokio::time::timeout(within, gone(&api, pod)) => match gone {
            Ok(()) => End::Gone,
            Err(_) => End::StillThere,
        },
        () = closing.cancelled() => End::StillThere,
    }
}

/// Whether the API server answered one of these.
fn is_status(error: &kube::Error, codes: &[u16]) -> bool {
    matches!(error, kube::Error::Api(status) if codes.contains(&status.code))
}

async fn delete(api: &Api<k8s::Pod>, pod: &Pod) -> Result<(), kube::Error> {
    let same = DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(pod.uid.clone()),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    match api.delete(&pod.name, &same).await {
        // Or it has gone by itself, and another may have its name.
        Ok(_) => Ok(()),
        Err(error) if is_status(&error, &[404, 409]) => Ok(()),
        Err(error) => Err(error),
    }
}

async fn gone(api: &Api<k8s::Pod>, pod: &Pod) {
    loop {
        match api.get_metadata_opt(&pod.name).await {
            Ok(None) => return,
            Ok(Some(found)) if found.metadata.uid.as_deref() != Some(pod.uid.as_str()) => return,
            // What cannot be asked now is asked again.
            Ok(Some(_)) | Err(_) => tokio::time::sleep(INTERVAL).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(there: usize, count: Mode) -> Result<usize, String> {
        let pod = |number: usize| Pod {
            namespace: "demo".to_owned(),
            name: format!("web-{number}"),
            uid: number.to_string(),
        };
        let pods: Vec<_> = (0..there).map(pod).collect();
        let drawn = draw(&pods, count, 7).map_err(|error| error.source.to_string())?;
        Ok(drawn.len())
    }

    #[test]
    fn so_many_are_drawn_or_it_is_an_error() {
        let percent = |percent: u32| Mode::Share(percent * 10_000);
        for (there, count, expected) in [
            (4, Mode::One, 1),
            (4, Mode::Fixed(4), 4),
            (4, percent(50), 2),
            // Theirs: the nearest number, and never none.
            (5, percent(25), 1),
            (5, percent(30), 2),
            (2, percent(25), 1),
            (2, percent(1), 1),
            (3, percent(100), 3),
        ] {
            assert_eq!(drawn(there, count), Ok(expected), "{count:?} of {there}");
        }
        let refused = drawn(4, Mode::Fixed(10)).unwrap_err();
        assert_eq!(
            refused,
            "cannot terminate 10 pods: there are 4 that are ready"
        );
    }
}
