//! What happens to HTTP requests.

use super::{
    Door, Edits, Field, HeaderMatch, Pause, RequestMatch, ServiceError, check_filter, check_first,
    check_share, field::check_fields, matches,
};
use crate::engine::{error::SpecError, fault::Ppm, filter::Filter};

/// Status of an error.
const CODES: std::ops::RangeInclusive<u16> = 200..=599;
/// Status of answers that have no body.
const BODILESS: [u16; 3] = [204, 205, 304];
/// Longest body of an error.
const LONGEST_BODY: usize = 64 * 1024;
/// Fastest that answers are slowed down to, in bytes per second.
const FASTEST: u64 = 125_000_000_000;

/// What happens to HTTP requests, and to which.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Http {
    /// Their answers are held.
    pub pause: Option<Pause>,
    /// They are answered with an error.
    pub error: Option<ErrorAnswer>,
    /// Their connection is closed without an answer. It is decided before the error.
    pub abort: Ppm,
    /// Bytes per second of each answer's body; 0: no limit.
    pub throttle: u64,
    /// What becomes of the header of their answers.
    pub answer: Edits,
    /// What becomes of their own.
    pub request: Edits,
    /// So many bytes of an answer's body, then the connection ends.
    pub truncate: Option<u64>,
    /// Paths that are left alone.
    pub exclude: Vec<String>,
    /// Which requests, any of them; empty means all that are no gRPC calls.
    pub matches: Vec<RequestMatch>,
    /// Which requests, all of them.
    pub match_headers: Vec<HeaderMatch>,
    /// How connections get there.
    pub door: Door,
}

/// An answer that the application does not know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorAnswer {
    /// To how many of the requests.
    pub share: Ppm,
    /// To so many of each target at the beginning, before the share decides.
    pub first: u32,
    /// Its status.
    pub code: u16,
    /// Header fields of it.
    pub headers: Vec<Field>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Http {
    pub(in crate::engine) fn check(&self, filter: &Filter) -> Result<(), SpecError> {
        check_filter(filter)?;
        self.door.check()?;
        if !self.does_something() {
            return Err(ServiceError::Nothing.into());
        }
        self.pause.as_ref().map_or(Ok(()), Pause::check)?;
        self.error.as_ref().map_or(Ok(()), ErrorAnswer::check)?;
        check_share(self.abort, "a share of aborted requests")?;
        if self.throttle > FASTEST {
            return Err(ServiceError::Throttle(self.throttle).into());
        }
        self.answer.check()?;
        self.request.check()?;
        matches::check_excluded(&self.exclude)?;
        matches::check_matches(&self.matches)?;
        matches::check_header_matches(&self.match_headers)?;
        Ok(())
    }

    const fn does_something(&self) -> bool {
        self.pause.is_some()
            || self.error.is_some()
            || self.abort.0 > 0
            || self.throttle > 0
            || self.truncate.is_some()
            || !self.answer.is_empty()
            || !self.request.is_empty()
    }
}

impl ErrorAnswer {
    fn check(&self) -> Result<(), SpecError> {
        check_share(self.share, "a share of failed requests")?;
        check_first(self.first)?;
        if !CODES.contains(&self.code) {
            return Err(ServiceError::ErrorCode(self.code.into()).into());
        }
        if self.share == Ppm::NONE && self.first == 0 {
            return Err(ServiceError::NoErrorShare.into());
        }
        if self.body.len() > LONGEST_BODY {
            return Err(ServiceError::Long {
                what: "the body of an error",
                length: self.body.len(),
                most: LONGEST_BODY,
            }
            .into());
        }
        if !self.body.is_empty() && BODILESS.contains(&self.code) {
            return Err(ServiceError::NoBody(self.code).into());
        }
        Ok(check_fields(&self.headers)?)
    }
}
