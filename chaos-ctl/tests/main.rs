//! The real `chaosctl` against a scripted agent: one file for each verb, one for what they share.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, not what they call"
)]

mod agent;
mod chaosctl;
mod collector;
mod lab;
mod receiver;
mod script;
mod terminal;
mod test_actions;
mod test_apply;
mod test_corrupt;
mod test_delay;
mod test_delay_shape;
mod test_discover;
mod test_dns;
mod test_doctor;
mod test_drill;
mod test_drill_outcome;
mod test_dry_run;
mod test_duplicate;
mod test_http;
mod test_http_outcome;
mod test_init;
mod test_interrupt;
mod test_list;
mod test_loss;
mod test_negative;
mod test_notifications;
mod test_partition;
mod test_ramp;
mod test_rate;
mod test_reach;
mod test_reorder;
mod test_report;
mod test_request;
mod test_run;
mod test_run_again;
mod test_run_confirm;
mod test_run_keys;
mod test_run_listeners;
mod test_run_secrets;
mod test_run_short;
mod test_sink;
mod test_status;
mod test_stop;
mod test_update;
mod test_usage;
mod test_validate;
