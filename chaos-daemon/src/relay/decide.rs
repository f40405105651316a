//! What happens to a request: from the rules, the request and its number alone. Knows neither sockets nor clocks.

use std::{
    num::NonZeroU64,
    time::{Duration, Instant},
};

use super::{
    counters::Count,
    http1::edit::Edit,
    rules::{Seen, ServiceFault, ServiceRule, chance},
};
use crate::engine::{Edits, ErrorAnswer, ErrorStatus, Grpc, HeaderMatch, Http, Pause, excludes};

/// The fields of a request, whatever they are kept in.
pub(super) trait Fields {
    /// Whether one of them, by name and value, passes `test`.
    fn any(&self, test: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> bool;
}

/// What the rules look at.
pub(super) struct Asked<'a> {
    /// Method.
    pub(super) method: &'a str,
    /// Target as it came.
    pub(super) target: &'a str,
    /// A gRPC call.
    pub(super) is_grpc: bool,
    /// Fields.
    pub(super) fields: &'a dyn Fields,
}

/// What becomes of the request itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Act {
    /// The application answers it.
    #[default]
    Pass,
    /// The rule of this index does.
    Error(usize),
    /// Nobody does: the connection ends.
    Abort,
}

/// Where an answer ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// After so many bytes of its body.
    pub(super) most: u64,
    /// Whose wish it is.
    rule: usize,
    /// The rule wishes nothing else.
    alone: bool,
}

impl Cut {
    /// Counts whether it came to that.
    pub(super) fn count(self, seen: &Seen, was_cut: bool) {
        let Some(rule) = seen.rules.get(self.rule) else {
            return;
        };
        if was_cut {
            rule.tally.truncated.add();
        } else if self.alone {
            rule.tally.passed.add();
        }
    }
}

/// What happens to a request and its answer. Rules are named by their index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) act: Act,
    /// For how long who holds the answer.
    pub(super) delay: Vec<(usize, Duration)>,
    /// For how long who holds the request.
    pub(super) delay_request: Vec<(usize, Duration)>,
    /// Bytes per second of the answer's body, and whose wish they are.
    pub(super) throttle: Vec<(usize, NonZeroU64)>,
    /// Where the answer's body is cut.
    pub(super) truncate: Option<Cut>,
    /// Whose changes of fields apply.
    pub(super) edits: Vec<usize>,
}

impl Decision {
    /// Changes of the request's fields.
    pub(super) fn request_edit<'a>(&self, seen: &'a Seen) -> Edit<'a> {
        self.edit(seen, |http| &http.request)
    }

    /// Changes of the answer's fields.
    pub(super) fn answer_edit<'a>(&self, seen: &'a Seen) -> Edit<'a> {
        self.edit(seen, |http| &http.answer)
    }

    fn edit<'a>(&self, seen: &'a Seen, which: fn(&Http) -> &Edits) -> Edit<'a> {
        let mut edit = Edit::default();
        for &index in &self.edits {
            let Some(ServiceFault::Http(http)) = seen.rules.get(index).map(|rule| &rule.fault)
            else {
                continue;
            };
            let Edits { set, remove } = which(http);
            for name in remove {
                edit.remove(name);
            }
            for field in set {
                edit.set(&field.name, &field.value);
            }
        }
        edit
    }
}

/// The answer of a rule of HTTP.
pub(super) fn error_answer(seen: &Seen, index: usize) -> Option<&ErrorAnswer> {
    match &seen.rules.get(index)?.fault {
        ServiceFault::Http(http) => http.error.as_ref(),
        ServiceFault::Grpc(_) => None,
    }
}

/// The answer of a rule of gRPC.
pub(super) fn error_status(seen: &Seen, index: usize) -> Option<&ErrorStatus> {
    match &seen.rules.get(index)?.fault {
        ServiceFault::Http(_) => None,
        ServiceFault::Grpc(grpc) => grpc.error.as_ref(),
    }
}

/// What a rule would do to a request, if it were alone.
#[derive(Default)]
struct Wish {
    abort: bool,
    error: bool,
    delay: Option<Duration>,
    delay_request: Option<Duration>,
    throttle: Option<NonZeroU64>,
    edits: bool,
    truncate: Option<u64>,
}

/// Decides, and counts what was decided.
pub(super) fn decide(seen: &Seen, asked: &Asked<'_>, now: Instant) -> Decision {
    let mut wishes = Vec::new();
    for (index, rule) in seen.rules.iter().enumerate() {
        if !rule.window.is_open(now) {
            continue;
        }
        rule.tally.seen.add();
        if !seen.looks(index) {
            rule.tally.unmatched.add();
            continue;
        }
        let wish = match &rule.fault {
            ServiceFault::Http(http) => Wish::http(rule, http, asked),
            ServiceFault::Grpc(grpc) => Wish::grpc(rule, grpc, asked),
        };
        wishes.extend(wish.map(|wish| (index, wish)));
    }
    Decision::of(seen, &wishes)
}

impl Wish {
    fn http(rule: &ServiceRule, http: &Http, asked: &Asked<'_>) -> Option<Self> {
        let tally = &rule.tally;
        let path = path(asked.target).as_bytes();
        if !http.exclude.is_empty() && excludes(&http.exclude, path) {
            tally.excluded.add();
            return None;
        }
        let mut described = http.matches.iter();
        // Calls of gRPC are another kind, unless somebody describes them.
        let is_described = if http.matches.is_empty() {
            !asked.is_grpc
        } else {
            described.any(|wanted| wanted.matches(asked.method.as_bytes(), path))
        };
        if !is_described || !has_all(asked.fields, &http.match_headers) {
            tally.unmatched.add();
            return None;
        }
        let number = tally.taken.add();
        let chance = |share, purpose| chance::hits(share, rule.seed, number, purpose);
        let fails = |error: &ErrorAnswer| {
            number < u64::from(error.first) || chance(error.share, chance::ERROR)
        };
        let abort = chance(http.abort, chance::ABORT);
        Some(Self {
            abort,
            error: !abort && http.error.as_ref().is_some_and(fails),
            delay: hold(http.pause, rule, number),
            throttle: NonZeroU64::new(http.throttle),
            edits: !http.answer.is_empty() || !http.request.is_empty(),
            truncate: http.truncate,
            ..Self::default()
        })
    }

    fn grpc(rule: &ServiceRule, grpc: &Grpc, asked: &Asked<'_>) -> Option<Self> {
        let tally = &rule.tally;
        let call = path(asked.target).as_bytes();
        if asked.is_grpc && grpc.exclude.iter().any(|method| method.matches(call)) {
            tally.excluded.add();
            return None;
        }
        if !asked.is_grpc || !has_all(asked.fields, &grpc.match_metadata) {
            tally.unmatched.add();
            return None;
        }
        let number = tally.taken.add();
        let fails = |error: &ErrorStatus| {
            number < u64::from(error.first)
                || chance::hits(error.share, rule.seed, number, chance::ERROR)
        };
        Some(Self {
            error: grpc.error.as_ref().is_some_and(fails),
            delay_request: hold(grpc.pause, rule, number),
            ..Self::default()
        })
    }
}

impl Decision {
    /// What happens when several rules wish something: the first that ends a request does, and what others wish of the
    /// messages themselves is not done, nor counted, then.
    fn of(seen: &Seen, wishes: &[(usize, Wish)]) -> Self {
        let mut decision = Self::default();
        let ends = |(_, wish): &&(usize, Wish)| wish.abort || wish.error;
        let end = wishes.iter().find(ends);
        decision.act = match end {
            Some((_, wish)) if wish.abort => Act::Abort,
            Some((index, _)) => Act::Error(*index),
            None => Act::Pass,
        };
        let shortest = wishes
            .iter()
            .filter_map(|(index, wish)| Some((wish.truncate?, *index)))
            .min()
            .filter(|_| end.is_none());
        for (index, wish) in wishes {
            let (index, Some(rule)) = (*index, seen.rules.get(*index)) else {
                continue;
            };
            let tally = &rule.tally;
            let mut passed = true;
            let mut count = |happened: bool, which: &Count| {
                if happened {
                    which.add();
                    passed = false;
                }
            };
            let is_end = end.is_some_and(|(other, _)| *other == index);
            count(is_end && wish.abort, &tally.aborted);
            count(is_end && wish.error, &tally.errors);
            count(wish.delay.is_some(), &tally.delayed);
            decision
                .delay
                .extend(wish.delay.map(|delay| (index, delay)));
            if end.is_none() {
                count(wish.delay_request.is_some(), &tally.delayed);
                let delay = wish.delay_request.map(|delay| (index, delay));
                decision.delay_request.extend(delay);
                count(wish.throttle.is_some(), &tally.throttled);
                let rate = wish.throttle.map(|rate| (index, rate));
                decision.throttle.extend(rate);
                count(wish.edits, &tally.headers_changed);
                decision.edits.extend(wish.edits.then_some(index));
            }
            match shortest {
                // Whether it comes to that is known when the answer has ended.
                Some((most, rule)) if rule == index => {
                    decision.truncate = Some(Cut {
                        most,
                        rule,
                        alone: passed,
                    });
                }
                _ if passed => {
                    tally.passed.add();
                }
                _ => {}
            }
        }
        decision
    }
}

/// The path of a target, without scheme, authority and query.
fn path(target: &str) -> &str {
    let target = match target.find("://") {
        Some(end) if !target.starts_with('/') => {
            let rest = &target[end + 3..];
            rest.find(['/', '?']).map_or("/", |start| &rest[start..])
        }
        _ => target,
    };
    let path = target.split(['?', '#']).next().unwrap_or(target);
    if path.is_empty() { "/" } else { path }
}

fn has_all(fields: &dyn Fields, wanted: &[HeaderMatch]) -> bool {
    let mut wanted = wanted.iter();
    wanted.all(|wanted| fields.any(&mut |name, value| wanted.matches(name, value)))
}

fn hold(pause: Option<Pause>, rule: &ServiceRule, number: u64) -> Option<Duration> {
    let Pause {
        delay,
        variation,
        share,
    } = pause.filter(|pause| !pause.delay.is_zero())?;
    chance::hits(share, rule.seed, number, chance::DELAY)
        .then(|| chance::around(delay, variation, rule.seed, number))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        engine::{Ppm, Requests},
        relay::{Clients, Window, rules::Rules},
    };

    struct NoFields;

    impl Fields for NoFields {
        fn any(&self, _: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> bool {
            false
        }
    }

    /// Decides about one request, and gives what each of the rules counted.
    fn decided(is_grpc: bool, faults: Vec<ServiceFault>) -> (Decision, Vec<Requests>) {
        let start = Instant::now();
        let rules: Vec<ServiceRule> = faults
            .into_iter()
            .map(|fault| ServiceRule {
                clients: Clients::all(),
                window: Window {
                    start,
                    deadline: start + Duration::from_secs(1),
                    pulse: None,
                },
                fault,
                seed: 1,
                tally: Arc::default(),
            })
            .collect();
        let tallies: Vec<_> = rules.iter().map(|rule| Arc::clone(&rule.tally)).collect();
        let known = Rules::default();
        known.set(rules.into());
        let mut seen = Seen::nothing();
        known.look(&mut seen, ([127, 0, 0, 1].into(), 1));
        let asked = Asked {
            method: "GET",
            target: "/p.S/M",
            is_grpc,
            fields: &NoFields,
        };
        let decision = decide(&seen, &asked, start);
        let counted = tallies.iter().map(|tally| tally.read(0)).collect();
        (decision, counted)
    }

    fn pause() -> Pause {
        Pause {
            delay: Duration::from_millis(5),
            variation: Duration::ZERO,
            share: Ppm::ALL,
        }
    }

    fn error() -> ErrorAnswer {
        ErrorAnswer {
            share: Ppm::ALL,
            first: 0,
            code: 500,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    fn http(http: Http) -> ServiceFault {
        ServiceFault::Http(Box::new(http))
    }

    #[test]
    fn what_a_rule_wishes_of_a_request_that_another_ends_is_not_counted() {
        let changes = || {
            let mut changes = Http {
                throttle: 10,
                truncate: Some(3),
                pause: Some(pause()),
                ..Http::default()
            };
            changes.answer.remove.push("etag".into());
            changes
        };
        let cuts = || Http {
            truncate: Some(2),
            ..Http::default()
        };
        let fails = || Http {
            error: Some(error()),
            ..Http::default()
        };
        for order in [[0, 1, 2], [2, 1, 0]] {
            let faults = order.map(|which| http([changes(), cuts(), fails()][which].clone()));
            let (decision, counted) = decided(false, faults.into());
            let at = |which| counted[order.iter().position(|&it| it == which).unwrap()];
            assert!(matches!(decision.act, Act::Error(_)));
            let holds = order.iter().position(|&it| it == 0).unwrap();
            assert_eq!(decision.delay, [(holds, pause().delay)]);
            assert!(decision.edits.is_empty() && decision.truncate.is_none());
            assert_eq!(decision.throttle, []);
            let expected = Requests {
                seen: 1,
                delayed: 1,
                ..Requests::default()
            };
            assert_eq!(at(0), expected);
            assert_eq!((at(1).passed, at(1).truncated), (1, 0));
            assert_eq!((at(2).errors, at(2).passed), (1, 0));
        }
        // Of several cuts the shortest is made; the other rule did nothing.
        let (decision, counted) = decided(
            false,
            vec![
                http(Http {
                    truncate: Some(3),
                    ..Http::default()
                }),
                http(cuts()),
            ],
        );
        assert_eq!(decision.truncate.map(|cut| cut.most), Some(2));
        assert_eq!((counted[0].passed, counted[1].passed), (1, 0));
    }

    #[test]
    fn a_call_that_fails_is_not_delayed_whoever_has_it_fail() {
        let delays = Grpc {
            pause: Some(pause()),
            ..Grpc::default()
        };
        let fails = Grpc {
            error: Some(ErrorStatus {
                share: Ppm::ALL,
                first: 0,
                code: 14,
                message: String::new(),
            }),
            pause: Some(pause()),
            ..Grpc::default()
        };
        let grpc = |grpc: Grpc| ServiceFault::Grpc(Box::new(grpc));
        let (decision, counted) = decided(true, vec![grpc(delays), grpc(fails)]);
        assert_eq!(decision.act, Act::Error(1));
        assert_eq!(decision.delay_request, []);
        assert_eq!((counted[0].delayed, counted[0].passed), (0, 1));
        assert_eq!((counted[1].errors, counted[1].delayed), (1, 0));
    }

    #[test]
    fn a_path_is_what_is_left_of_a_target() {
        for (target, expected) in [
            ("/a/b?c=/d", "/a/b"),
            ("/", "/"),
            ("*", "*"),
            ("http://host:80/a?b", "/a"),
            ("http://host", "/"),
            ("http://host?x", "/"),
            ("/redirect?to=http://x/y", "/redirect"),
            ("/a://b", "/a://b"),
        ] {
            assert_eq!(path(target), expected, "{target}");
        }
    }
}
