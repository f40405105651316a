//! Why there is no door.

use std::io;

use aya::maps::MapError;

use crate::{attach::loader::LoadError, engine::DatapathError};

/// Why there is no door.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// Connections to the port are refused anyway.
    #[error("nothing listens on port {port} of {target}: requests to it cannot be hit")]
    NothingListens {
        /// Which.
        port: u16,
        /// Whose.
        target: String,
    },
    /// The port is another container's, or another workload's of the node's network.
    #[error(
        "port {port} of {target} is not its own: {who} listens there, and its requests are not to be hit"
    )]
    ListensElsewhere {
        /// Which.
        port: u16,
        /// Whose it was to be.
        target: String,
        /// Whose it is.
        who: String,
    },
    /// No fault touches the port.
    #[error("port {port} of the node is protected: no fault touches it")]
    Protected {
        /// Which.
        port: u16,
    },
    /// Each agent would take the other's connections to the application, without end.
    #[error(
        "another agent hits requests in its network namespace: stop what that one does there first"
    )]
    OtherAgent,
    /// All places are taken.
    #[error(
        "{target} has no room for more ports whose requests are hit (at most {most} at a time)"
    )]
    Full {
        /// Where.
        target: String,
        /// How many there may be.
        most: u32,
    },
    /// The namespace has gone since it was found.
    #[error("its network namespace is gone")]
    Gone,
    /// The kernel did not take the program.
    #[error("cannot lead connections to the agent: {0}")]
    Load(#[from] LoadError),
    /// The kernel did not take what was to be written.
    #[error("cannot write to the maps of a door: {0}")]
    Map(#[from] MapError),
    /// A socket could not be made.
    #[error("cannot open a socket in its network namespace: {0}")]
    Socket(#[source] io::Error),
}

impl From<DoorError> for DatapathError {
    fn from(error: DoorError) -> Self {
        match error {
            DoorError::Gone => Self::TargetGone,
            DoorError::Full { most, .. } => Self::Full {
                what: "ports of one network namespace",
                most: most as usize,
            },
            DoorError::NothingListens { .. }
            | DoorError::ListensElsewhere { .. }
            | DoorError::Protected { .. }
            | DoorError::OtherAgent
            | DoorError::Load(_)
            | DoorError::Map(_)
            | DoorError::Socket(_) => Self::Kernel(error.into()),
        }
    }
}

/// Connections that were open before cannot be ended one by one.
#[derive(Debug, thiserror::Error)]
#[error("this kernel cannot end connections of others: {0}")]
pub struct CannotDestroy(#[from] pub io::Error);
