//! What an API server said, in one piece of a sentence.

/// Its own words where it answered, else what is closest to the cause: "Connection refused".
pub(super) fn said(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return status.message.trim().trim_end_matches('.').to_owned();
    }
    innermost(error)
}

/// The cause closest to the kernel says most.
pub(super) fn innermost(error: &kube::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
