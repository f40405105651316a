//! Who else hears of a run, and may say no. Knows nothing of how a run goes on.

pub mod python;
