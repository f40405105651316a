//! From messages to what the engine takes. Checks shape here; what makes sense, the engine checks.

use std::time::Duration;

use chaos_proto::v1::{self, selector::Where as WireWhere};

use super::{
    fault, filter, pods,
    wire::{RequestError, non_empty, read_time},
};
use crate::engine::{
    Change, Direction, Fault, Pods, Protocol, Pulse, Rule, Selector, Spec, SpecError, Where,
};

/// The experiment that a request asks for.
pub(super) fn spec(
    request: v1::PrepareRequest,
    default_grace: Duration,
) -> Result<Spec, RequestError> {
    Ok(Spec {
        selector: selector(request.selector)?,
        rules: rules(request.rules)?,
        duration: read_time(
            "the duration",
            request.duration.ok_or(RequestError::Missing("duration"))?,
        )?,
        detached: request.detached,
        grace: request.grace.map_or(Ok(default_grace), |grace| {
            read_time("the grace period", grace)
        })?,
        seed: request.seed.unwrap_or_else(random),
        include_probes: request.include_probes,
    })
}

/// Longest id of an experiment.
const LONGEST_ID: usize = 63;

/// The id that control chose, if it did.
pub(super) fn id(id: &str) -> Result<Option<String>, SpecError> {
    if id.is_empty() {
        return Ok(None);
    }
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let fits = id.len() <= LONGEST_ID
        && id.bytes().next().is_some_and(is_letter)
        && id
            .bytes()
            .all(|byte| is_letter(byte) || matches!(byte, b'-' | b'.'));
    if fits {
        Ok(Some(id.to_owned()))
    } else {
        Err(SpecError::Id(id.to_owned()))
    }
}

/// What an update changes: the experiment, its rules and time, and its pods, whose targets are not found yet.
pub(super) fn update(
    request: v1::UpdateRequest,
) -> Result<(String, Change, Option<Pods>), RequestError> {
    let duration = request.duration;
    let change = Change {
        rules: rules(request.rules)?,
        time: duration
            .map(|duration| read_time("the duration", duration))
            .transpose()?,
        pods: None,
    };
    let pods = request.pods.map(pods::read).transpose()?;
    Ok((request.id, change, pods))
}

/// A name that people can say and type, such as `delay-3f9a1c`, and that is free.
pub(super) fn new_id(spec: &Spec, is_free: impl FnMut(&str) -> bool) -> String {
    free_id(spec, random, is_free)
}

fn free_id(
    spec: &Spec,
    mut draw: impl FnMut() -> u64,
    mut is_free: impl FnMut(&str) -> bool,
) -> String {
    let verb = spec
        .rules
        .first()
        .map_or("nothing", |rule| rule.fault.name());
    // Ends: an agent has far fewer experiments than there are names.
    loop {
        let id = format!("{verb}-{:06x}", draw() & 0xff_ffff);
        if is_free(&id) {
            return id;
        }
    }
}

fn random() -> u64 {
    // Without the kernel's randomness (early boot), the address of a local differs between runs too.
    getrandom::u64().unwrap_or_else(|_| std::ptr::from_ref(&0_u8).addr() as u64)
}

fn selector(selector: Option<v1::Selector>) -> Result<Selector, RequestError> {
    let v1::Selector { r#where, interface } = selector.ok_or(RequestError::Missing("selector"))?;
    let at = match r#where.ok_or(RequestError::Missing("selector"))? {
        WireWhere::Service(service) => {
            if service.name.is_empty() {
                return Err(RequestError::Missing("name of the service"));
            }
            Where::Service {
                name: service.name,
                namespace: non_empty(service.namespace).unwrap_or_else(|| "default".into()),
                inventory: non_empty(service.inventory),
                inventory_file: non_empty(service.inventory_file)
                    .unwrap_or_else(|| "of the request".into()),
            }
        }
        WireWhere::Netns(name) => {
            Where::Netns(non_empty(name).ok_or(RequestError::Missing("namespace"))?)
        }
        WireWhere::Pid(0) => return Err(RequestError::Pid),
        WireWhere::Pid(pid) => Where::Pid(pid),
        WireWhere::Cgroup(path) => {
            Where::Cgroup(non_empty(path).ok_or(RequestError::Missing("cgroup"))?)
        }
        WireWhere::Node(v1::NodeSelector {}) => Where::Node,
        WireWhere::Pods(chosen) => Where::Pods(pods::read(chosen)?),
    };
    Ok(Selector {
        at,
        interface: non_empty(interface),
    })
}

fn rules(rules: Vec<v1::Rule>) -> Result<Vec<Rule>, RequestError> {
    rules.into_iter().map(rule).collect()
}

fn rule(rule: v1::Rule) -> Result<Rule, RequestError> {
    let pulse = |pulse: v1::Pulse| {
        Ok::<_, RequestError>(Pulse {
            on: read_time("the pulse", pulse.on.unwrap_or_default())?,
            off: read_time("the pulse", pulse.off.unwrap_or_default())?,
        })
    };
    let wire = rule.filter.unwrap_or_default();
    let mut filter = filter::read(&wire)?;
    let fault = fault::read(rule.fault.ok_or(RequestError::Missing("fault"))?)?;
    if matches!(fault, Fault::Reset(_)) {
        filter.protocol.get_or_insert(Protocol::Tcp);
    }
    if matches!(fault, Fault::Dns(_)) {
        filter.protocol.get_or_insert(Protocol::Udp);
    }
    if fault.service().is_some() {
        filter.protocol.get_or_insert(Protocol::Tcp);
        if wire.direction() == v1::Direction::Unspecified {
            filter.direction = Direction::Ingress;
        }
    }
    Ok(Rule {
        filter,
        fault,
        pulse: rule.pulse.map(pulse).transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Direction;

    fn request() -> v1::PrepareRequest {
        v1::PrepareRequest {
            selector: Some(v1::Selector {
                r#where: Some(WireWhere::Netns("provider-1".into())),
                interface: String::new(),
            }),
            rules: vec![v1::Rule {
                filter: None,
                pulse: None,
                fault: Some(v1::rule::Fault::Loss(v1::Loss {
                    share_ppm: 300_000,
                    ..v1::Loss::default()
                })),
            }],
            duration: Some(prost_types::Duration {
                seconds: 30,
                nanos: 0,
            }),
            ..v1::PrepareRequest::default()
        }
    }

    fn read(request: v1::PrepareRequest) -> Result<Spec, RequestError> {
        spec(request, Duration::from_secs(5))
    }

    #[test]
    fn defaults_are_filled_in() {
        let spec = read(request()).unwrap();
        assert_eq!(spec.grace, Duration::from_secs(5));
        assert_eq!(spec.rules[0].filter.direction, Direction::Egress);
        assert!(new_id(&spec, |_| true).starts_with("loss-"));
        assert_eq!(spec.check(), Ok(()));
    }

    #[test]
    fn an_id_is_never_given_twice() {
        let spec = read(request()).unwrap();
        let mut drawn = [0xab, 0xab, 0xcd].into_iter();
        let id = free_id(&spec, || drawn.next().unwrap(), |id| id != "loss-0000ab");
        assert_eq!(id, "loss-0000cd");
    }

    #[test]
    fn an_id_is_what_people_can_type() {
        assert_eq!(id(""), Ok(None));
        for good in ["delay-3f9a1c", "delay-3f9a1c.2", "7", &"a".repeat(63)] {
            assert_eq!(id(good), Ok(Some(good.to_owned())));
        }
        for bad in ["-a", ".a", "A", "a b", "a/b", "ä", &"a".repeat(64)] {
            assert_eq!(id(bad), Err(SpecError::Id(bad.to_owned())));
        }
    }

    #[test]
    fn nonsense_is_refused_with_its_name() {
        let mut negative = request();
        negative.duration = Some(prost_types::Duration {
            seconds: -1,
            nanos: 0,
        });
        assert_eq!(
            read(negative),
            Err(RequestError::Time {
                what: "the duration"
            })
        );
        let mut strange = request();
        strange.rules[0].filter = Some(v1::Filter {
            direction: 9,
            ..v1::Filter::default()
        });
        assert_eq!(
            read(strange),
            Err(RequestError::Unknown {
                what: "direction",
                value: 9
            })
        );
        let mut empty = request();
        empty.rules[0].fault = None;
        assert_eq!(read(empty), Err(RequestError::Missing("fault")));
    }
}
