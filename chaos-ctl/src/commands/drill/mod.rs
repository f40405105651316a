//! `chaosctl drill`: a load, phases in which faults act, and what requests must then be like.

mod conduct;
mod conducted;
mod file;
mod interrupts;
mod phases;
mod plan;
mod rehearse;
mod tell;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::apply;
use super::report_file::ReportFile;
use crate::error::CommandError;
use crate::global::Global;
use crate::output::Output;
use crate::quantity::{packets, time_in_words};

use conduct::Conduct;
use file::{DrillFile, DrillFileError};
use interrupts::interrupts;
use plan::Plan;
use rehearse::{plan_all, rehearse};

/// Load a service at a constant rate while faults come and go, and judge its answers by thresholds
///
/// The file is YAML: `load` says what to send and how often, `phases` what happens meanwhile, `thresholds` what must come
/// of it, in k6's words; docs/drill.md has all of it. The faults of a phase are what an experiment file has, and run as
/// `apply` runs them: everything is planned before the first request, in place before its phase, and over with it.
///
/// Requests go out when they are due, however slow the answers are, and latencies count from then (no coordinated
/// omission). HTTP/1.1, redirects are not followed. What cannot be sent because max-in-flight requests are under way is
/// counted as dropped.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DrillArgs {
    /// The file; `-` reads standard input
    file: PathBuf,

    /// Also write a report: one HTML file with charts of latency and requests over time, and percentiles of each phase
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    /// Print the phases and what their faults would hit; send and apply nothing
    #[arg(long)]
    dry_run: bool,
}

const EXAMPLES: &str = "\
Example of a file:
  load: { url: http://10.0.0.5:8080/consuming, rate: 20/s, timeout: 5s }
  check: { status: [200] }
  phases:
    - { name: base, for: 30s }
    - name: chaos
      for: 30s
      faults:
        service: provider-chaos-service
        rules:
          - delay: { latency: 100ms, jitter: 20ms }
    - { name: recovery, for: 15s }
  thresholds:
    http_req_duration{phase:chaos}: p(95)<800
    checks{phase:base}: [{ threshold: rate>0.9, abortOnFail: true }]

Examples:
  chaosctl drill drill.yaml --dry-run
  chaosctl drill drill.yaml --report drill.html

Exit codes besides the usual: 99 where a threshold was crossed, else 3 where a phase's faults hit nothing.";

impl DrillArgs {
    pub(super) async fn run(
        &self,
        global: &Global,
        output: Output<'static>,
    ) -> Result<(), CommandError> {
        let (name, base, text) = apply::text(&self.file);
        let text = text.map_err(|source| DrillFileError::Read {
            file: name.clone(),
            source,
        })?;
        let plan = DrillFile::read(&name, base, &text)?;
        let client = plan.client()?;
        if self.dry_run {
            output.talk(&announcement(&plan));
        }
        let mut stop = interrupts()?;
        let planning = async {
            if self.dry_run {
                Box::pin(rehearse(&plan, global, output)).await
            } else {
                Box::pin(plan_all(&plan, global)).await
            }
        };
        tokio::select! {
            planned = planning => planned?,
            _ = stop.wait_for(|count| *count > 0) => return Err(tell::interrupted_early()),
        }
        if self.dry_run {
            return Ok(());
        }
        let report = self.report.as_deref().map(ReportFile::open).transpose()?;
        output.talk(&announcement(&plan));
        let conduct = Conduct {
            plan: &plan,
            global: &Arc::new(global.clone()),
            output,
        };
        let conducted = match conduct.run(client, stop).await {
            Ok(conducted) => conducted,
            Err(error) => {
                if let Some(report) = report {
                    report.discard();
                }
                return Err(error);
            }
        };
        let told = tell::all(&plan, conducted);
        told.print(output)?;
        let unwritten = report.and_then(|report| report.write(told.report(&name)).err());
        told.verdict(unwritten, output)
    }
}

fn announcement(plan: &Plan) -> String {
    let load = &plan.load;
    let times = match load.rate.count_in(plan.length()) {
        1 => "once".to_owned(),
        count => format!("{} times", packets(count)),
    };
    let phases = match plan.phases.len() {
        1 => "1 phase".to_owned(),
        count => format!("{count} phases"),
    };
    format!(
        "{} {} {times} in {}, {phases}; Ctrl-C ends it at once",
        load.asked.method,
        load.asked.uri,
        time_in_words(plan.length()),
    )
}
