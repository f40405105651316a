//! A plan in a cluster, for a person: who, which rules, what is protected, and what each guard would say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use chaos_proto::v1::{Guard, Pod};

use super::table::{finish, table};
use super::whole::Rules;
use super::{effect, words};
use crate::cluster::{Answer, Peers, Plan, Resolved};
use crate::quantity::{from_wire, time_in_words};

/// Addresses of a peer that are shown; the JSON form has all of them.
const SHOWN: usize = 4;

/// The plan, with what agents answered to it, in the order of its parts; nothing where none was asked.
pub fn in_words(plan: &Plan, answers: &[Answer]) -> String {
    let mut text = format!("Where:  {}\n", where_to(&plan.resolved, plan));
    for port in &plan.resolved.ports {
        let pods = words::counted(port.pods, "pod");
        let _ = writeln!(
            text,
            "Port:   {} is {} in {pods}",
            port.port, port.target_port
        );
    }
    for peer in &plan.resolved.peers {
        let _ = writeln!(text, "Peer:   {}", addresses(peer));
    }
    for note in &plan.resolved.notes {
        let _ = writeln!(text, "Note:   {note}");
    }
    text.push('\n');
    text.push_str(&nodes(plan, answers));
    text.push('\n');
    text.push_str(&doors(answers));
    let parts = plan.parts.iter();
    let parts = parts.map(|part| (part.node.as_str(), part.request.rules.as_slice()));
    for (rule, on) in Rules::of(parts).each() {
        let _ = write!(
            text,
            "\nRule:   {}{on}\nEffect: {}",
            words::rule(rule),
            effect::of_rule(rule)
        );
    }
    if let Some(part) = plan.parts.first() {
        let request = &part.request;
        let time = time_in_words(from_wire(request.duration.as_ref()));
        let client = if request.detached {
            ", whether chaosctl goes on or not"
        } else {
            ", or until chaosctl ends"
        };
        let _ = write!(text, "\nTime:   {time}{client}");
        if let Some(seed) = request.seed {
            let _ = write!(text, "\nSeed:   {seed}");
        }
    }
    text.push_str(&said(plan, answers));
    text.push_str("\n\nNothing was applied.");
    text
}

fn where_to(resolved: &Resolved, plan: &Plan) -> String {
    let nodes = words::counted(plan.nodes().len(), "node");
    let pods = plan.pods().count();
    match &resolved.origin {
        Some(origin) => format!(
            "{}: {} of {} ready pods on {nodes}",
            resolved.what, origin.chosen, origin.ready
        ),
        None if pods > 0 => format!("{} on {nodes}", resolved.what),
        None => resolved.what.clone(),
    }
}

fn addresses(peer: &Peers) -> String {
    let shown = &peer.addresses[..peer.addresses.len().min(SHOWN)];
    let more = peer.addresses.len() - shown.len();
    match (shown, more) {
        ([], _) => format!("{} has no address", peer.peer),
        (shown, 0) => format!("{} is {}", peer.peer, shown.join(", ")),
        (shown, more) => format!("{} is {} and {more} more", peer.peer, shown.join(", ")),
    }
}

/// Whose requests would be read, a line for each target.
fn doors(answers: &[Answer]) -> String {
    let mut text = String::new();
    for answer in answers {
        let Answer::Prepared(prepared) = answer else {
            continue;
        };
        let targets = prepared.experiment.iter().flat_map(|of| &of.targets);
        for target in targets.filter(|target| !target.note.is_empty()) {
            let _ = write!(text, "\nDoor:   {}: {}", target.name, target.note);
        }
    }
    text
}

fn nodes(plan: &Plan, answers: &[Answer]) -> String {
    let mut header = vec!["NODE", "POD", "NAMESPACE"];
    if !answers.is_empty() {
        header.extend(["INTERFACE", "AGENT"]);
    }
    let mut table = table(&header);
    for (index, part) in plan.parts.iter().enumerate() {
        let answer = answers.get(index);
        let mut add = |pod: Option<&Pod>| {
            let (name, namespace) = pod.map_or(("-", "-"), |pod| (&pod.name, &pod.namespace));
            let mut row = vec![part.node.clone(), name.to_owned(), namespace.to_owned()];
            row.extend(answer.map(|answer| answer.interfaces(pod)));
            row.extend(answer.map(Answer::in_words));
            table.add_row(row);
        };
        for pod in part.pods() {
            add(Some(pod));
        }
        if part.pods().is_empty() {
            add(None);
        }
    }
    finish(&table)
}

/// What is protected, and what guards say, by the only agent.
pub fn spared(answers: &[Answer]) -> String {
    said_on(answers.iter().map(|answer| ("", answer)), 1)
}

/// What is protected, and what guards say, each once with the nodes that say so.
fn said(plan: &Plan, answers: &[Answer]) -> String {
    let nodes = plan.parts.iter().map(|part| part.node.as_str());
    said_on(nodes.zip(answers), plan.nodes().len())
}

fn said_on<'a>(answers: impl Iterator<Item = (&'a str, &'a Answer)>, all: usize) -> String {
    let mut protected: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut guards: Vec<(&Guard, BTreeSet<&str>)> = Vec::new();
    for (node, answer) in answers {
        let Answer::Prepared(prepared) = answer else {
            continue;
        };
        for sentence in &prepared.protected {
            protected.entry(sentence).or_default().insert(node);
        }
        for guard in &prepared.guards {
            match guards.iter_mut().find(|(known, _)| *known == guard) {
                Some((_, nodes)) => {
                    nodes.insert(node);
                }
                None => guards.push((guard, BTreeSet::from([node]))),
            }
        }
    }
    let on = |nodes: &BTreeSet<&str>| {
        if nodes.len() == all {
            return String::new();
        }
        let nodes: Vec<_> = nodes.iter().copied().collect();
        format!(" (on {})", nodes.join(", "))
    };
    let mut text = String::new();
    if !protected.is_empty() || !guards.is_empty() {
        text.push('\n');
    }
    for (sentence, nodes) in &protected {
        let _ = write!(text, "\nSpared: {sentence}{}", on(nodes));
    }
    for (guard, nodes) in &guards {
        let verdict = if guard.allows { "allows" } else { "REFUSES" };
        let _ = write!(
            text,
            "\nGuard:  {} {verdict}: {}{}",
            guard.name,
            guard.detail,
            on(nodes)
        );
    }
    text
}

impl Answer {
    /// Where the agent would hit a pod, or its node.
    fn interfaces(&self, pod: Option<&Pod>) -> String {
        let targets = match self {
            Self::Prepared(prepared) => prepared.experiment.iter().flat_map(|it| &it.targets),
            Self::Refused(_) => return "-".to_owned(),
        };
        let of_pod = targets.filter(|target| pod.is_none() || target.pod.as_ref() == pod);
        let found: BTreeSet<_> = of_pod.map(|target| target.interface.as_str()).collect();
        if found.is_empty() {
            return "-".to_owned();
        }
        found.into_iter().collect::<Vec<_>>().join(", ")
    }

    fn in_words(&self) -> String {
        match self {
            Self::Refused(sentence) => sentence.clone(),
            Self::Prepared(prepared) => {
                let refusing = prepared.guards.iter().filter(|guard| !guard.allows);
                let refusing: Vec<_> = refusing.map(|guard| guard.name.as_str()).collect();
                match refusing[..] {
                    [] => "would do it".to_owned(),
                    _ => format!("would refuse: {}", refusing.join(", ")),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
