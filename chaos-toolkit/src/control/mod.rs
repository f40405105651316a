//! Who hears of a run besides the terminal.

pub mod log;
pub mod otlp;
pub mod webhook;
