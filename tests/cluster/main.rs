//! chaosctl and agents in a cluster whose API server is the stand-in.

mod access;
mod certificates;
mod fleet;
mod recorded;
mod resolve;
mod run;
mod scale;
mod smoke;
mod troubles;
mod tutorial;
