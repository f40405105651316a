//! An error with its causes, as one sentence.
//!
//! Some errors repeat their cause in their own words, some keep it to themselves (aya keeps the kernel's word there):
//! a person wants each said once. Knows no error of ours.

use std::error::Error;

/// The error's words, then those of its causes that have not been said yet.
pub fn sentence(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::{api::ServeError, attach::features::FeatureError};

    #[test]
    fn a_cause_is_said_once() {
        let denied = || io::Error::from_raw_os_error(libc::EPERM);
        let kernel_said = denied().to_string();
        for error in [
            anyhow::Error::from(FeatureError::Namespace(denied())),
            anyhow::Error::from(ServeError::Socket {
                path: "/run/chaos/chaos.sock".into(),
                source: denied(),
            }),
            anyhow::Error::from(denied()).context("cannot prepare the data plane"),
        ] {
            let said = sentence(error.as_ref());
            assert_eq!(said.matches(&kernel_said).count(), 1, "{said}");
        }
    }
}
