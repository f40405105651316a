//! The settings file, for all verbs that read it, and whom it says to tell of what they do.

use std::path::PathBuf;

use chaos_toolkit::notification::{Event, Notifications};
use chaos_toolkit::settings::Settings;
use clap::Args;
use serde_json::{Map, Value};

use crate::output::Output;

/// Where the settings are.
#[derive(Debug, Args)]
pub(super) struct SettingsArgs {
    /// The settings file: controls, whom to tell, who may ask at an address [default: ~/.chaostoolkit/settings.yaml]
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
}

impl SettingsArgs {
    /// The settings; what is wrong with them is said, and they are left out, as in the reference.
    pub(super) fn load(&self, output: Output<'_>) -> Option<Settings> {
        let path = self.settings.clone().or_else(Settings::path)?;
        let loaded = Settings::load(&path).unwrap_or_else(|problem| {
            output.warn(&problem.to_string());
            None
        });
        // Only the one that everybody has by default need not be there.
        if loaded.is_none() && self.settings.is_some() && !path.exists() {
            output.warn(&format!(
                "{}: there is no such file, and no settings count",
                path.display()
            ));
        }
        loaded
    }

    /// What they say, or else an empty mapping.
    pub(super) fn value(&self, output: Output<'_>) -> Value {
        let settings = self.load(output);
        settings.map_or_else(|| Value::Object(Map::new()), |settings| settings.value)
    }
}

/// Tells whom the settings name, and says who could not be told: that is no reason to do nothing.
pub(super) async fn notify(
    notifications: &Notifications,
    event: Event,
    payload: &Value,
    error: Option<&str>,
    output: Output<'_>,
) {
    for untold in notifications.tell(event, payload, error).await {
        output.warn(&untold);
    }
}
