//! What an API server said, in one piece of a sentence.

/// Its own words where it answered, else what is closest to the cause: "Connection refused".
pub(super) fn said(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return status.message.trim().trim_end_matches('.').to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// Whether the API server answered that whoever asks has no right to.
pub(super) fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403)
}

/// Whether the API server answered that there is no such thing.
pub(super) fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}
