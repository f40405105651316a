//! Experiments in the format of Chaos Toolkit, without Python unless a file itself asks for it.
//!
//! From the file inwards: `load` (a file or an address, by `settings`), `document` (text, and where things stand in
//! it), `experiment` (what it must be), `variables` (configuration, secrets, `${name}`), `provider` (who does the work of an
//! activity), `tolerance` (whether a value is right), `run` (the order of things), `journal` (what is kept of it), `control`
//! (who else hears of it, and may say no), `notification` (whom the settings tell), `verdict` and `report` (what it comes down to, for programs and for people).
//! Knows no agent, no gRPC and no Kubernetes: faults are somebody else's, behind the trait [`faults::Faults`].

pub mod control;
pub mod document;
pub mod experiment;
pub mod faults;
mod http;
pub mod journal;
pub mod load;
pub mod notification;
pub mod observe;
pub mod problem;
pub mod provider;
pub mod python_value;
pub mod report;
pub mod run;
pub mod schedule;
pub mod settings;
mod text;
pub mod tls;
pub mod tolerance;
pub mod variables;
pub mod verdict;
