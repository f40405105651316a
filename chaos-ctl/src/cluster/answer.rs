//! What an API server said, in one piece of a sentence.

use crate::error::innermost;

/// Its own words where it answered, else what is closest to the cause: "Connection refused".
pub(crate) fn said(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return status.message.trim().trim_end_matches('.').to_owned();
    }
    innermost(error)
}
