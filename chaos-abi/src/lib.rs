//! The one definition of every value that crosses between the agent and its BPF programs.
//!
//! All types are `repr(C)` without padding (zerocopy proves it), hold no `bool`, `enum` or `usize`,
//! and mean the same on both sides. Addresses are in network order; ports are in host order, because
//! ranges of them are compared. This crate knows neither aya nor the kernel's helpers.
#![no_std]
#![forbid(unsafe_code)]

pub mod counters;
pub mod dns;
pub mod door;
pub mod line;
pub mod maps;
pub mod rewrite;
pub mod rule;
pub mod target;
