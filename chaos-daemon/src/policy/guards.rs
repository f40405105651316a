//! What each guard of a policy says about an experiment.

use std::time::Duration;

use humantime::format_duration;

use super::{ALL, KEYS, Policy};

/// What somebody asks for, as far as guards look at it.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// Namespaces of the pods; empty where targets are not pods.
    pub namespaces: Vec<String>,
    /// What is pointed at.
    pub level: Level,
    /// All of the experiment's time.
    pub duration: Duration,
    /// Names of its faults.
    pub faults: Vec<&'a str>,
    /// How much of what is hit; or why nobody knows.
    pub shares: Result<Vec<Share>, String>,
}

/// What is pointed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Pods, as the API server knows them.
    Pods,
    /// Pods, of which there is only the caller's word in which namespace they are.
    Claimed,
    /// Anything else of the node.
    Node,
}

/// How much of what pods were chosen from an experiment hits, with all others of this agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Such as `service demo/provider`.
    pub of: String,
    /// How many are hit.
    pub hit: usize,
    /// How many there are that are ready.
    pub ready: usize,
}

/// What one guard says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// Its key in the policy.
    pub name: &'static str,
    /// Whether it lets the experiment through.
    pub allows: bool,
    /// Whether it does not know: somebody did not say what it looks at, and may a little later.
    pub is_unsure: bool,
    /// Why; one sentence.
    pub detail: String,
}

impl Guard {
    /// All guards of a policy that is none.
    pub fn none_allows(why: &str) -> Vec<Self> {
        let guard = |name| Self {
            name,
            allows: false,
            is_unsure: false,
            detail: why.to_owned(),
        };
        KEYS.map(guard).into()
    }
}

impl Policy {
    /// What each guard says, in the order of the file.
    pub fn judge(&self, asked: &Asked<'_>) -> Vec<Guard> {
        vec![
            self.namespaces(asked),
            self.duration(asked),
            self.share(asked),
            self.faults(asked),
            self.node_level(asked),
        ]
    }

    fn namespaces(&self, asked: &Asked<'_>) -> Guard {
        let guard = |allows, detail| Guard {
            name: "namespaces",
            allows,
            is_unsure: false,
            detail,
        };
        if asked.namespaces.is_empty() {
            return guard(true, "no pods are targets".to_owned());
        }
        for namespace in &asked.namespaces {
            let denied = self.deny.iter().find(|pattern| matches(pattern, namespace));
            if let Some(pattern) = denied {
                let why = format!("namespace {namespace} is denied by {pattern:?}");
                return guard(false, why);
            }
            if !self.allow.iter().any(|pattern| matches(pattern, namespace)) {
                let allowed = self.allow.join(", ");
                let why = format!("namespace {namespace} is not among those allowed ({allowed})");
                return guard(false, why);
            }
        }
        let names = asked.namespaces.join(", ");
        guard(true, format!("{names} is allowed"))
    }

    fn duration(&self, asked: &Asked<'_>) -> Guard {
        let most = format_duration(self.max_duration);
        let asked = asked.duration;
        let allows = asked <= self.max_duration;
        Guard {
            name: "maxDuration",
            allows,
            is_unsure: false,
            detail: format!(
                "{} is {} {most}",
                format_duration(asked),
                if allows { "at most" } else { "longer than" }
            ),
        }
    }

    fn share(&self, asked: &Asked<'_>) -> Guard {
        let guard = |allows, detail| Guard {
            name: "maxShare",
            allows,
            is_unsure: false,
            detail,
        };
        let shares = match &asked.shares {
            Ok(shares) => shares,
            Err(why) => {
                return Guard {
                    is_unsure: true,
                    ..guard(false, format!("nobody can say how much is hit: {why}"))
                };
            }
        };
        let most = self.max_share;
        let allows = |share: &&Share| most.covers(share.hit, share.ready);
        let worst = shares.iter().find(|share| !allows(share));
        match worst.or(shares.first()) {
            None => guard(true, "no service is known to be hit".to_owned()),
            Some(share) => {
                let Share { of, hit, ready } = share;
                let allows = allows(&share);
                let word = if allows { "at most" } else { "more than" };
                guard(
                    allows,
                    format!("{hit} of {ready} ready endpoints of {of} are {word} {most}"),
                )
            }
        }
    }

    fn faults(&self, asked: &Asked<'_>) -> Guard {
        let is_allowed = |name: &str| self.faults.iter().any(|one| one == ALL || one == name);
        let refused = asked.faults.iter().find(|name| !is_allowed(name));
        Guard {
            name: "faults",
            allows: refused.is_none(),
            is_unsure: false,
            detail: match refused {
                None => format!("{} is allowed", asked.faults.join(", ")),
                Some(name) if self.faults.is_empty() => {
                    format!("{name} is not allowed, and no fault is")
                }
                Some(name) => format!(
                    "{name} is not among the faults that are allowed ({})",
                    self.faults.join(", ")
                ),
            },
        }
    }

    fn node_level(&self, asked: &Asked<'_>) -> Guard {
        let detail = match (asked.level, self.node_level) {
            (Level::Pods, _) => "only pods are targets",
            (Level::Claimed, true) => "targets that may be other than pods are allowed",
            (Level::Claimed, false) => {
                "targets other than pods are not allowed, and whether these are the pods that they are said to be only an agent knows that asks the Kubernetes API: start it with --kubernetes"
            }
            (Level::Node, true) => "targets other than pods are allowed",
            (Level::Node, false) => {
                "targets other than pods (the node, namespaces, processes, cgroups) are not allowed"
            }
        };
        Guard {
            name: "nodeLevel",
            allows: asked.level == Level::Pods || self.node_level,
            is_unsure: false,
            detail: detail.to_owned(),
        }
    }
}

/// Whether a name matches a pattern, in which `*` stands for any letters, or none.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(tail) = name.strip_prefix(head) else {
        return false;
    };
    let mut ends = tail.char_indices().map(|(at, _)| at).chain([tail.len()]);
    ends.any(|at| matches(rest, &tail[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Percent;

    fn asked() -> Asked<'static> {
        Asked {
            namespaces: vec!["demo".to_owned()],
            level: Level::Pods,
            duration: Duration::from_mins(1),
            faults: vec!["delay"],
            shares: Ok(Vec::new()),
        }
    }

    fn refused(policy: &Policy, asked: &Asked<'_>) -> Vec<(&'static str, String)> {
        let guards = policy.judge(asked);
        assert_eq!(
            guards.iter().map(|guard| guard.name).collect::<Vec<_>>(),
            KEYS
        );
        let no = guards.into_iter().filter(|guard| !guard.allows);
        no.map(|guard| (guard.name, guard.detail)).collect()
    }

    #[test]
    fn each_guard_refuses_its_own() {
        let policy = Policy::of_cluster("chaos-system");
        assert_eq!(refused(&policy, &asked()), []);
        for namespace in ["kube-system", "chaos-system", "kube-"] {
            let there = Asked {
                namespaces: vec!["demo".to_owned(), namespace.to_owned()],
                ..asked()
            };
            let no = refused(&policy, &there);
            assert_eq!(no.len(), 1, "{no:?}");
            assert_eq!(no[0].0, "namespaces");
            assert!(no[0].1.contains(namespace), "{no:?}");
        }
        let long = Asked {
            duration: Duration::from_secs(3601),
            ..asked()
        };
        assert_eq!(
            refused(&policy, &long),
            [("maxDuration", "1h 1s is longer than 1h".to_owned())]
        );
        let node = Asked {
            namespaces: Vec::new(),
            level: Level::Node,
            ..asked()
        };
        assert_eq!(refused(&policy, &node)[0].0, "nodeLevel");
        let claimed = Asked {
            level: Level::Claimed,
            ..asked()
        };
        let no = refused(&policy, &claimed);
        assert_eq!(no[0].0, "nodeLevel");
        assert!(no[0].1.contains("--kubernetes"), "{no:?}");
        let kube = Asked {
            namespaces: vec!["kube-system".to_owned()],
            ..claimed
        };
        assert_eq!(
            refused(&policy, &kube).len(),
            2,
            "its namespace counts, too"
        );
        let only_loss = Policy {
            faults: vec!["loss".to_owned()],
            ..policy
        };
        assert_eq!(
            refused(&only_loss, &asked()),
            [(
                "faults",
                "delay is not among the faults that are allowed (loss)".to_owned()
            )]
        );
    }

    #[test]
    fn a_share_is_of_what_pods_were_chosen_from() {
        let half = Policy {
            max_share: Percent::of(50.0).unwrap(),
            ..Policy::of_cluster("chaos-system")
        };
        let with = |hit, ready| Asked {
            shares: Ok(vec![
                Share {
                    of: "service demo/all".to_owned(),
                    hit,
                    ready: 100,
                },
                Share {
                    of: "service demo/provider".to_owned(),
                    hit,
                    ready,
                },
            ]),
            ..asked()
        };
        assert_eq!(refused(&half, &with(2, 5)), []);
        assert_eq!(
            refused(&half, &with(3, 5)),
            [(
                "maxShare",
                "3 of 5 ready endpoints of service demo/provider are more than 50 %".to_owned()
            )]
        );
        let unknown = Asked {
            shares: Err("the API server did not answer".to_owned()),
            ..asked()
        };
        assert_eq!(refused(&half, &unknown)[0].0, "maxShare");
        assert!(half.judge(&unknown).iter().any(|guard| guard.is_unsure));
    }

    #[test]
    fn only_what_is_allowed_is() {
        let policy = Policy {
            allow: vec!["team-*-test".to_owned()],
            ..Policy::of_cluster("chaos-system")
        };
        for (namespace, allows) in [
            ("team-a-test", true),
            ("team--test", true),
            ("team-a-prod", false),
            ("my-team-a-test", false),
        ] {
            let there = Asked {
                namespaces: vec![namespace.to_owned()],
                ..asked()
            };
            assert_eq!(refused(&policy, &there).is_empty(), allows, "{namespace}");
        }
        assert!(matches("*", "") && matches("a*b*c", "a-b-b-c") && !matches("a*b", "a-bc"));
    }
}
