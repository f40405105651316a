//! The wire: messages and services of the package `chaos.v1`, for agent and control alike.
//!
//! `src/chaos.v1.rs` is generated from `chaos/v1/agent.proto` and committed, so that a build needs
//! neither `protoc` nor a build script; `tests/bindings.rs` regenerates it and compares. This crate
//! knows nothing about kernels, targets or terminals.

/// Package `chaos.v1`.
#[expect(
    clippy::pedantic,
    clippy::allow_attributes,
    reason = "generated code is compared, not groomed"
)]
pub mod v1 {
    include!("chaos.v1.rs");
}
