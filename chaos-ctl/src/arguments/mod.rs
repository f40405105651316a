//! Options that several verbs share, and how they become messages of the wire.
//!
//! Reads files and makes paths absolute, because only the client knows its own directory; asks nothing of the agent.

mod base;
mod choice;
mod distribution;
mod fault;
mod filter;
mod ramp;
mod selector;
mod service;
mod shape;
pub(crate) mod text;
mod timing;

use chaos_proto::v1::PrepareRequest;
use clap::Args;

pub use base::{Base, NoFiles};
pub use choice::{ChoiceArgs, InvalidMode, mode};
pub use distribution::{Distribution, DistributionError, distribution, quantiles};
pub use fault::{FaultArgs, FaultError, rule};
pub use filter::FilterArgs;
pub use ramp::{end_of, share_ramp};
pub use selector::{PointArgs, SelectorArgs, SelectorError};
pub use service::{DoorArgs, arriving, read_body};
pub use shape::ShapeArgs;
pub use timing::{FileTiming, TimingArgs};

use crate::cluster::Draft;

/// Where, which packets, and for how long: what every fault takes.
#[derive(Debug, Args)]
pub struct ExperimentArgs {
    /// Where.
    #[command(flatten)]
    pub selector: SelectorArgs,
    /// Which packets.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// How it changes.
    #[command(flatten)]
    pub shape: ShapeArgs,
    /// For how long, and whose it is.
    #[command(flatten)]
    pub timing: TimingArgs,
}

impl ExperimentArgs {
    /// The rule of this fault.
    pub fn draft(&self, fault: &dyn FaultArgs) -> Result<Draft, FaultError> {
        rule(fault, &self.filter, self.shape.pulse, Base::of_process())
    }
}

/// A request without what and where. What the options say about time wins over what a file says.
pub fn request(options: &TimingArgs, file: &FileTiming) -> PrepareRequest {
    PrepareRequest {
        selector: None,
        rules: Vec::new(),
        duration: to_wire(
            options
                .duration
                .or(file.duration)
                .unwrap_or(timing::DEFAULT_DURATION),
        ),
        detached: options.detach,
        // A detached experiment has no client whose absence could be waited for.
        grace: options
            .grace
            .or(file.grace.filter(|_| !options.detach))
            .and_then(to_wire),
        seed: options.seed.or(file.seed),
        dry_run: options.dry_run,
        id: String::new(),
        include_probes: false,
    }
}

/// As the wire has it. Nothing is lost: what flags accept is far below what the message can hold.
pub fn to_wire(time: std::time::Duration) -> Option<prost_types::Duration> {
    time.try_into().ok()
}
