//! The one place where errors become gRPC statuses.
//!
//! `UNAVAILABLE` means: the same may be granted in a moment, so ask again. The API server did not say, a container or a
//! pod's first process is about to run, an agent is about to be replaced. `NOT_FOUND` and the others mean: ask for something else.

use std::sync::Arc;

use tonic::{Code, Status};

use super::wire::RequestError;
use crate::{
    access::AccessError,
    agent::AgentError,
    cluster::PodError,
    engine::{DatapathError, EngineError},
    targets::TargetError,
};

/// Status of what the agent refused.
pub(super) fn of(error: &AgentError) -> Status {
    Status::new(code(error), error.to_string())
}

/// Status of what this kernel cannot do.
pub(super) fn of_datapath(error: &DatapathError) -> Status {
    Status::new(datapath_code(error), error.to_string())
}

/// Status of a request that cannot be read.
pub(super) fn of_request(error: &RequestError) -> Status {
    Status::invalid_argument(error.to_string())
}

/// Status of what somebody may not.
pub(super) fn of_access(error: AccessError) -> Status {
    let code = match &error {
        AccessError::NoToken | AccessError::UnknownToken { .. } => Code::Unauthenticated,
        AccessError::Denied { .. } => Code::PermissionDenied,
        AccessError::Unreachable(_) => Code::Unavailable,
    };
    let mut status = Status::new(code, error.to_string());
    // Stays here: by it, the audit log knows that it is a refusal.
    status.set_source(Arc::new(error));
    status
}

/// Status of a pod that is no target.
pub(super) fn of_pod(error: &PodError) -> Status {
    let code = match error {
        PodError::Cluster(_) | PodError::NotRunning { .. } => Code::Unavailable,
        PodError::Gone { .. }
        | PodError::Over { .. }
        | PodError::Replaced { .. }
        | PodError::NoContainer { .. } => Code::NotFound,
        PodError::Elsewhere { .. } => Code::FailedPrecondition,
    };
    Status::new(code, error.to_string())
}

fn code(error: &AgentError) -> Code {
    match error {
        AgentError::Spec(_) => Code::InvalidArgument,
        AgentError::Stopping => Code::Unavailable,
        AgentError::Datapath(error) => datapath_code(error),
        AgentError::Target(error) => match error {
            TargetError::Inventory(_)
            | TargetError::WhichInterface { .. }
            | TargetError::NoUplink { .. }
            | TargetError::NoInventory { .. } => Code::InvalidArgument,
            TargetError::NoService { .. }
            | TargetError::NoPod { .. }
            | TargetError::NoContainer { .. }
            | TargetError::OtherNetwork { .. }
            | TargetError::NoNetns { .. }
            | TargetError::NoProcess { .. }
            | TargetError::NoCgroup { .. }
            | TargetError::NoInterface { .. } => Code::NotFound,
            TargetError::HostNetwork { .. } | TargetError::Loopback { .. } => {
                Code::PermissionDenied
            }
            TargetError::EmptyPod { .. } => Code::Unavailable,
            TargetError::NoEndpoints { .. }
            | TargetError::UnseenPod { .. }
            | TargetError::AgentElsewhere { .. }
            | TargetError::NotOnNode { .. }
            | TargetError::UnknownContainer { .. }
            | TargetError::NotToldApart { .. }
            | TargetError::EmptyCgroup { .. }
            | TargetError::MixedCgroup { .. }
            | TargetError::Namespace { .. }
            | TargetError::NotEthernet { .. } => Code::FailedPrecondition,
        },
        AgentError::Engine(error) => match error {
            EngineError::NoSuchExperiment { .. } => Code::NotFound,
            EngineError::Exists { .. } | EngineError::NotTheirs { .. } => Code::AlreadyExists,
            EngineError::Spec(_) | EngineError::OtherFaults { .. } => Code::InvalidArgument,
            EngineError::AlreadyArmed { .. }
            | EngineError::OtherDoors { .. }
            | EngineError::NotPods { .. }
            | EngineError::Over { .. }
            | EngineError::UpdateBroke { .. }
            | EngineError::Arm { .. } => Code::FailedPrecondition,
            EngineError::Datapath { source, .. }
            | EngineError::Update { source, .. }
            | EngineError::Join { source, .. } => datapath_code(source),
        },
    }
}

const fn datapath_code(error: &DatapathError) -> Code {
    match error {
        DatapathError::Full { .. } => Code::ResourceExhausted,
        DatapathError::TargetGone => Code::NotFound,
        DatapathError::OnlyDrops
        | DatapathError::OnlyLeaving
        | DatapathError::Kernel(_)
        | DatapathError::NoLine { .. } => Code::FailedPrecondition,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_that_cannot_hold_packets_is_a_failed_precondition() {
        let status = of_datapath(&DatapathError::NoLine {
            why: "fq: this kernel has no sch_fq".to_owned(),
        });
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert!(status.message().contains("no sch_fq"), "{status}");
    }

    #[test]
    fn what_is_about_to_be_is_asked_for_again() {
        let (namespace, name) = ("demo".to_owned(), "provider-1".to_owned());
        let starting = of_pod(&PodError::NotRunning {
            namespace: namespace.clone(),
            name: name.clone(),
            container: "app".to_owned(),
        });
        assert_eq!(starting.code(), Code::Unavailable);
        let empty = of(&AgentError::Target(TargetError::EmptyPod {
            pod: "demo/provider-1".to_owned(),
        }));
        assert_eq!(empty.code(), Code::Unavailable);
        let ending = of_pod(&PodError::Over {
            namespace,
            name,
            how: "is terminating",
        });
        assert_eq!(ending.code(), Code::NotFound);
    }
}
