//! The kernel side of the agent: programs, maps, attachments and delay lines. The only module that
//! knows aya.
//!
//! It carries out what [`crate::engine::Datapath`] asks and decides nothing: what a fault means is the
//! engine's, who is a target is `targets`'.

mod attached;
mod clock;
mod datapath;
mod dns;
pub mod doors;
pub mod features;
mod heartbeat;
mod hook;
mod in_kernel;
mod leaving;
pub mod line;
mod loader;
pub mod protection;
mod quantiles;
pub mod retire;
mod rewrites;
mod rules;
mod shared;
mod socket;
pub mod sweep;
mod xdp;

pub use clock::monotonic_ns;
pub use datapath::Kernel;
pub use dns::write_dns;
pub use heartbeat::{Heartbeat, Steps, Words};
pub use loader::{LoadError, Maps, Object, Plain, Programs};
