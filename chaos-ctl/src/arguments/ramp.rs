//! Amounts that change: what a ramp and the amount beside it say together.

use chaos_proto::v1;

use super::{FaultError, to_wire};
use crate::quantity::{Ramp, Share};

/// What an amount is in the end: what was given, or where the ramp ends. `what` is given, such as "a percentage".
pub fn end_of<T: Copy + PartialEq>(
    fault: &'static str,
    what: &'static str,
    given: Option<T>,
    ramp: Option<Ramp<T>>,
) -> Result<Option<T>, FaultError> {
    match (given, ramp) {
        (Some(given), Some(ramp)) if given != ramp.to => Err(FaultError::Together {
            fault,
            one: what,
            other: "a ramp that ends at another",
            because: "after the ramp its second value stays, so leave the other out",
        }),
        (Some(end), _) | (None, Some(Ramp { to: end, .. })) => Ok(Some(end)),
        (None, None) => Ok(None),
    }
}

/// The ramp of a share, as the wire has it.
pub fn share_ramp(ramp: Option<Ramp<Share>>) -> Option<v1::Ramp> {
    ramp.map(|ramp| v1::Ramp {
        from_ppm: ramp.from.ppm(),
        over: to_wire(ramp.over),
        ..v1::Ramp::default()
    })
}
