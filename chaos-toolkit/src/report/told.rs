//! What happened, as sentences: how it ended, which probe saw what, who stopped it, what failed.

use super::clock;
use super::journal::{Journal, State, Verdict};
use super::words::{count, expected, saw, short};

/// More of them in a sentence nobody reads.
const NAMED: usize = 3;

/// What happened, as sentences.
pub(super) fn told(journal: &Journal) -> Vec<String> {
    let mut told = Vec::new();
    told.extend(opening(journal));
    for (when, state) in journal.states() {
        let when = match when {
            "before" => "Before the method",
            "after" => "After the method",
            "recovery" => "After the rollbacks",
            _ => continue,
        };
        told.extend(unmet(state).map(|what| format!("{when}, {what}.")));
    }
    told.extend(meanwhile(journal));
    for guard in journal
        .guards
        .iter()
        .filter(|guard| guard.tripped_at.is_some())
    {
        let saw = guard
            .saw
            .as_ref()
            .map(|saw| format!(": it saw {}", short(saw)));
        told.push(format!(
            "The guard {} tripped{}.",
            guard.name,
            saw.unwrap_or_default()
        ));
    }
    for (runs, what) in [
        (&journal.runs, "of the method"),
        (&journal.rollbacks, "of the rollbacks"),
    ] {
        let failed: Vec<_> = runs.iter().filter(|run| run.failed()).collect();
        if !failed.is_empty() {
            let of = count(runs.len(), "activity", "activities");
            let names: Vec<_> = failed
                .iter()
                .take(NAMED)
                .map(|run| run.activity.name.as_str())
                .collect();
            let more = if failed.len() > NAMED { ", …" } else { "" };
            told.push(format!(
                "{} of {of} {what} did not succeed: {}{more}.",
                failed.len(),
                names.join(", ")
            ));
        }
    }
    let recovered = journal.recovery.as_ref().and_then(|state| state.met);
    if recovered == Some(true) {
        told.push("After the rollbacks, the steady state was there again.".to_owned());
    }
    told
}

fn opening(journal: &Journal) -> Option<String> {
    let said = match journal.verdict() {
        Verdict::Met => "The hypothesis was met before and after the method.",
        Verdict::Completed if journal.hypothesis.is_none() => {
            "It was run to see what happens: there is no hypothesis."
        }
        Verdict::Completed => {
            "It ran to its end; the hypothesis was not looked at after the method."
        }
        Verdict::Deviated => {
            "The system did not stay as it was believed to stay: there may be a weakness."
        }
        Verdict::NotSteady => {
            "The system was not in its steady state to begin with, so that nothing was done."
        }
        Verdict::Failed => "The run failed.",
        Verdict::Aborted
            if journal
                .guards
                .iter()
                .any(|guard| guard.tripped_at.is_some()) =>
        {
            "A guard ended the run, and with it all faults."
        }
        Verdict::Aborted => "The run was ended by one of its own guards or activities.",
        Verdict::Interrupted => "Somebody or something interrupted the run.",
        Verdict::Unknown => return None,
    };
    Some(said.to_owned())
}

/// Which probe saw what, and what was expected.
fn unmet(state: &State) -> Option<String> {
    if state.met != Some(false) {
        return None;
    }
    let run = state.probes.iter().find(|run| run.met == Some(false))?;
    let name = &run.activity.name;
    Some(if run.failed() {
        format!("{name} could not tell: {}", saw(run))
    } else {
        let expected = expected(&run.activity, Some(&run.output));
        format!("{name} saw {} where {expected} was expected", saw(run))
    })
}

fn meanwhile(journal: &Journal) -> Option<String> {
    let looks = journal.during.len();
    let unmet_looks = journal
        .during
        .iter()
        .filter(|state| state.met == Some(false));
    let first = unmet_looks.clone().next();
    let Some(first) = first else {
        return (looks > 0)
            .then(|| format!("While it ran, the hypothesis was met {looks} times of {looks}."));
    };
    let missed = unmet_looks.count();
    let what = unmet(first).map(|what| {
        let run = first.probes.iter().find(|run| run.met == Some(false));
        let at = run.and_then(|run| Some(clock::seconds(journal.start?, run.start?)));
        let at = at
            .map(|at| format!(", at {}", clock::span(at)))
            .unwrap_or_default();
        format!("; first{at}, {what}")
    });
    Some(format!(
        "While it ran, the hypothesis was not met {missed} of {} times{}.",
        looks,
        what.unwrap_or_default()
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::read::read;
    use super::*;

    #[test]
    fn the_probe_that_deviated_is_named_with_what_it_saw() {
        let journal = json!({
            "experiment": { "steady-state-hypothesis": { "title": "x", "probes": [] } },
            "status": "completed", "deviated": true,
            "steady_states": { "after": { "steady_state_met": false, "probes": [
                { "activity": { "name": "shop", "tolerance": 200 }, "status": "succeeded", "tolerance_met": false,
                  "output": { "status": 503 } },
            ] } },
        });
        let journal = read("j", &journal.to_string()).unwrap();
        let told = told(&journal);
        assert_eq!(
            told[1],
            "After the method, shop saw status 503 where status 200 was expected."
        );
    }
}
