//! Which of what a selector points at in a cluster, and what of it.

use clap::Args;

use crate::cluster::Mode;
use crate::quantity::percent;

/// Which of it; in a cluster only.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "In a cluster")]
pub struct ChoiceArgs {
    /// Only the packets of this container's sockets [default: all packets of the pods]
    #[arg(short, long, value_name = "NAME")]
    pub container: Option<String>,

    /// How many of the pods (or nodes): all, one, fixed=N or percent=P [default: all]
    ///
    /// Which ones is drawn with --seed: the same seed chooses the same of the same pods. A percentage is rounded up, so
    /// that it is at least one; where there are fewer than N, it is all of them.
    #[arg(long, value_name = "MODE", value_parser = mode, allow_hyphen_values = true)]
    pub mode: Option<Mode>,

    /// Also hit what the kubelet asks of the pods' probes
    ///
    /// Otherwise probes go on as if nothing were, so that the kubelet does not restart what the fault slows down.
    #[arg(long)]
    pub include_probes: bool,

    /// Stay with the pods of the beginning
    ///
    /// Otherwise, while chaosctl is attached, pods that become ready join and those that go are let go.
    #[arg(long)]
    pub no_follow: bool,
}

impl ChoiceArgs {
    /// The first of these that was given.
    pub(super) fn given(&self) -> Option<&'static str> {
        let all = [
            (self.container.is_some(), "--container"),
            (self.mode.is_some(), "--mode"),
            (self.include_probes, "--include-probes"),
            (self.no_follow, "--no-follow"),
        ];
        all.into_iter()
            .find_map(|(given, name)| given.then_some(name))
    }
}

/// A mode that is none.
#[derive(Debug, thiserror::Error)]
#[error(
    "mode `{value}` is not one: give all, one, fixed=N with N above 0, or percent=P with P above 0 and at most 100"
)]
pub struct InvalidMode {
    value: String,
}

/// Reads a mode.
pub fn mode(text: &str) -> Result<Mode, InvalidMode> {
    let read = || match text.split_once('=') {
        None if text == "all" => Some(Mode::All),
        None if text == "one" => Some(Mode::One),
        Some(("fixed", count)) => {
            let is_plain = count.bytes().all(|b| b.is_ascii_digit());
            let count = count.parse().ok().filter(|&count| is_plain && count > 0);
            count.map(Mode::Fixed)
        }
        Some(("percent", share)) => percent(share).ok().map(|share| Mode::Share(share.ppm())),
        _ => None,
    };
    read().ok_or_else(|| InvalidMode {
        value: text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read() {
        for (text, wanted) in [
            ("all", Mode::All),
            ("one", Mode::One),
            ("fixed=3", Mode::Fixed(3)),
            ("percent=50", Mode::Share(500_000)),
            ("percent=12.5%", Mode::Share(125_000)),
        ] {
            assert_eq!(mode(text).ok(), Some(wanted), "{text}");
        }
        for text in [
            "",
            "two",
            "fixed",
            "fixed=0",
            "fixed=+1",
            "fixed=",
            "percent=0",
            "percent=101",
        ] {
            let error = mode(text).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("mode `{text}` is not one: ")),
                "{error}"
            );
        }
    }
}
