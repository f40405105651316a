//! When the hypothesis is looked at, whether rollbacks are played, and what is only played at: from the command line, the
//! experiment and the settings, as the reference puts them together.

use std::time::Duration;

use serde_json::{Map, Value};

/// When the hypothesis is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// Before and after the method.
    #[default]
    Default,
    /// Before it.
    BeforeMethod,
    /// After it.
    AfterMethod,
    /// While it runs.
    DuringMethod,
    /// Before, after, and while it runs.
    Continuous,
    /// Not at all.
    Skip,
}

/// Whether rollbacks are played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RollbackStrategy {
    /// Unless the run was interrupted, or an activity of the hypothesis failed.
    #[default]
    Default,
    /// Whatever happened.
    Always,
    /// Never.
    Never,
    /// If the hypothesis was not met after the method.
    Deviated,
}

/// What is only played at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dry {
    /// Probes.
    Probes,
    /// Actions.
    Actions,
    /// Both.
    Activities,
    /// Pauses.
    Pause,
}

/// A strategy that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is no strategy of {of}: it must be one of {choices}{}", instead.map(|i| format!("; did you mean `{i}`?")).unwrap_or_default())]
pub struct UnknownStrategy {
    /// What was written.
    pub value: String,
    /// What it was for.
    pub of: &'static str,
    choices: String,
    instead: Option<&'static str>,
}

impl UnknownStrategy {
    fn new(value: &str, of: &'static str, choices: &[&'static str]) -> Self {
        let near = choices
            .iter()
            .max_by(|a, b| strsim::jaro(a, value).total_cmp(&strsim::jaro(b, value)));
        Self {
            value: value.to_owned(),
            of,
            choices: choices.join(", "),
            instead: near.copied().filter(|near| strsim::jaro(near, value) > 0.8),
        }
    }
}

impl Strategy {
    /// The names, in the words of the reference.
    pub const NAMES: [&str; 6] = [
        "default",
        "before-method-only",
        "after-method-only",
        "during-method-only",
        "continuously",
        "skip",
    ];

    /// By its name; `continously` is an old spelling.
    pub fn named(name: &str) -> Result<Self, UnknownStrategy> {
        Ok(match name {
            "default" => Self::Default,
            "before-method-only" => Self::BeforeMethod,
            "after-method-only" => Self::AfterMethod,
            "during-method-only" => Self::DuringMethod,
            "continuously" | "continously" => Self::Continuous,
            "skip" => Self::Skip,
            _ => return Err(UnknownStrategy::new(name, "the hypothesis", &Self::NAMES)),
        })
    }

    pub(crate) fn is_before(self) -> bool {
        matches!(self, Self::Default | Self::BeforeMethod | Self::Continuous)
    }

    pub(crate) fn is_after(self) -> bool {
        matches!(self, Self::Default | Self::AfterMethod | Self::Continuous)
    }

    pub(crate) fn is_during(self) -> bool {
        matches!(self, Self::DuringMethod | Self::Continuous)
    }
}

impl RollbackStrategy {
    /// The names.
    pub const NAMES: [&str; 4] = ["default", "always", "never", "deviated"];

    /// By its name.
    pub fn named(name: &str) -> Result<Self, UnknownStrategy> {
        Ok(match name {
            "default" => Self::Default,
            "always" => Self::Always,
            "never" => Self::Never,
            "deviated" => Self::Deviated,
            _ => return Err(UnknownStrategy::new(name, "rollbacks", &Self::NAMES)),
        })
    }
}

impl Dry {
    /// The names.
    pub const NAMES: [&str; 4] = ["probes", "actions", "activities", "pause"];

    /// By its name.
    pub fn named(name: &str) -> Option<Self> {
        let all = [Self::Probes, Self::Actions, Self::Activities, Self::Pause];
        all.into_iter().find(|dry| dry.name() == name)
    }

    /// As in the journal.
    pub fn name(self) -> &'static str {
        match self {
            Self::Probes => "probes",
            Self::Actions => "actions",
            Self::Activities => "activities",
            Self::Pause => "pause",
        }
    }

    pub(crate) fn is_of(self, activity_type: &str) -> bool {
        match self {
            Self::Probes => activity_type == "probe",
            Self::Actions => activity_type == "action",
            Self::Activities => true,
            Self::Pause => false,
        }
    }
}

/// How an experiment is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// When the hypothesis is looked at.
    pub hypothesis: Strategy,
    /// Between two looks while the method runs.
    pub frequency: Duration,
    /// Whether the first look that fails ends the method.
    pub fail_fast: bool,
    /// Whether rollbacks are played.
    pub rollbacks: RollbackStrategy,
    /// What is only played at.
    pub dry: Option<Dry>,
    /// Whether the hypothesis must be met again at the end.
    pub verify_recovery: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            hypothesis: Strategy::Default,
            frequency: Duration::from_secs(1),
            fail_fast: false,
            rollbacks: RollbackStrategy::Default,
            dry: None,
            verify_recovery: false,
        }
    }
}

impl Options {
    /// The strategies of the command line, or else of the experiment, or else of the settings. An experiment that has a
    /// `runtime` at all overrides both of the settings, as in the reference.
    pub fn strategies(
        &mut self,
        hypothesis: Option<&str>,
        rollbacks: Option<&str>,
        experiment: &Value,
        settings: &Value,
    ) -> Result<(), UnknownStrategy> {
        let of_experiment = experiment.get("runtime").and_then(Value::as_object);
        let of_experiment = of_experiment.filter(|runtime| !runtime.is_empty());
        let runtime = of_experiment.or_else(|| settings.get("runtime").and_then(Value::as_object));
        let hypothesis = hypothesis.unwrap_or_else(|| strategy(runtime, "hypothesis"));
        let rollbacks = rollbacks.unwrap_or_else(|| strategy(runtime, "rollbacks"));
        self.hypothesis = Strategy::named(hypothesis)?;
        self.rollbacks = RollbackStrategy::named(rollbacks)?;
        Ok(())
    }
}

fn strategy<'a>(runtime: Option<&'a Map<String, Value>>, of: &str) -> &'a str {
    let named = runtime.and_then(|runtime| runtime.get(of)?.get("strategy")?.as_str());
    named.unwrap_or("default")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_command_line_wins_over_the_experiment_and_that_over_the_settings() {
        let settings = json!({"runtime": {
            "hypothesis": {"strategy": "skip"}, "rollbacks": {"strategy": "always"}}});
        let of = |cli: [Option<&str>; 2], experiment: Value| {
            let mut options = Options::default();
            let done = options.strategies(cli[0], cli[1], &experiment, &settings);
            done.map(|()| (options.hypothesis, options.rollbacks))
        };
        let none = [None, None];
        let (skip, always) = (Strategy::Skip, RollbackStrategy::Always);
        assert_eq!(of(none, json!({})), Ok((skip, always)));
        assert_eq!(of(none, json!({"runtime": {}})), Ok((skip, always)));
        // The one that it does not name is the default again, whatever the settings say.
        let named = json!({"runtime": {"rollbacks": {"strategy": "never"}}});
        let never = RollbackStrategy::Never;
        assert_eq!(of(none, named.clone()), Ok((Strategy::Default, never)));
        let cli = [Some("continously"), Some("deviated")];
        let expected = (Strategy::Continuous, RollbackStrategy::Deviated);
        assert_eq!(of(cli, named), Ok(expected));
        let wrong = of([None, Some("allways")], json!({})).unwrap_err();
        assert_eq!(
            wrong.to_string(),
            "`allways` is no strategy of rollbacks: it must be one of default, always, never, deviated; did you mean `always`?"
        );
    }
}
