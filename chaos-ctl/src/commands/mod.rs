//! The verbs, one file each: its options, and what it asks of the agent.

pub mod actions;
pub mod apply;
mod asked;
pub mod corrupt;
pub mod delay;
pub mod discover;
pub mod dns;
pub mod doctor;
pub mod drill;
pub mod duplicate;
mod everyone;
pub mod grpc;
pub mod http;
pub mod init;
pub mod k6_module;
pub mod list;
pub mod loss;
pub mod partition;
mod python;
pub mod rate;
pub mod reorder;
pub mod report;
mod report_file;
pub mod reset;
pub mod rewrite;
pub mod run;
pub mod serve;
mod settings;
mod source;
pub mod status;
mod steered;
pub mod stop;
pub mod update;
pub mod validate;

use apply::ApplyArgs;
use clap::Subcommand;
use corrupt::CorruptArgs;
use delay::DelayArgs;
use discover::DiscoverArgs;
use dns::DnsArgs;
use doctor::DoctorArgs;
use drill::DrillArgs;
use duplicate::DuplicateArgs;
use everyone::Everyone;
use grpc::GrpcArgs;
use http::HttpArgs;
use init::InitArgs;
use k6_module::K6ModuleArgs;
use list::ListArgs;
use loss::LossArgs;
use partition::PartitionArgs;
use rate::RateArgs;
use reorder::ReorderArgs;
use report::ReportArgs;
use reset::ResetArgs;
use rewrite::RewriteArgs;
use run::RunArgs;
use serve::ServeArgs;
use status::StatusArgs;
use stop::StopArgs;
use update::UpdateArgs;
use validate::ValidateArgs;

use crate::error::CommandError;
use crate::global::Global;
use crate::output::Output;

/// The verbs.
#[derive(Debug, Subcommand)]
#[expect(
    missing_docs,
    reason = "the help of a verb is the documentation of its arguments, and would be overridden here"
)]
pub enum Command {
    Delay(DelayArgs),
    Loss(LossArgs),
    Duplicate(DuplicateArgs),
    Reorder(ReorderArgs),
    Corrupt(CorruptArgs),
    Rate(RateArgs),
    Partition(PartitionArgs),
    Reset(ResetArgs),
    Rewrite(RewriteArgs),
    Dns(DnsArgs),
    Http(Box<HttpArgs>),
    Grpc(Box<GrpcArgs>),
    Apply(ApplyArgs),
    Drill(DrillArgs),
    Run(Box<RunArgs>),
    Report(ReportArgs),
    Validate(ValidateArgs),
    Init(Box<InitArgs>),
    Discover(DiscoverArgs),
    Update(UpdateArgs),
    List(ListArgs),
    Status(StatusArgs),
    Stop(StopArgs),
    Doctor(DoctorArgs),
    Serve(ServeArgs),
    K6Module(K6ModuleArgs),
}

impl Command {
    /// Where and how it says things.
    pub fn output(&self, global: &Global) -> Output<'static> {
        let output = Output::new(global);
        if let Self::Run(arguments) = self {
            arguments.output(output)
        } else {
            output
        }
    }

    /// Does what the verb says.
    pub async fn run(&self, global: &Global, output: Output<'static>) -> Result<(), CommandError> {
        match self {
            Self::Delay(arguments) => arguments.run(global, output).await,
            Self::Loss(arguments) => arguments.run(global, output).await,
            Self::Duplicate(arguments) => arguments.run(global, output).await,
            Self::Reorder(arguments) => arguments.run(global, output).await,
            Self::Corrupt(arguments) => arguments.run(global, output).await,
            Self::Rate(arguments) => arguments.run(global, output).await,
            Self::Partition(arguments) => arguments.run(global, output).await,
            Self::Dns(arguments) => arguments.run(global, output).await,
            Self::Reset(arguments) => arguments.run(global, output).await,
            Self::Rewrite(arguments) => arguments.run(global, output).await,
            Self::Http(arguments) => arguments.run(global, output).await,
            Self::Grpc(arguments) => arguments.run(global, output).await,
            Self::Apply(arguments) => arguments.run(global, output).await,
            Self::Drill(arguments) => Box::pin(arguments.run(global, output)).await,
            Self::Run(arguments) => Box::pin(arguments.run(global, output)).await,
            Self::Report(arguments) => arguments.run(output).await,
            Self::Validate(arguments) => arguments.run(global, output).await,
            Self::Init(arguments) => arguments.run(global, output).await,
            Self::Discover(arguments) => arguments.run(output).await,
            Self::Update(arguments) => arguments.run(global, output).await,
            Self::List(arguments) => arguments.run(Everyone::of(global).await?, output).await,
            Self::Status(arguments) => arguments.run(Everyone::of(global).await?, output).await,
            Self::Stop(arguments) => arguments.run(Everyone::of(global).await?, output).await,
            Self::Doctor(arguments) => arguments.run(Everyone::of(global).await?, output).await,
            Self::Serve(arguments) => arguments.run(global, output).await,
            Self::K6Module(K6ModuleArgs {}) => k6_module::print(),
        }
    }
}
