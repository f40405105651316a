//! The classifiers as the kernel runs them, one packet at a time, by `BPF_PROG_TEST_RUN`: no network needed.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, also in its helpers"
)]

mod answers;
mod arrival;
mod choices;
mod classifier;
mod filters;
mod fragments;
mod frames;
mod line;
mod loss;
mod protection;
