//! The decisions of the BPF programs, free of kernel and unsafe: tested on the host, linked into the object.
#![no_std]
#![forbid(unsafe_code)]
#![expect(
    clippy::inline_always,
    reason = "all of a program's decisions belong into its one function: calls cost stack, and the verifier forgets"
)]
#![expect(
    clippy::cast_possible_truncation,
    reason = "what is cast is bounded there, and constant functions have no `TryFrom`"
)]

pub mod answer;
pub mod chance;
pub mod choice;
pub mod delay;
pub mod dns;
pub mod door;
pub mod filter;
pub mod flow;
pub mod glance;
pub mod rate;
pub mod reset;
pub mod rewrite;
pub mod shape;

#[cfg(test)]
extern crate std;
