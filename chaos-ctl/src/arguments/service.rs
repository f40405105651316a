//! What faults of requests have in common: doors, bodies, and which filter they go with.

use std::time::Duration;

use chaos_proto::v1::{Direction, Door, Filter, Protocol};

use super::{Base, FaultError, to_wire};
use crate::quantity::Body;

/// What to do where no body is read.
const INSTEAD: &str = "give the text itself; one that begins with @ has two of them";

/// How connections get to where requests are read, as the options have it.
#[derive(Debug, Clone, Copy)]
pub struct DoorArgs {
    /// Leave connections alone that are open.
    pub keep_existing: bool,
    /// How long requests may run on.
    pub drain: Option<Duration>,
    /// Also those of the target itself.
    pub include_loopback: bool,
    /// Not from the client's address.
    pub local_source: bool,
}

impl DoorArgs {
    /// As the wire has it.
    pub fn to_wire(self) -> Door {
        Door {
            keep_existing: self.keep_existing,
            drain: self.drain.and_then(to_wire),
            include_loopback: self.include_loopback,
            local_source: self.local_source,
        }
    }
}

/// Requests arrive, over TCP.
pub fn arriving(filter: &mut Filter) {
    if filter.direction() == Direction::Unspecified {
        filter.direction = Direction::Ingress.into();
    }
    if filter.protocol() == Protocol::Unspecified {
        filter.protocol = Protocol::Tcp.into();
    }
}

/// What a body says. Files are looked for from `base`.
pub fn read_body(body: Option<&Body>, base: Base<'_>) -> Result<Vec<u8>, FaultError> {
    match body {
        None => Ok(Vec::new()),
        Some(Body::Text(text)) => Ok(text.clone().into_bytes()),
        Some(Body::File(file)) => {
            let path = base.file(file.as_ref(), INSTEAD)?;
            std::fs::read(&path).map_err(|source| FaultError::Body { path, source })
        }
    }
}
