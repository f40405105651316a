//! Parses the command line, and turns what clap says about a wrong one into our own sentences where ours are clearer.

use std::error::Error as _;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind as ClapKind};
use clap::{CommandFactory as _, Parser};

use crate::cli::Cli;
use crate::error::{CommandError, ErrorKind};
use crate::output;
use crate::quantity;

/// Reads the command line. On failure everything has been said, and the exit code is returned.
pub(crate) fn parse(arguments: &[OsString]) -> Result<Cli, ExitCode> {
    let arguments = &with_report_file(with_node_names(arguments));
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

/// `report -o week.html` means `report --to week.html`: everybody writes it so, although `-o` elsewhere is the form of the
/// result, and is here too where it is one.
fn with_report_file(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let verb = arguments.iter().position(|word| word == "report");
    let Some(verb) = verb else { return arguments };
    for at in verb + 1..arguments.len() {
        let text = arguments[at].to_str().unwrap_or_default();
        if text == "--" {
            break;
        }
        let joined = ["--output=", "-o="]
            .iter()
            .find_map(|name| text.strip_prefix(name));
        if let Some(file) = joined.filter(|value| !is_form(value)) {
            arguments[at] = format!("--to={file}").into();
        }
        let next = arguments
            .get(at + 1)
            .map(|next| next.to_string_lossy().into_owned());
        if ["--output", "-o"].contains(&arguments[at].to_str().unwrap_or_default())
            && next.is_some_and(|next| !is_form(&next))
        {
            arguments[at] = "--to".into();
        }
    }
    arguments
}

/// What `-o` takes at every verb.
fn is_form(value: &str) -> bool {
    ["table", "json"].contains(&value)
}

/// Verbs whose own value may stand behind `--node`.
const WITH_VALUE: [&str; 7] = [
    "delay",
    "loss",
    "duplicate",
    "reorder",
    "corrupt",
    "rate",
    "dns",
];

/// `--node worker-1` means `--node=worker-1`, although `--node` alone means this host: the next word is a name where
/// the verb has no value of its own, or where it begins with a letter and is no such value.
fn with_node_names(arguments: &[OsString]) -> Vec<OsString> {
    let mut words = arguments.iter().peekable();
    let mut verb = None;
    let mut joined = Vec::with_capacity(arguments.len());
    while let Some(word) = words.next() {
        let text = word.to_str().unwrap_or_default();
        if text == "--" {
            joined.push(word.clone());
            joined.extend(words.cloned());
            break;
        }
        if verb.is_none() {
            verb = WITH_VALUE.into_iter().find(|verb| *verb == text);
        }
        let next = words.peek().and_then(|next| next.to_str());
        match next.filter(|next| text == "--node" && is_node_name(next, verb)) {
            Some(name) => {
                joined.push(format!("--node={name}").into());
                words.next();
            }
            None => joined.push(word.clone()),
        }
    }
    joined
}

fn is_node_name(word: &str, verb: Option<&str>) -> bool {
    let first = word.bytes().next().unwrap_or(b'-');
    match verb {
        None => first.is_ascii_alphanumeric(),
        Some("dns") => first.is_ascii_alphabetic() && quantity::dns_answer(word).is_err(),
        Some(_) => first.is_ascii_alphabetic(),
    }
}

/// What may be missing, and what to say about it; the first that fits is said.
const MISSING: [(&str, &str, &str); 6] = [
    (
        "--svc",
        "the command does not say where: give one of --svc, --pod, --selector, --deployment, --statefulset, --daemonset, --node, --node-selector, --netns, --pid and --cgroup",
        "for example `--svc provider-chaos-service` or `--netns web`",
    ),
    (
        "--file",
        "the command does not say which experiment to run: give its file",
        "for example `chaosctl apply -f experiment.yaml`, or `-f -` for standard input",
    ),
    (
        "<FILE>",
        "the command does not say which drill to run: give its file",
        "for example `chaosctl drill drill.yaml`; docs/drill.md says what is in one",
    ),
    (
        "<SOURCE>",
        "the command does not say which experiment: give its file or address",
        "for example `chaosctl validate experiment.yaml`",
    ),
    (
        "<PACKAGE>",
        "the command does not say which extension: give its package",
        "for example `chaosctl discover chaostoolkit-kubernetes`",
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
    if let Some((option, next)) = without_value(arguments) {
        let sentence = format!("{option} lacks its value: {next} is another option");
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

/// Whether a word is an option with a value, and that may begin with a minus sign. Of numbers it may, so that their own
/// sentence says what is wrong; of names, paths and words that are listed in the help it may not.
fn takes_minus(word: &str) -> Option<bool> {
    let command = Cli::command();
    let of_verbs = command
        .get_subcommands()
        .flat_map(clap::Command::get_arguments);
    let long = word.strip_prefix("--");
    let short = word.strip_prefix('-').and_then(|rest| rest.parse().ok());
    command
        .get_arguments()
        .chain(of_verbs)
        .filter(|argument| argument.get_action().takes_values())
        .find(|argument| {
            (long.is_some() && argument.get_long() == long)
                || (short.is_some() && argument.get_short() == short)
        })
        .map(clap::Arg::is_allow_hyphen_values_set)
}

/// An option whose value may begin with a minus sign takes whatever comes for it, also another option.
fn without_value(arguments: &[OsString]) -> Option<(&str, &str)> {
    let words = arguments.iter().filter_map(|word| word.to_str());
    words
        .clone()
        .zip(words.skip(1))
        .take_while(|(word, _)| *word != "--")
        .find(|(word, next)| next.starts_with("--") && takes_minus(word) == Some(true))
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
    let before = texts[..at].last().map(AsRef::as_ref);
    if let Some(option) = before.filter(|option| takes_minus(option) == Some(false)) {
        return Some(format!(
            "`{value}` begins as an option does: to give it to {option} all the same, write {option}={value}"
        ));
    }
    let verb = texts[..at].iter().map(AsRef::as_ref);
    of_verb(verb, value).map(|error| error.to_string())
}

/// What a verb says about a negative value that is its own, and no option's.
fn of_verb<'a>(
    mut words: impl Iterator<Item = &'a str>,
    value: &str,
) -> Option<quantity::InvalidQuantity> {
    words.find_map(|verb| match verb {
        "delay" => quantity::latency(value).err(),
        "loss" | "duplicate" | "reorder" | "corrupt" => quantity::percent(value).err(),
        "rate" => quantity::rate(value).err(),
        "dns" => quantity::dns_answer(value).err(),
        _ => None,
    })
}

fn names(error: &clap::Error, option: &str) -> bool {
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::Strings(missing)) => missing.iter().any(|one| one.contains(option)),
        Some(ContextValue::String(missing)) => missing.contains(option),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_behind_node_is_its_value() {
        for (written, meant) in [
            ("delay --node worker-1 100ms", "delay --node=worker-1 100ms"),
            ("delay 100ms --node worker-1", "delay 100ms --node=worker-1"),
            ("delay --node 100ms", "delay --node 100ms"),
            ("delay --node -5ms", "delay --node -5ms"),
            (
                "delay --node --duration 5s 1ms",
                "delay --node --duration 5s 1ms",
            ),
            ("delay 1ms --node", "delay 1ms --node"),
            ("loss --node 10.5%", "loss --node 10.5%"),
            ("partition --node 10.0.0.5", "partition --node=10.0.0.5"),
            (
                "partition --node a,b --peer x.y",
                "partition --node=a,b --peer x.y",
            ),
            ("dns --node nxdomain", "dns --node nxdomain"),
            ("dns nxdomain --node master", "dns nxdomain --node=master"),
            ("dns --node worker nxdomain", "dns --node=worker nxdomain"),
            ("delay 1ms -- --node x", "delay 1ms -- --node x"),
            ("--node", "--node"),
        ] {
            let words: Vec<_> = written.split(' ').map(OsString::from).collect();
            let joined = with_node_names(&words).join(" ".as_ref());
            assert_eq!(joined.to_str(), Some(meant));
        }
    }
}
