//! What a scripted agent is told to answer.

use chaos_proto::v1::{Counters, DescribeResponse, EndReason, Experiment, PrepareResponse, Target};
use tonic::Status;

/// What an experiment comes to once it is armed.
#[derive(Clone)]
pub(crate) enum Then {
    /// It ends with this reason and detail.
    End(EndReason, &'static str),
    /// It runs until it is disarmed.
    Run,
    /// The stream ends with a status.
    Fail(Status),
}

/// When a call is answered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    AtOnce,
    WhenTold,
    Never,
}

/// How the agent answers.
#[derive(Clone)]
pub(crate) struct Script {
    pub(crate) describe: DescribeResponse,
    /// Instead of preparing.
    pub(crate) refuse_prepare: Option<Status>,
    /// Instead of arming.
    pub(crate) refuse_arm: Option<Status>,
    pub(crate) prepare: Answer,
    /// Arm never answers.
    pub(crate) hang_arm: bool,
    /// Disarm never answers.
    pub(crate) hang_disarm: bool,
    pub(crate) targets: Vec<Target>,
    /// On every target, once armed.
    pub(crate) hits: Counters,
    /// Seconds left, told before what comes then.
    pub(crate) ticks: Vec<i64>,
    pub(crate) then: Then,
    /// What list, stop and status find.
    pub(crate) experiments: Vec<Experiment>,
    /// Ids of those that are not listed.
    pub(crate) unlisted: Vec<String>,
    /// What else it says to what it prepares.
    pub(crate) says: PrepareResponse,
    /// Instead of listing.
    pub(crate) refuse_list: Option<Status>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            describe: DescribeResponse::default(),
            refuse_prepare: None,
            refuse_arm: None,
            prepare: Answer::AtOnce,
            hang_arm: false,
            hang_disarm: false,
            targets: vec![target("web")],
            hits: delayed(1234, 1_234_567),
            ticks: Vec::new(),
            then: Then::End(EndReason::Expired, ""),
            experiments: Vec::new(),
            unlisted: Vec::new(),
            says: PrepareResponse::default(),
            refuse_list: None,
        }
    }
}

/// A target without counters.
pub(crate) fn target(name: &str) -> Target {
    Target {
        name: name.to_owned(),
        netns: format!("/run/netns/{name}"),
        interface: "eth0".to_owned(),
        ifindex: 2,
        gone: false,
        keeps_source: false,
        note: String::new(),
        xdp: 0,
        counters: Vec::new(),
        pod: None,
    }
}

/// Counters of packets that were all delayed.
pub(crate) fn delayed(packets: u64, bytes: u64) -> Counters {
    Counters {
        matched_packets: packets,
        matched_bytes: bytes,
        delayed_packets: packets,
        delayed_bytes: bytes,
        ..Counters::default()
    }
}
