//! A running experiment, told live: a bar where somebody watches, a line now and then where not.

use std::fmt::Write as _;
use std::time::Duration;

use chaos_proto::v1::Experiment;
use indicatif::{ProgressBar, ProgressStyle};

use super::whole::Whole;
use super::{Output, tally, words};
use crate::quantity::{from_wire, packets, time_in_words};

/// Between two lines of a log.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// How the run of one experiment is told.
#[derive(Debug)]
pub struct Progress<'a> {
    output: Output<'a>,
    bar: Option<ProgressBar>,
    /// Time left when the next line is due.
    next_line: Duration,
}

impl<'a> Progress<'a> {
    /// Says that the experiment runs now.
    pub fn start(output: Output<'a>, whole: &Whole) -> Self {
        let armed = &whole.experiment;
        if let Some(sink) = output.sink() {
            sink.armed(whole);
        }
        let duration = from_wire(armed.duration.as_ref());
        output.talk(&format!(
            "{}: {} on {} for {}; Ctrl-C ends it at once",
            armed.id,
            words::summary(armed),
            words::places(whole),
            time_in_words(duration),
        ));
        let bar = output
            .draws()
            .then(|| ProgressBar::new(length(armed)).with_style(style()));
        Self {
            output,
            bar,
            next_line: duration.saturating_sub(LINE_EVERY),
        }
    }

    /// How often to ask the agent for news.
    pub fn interval(output: Output<'_>) -> Duration {
        if output.draws() {
            Duration::from_millis(200)
        } else {
            Duration::from_secs(1)
        }
    }

    /// Takes note of news.
    pub fn update(&mut self, experiment: &Experiment) {
        if let Some(sink) = self.output.sink() {
            sink.news(experiment);
        }
        let left = from_wire(experiment.remaining.as_ref());
        // It may have been given more time.
        self.next_line = self.next_line.max(left.saturating_sub(LINE_EVERY));
        if let Some(bar) = &self.bar {
            let left_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
            bar.set_length(length(experiment));
            bar.set_position(bar.length().unwrap_or_default().saturating_sub(left_ms));
            bar.set_message(news(experiment, left));
        } else if left <= self.next_line && !left.is_zero() {
            self.output
                .talk(&format!("{}: {}", experiment.id, news(experiment, left)));
            self.next_line = left.saturating_sub(LINE_EVERY);
        }
    }

    /// Says something beside the bar.
    pub fn warn(&self, line: &str) {
        self.beside(|output| output.warn(line));
    }

    /// Says something beside the bar that `-q` silences.
    pub fn talk(&self, line: &str) {
        self.beside(|output| output.talk(line));
    }

    /// Takes the bar away and says how it went.
    pub fn finish(self, line: Option<&str>) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        if let Some(line) = line {
            self.output.talk(line);
        }
    }

    fn beside(&self, say: impl Fn(Output<'a>)) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say(self.output)),
            None => say(self.output),
        }
    }
}

/// Of the bar, in milliseconds.
fn length(experiment: &Experiment) -> u64 {
    let duration = from_wire(experiment.duration.as_ref());
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn news(experiment: &Experiment, left: Duration) -> String {
    let total = tally::of_experiment(experiment);
    let requests = total.requests.unwrap_or_default();
    let mut text = format!(
        "{} left, {} matched",
        time_in_words(to_tenths(left)),
        packets(total.matched_packets)
    );
    for (count, done) in [
        (
            total.delayed_packets.saturating_add(requests.delayed),
            "delayed",
        ),
        (total.dropped_packets, "dropped"),
        (total.duplicated_packets, "duplicated"),
        (total.corrupted_packets, "corrupted"),
        (total.answered_packets, "answered"),
        (total.rewritten_packets, "rewritten"),
        (requests.errors, "answered with an error"),
        (requests.aborted, "aborted"),
    ] {
        if count > 0 {
            let _ = write!(text, ", {} {done}", packets(count));
        }
    }
    text
}

/// Cut to a length that is pleasant to read: tenths of a second, or milliseconds below one.
pub(crate) fn to_tenths(time: Duration) -> Duration {
    let step_ms: u128 = if time >= Duration::from_secs(1) {
        100
    } else {
        1
    };
    let ms = time.as_millis() / step_ms * step_ms;
    Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX))
}

fn style() -> ProgressStyle {
    // The template is a constant; should it ever be wrong, a plain bar is still a bar.
    ProgressStyle::with_template("[{bar:30}] {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}
