//! chaosctl and agents in a cluster whose API server is the stand-in.

mod fleet;
mod recorded;
mod smoke;
