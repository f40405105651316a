//! Runs with providers that are faster than real ones, under a clock that does not wait.

mod controls;
mod fake;
mod faults;
mod guards;
mod on_disk;
mod order;
mod signals;
mod strategies;
