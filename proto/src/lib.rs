//! The wire: messages and services of the package `chaos.v1`, for agent and control alike, and of `chaos.serve.v1`, for
//! programs that have control do something.
//!
//! What is generated from the `.proto` files is committed in `src`, so that a build needs neither `protoc` nor a build
//! script; `tests/bindings.rs` regenerates it and compares. This crate knows nothing about kernels, targets or terminals.

/// Package `chaos.v1`.
#[expect(
    clippy::pedantic,
    clippy::allow_attributes,
    reason = "generated code is compared, not groomed"
)]
pub mod v1 {
    include!("chaos.v1.rs");
}

/// What `chaosctl serve` answers.
pub mod serve {
    /// Package `chaos.serve.v1`.
    #[expect(
        clippy::pedantic,
        clippy::allow_attributes,
        reason = "generated code is compared, not groomed"
    )]
    pub mod v1 {
        include!("chaos.serve.v1.rs");

        /// The package's description, for reflection: a `FileDescriptorSet`.
        pub const DESCRIPTORS: &[u8] = include_bytes!("chaos.serve.v1.bin");
    }
}
