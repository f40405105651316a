//! chaosctl and agents in a cluster whose API server is the stand-in.

mod fleet;
mod recorded;
mod scale;
mod smoke;
mod troubles;
mod tutorial;
