//! Experiments that Chaos Toolkit itself (`chaos run`) and `chaosctl run` both play: whatever either leaves behind must be
//! the same, but for the differences that `differences.yaml` lists with their reasons.
//!
//! A case is a file of `cases/`, an experiment that can be run by hand; what it needs besides, an extension of it says
//! (see `case`). Knows nothing of how either program works.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, not what they call"
)]

mod case;
mod cases;
mod compare;
mod differences;
mod journal;
mod play;
mod programs;
mod reports;
mod server;
