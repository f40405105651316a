//! Tests of the lab itself: it must be right before it can judge anything else. Nothing of the product runs here.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, also in its helpers"
)]

mod lab;
mod load;
mod traffic;
