//! A drill as its file has it.

use std::sync::Arc;
use std::time::Duration;

use chaos_toolkit::tls::Trust;

use crate::commands::apply::Described;
use crate::drill::client::Client;
use crate::drill::load::Load;
use crate::drill::metric::Series;
use crate::drill::threshold::Threshold;
use crate::error::{CommandError, ErrorKind};

/// What to send, what to do meanwhile, and what must come of it.
pub(super) struct Plan {
    pub(super) load: Load,
    pub(super) trust: Trust,
    pub(super) phases: Vec<Phase>,
    pub(super) thresholds: Vec<(Series, Vec<Threshold>)>,
}

/// A part of the drill's time.
pub(super) struct Phase {
    pub(super) name: String,
    pub(super) length: Duration,
    /// What is done in it.
    pub(super) faults: Option<Arc<Described>>,
}

impl Plan {
    /// Of all phases.
    pub(super) fn length(&self) -> Duration {
        self.phases.iter().map(|phase| phase.length).sum()
    }

    /// The names of all phases.
    pub(super) fn names(&self) -> Vec<String> {
        self.phases.iter().map(|phase| phase.name.clone()).collect()
    }

    /// What sends the requests.
    pub(super) fn client(&self) -> Result<Client, CommandError> {
        let usage = |error: Box<dyn std::error::Error + Send + Sync>| {
            CommandError::new(ErrorKind::Usage, error)
        };
        let is_secure = self.load.asked.uri.scheme_str() == Some("https");
        let tls = is_secure.then(|| self.trust.configuration()).transpose();
        let tls = tls.map_err(|error| usage(error.into()))?;
        let connector = tls.map(|tls| Arc::new(tls).into());
        Client::new(self.load.asked.clone(), connector).map_err(|error| usage(error.into()))
    }
}
