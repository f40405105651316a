//! Who else hears of a run, and may say no. Knows nothing of how a run goes on.

pub mod log;
pub mod otlp;
pub mod python;
pub mod webhook;
