//! Tells the cluster what happens to its objects: events, as `kubectl describe` shows them.

use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, PostParams};

use super::{Cluster, ClusterError, ask, ask_all};

/// Who says it, in each event.
const CONTROLLER: &str = "chaos.dev/chaos-daemon";
/// Most bytes of a note that the API server takes.
const LONGEST_NOTE: usize = 1024;
/// Namespace of the events of objects that have none.
const OF_CLUSTER: &str = "default";
/// Most letters of an object's name in that of an event, which has some of its own.
const LONGEST_NAME: usize = 220;

/// What something is said about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Object {
    /// Such as Pod.
    pub kind: String,
    /// Empty where the kind has none.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Where it is known.
    pub uid: Option<String>,
}

/// Whether somebody should look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As wanted.
    Normal,
    /// Something went another way.
    Warning,
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether somebody should look.
    pub kind: Kind,
    /// One word, such as `ChaosStarted`.
    pub reason: &'static str,
    /// What the agent did, one word.
    pub action: &'static str,
    /// A sentence.
    pub note: String,
}

impl Cluster {
    /// Tells the API server about one object.
    pub async fn tell(&self, object: &Object, notice: &Notice) -> Result<(), ClusterError> {
        let namespace = match object.namespace.as_str() {
            "" => OF_CLUSTER,
            namespace => namespace,
        };
        let events: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        let event = self.event(object, namespace, notice);
        let parameters = PostParams::default();
        ask_all("to take an event", events.create(&parameters, &event)).await?;
        Ok(())
    }

    /// The object with its UID, by which `kubectl describe` finds what was said about it; without, where it is not to be
    /// had.
    pub async fn with_uid(&self, mut object: Object) -> Object {
        if object.uid.is_some() || object.namespace.is_empty() {
            return object;
        }
        let (group, plural) = match object.kind.as_str() {
            "Service" => ("", "services"),
            "Deployment" => ("apps", "deployments"),
            "StatefulSet" => ("apps", "statefulsets"),
            "DaemonSet" => ("apps", "daemonsets"),
            _ => return object,
        };
        let kind = GroupVersionKind::gvk(group, "v1", &object.kind);
        let resource = ApiResource::from_gvk_with_plural(&kind, plural);
        let objects: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &object.namespace, &resource);
        let found = ask("for an object", objects.get_metadata(&object.name)).await;
        object.uid = found.ok().flatten().and_then(|found| found.metadata.uid);
        object
    }

    fn event(&self, object: &Object, namespace: &str, notice: &Notice) -> Event {
        // Several agents may say something about one service at the same moment.
        let random = getrandom::u64().unwrap_or_default();
        let name: String = object.name.chars().take(LONGEST_NAME).collect();
        let version = match object.kind.as_str() {
            "Deployment" | "StatefulSet" | "DaemonSet" => "apps/v1",
            _ => "v1",
        };
        let mut note = notice.note.clone();
        if note.len() > LONGEST_NOTE {
            note.truncate(note.floor_char_boundary(LONGEST_NOTE - '…'.len_utf8()));
            note.push('…');
        }
        Event {
            metadata: ObjectMeta {
                name: Some(format!("{name}.{random:016x}")),
                namespace: Some(namespace.to_owned()),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(Timestamp::now())),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(self.node.clone()),
            type_: Some(
                match notice.kind {
                    Kind::Normal => "Normal",
                    Kind::Warning => "Warning",
                }
                .to_owned(),
            ),
            reason: Some(notice.reason.to_owned()),
            action: Some(notice.action.to_owned()),
            note: Some(note),
            regarding: Some(ObjectReference {
                api_version: Some(version.to_owned()),
                kind: Some(object.kind.clone()),
                name: Some(object.name.clone()),
                namespace: Some(object.namespace.clone()).filter(|name| !name.is_empty()),
                uid: object.uid.clone(),
                ..ObjectReference::default()
            }),
            ..Event::default()
        }
    }
}
