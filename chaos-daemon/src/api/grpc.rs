//! Faults of gRPC calls: from messages, and back.

use chaos_proto::v1;

use super::{service, wire::RequestError};
use crate::engine::{ErrorStatus, Grpc, Ppm};

pub(super) fn read(grpc: v1::Grpc) -> Result<Grpc, RequestError> {
    let says_error = grpc.error_ppm > 0
        || grpc.error_first > 0
        || grpc.status_code > 0
        || !grpc.status_message.is_empty();
    let exclude = grpc.exclude.iter().map(|method| method.parse());
    Ok(Grpc {
        pause: service::read_pause(grpc.delay, grpc.delay_variation, grpc.delay_ppm)?,
        exclude: exclude.collect::<Result<_, _>>()?,
        error: says_error.then_some(ErrorStatus {
            share: Ppm(grpc.error_ppm),
            first: grpc.error_first,
            code: grpc.status_code,
            message: grpc.status_message,
        }),
        match_metadata: service::read_header_matches(grpc.match_metadata)?,
        door: service::read_door(grpc.door.as_ref())?,
    })
}

pub(super) fn write(grpc: &Grpc) -> v1::Grpc {
    let (delay, delay_variation, delay_ppm) = service::write_pause(grpc.pause);
    let error = grpc.error.as_ref();
    v1::Grpc {
        delay,
        delay_variation,
        delay_ppm,
        error_ppm: error.map_or(0, |error| error.share.0),
        status_code: error.map_or(0, |error| error.code),
        status_message: error.map_or_else(String::new, |error| error.message.clone()),
        exclude: grpc.exclude.iter().map(ToString::to_string).collect(),
        match_metadata: service::write_header_matches(&grpc.match_metadata),
        error_first: error.map_or(0, |error| error.first),
        door: Some(service::write_door(&grpc.door)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ServiceError;

    #[test]
    fn what_is_read_is_written_again() {
        let ms = |ms: i32| prost_types::Duration {
            seconds: 0,
            nanos: ms * 1_000_000,
        };
        let wire = v1::Grpc {
            delay: Some(ms(100)),
            delay_variation: Some(ms(50)),
            delay_ppm: Some(1),
            error_ppm: 2,
            status_code: 14,
            status_message: "down".into(),
            exclude: vec!["shop.Catalog".into(), "shop.Cart/Get".into()],
            match_metadata: vec![v1::HeaderMatch {
                name: "x-a".into(),
                value: None,
            }],
            error_first: 3,
            door: Some(v1::Door {
                drain: Some(ms(4)),
                ..v1::Door::default()
            }),
        };
        assert_eq!(write(&read(wire.clone()).unwrap()), wire);
        assert_eq!(read(v1::Grpc::default()).unwrap(), Grpc::default());
    }

    #[test]
    fn what_is_no_service_is_refused() {
        let strange = v1::Grpc {
            exclude: vec!["a b".into()],
            ..v1::Grpc::default()
        };
        let error = ServiceError::Method("a b".into());
        assert_eq!(read(strange).unwrap_err(), error.into());
    }
}
