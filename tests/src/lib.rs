//! The lab: real test hosts on one machine, traffic between them, and what a test needs to judge it.

pub mod agent;
pub mod apiserver;
pub mod cluster;
pub mod daemon;
pub mod doorkeeper;
pub mod fleet;
pub mod lab;
pub mod load;
pub mod packet;
pub mod pauses;
pub mod pod;
pub mod programs;
pub mod progrun;
pub mod random;
pub mod requires;
pub mod services;
pub mod stats;
pub mod traffic;
pub mod wait;
