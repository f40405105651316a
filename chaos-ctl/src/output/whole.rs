//! One experiment out of what several agents say about their parts of it.

use chaos_proto::v1::selector::Where;
use chaos_proto::v1::{Counters, EndReason, Experiment, Rule, State, Target};

/// What one agent says about its part.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// The agent's node; empty where only one agent was asked, and it does not say.
    pub node: String,
    /// As it was last heard.
    pub experiment: Experiment,
    /// What there is to know about it besides.
    pub standing: Standing,
}

/// What became of a part, as far as the client knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// What the agent says.
    Current,
    /// Over, and others act in its place, or none has to.
    Past,
    /// Nobody can say.
    Lost,
}

/// One experiment on all its nodes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Whole {
    /// With the targets of all.
    pub experiment: Experiment,
    /// The node of each target.
    pub nodes: Vec<String>,
    /// In the order of nodes and ids.
    pub parts: Vec<Part>,
    /// What happened on the way, one sentence each.
    pub notes: Vec<String>,
}

/// One part of an experiment, without its targets.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Part {
    /// The node.
    pub node: String,
    /// The id on that node.
    pub id: String,
    /// Where it is in its life.
    pub state: State,
    /// Why it ended.
    pub end_reason: EndReason,
    /// In the agent's words.
    pub end_detail: String,
    /// Whether its agent could no longer be asked.
    pub is_lost: bool,
    /// Its rules: pods may have different ports for the same port of their service.
    pub rules: Vec<Rule>,
}

impl From<&Experiment> for Whole {
    fn from(experiment: &Experiment) -> Self {
        Self::of(&[Piece {
            node: experiment.node.clone(),
            experiment: experiment.clone(),
            standing: Standing::Current,
        }])
    }
}

/// The id that all parts of an experiment share: further ones on a node have a number after it, as in `ID.2`.
pub fn base(id: &str) -> &str {
    number(id).map_or(id, |(base, _)| base)
}

/// The id of a part, by the experiment's id or that of another part.
pub fn part(id: &str, place: u64) -> String {
    match place {
        1 => base(id).to_owned(),
        place => format!("{}.{place}", base(id)),
    }
}

/// Which of its node's parts of an experiment this is.
pub fn place(id: &str) -> u64 {
    number(id)
        .and_then(|(_, digits)| digits.parse().ok())
        .unwrap_or(1)
}

fn number(id: &str) -> Option<(&str, &str)> {
    let (base, digits) = id.rsplit_once('.')?;
    let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then_some((base, digits))
}

impl Whole {
    /// Puts the parts of one experiment together.
    pub fn of(pieces: &[Piece]) -> Self {
        let mut whole = Self::default();
        // What all have in common is that of one that still counts.
        let Some(first) = pieces
            .iter()
            .find(|piece| piece.standing == Standing::Current)
            .or(pieces.first())
        else {
            return whole;
        };
        whole.experiment = Experiment {
            id: base(&first.experiment.id).to_owned(),
            targets: Vec::new(),
            ..first.experiment.clone()
        };
        for piece in pieces {
            whole.add_targets(piece);
            whole.parts.push(Part::of(piece));
        }
        if pieces.len() > 1 {
            whole.add_common(pieces);
        }
        whole
    }

    /// The same experiment with what happened to it.
    #[must_use]
    pub fn with_notes(mut self, notes: &[String]) -> Self {
        self.notes = notes.to_vec();
        self
    }

    /// Puts the parts of several experiments together by their ids, in the order in which they are first seen.
    pub fn group(pieces: Vec<Piece>) -> Vec<Self> {
        let mut groups: Vec<(String, Vec<Piece>)> = Vec::new();
        for piece in pieces {
            let id = base(&piece.experiment.id).to_owned();
            match groups.iter_mut().find(|(other, _)| *other == id) {
                Some((_, group)) => group.push(piece),
                None => groups.push((id, vec![piece])),
            }
        }
        groups
            .into_iter()
            .map(|(_, mut group)| {
                group.sort_by(|one, other| {
                    let key = |piece: &Piece| (piece.node.clone(), place(&piece.experiment.id));
                    key(one).cmp(&key(other))
                });
                // A part that is over says nothing about the whole while others of it run.
                if group.iter().any(|piece| !piece.is_over()) {
                    for piece in &mut group {
                        if piece.is_over() {
                            piece.standing = Standing::Past;
                        }
                    }
                }
                Self::of(&group)
            })
            .collect()
    }

    /// Each rule of the parts that act, or of all where none does, with the nodes that have it.
    pub fn rules(&self) -> Rules<'_> {
        let acts = |part: &&Part| part.state != State::Ended;
        let is_over = !self.parts.iter().any(|part| acts(&part));
        let parts = self.parts.iter().filter(|part| is_over || acts(part));
        Rules::of(parts.map(|part| (part.node.as_str(), part.rules.as_slice())))
    }

    /// Whether targets are on more than one node.
    pub fn is_spread(&self) -> bool {
        self.nodes.windows(2).any(|two| two[0] != two[1])
    }

    /// How many nodes have a part of it.
    pub fn node_count(&self) -> usize {
        let mut nodes: Vec<_> = self.parts.iter().map(|part| &part.node).collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes.len()
    }

    /// A target that an earlier part on the same node had too goes on with its counters.
    fn add_targets(&mut self, piece: &Piece) {
        let known = self.experiment.targets.len();
        for target in &piece.experiment.targets {
            let same = (0..known).find(|&place| {
                self.nodes[place] == piece.node && is_same(&self.experiment.targets[place], target)
            });
            if let Some(place) = same {
                go_on(&mut self.experiment.targets[place], target);
            } else {
                self.experiment.targets.push(target.clone());
                self.nodes.push(piece.node.clone());
            }
        }
    }

    fn add_common(&mut self, pieces: &[Piece]) {
        let current: Vec<&Experiment> = pieces
            .iter()
            .filter(|piece| piece.standing != Standing::Past)
            .map(|piece| &piece.experiment)
            .collect();
        let whole = &mut self.experiment;
        let has = |state| current.iter().any(|part| part.state() == state);
        whole.state = if has(State::Armed) {
            State::Armed
        } else if has(State::Prepared) {
            State::Prepared
        } else {
            whole.state()
        }
        .into();
        whole.end_reason = EndReason::Unspecified.into();
        whole.end_detail = String::new();
        if whole.state() == State::Ended
            && let Some(worst) = current.iter().max_by_key(|part| rank(part.end_reason()))
        {
            whole.end_reason = worst.end_reason;
            whole.end_detail.clone_from(&worst.end_detail);
        }
        let longest = |times: fn(&Experiment) -> Option<prost_types::Duration>| {
            let given = current.iter().filter_map(|part| times(part));
            given.max_by_key(|time| (time.seconds, time.nanos))
        };
        whole.remaining = longest(|part| part.remaining).or(whole.remaining);
        whole.duration = pieces
            .iter()
            .filter_map(|piece| piece.experiment.duration)
            .max_by_key(|time| (time.seconds, time.nanos));
        if let Some(engine) = pieces
            .iter()
            .map(|piece| piece.experiment.line_engine)
            .find(|engine| *engine != 0)
        {
            whole.line_engine = engine;
        }
        // Each node was told of its own pods only.
        if let Some(Where::Pods(all)) = whole
            .selector
            .as_mut()
            .and_then(|selector| selector.r#where.as_mut())
        {
            all.pods = current
                .iter()
                .filter_map(|part| match part.selector.as_ref()?.r#where.as_ref()? {
                    Where::Pods(pods) => Some(pods.pods.clone()),
                    Where::Service(_)
                    | Where::Netns(_)
                    | Where::Pid(_)
                    | Where::Cgroup(_)
                    | Where::Node(_) => None,
                })
                .flatten()
                .collect();
        }
    }
}

/// Rules, each once, with the nodes that have it.
#[derive(Debug)]
pub struct Rules<'a> {
    each: Vec<(&'a Rule, Vec<&'a str>)>,
    /// Whether all nodes have the same, so that there is nothing to say about where.
    are_same: bool,
}

impl<'a> Rules<'a> {
    /// Puts together what each node, or each part of one, has.
    pub fn of(parts: impl Iterator<Item = (&'a str, &'a [Rule])> + Clone) -> Self {
        let mut each: Vec<(&Rule, Vec<&str>)> = Vec::new();
        for (node, rules) in parts.clone() {
            for rule in rules {
                match each.iter_mut().find(|(known, _)| *known == rule) {
                    Some((_, nodes)) if nodes.contains(&node) => {}
                    Some((_, nodes)) => nodes.push(node),
                    None => each.push((rule, vec![node])),
                }
            }
        }
        let mut parts = parts.map(|(_, rules)| rules);
        let first = parts.next();
        Self {
            each,
            are_same: parts.all(|rules| Some(rules) == first),
        }
    }

    /// Each rule, and in words which nodes have it; empty where all do.
    pub fn each(&self) -> impl Iterator<Item = (&'a Rule, String)> {
        self.each.iter().map(|(rule, nodes)| {
            let on = if self.are_same {
                String::new()
            } else {
                format!(" (on {})", nodes.join(", "))
            };
            (*rule, on)
        })
    }
}

impl Piece {
    fn is_over(&self) -> bool {
        self.experiment.state() == State::Ended
    }
}

impl Part {
    fn of(piece: &Piece) -> Self {
        Self {
            node: piece.node.clone(),
            id: piece.experiment.id.clone(),
            state: piece.experiment.state(),
            end_reason: piece.experiment.end_reason(),
            end_detail: piece.experiment.end_detail.clone(),
            is_lost: piece.standing == Standing::Lost,
            rules: piece.experiment.rules.clone(),
        }
    }
}

/// Which end says most about the whole.
fn rank(reason: EndReason) -> u8 {
    match reason {
        EndReason::Unspecified => 0,
        EndReason::Expired => 1,
        EndReason::Stopped => 2,
        EndReason::ClientGone | EndReason::TargetGone => 3,
        EndReason::AgentStopped | EndReason::AgentStalled | EndReason::Failed => 4,
    }
}

fn is_same(one: &Target, other: &Target) -> bool {
    one.name == other.name && one.interface == other.interface && one.pod == other.pod
}

fn go_on(sum: &mut Target, later: &Target) {
    if sum.counters.len() < later.counters.len() {
        sum.counters
            .resize(later.counters.len(), Counters::default());
    }
    for (sum, one) in sum.counters.iter_mut().zip(&later.counters) {
        *sum = super::tally::sum([&*sum, one]);
    }
    sum.gone = later.gone;
    sum.netns.clone_from(&later.netns);
    sum.ifindex = later.ifindex;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(node: &str, id: &str, state: State, matched: u64) -> Piece {
        Piece {
            node: node.to_owned(),
            experiment: Experiment {
                id: id.to_owned(),
                state: state.into(),
                remaining: Some(prost_types::Duration {
                    seconds: i64::try_from(matched).unwrap(),
                    nanos: 0,
                }),
                targets: vec![Target {
                    name: "web".to_owned(),
                    counters: vec![Counters {
                        matched_packets: matched,
                        ..Counters::default()
                    }],
                    ..Target::default()
                }],
                ..Experiment::default()
            },
            standing: Standing::Current,
        }
    }

    #[test]
    fn only_a_number_after_a_dot_makes_a_part() {
        for (id, whole, number) in [
            ("delay-1", "delay-1", 1),
            ("delay-1.2", "delay-1", 2),
            ("delay-1.10", "delay-1", 10),
            ("delay.x", "delay.x", 1),
            ("delay.x.3", "delay.x", 3),
            ("delay.", "delay.", 1),
        ] {
            assert_eq!((base(id), place(id)), (whole, number));
        }
    }

    #[test]
    fn rules_that_differ_say_where_they_are() {
        let of = |port| {
            let first = port;
            let ports = vec![chaos_proto::v1::PortRange { first, last: port }];
            vec![Rule {
                filter: Some(chaos_proto::v1::Filter {
                    target_ports: ports,
                    ..Default::default()
                }),
                ..Rule::default()
            }]
        };
        let parts = [("a", of(3000)), ("b", of(3000)), ("b", of(3100))];
        let each = |parts: &[(&'static str, Vec<Rule>)]| {
            let rules = Rules::of(parts.iter().map(|(node, rules)| (*node, rules.as_slice())));
            let each = rules.each().map(|(_, on)| on);
            each.collect::<Vec<_>>()
        };
        assert_eq!(each(&parts[..2]), [""]);
        assert_eq!(each(&parts), [" (on a, b)", " (on b)"]);
        let mut pieces: Vec<_> = parts
            .iter()
            .map(|(node, rules)| {
                let mut piece = piece(node, "delay-1", State::Armed, 1);
                piece.experiment.rules.clone_from(rules);
                piece
            })
            .collect();
        pieces[2].experiment.state = State::Ended.into();
        let whole = Whole::of(&pieces);
        assert_eq!(whole.rules().each().count(), 1, "what ended hits nobody");
        assert_eq!(whole.parts[2].rules, parts[2].1);
    }

    #[test]
    fn parts_are_one_experiment() {
        let mut past = piece("a", "delay-1", State::Ended, 1);
        past.experiment.end_reason = EndReason::AgentStopped.into();
        past.standing = Standing::Past;
        let whole = Whole::of(&[
            past,
            piece("a", "delay-1.2", State::Armed, 2),
            piece("b", "delay-1", State::Armed, 4),
        ]);
        assert_eq!(whole.experiment.id, "delay-1");
        assert_eq!(whole.experiment.state(), State::Armed);
        assert_eq!(whole.experiment.end_reason(), EndReason::Unspecified);
        assert_eq!(whole.experiment.remaining.unwrap().seconds, 4);
        assert_eq!(whole.nodes, ["a", "b"], "the pod's counters go on");
        let counts = whole
            .experiment
            .targets
            .iter()
            .map(|target| target.counters[0].matched_packets);
        assert_eq!(counts.collect::<Vec<_>>(), [3, 4]);
        assert!(whole.is_spread());
        assert_eq!((whole.node_count(), whole.parts.len()), (2, 3));
    }

    #[test]
    fn the_worst_end_is_the_end_of_all() {
        let mut parts = [
            EndReason::Expired,
            EndReason::TargetGone,
            EndReason::Stopped,
        ]
        .map(|reason| (reason, piece("a", "delay-1", State::Ended, 1)))
        .map(|(reason, mut piece)| {
            piece.experiment.end_reason = reason.into();
            piece
        });
        assert_eq!(
            Whole::of(&parts).experiment.end_reason(),
            EndReason::TargetGone
        );
        parts[1].standing = Standing::Past;
        assert_eq!(
            Whole::of(&parts).experiment.end_reason(),
            EndReason::Stopped
        );
    }

    #[test]
    fn experiments_are_told_apart_by_their_ids() {
        let wholes = Whole::group(vec![
            piece("b", "loss-2", State::Armed, 1),
            piece("b", "delay-1.2", State::Armed, 1),
            piece("a", "delay-1", State::Ended, 1),
            piece("b", "delay-1", State::Ended, 1),
        ]);
        let seen: Vec<_> = wholes
            .iter()
            .map(|whole| (whole.experiment.id.as_str(), whole.parts.len()))
            .collect();
        assert_eq!(seen, [("loss-2", 1), ("delay-1", 3)]);
        assert_eq!(wholes[1].experiment.state(), State::Armed);
        assert_eq!(wholes[1].parts[0].node, "a");
    }
}
