//! A drill: a constant load of requests, phases in which faults act, and what the requests must then be like.
//!
//! Here is the load and what is measured of it; what makes up a drill file, and how its faults are run, is for
//! `commands`. Knows nothing of agents.

pub mod check;
pub mod client;
pub mod clock;
pub mod figures;
pub mod human;
pub mod load;
pub mod measured;
pub mod metric;
pub mod outcome;
pub mod report;
pub mod sample;
pub mod summary;
pub mod threshold;
pub mod timeline;
pub mod values;
mod wire;
