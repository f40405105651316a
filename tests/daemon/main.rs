//! Tests of the product in the lab: one file per fault or behaviour. Everything goes through the real programs, as a
//! user would do it; what is inside them is tested elsewhere.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, also in its helpers"
)]
#![expect(
    clippy::print_stderr,
    reason = "seeds and measurements, for whoever reads a failed run"
)]

mod answers;
mod bad_input;
mod connections;
mod crowded;
mod delay;
mod distributions;
mod dns;
mod doors;
mod drill;
mod experiments;
mod expiry;
mod faults;
mod filters;
mod grpc;
mod host_network;
mod http;
mod http_entrance;
mod http_faults;
mod http_shapes;
mod loss;
mod node;
mod pods;
mod ramps;
mod relay_dies;
mod relay_many;
mod rewrites;
mod scenario;
mod selectors;
mod target_gone;
mod update;
mod when_it_dies;
