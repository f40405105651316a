//! What faults of requests have in common: from messages, and back.

use chaos_proto::v1;

use super::wire::{RequestError, non_empty, read_time, write_time};
use crate::engine::{
    Door, Edits, Field, Glob, HeaderMatch, Pause, Ppm, RequestMatch, ServiceError,
};

/// Connections, unless they are told otherwise.
pub(super) fn read_door(door: Option<&v1::Door>) -> Result<Door, RequestError> {
    let Some(door) = door else {
        return Ok(Door::default());
    };
    Ok(Door {
        keep_existing: door.keep_existing,
        drain: door
            .drain
            .map_or(Ok(Door::DRAIN), |drain| read_time("the drain", drain))?,
        include_loopback: door.include_loopback,
        local_source: door.local_source,
    })
}

pub(super) fn write_door(door: &Door) -> v1::Door {
    v1::Door {
        keep_existing: door.keep_existing,
        drain: Some(write_time(door.drain)),
        include_loopback: door.include_loopback,
        local_source: door.local_source,
    }
}

pub(super) fn read_pause(
    delay: Option<prost_types::Duration>,
    variation: Option<prost_types::Duration>,
    ppm: Option<u32>,
) -> Result<Option<Pause>, RequestError> {
    let Some(delay) = delay else {
        if variation.is_some() || ppm.is_some() {
            return Err(ServiceError::NoDelay.into());
        }
        return Ok(None);
    };
    Ok(Some(Pause {
        delay: read_time("the delay", delay)?,
        variation: read_time("the delay's variation", variation.unwrap_or_default())?,
        share: ppm.map_or(Ppm::ALL, Ppm),
    }))
}

/// Delay, variation and share.
pub(super) fn write_pause(
    pause: Option<Pause>,
) -> (
    Option<prost_types::Duration>,
    Option<prost_types::Duration>,
    Option<u32>,
) {
    let Some(pause) = pause else {
        return (None, None, None);
    };
    let varies = !pause.variation.is_zero();
    (
        Some(write_time(pause.delay)),
        varies.then(|| write_time(pause.variation)),
        (pause.share != Ppm::ALL).then_some(pause.share.0),
    )
}

pub(super) fn read_fields(fields: Vec<v1::Header>) -> Vec<Field> {
    let read = |v1::Header { name, value }| Field { name, value };
    fields.into_iter().map(read).collect()
}

pub(super) fn write_fields(fields: &[Field]) -> Vec<v1::Header> {
    let write = |Field { name, value }: &Field| v1::Header {
        name: name.clone(),
        value: value.clone(),
    };
    fields.iter().map(write).collect()
}

pub(super) fn read_edits(set: Vec<v1::Header>, remove: Vec<String>) -> Edits {
    Edits {
        set: read_fields(set),
        remove,
    }
}

pub(super) fn read_matches(
    matches: Vec<v1::RequestMatch>,
) -> Result<Vec<RequestMatch>, ServiceError> {
    let read = |v1::RequestMatch { method, path }| {
        let path = non_empty(path).map(|path| Glob::of_path(&path));
        Ok(RequestMatch {
            method: non_empty(method),
            path: path.transpose()?,
        })
    };
    matches.into_iter().map(read).collect()
}

pub(super) fn write_matches(matches: &[RequestMatch]) -> Vec<v1::RequestMatch> {
    let write = |wanted: &RequestMatch| v1::RequestMatch {
        method: wanted.method.clone().unwrap_or_default(),
        path: wanted
            .path
            .as_ref()
            .map_or_else(String::new, |path| path.text().to_owned()),
    };
    matches.iter().map(write).collect()
}

pub(super) fn read_header_matches(
    matches: Vec<v1::HeaderMatch>,
) -> Result<Vec<HeaderMatch>, ServiceError> {
    let read = |v1::HeaderMatch { name, value }| {
        let value = value.map(|value| Glob::of_value(&value));
        Ok(HeaderMatch {
            name,
            value: value.transpose()?,
        })
    };
    matches.into_iter().map(read).collect()
}

pub(super) fn write_header_matches(matches: &[HeaderMatch]) -> Vec<v1::HeaderMatch> {
    let write = |wanted: &HeaderMatch| v1::HeaderMatch {
        name: wanted.name.clone(),
        value: wanted.value.as_ref().map(|value| value.text().to_owned()),
    };
    matches.iter().map(write).collect()
}
