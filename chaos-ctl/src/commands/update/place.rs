//! Whether an experiment file is about what an experiment points at: targets stay.

use chaos_proto::v1::selector::Where;
use chaos_proto::v1::{Experiment, Selector, ServiceSelector};

use super::super::apply::Described;
use super::UpdateError;
use crate::cluster::{Cluster, Point};
use crate::error::CommandError;
use crate::global::Global;
use crate::output::words;
use crate::way::Need;

/// Refuses a file that is about something else than what an experiment of a cluster points at.
pub(super) fn is_in_cluster(
    id: &str,
    described: &Described,
    there: &Point,
    namespace: &str,
    global: &Global,
    cluster: &Cluster,
) -> Result<(), CommandError> {
    let given = global.namespace.as_ref().or(described.namespace.as_ref());
    let given = given.unwrap_or(&cluster.namespace);
    let file = if let Need::Host(option) = described.selector.need() {
        format!("what {option} points at on one host")
    } else {
        let file = described.selector.in_cluster()?;
        if file.covers(there) && (namespace.is_empty() || given == namespace) {
            return Ok(());
        }
        file.in_words(given)
    };
    let there = there.in_words(namespace);
    let id = id.to_owned();
    Err(UpdateError::Elsewhere { id, file, there }.into())
}

/// Refuses a file that is about something else than what an experiment of one host points at.
pub(super) fn is_there(
    id: &str,
    described: &Described,
    there: &Experiment,
    global: &Global,
) -> Result<(), CommandError> {
    let acts_on = words::selector(acts_on(there).as_ref());
    let namespace = global.namespace.as_deref();
    let namespace = namespace.or(described.namespace.as_deref());
    let selector = described.selector.to_wire(namespace)?;
    let file = words::selector(Some(&in_full(selector)));
    if file == acts_on {
        return Ok(());
    }
    Err(UpdateError::Elsewhere {
        id: id.to_owned(),
        file,
        there: acts_on,
    }
    .into())
}

/// What an experiment points at; of pods, the service that they were chosen from.
fn acts_on(there: &Experiment) -> Option<Selector> {
    let mut selector = there.selector.clone()?;
    if let Some(Where::Pods(pods)) = &selector.r#where
        && let Some(origin) = &pods.origin
        && origin.kind == "Service"
    {
        selector.r#where = Some(Where::Service(ServiceSelector {
            name: origin.name.clone(),
            namespace: origin.namespace.clone(),
            ..ServiceSelector::default()
        }));
    }
    Some(selector)
}

/// As the agent says it, with what it fills in.
fn in_full(mut selector: Selector) -> Selector {
    if let Some(Where::Service(service)) = &mut selector.r#where
        && service.namespace.is_empty()
    {
        "default".clone_into(&mut service.namespace);
    }
    selector
}
