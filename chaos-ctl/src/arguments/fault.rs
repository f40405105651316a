//! What every fault's own options have in common, whether they come from the command line or from a file.

use std::io;
use std::path::PathBuf;

use chaos_proto::v1::rule::Fault;
use chaos_proto::v1::{self, Direction, Filter, Rule};

use super::{Base, DistributionError, FilterArgs, NoFiles, to_wire};
use crate::cluster::Draft;
use crate::error::{CommandError, ErrorKind};
use crate::quantity::Pulse;

/// The options of one kind of fault.
pub trait FaultArgs {
    /// As the wire has it. Files are looked for from `base`; an empty one is the directory of the process.
    fn to_wire(&self, base: Base<'_>) -> Result<Fault, FaultError>;

    /// What the fault itself says about the packets, where the filter says nothing.
    fn narrow(&self, _filter: &mut Filter) {}
}

/// Options that do not make up a fault.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// Something is missing.
    #[error("{fault} does not say {what}: give {give}")]
    Incomplete {
        /// Kind of the fault.
        fault: &'static str,
        /// What is not known.
        what: &'static str,
        /// What would say it.
        give: &'static str,
    },
    /// Two options that say different things about the same.
    #[error("{fault} cannot take {one} together with {other}: {because}")]
    Together {
        /// Kind of the fault.
        fault: &'static str,
        /// An option.
        one: &'static str,
        /// Another.
        other: &'static str,
        /// Why, or what to do.
        because: &'static str,
    },
    /// The file of a body.
    #[error("cannot read the body {}: {source}", path.display())]
    Body {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file of a distribution.
    #[error(transparent)]
    Distribution(#[from] DistributionError),
    /// No file is read.
    #[error(transparent)]
    NoFiles(#[from] NoFiles),
}

impl From<FaultError> for CommandError {
    fn from(error: FaultError) -> Self {
        Self::new(ErrorKind::Usage, error)
    }
}

/// The rule of a fault, with the names that are in it.
pub fn rule(
    fault: &dyn FaultArgs,
    filter: &FilterArgs,
    pulse: Option<Pulse>,
    base: Base<'_>,
) -> Result<Draft, FaultError> {
    let names = filter.names();
    let mut filter = filter.to_wire();
    let wire = fault.to_wire(base)?;
    fault.narrow(&mut filter);
    if filter.direction() == Direction::Unspecified {
        filter.direction = Direction::Egress.into();
    }
    let rule = Rule {
        filter: Some(filter),
        fault: Some(wire),
        pulse: pulse.map(|pulse| v1::Pulse {
            on: to_wire(pulse.on),
            off: to_wire(pulse.off),
        }),
    };
    Ok(Draft { rule, names })
}
