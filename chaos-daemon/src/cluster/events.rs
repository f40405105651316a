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
/// Most bytes of a reporter's name that it takes.
const LONGEST_INSTANCE: usize = 128;
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
        let create = async {
            match events.create(&parameters, &event).await {
                // Another agent has said the same.
                Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
                done => done.map(drop),
            }
        };
        ask_all("to take an event", create).await
    }

    /// The object with its UID, by which `kubectl describe` finds what was said about it; without, where it is not to be
    /// had.
    pub async fn with_uid(&self, mut object: Object) -> Object {
        if object.kind == "Node" {
            // By this the kubelet speaks of its node, and kubectl looks for it.
            object.uid = Some(object.name.clone());
        }
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
        let number = number(object, notice);
        let name: String = object.name.chars().take(LONGEST_NAME).collect();
        let version = match object.kind.as_str() {
            "Deployment" | "StatefulSet" | "DaemonSet" => "apps/v1",
            _ => "v1",
        };
        let note = shortened(&notice.note, LONGEST_NOTE);
        Event {
            metadata: ObjectMeta {
                name: Some(format!("{name}.{number:016x}")),
                namespace: Some(namespace.to_owned()),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(Timestamp::now())),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(shortened(&self.node, LONGEST_INSTANCE)),
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

/// What tells an event's name from others of its object. What the agents of many nodes say of one service, in the same
/// words, is one event; what is said of a pod is said by one agent, and may be said again.
fn number(object: &Object, notice: &Notice) -> u64 {
    if matches!(object.kind.as_str(), "Pod" | "Node") {
        return getrandom::u64().unwrap_or_default();
    }
    let text = format!("{}/{}/{}", notice.reason, notice.action, notice.note);
    // FNV-1a.
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn shortened(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let cut = text.floor_char_boundary(most - '…'.len_utf8());
    format!("{}…", &text[..cut])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(note: &str) -> Notice {
        Notice {
            kind: Kind::Normal,
            reason: "ChaosStarted",
            action: "Start",
            note: note.into(),
        }
    }

    #[test]
    fn what_many_agents_say_of_one_service_is_one_event() {
        let object = |kind: &str| Object {
            kind: kind.into(),
            namespace: "demo".into(),
            name: "provider".into(),
            uid: None,
        };
        let number_of = |kind: &str, note: &str| number(&object(kind), &notice(note));
        assert_eq!(number_of("Service", "a"), number_of("Service", "a"));
        assert_ne!(number_of("Service", "a"), number_of("Service", "b"));
        assert_ne!(number_of("Pod", "a"), number_of("Pod", "a"));
    }

    #[test]
    fn what_is_too_long_for_the_api_server_is_cut_between_letters() {
        assert_eq!(shortened("node-a", LONGEST_INSTANCE), "node-a");
        let long = shortened(&"ä".repeat(100), LONGEST_INSTANCE);
        assert!(
            long.len() <= LONGEST_INSTANCE && long.ends_with('…'),
            "{long}"
        );
    }
}
