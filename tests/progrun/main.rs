//! The classifiers as the kernel runs them, one packet at a time, by `BPF_PROG_TEST_RUN`: no network needed.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, also in its helpers"
)]

mod answers;
mod arrival;
mod choices;
mod classifier;
mod dns;
mod door;
mod filters;
mod fragments;
mod frames;
mod holds;
mod line;
mod loss;
mod models;
mod protection;
mod ramps;
mod rewrites;
mod steering;
