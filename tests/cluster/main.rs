//! chaosctl and agents in a cluster whose API server is the stand-in.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, also in its helpers"
)]
#![expect(
    clippy::print_stderr,
    reason = "measurements, for whoever reads a failed run"
)]

mod access;
mod certificates;
mod drill;
mod ends;
mod fleet;
mod k6;
mod k6_leaves;
mod node;
mod recorded;
mod resolve;
mod returning;
mod run;
mod scale;
mod serve;
mod serve_ends;
mod smoke;
mod stories;
mod troubles;
mod tutorial;
mod update;
mod weather;
