//! The one place where errors become gRPC statuses.

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
pub(super) fn of_access(error: &AccessError) -> Status {
    let code = match error {
        AccessError::NoToken | AccessError::UnknownToken { .. } => Code::Unauthenticated,
        AccessError::Denied { .. } => Code::PermissionDenied,
        AccessError::Unreachable(_) => Code::Unavailable,
    };
    Status::new(code, error.to_string())
}

/// Status of a pod that is no target.
pub(super) fn of_pod(error: &PodError) -> Status {
    let code = match error {
        PodError::Cluster(_) => Code::Unavailable,
        PodError::Gone { .. } | PodError::Replaced { .. } | PodError::NoContainer { .. } => {
            Code::NotFound
        }
        PodError::Elsewhere { .. } | PodError::Over { .. } | PodError::NotRunning { .. } => {
            Code::FailedPrecondition
        }
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
            TargetError::NoEndpoints { .. }
            | TargetError::EmptyPod { .. }
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
            EngineError::Exists { .. } => Code::AlreadyExists,
            EngineError::Spec(_) | EngineError::OtherFaults { .. } => Code::InvalidArgument,
            EngineError::AlreadyArmed { .. }
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
}
