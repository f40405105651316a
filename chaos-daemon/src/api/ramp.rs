//! Shares and bandwidths that change: from messages, and back.

use chaos_proto::v1;

use super::wire::{RequestError, read_time, write_time};
use crate::engine::{Ppm, Ramp, Share};

/// A ramp from what `from` reads.
pub(super) fn read<T>(
    ramp: Option<v1::Ramp>,
    from: impl Fn(&v1::Ramp) -> Result<T, RequestError>,
) -> Result<Option<Ramp<T>>, RequestError> {
    let read = |ramp: v1::Ramp| {
        Ok(Ramp {
            from: from(&ramp)?,
            over: read_time("the ramp", ramp.over.unwrap_or_default())?,
        })
    };
    ramp.map(read).transpose()
}

/// A ramp to which `from` adds where it begins.
pub(super) fn write<T>(ramp: Option<Ramp<T>>, from: impl Fn(T, &mut v1::Ramp)) -> Option<v1::Ramp> {
    let ramp = ramp?;
    let mut written = v1::Ramp {
        over: Some(write_time(ramp.over)),
        ..v1::Ramp::default()
    };
    from(ramp.from, &mut written);
    Some(written)
}

pub(super) fn read_share(ppm: u32, ramp: Option<v1::Ramp>) -> Result<Share, RequestError> {
    Ok(Share {
        ppm: Ppm(ppm),
        ramp: read(ramp, |ramp| Ok(Ppm(ramp.from_ppm)))?,
    })
}

pub(super) fn write_share(share: Share) -> (u32, Option<v1::Ramp>) {
    let ramp = write(share.ramp, |from, ramp| ramp.from_ppm = from.0);
    (share.ppm.0, ramp)
}
