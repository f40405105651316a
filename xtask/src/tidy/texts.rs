//! Rules about single files: module documentation, size, names, words that must not stay, and paths
//! of somebody's machine.

use super::code::{before_tests, without_comments_and_literals};
use super::{Finding, is_rust, is_unit_tests};

/// Lines before the tests; around half of it is usual.
const LINES: usize = 400;
const LINES_OF_MAIN: usize = 80;
/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &[
    "utils", "util", "common", "helpers", "helper", "manager", "misc",
];
const NOT_TO_STAY: &[(&str, &str)] = &[
    (
        "#[ignore",
        "let the test say what it requires, or remove it",
    ),
    ("#[should_panic", "assert on the error that comes back"),
    ("todo!", "write it, or leave the whole thing out"),
    ("unimplemented!", "write it, or leave the whole thing out"),
];
/// In two parts, because this file is looked at, too.
const MACHINE_PATHS: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/")];

/// Looks at one file of the repository.
pub(super) fn check(file: &str, text: &str) -> Vec<Finding> {
    let mut findings = machine_paths(file, text);
    let is_generated = text.lines().take(5).any(|line| line.contains("@generated"));
    if is_rust(file) && !is_generated {
        let code = without_comments_and_literals(text);
        findings.extend(documentation(file, text));
        findings.extend(size(file, &code));
        findings.extend(names(file, &code));
        findings.extend(words(file, &code));
    }
    findings
}

fn machine_paths(file: &str, text: &str) -> Vec<Finding> {
    let starts_there = |line: &str, at: usize| {
        // Below another directory it is somebody else's name.
        !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-~/}".contains(c))
    };
    let lines = text.lines().enumerate();
    lines
        .filter_map(|(number, line)| {
            let path = MACHINE_PATHS.iter().find(|path| {
                line.match_indices(**path)
                    .any(|(at, _)| starts_there(line, at))
            })?;
            let sentence = format!(
                "names {path}, a directory of one machine: say it relative to the repository"
            );
            Some(Finding::new(file, number + 1, sentence))
        })
        .collect()
}

fn documentation(file: &str, text: &str) -> Option<Finding> {
    let first = text
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    (!first.starts_with("//!")).then(|| {
        Finding::new(
            file,
            1,
            "does not open with `//!`: say what the module is for, and what it must not know",
        )
    })
}

fn size(file: &str, code: &str) -> Option<Finding> {
    let lines = if is_unit_tests(file) {
        0
    } else {
        before_tests(code).lines().count()
    };
    let most = if file.ends_with("main.rs") && file.contains("src/") {
        LINES_OF_MAIN
    } else {
        LINES
    };
    (lines > most).then(|| {
        Finding::new(
            file,
            None,
            format!("has {lines} lines before its tests, {most} is the most: split it"),
        )
    })
}

fn names(file: &str, code: &str) -> Vec<Finding> {
    let advice = "says nothing about what is inside: name it after its one job";
    let mut findings = Vec::new();
    for part in file.split('/') {
        let name = part.strip_suffix(".rs").unwrap_or(part);
        if EMPTY_NAMES.contains(&name) {
            findings.push(Finding::new(
                file,
                None,
                format!("the name {name} {advice}"),
            ));
        }
    }
    for (number, line) in code.lines().enumerate() {
        let mut words = line
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .skip_while(|word| *word != "mod");
        if let Some(name) = words.nth(1).filter(|name| EMPTY_NAMES.contains(name)) {
            findings.push(Finding::new(
                file,
                number + 1,
                format!("the name {name} {advice}"),
            ));
        }
    }
    findings
}

fn words(file: &str, code: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in code.lines().enumerate() {
        for (word, instead) in NOT_TO_STAY {
            if line.contains(word) {
                findings.push(Finding::new(
                    file,
                    number + 1,
                    format!("{word} must not stay: {instead}"),
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentences(file: &str, text: &str) -> Vec<String> {
        check(file, text).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_module_opens_with_its_documentation() {
        assert_eq!(sentences("a/src/b.rs", "//! About b.\n").len(), 0);
        let found = sentences("a/src/b.rs", "use c;\n//! Late.\n");
        assert!(
            found[0].starts_with("a/src/b.rs:1: does not open"),
            "{found:?}"
        );
        assert_eq!(
            sentences("a/src/b.rs", "// This file is @generated by prost-build.\n").len(),
            0
        );
        assert_eq!(sentences("a/b.md", "# b\n").len(), 0);
    }

    #[test]
    fn a_file_has_a_size() {
        let lines = |count: usize| format!("//! A.\n{}", "fn f() {}\n".repeat(count - 1));
        assert_eq!(sentences("a/src/b.rs", &lines(400)).len(), 0);
        assert_eq!(sentences("a/src/b.rs", &lines(401)).len(), 1);
        assert_eq!(sentences("a/src/main.rs", &lines(81)).len(), 1);
        let tested = format!(
            "{}#[cfg(test)]\nmod tests {{\n{}}}\n",
            lines(400),
            "fn g() {}\n".repeat(500)
        );
        assert_eq!(sentences("a/src/b.rs", &tested).len(), 0);
    }

    #[test]
    fn a_name_says_what_is_inside() {
        assert_eq!(sentences("a/src/utils.rs", "//! A.\n").len(), 1);
        assert_eq!(sentences("a/tests/common/mod.rs", "//! A.\n").len(), 1);
        let found = sentences("a/src/b.rs", "//! A.\npub(crate) mod helpers {\n}\n");
        assert!(
            found[0].starts_with("a/src/b.rs:2: the name helpers"),
            "{found:?}"
        );
        assert_eq!(
            sentences("a/src/b.rs", "//! A mod utils.\nmod commons;\n").len(),
            0
        );
    }

    #[test]
    fn unfinished_things_do_not_stay() {
        for line in [
            "#[ignore = \"slow\"]",
            "#[should_panic]",
            "todo!()",
            "unimplemented!(\"x\")",
        ] {
            assert_eq!(
                sentences("a/src/b.rs", &format!("//! A.\n{line}\n")).len(),
                1,
                "{line}"
            );
        }
        assert_eq!(
            sentences("a/src/b.rs", "//! A todo! list.\nlet a = \"#[ignore\";\n").len(),
            0
        );
    }

    #[test]
    fn paths_of_a_machine_are_found_in_every_text() {
        let home = MACHINE_PATHS[1];
        assert_eq!(
            sentences("docs/a.md", &format!("see `{home}.cargo`\n")).len(),
            1
        );
        assert_eq!(
            sentences("docs/a.md", &format!("see target{home}\n")).len(),
            0
        );
    }
}
