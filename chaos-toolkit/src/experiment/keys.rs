//! The keys that an experiment may have, and which of them somebody may have meant.

use serde_json::{Map, Value};

use super::report::{At, Report};

/// The keys of a kind of mapping; others are kept, and looked at for slips.
pub(super) struct Keys {
    /// What has them.
    pub(super) of: &'static str,
    pub(super) all: &'static [&'static str],
}

const fn keys(of: &'static str, all: &'static [&'static str]) -> Keys {
    Keys { of, all }
}

pub(super) const EXPERIMENT: Keys = keys(
    "an experiment",
    &[
        "version",
        "title",
        "description",
        "tags",
        "contributions",
        "configuration",
        "secrets",
        "steady-state-hypothesis",
        "method",
        "rollbacks",
        "controls",
        "extensions",
        "runtime",
        "dry",
        "abort_when",
    ],
);
pub(super) const HYPOTHESIS: Keys = keys(
    "a hypothesis",
    &["title", "description", "probes", "controls"],
);
pub(super) const ACTIVITY: Keys = keys(
    "an activity",
    &[
        "ref",
        "type",
        "name",
        "provider",
        "timeout",
        "pauses",
        "background",
        "tolerance",
        "controls",
        "dry",
        "undo",
        "description",
        "tags",
        "contributions",
        "secrets",
        "configuration",
    ],
);
pub(super) const PAUSES: Keys = keys("pauses", &["before", "after"]);
pub(super) const PROCESS: Keys = keys(
    "a provider of type process",
    &["type", "path", "arguments", "timeout", "secrets"],
);
pub(super) const HTTP: Keys = keys(
    "a provider of type http",
    &[
        "type",
        "url",
        "method",
        "headers",
        "arguments",
        "timeout",
        "verify_tls",
        "max_retries",
        "secrets",
    ],
);
pub(super) const PYTHON: Keys = keys(
    "a provider of type python",
    &[
        "type",
        "module",
        "func",
        "arguments",
        "secrets",
        "configuration",
    ],
);
pub(super) const PROMETHEUS: Keys = keys(
    "a provider of type prometheus",
    &[
        "type",
        "url",
        "query",
        "headers",
        "timeout",
        "verify_tls",
        "max_retries",
    ],
);
pub(super) const PROVIDER: Keys = keys("a provider", &["type"]);
pub(super) const REGEX: Keys = keys("a tolerance of type regex", &["type", "target", "pattern"]);
pub(super) const JSONPATH: Keys = keys(
    "a tolerance of type jsonpath",
    &["type", "target", "path", "expect", "count"],
);
pub(super) const RANGE: Keys = keys("a tolerance of type range", &["type", "target", "range"]);
pub(super) const CONTROL: Keys = keys(
    "a control",
    &["name", "ref", "scope", "automatic", "provider"],
);
pub(super) const EXTENSION: Keys = keys("an extension", &["name"]);
pub(super) const ENVIRONMENT: Keys = keys(
    "a variable of the environment",
    &["type", "key", "default", "env_var_type"],
);
pub(super) const SECRET_ENVIRONMENT: Keys = keys("a secret of the environment", &["type", "key"]);
pub(super) const VAULT: Keys = keys("a secret of Vault", &["type", "path", "key"]);
pub(super) const GUARD: Keys = keys(
    "a guard",
    &[
        "name",
        "provider",
        "is",
        "is_not",
        "every",
        "timeout",
        "on_failure",
    ],
);
pub(super) const RUNTIME: Keys = keys("a runtime", &["hypothesis", "rollbacks"]);
pub(super) const STRATEGY: Keys = keys("a strategy", &["strategy"]);

/// The one of these words that is nearest, if it is near.
pub(super) fn nearest<'w>(said: &str, words: &[&'w str]) -> Option<&'w str> {
    let plain = |word: &str| word.to_lowercase().replace(['_', ' '], "-");
    let said = plain(said);
    let far = |word: &str| strsim::damerau_levenshtein(&said, &plain(word));
    // A third of the letters, so that `to` is not taken for `is`.
    let near = |word: &str| word.chars().count().max(said.chars().count()) / 3;
    let near = words.iter().filter(|word| far(word) <= near(word));
    near.min_by_key(|word| far(word)).copied()
}

/// The one of several words that ends with it, as `steady-state-hypothesis` ends with `hypothesis`.
fn last_word<'w>(said: &str, words: &[&'w str]) -> Option<&'w str> {
    let said = said.to_lowercase();
    let mut words = words.iter();
    words
        .find(|word| word.rsplit_once('-').is_some_and(|(_, last)| last == said))
        .copied()
}

/// The key of a mapping that was meant to be this one: near, and none that it may have.
pub(super) fn meant<'m>(map: &'m Map<String, Value>, key: &str, known: &Keys) -> Option<&'m str> {
    let unknown = map
        .keys()
        .map(String::as_str)
        .filter(|written| !known.all.contains(written));
    let unknown: Vec<_> = unknown.collect();
    nearest(key, &unknown)
}

/// Warns of keys that look like a slip.
pub(super) fn look(report: &mut Report<'_>, at: &At<'_>, known: &Keys) {
    let Some(map) = at.map() else {
        return;
    };
    let free: Vec<_> = known
        .all
        .iter()
        .copied()
        .filter(|key| !map.contains_key(*key))
        .collect();
    for key in map.keys().filter(|key| !known.all.contains(&key.as_str())) {
        let meant = match (
            nearest(key, &free).or(last_word(key, &free)),
            nearest(key, known.all),
        ) {
            (Some(free), _) => format!("write `{free}`"),
            (None, Some(taken)) => format!("`{taken}` is there, too: put what is meant into it"),
            (None, None) => continue,
        };
        let what = format!("`{key}` is no key of {}, and nothing comes of it", known.of);
        report.warn_key(&at.below(key), what).or(meant);
    }
}
