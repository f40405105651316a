//! Parses the command line, and turns what clap says about a wrong one into our own sentences where ours are clearer.

use std::error::Error as _;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind as ClapKind};

use crate::cli::Cli;
use crate::error::{CommandError, ErrorKind};
use crate::output;
use crate::quantity;

/// Reads the command line. On failure everything has been said, and the exit code is returned.
pub(crate) fn parse(arguments: &[OsString]) -> Result<Cli, ExitCode> {
    Cli::try_parse_from(arguments).map_err(|error| {
        if let Some(error) = in_our_words(&error, arguments) {
            output::usage_error(&error);
            return error.kind.into();
        }
        // Help and version go to standard output, the rest to standard error; a closed one is no reason to fail.
        let _ = error.print();
        u8::try_from(error.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
    })
}

/// What may be missing, and what to say about it; the first that fits is said.
const MISSING: [(&str, &str, &str); 3] = [
    (
        "--svc",
        "the command does not say where: give one of --svc, --netns, --pid, --cgroup and --node",
        "for example `--svc provider-chaos-service` or `--netns web`",
    ),
    (
        "--file",
        "the command does not say which experiment to run: give its file",
        "for example `chaosctl apply -f experiment.yaml`, or `-f -` for standard input",
    ),
    (
        "<ID>",
        "the command does not say which experiment: give its id",
        "`chaosctl list` shows the ids; `chaosctl stop --all` ends every experiment",
    ),
];

fn in_our_words(error: &clap::Error, arguments: &[OsString]) -> Option<CommandError> {
    let kind = error.kind();
    if matches!(kind, ClapKind::DisplayHelp | ClapKind::DisplayVersion) {
        return None;
    }
    if matches!(kind, ClapKind::UnknownArgument | ClapKind::ValueValidation)
        && let Some((number, unit)) = number_and_unit(arguments)
    {
        let sentence =
            format!("`{number} {unit}` is two arguments: write {number}{unit} without a space");
        return Some(CommandError::new(ErrorKind::Usage, sentence));
    }
    if kind == ClapKind::ValueValidation {
        let sentence = error.source()?.to_string();
        return Some(CommandError::new(ErrorKind::Usage, sentence));
    }
    if let Some(sentence) = negative_value(arguments) {
        return Some(CommandError::new(ErrorKind::Usage, sentence));
    }
    if kind == ClapKind::MissingRequiredArgument {
        let (_, sentence, hint) = MISSING.iter().find(|(what, ..)| names(error, what))?;
        return Some(CommandError::new(ErrorKind::Usage, *sentence).hint(*hint));
    }
    None
}

/// A number, and behind a space what can only be its unit.
fn number_and_unit(arguments: &[OsString]) -> Option<(&str, &str)> {
    let words = arguments.iter().filter_map(|word| word.to_str());
    let is_number =
        |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    words
        .clone()
        .zip(words.skip(1))
        .find(|(number, unit)| is_number(number) && quantity::is_unit(unit))
}

/// To clap `-5ms` is an option that does not exist. No option of ours starts with a digit, so it is a value.
fn negative_value(arguments: &[OsString]) -> Option<String> {
    let texts: Vec<_> = arguments
        .iter()
        .map(|text| text.to_string_lossy())
        .collect();
    let at = texts
        .iter()
        .take_while(|text| *text != "--")
        .position(|text| quantity::looks_negative(text))?;
    let value = texts[at].as_ref();
    let sentence = |error: quantity::InvalidQuantity| error.to_string();
    let before = texts[..at].last().map(AsRef::as_ref);
    match before {
        Some("--duration" | "--after") => quantity::duration(value).err().map(sentence),
        Some("--jitter") => quantity::jitter(value).err().map(sentence),
        Some("--grace") => quantity::grace(value).err().map(sentence),
        Some("--by") => quantity::by(value).err().map(sentence),
        Some("--pulse") => quantity::pulse(value).err().map(sentence),
        Some("--port" | "--target-port" | "--peer-port") => {
            quantity::read_ports(value).err().map(sentence)
        }
        Some("--peer") => quantity::peer(value).err().map(sentence),
        Some("--except") => quantity::exception(value).err().map(sentence),
        Some("--dscp" | "--match-dscp") => quantity::dscp(value).err().map(sentence),
        Some("--percent-flows" | "--probability" | "--percent") => {
            quantity::percent(value).err().map(sentence)
        }
        Some("--correlation") => quantity::correlation(value).err().map(sentence),
        Some("--four-state") => quantity::four_state(value).err().map(sentence),
        Some("--every" | "--first") => quantity::every(value).err().map(sentence),
        Some("--gap") => quantity::gap(value).err().map(sentence),
        Some("--mss" | "--within") => quantity::number(value).err().map(sentence),
        Some("--dst-port") => quantity::port(value).err().map(sentence),
        Some("--queue" | "--after-bytes") => quantity::size(value).err().map(sentence),
        Some("--pid") => Some(format!(
            "process id `{value}` is negative: give a whole number above 0, such as 4711"
        )),
        Some("--seed") => Some(format!(
            "seed `{value}` is negative: give a whole number, 0 or above"
        )),
        // A length such as -128 is one, and clap takes it as one.
        Some("--length") => None,
        _ => {
            let verb = texts[..at].iter().map(AsRef::as_ref);
            of_verb(verb, before, value).map(sentence)
        }
    }
}

/// Those with values of their own.
const VERBS: [&str; 9] = [
    "delay",
    "loss",
    "duplicate",
    "reorder",
    "corrupt",
    "rate",
    "reset",
    "rewrite",
    "dns",
];

/// What a verb says about a negative value that is its own.
fn of_verb<'a>(
    mut words: impl Iterator<Item = &'a str>,
    before: Option<&str>,
    value: &str,
) -> Option<quantity::InvalidQuantity> {
    let verb = words.find(|word| VERBS.contains(word))?;
    match (verb, before) {
        ("rewrite", Some("--ttl")) => quantity::number(value).err(),
        ("dns", Some("--ttl")) => quantity::ttl(value).err(),
        ("rewrite" | "dns" | "reset", _) => None,
        ("delay", _) => quantity::latency(value).err(),
        ("loss", Some("--burst")) => quantity::burst(value).err(),
        ("rate", Some("--burst")) => quantity::size(value).err(),
        ("rate", _) => quantity::rate(value).err(),
        _ => quantity::percent(value).err(),
    }
}

fn names(error: &clap::Error, option: &str) -> bool {
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::Strings(missing)) => missing.iter().any(|one| one.contains(option)),
        Some(ContextValue::String(missing)) => missing.contains(option),
        _ => false,
    }
}
