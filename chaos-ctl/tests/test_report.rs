//! `chaosctl report` from the command line: where the report goes, in which form, and what is said where there is none.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::chaosctl::{chaosctl, finish};

/// A directory with a journal.
struct Desk {
    directory: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let journals =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../chaos-toolkit/tests/journals");
        let journal = directory.path().join("journal.json");
        std::fs::copy(journals.join("reference-deviating.json"), journal).unwrap();
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn report(&self, arguments: &[&str]) -> Command {
        let mut command = chaosctl(&[&["report"], arguments].concat());
        command.current_dir(self.directory.path());
        command
    }
}

#[test]
fn a_report_is_html_where_nothing_else_is_said() {
    let desk = Desk::new();
    let done = finish(&mut desk.report(&["journal.json"]));
    assert_eq!(
        (done.code, &*done.stdout, &*done.stderr),
        (Some(0), "report.html\n", "")
    );
    let page = desk.read("report.html");
    assert!(
        page.starts_with("<!DOCTYPE html>") && page.contains("The file of the orders survives")
    );
}

#[test]
fn the_name_of_the_file_says_the_form() {
    let desk = Desk::new();
    for arguments in [
        ["-o", "week.md"],
        ["--output", "week.md"],
        ["--to", "week.md"],
    ] {
        let arguments = [
            &["journal.json", "journal.json", "--title", "Game day"],
            &arguments[..],
        ]
        .concat();
        let done = finish(&mut desk.report(&arguments));
        assert_eq!(
            (done.code, &*done.stdout),
            (Some(0), "week.md\n"),
            "{done:?}"
        );
        assert!(desk.read("week.md").starts_with("# Game day\n"));
        std::fs::remove_file(desk.path("week.md")).unwrap();
    }
    let done = finish(&mut desk.report(&["journal.json", "--output=a.html", "-o", "json"]));
    let wanted = serde_json::json!({ "report": "a.html", "format": "html", "journals": 1 });
    assert_eq!(done.json(), wanted);
    let done = finish(&mut desk.report(&["journal.json", "--format", "markdown", "--to", "-"]));
    assert!(
        done.stdout
            .starts_with("# The file of the orders survives\n"),
        "{done:?}"
    );
}

#[test]
fn a_journal_that_is_none_is_told_by_its_place_and_nothing_is_written() {
    let desk = Desk::new();
    std::fs::write(desk.path("bad.json"), "{\n  \"run\": [,]\n}").unwrap();
    std::fs::write(
        desk.path("odd.json"),
        r#"{"experiment": {}, "run": [null]}"#,
    )
    .unwrap();
    for (file, sentence) in [
        (
            "bad.json",
            "error: bad.json:2:11: this is no JSON: expected value; give a journal that",
        ),
        (
            "odd.json",
            "error: odd.json: /run/0: a journal has an object here, and this is null",
        ),
        (
            "none.json",
            "error: cannot read the journal none.json: No such file or directory",
        ),
    ] {
        let done = finish(&mut desk.report(&["journal.json", file]));
        assert_eq!(done.code, Some(2), "{done:?}");
        assert!(done.stderr.starts_with(sentence), "{done:?}");
    }
    assert!(!desk.path("report.html").exists());
}

#[test]
fn a_pdf_is_printed_by_the_browser_of_the_system() {
    let desk = Desk::new();
    let done = finish(
        desk.report(&["journal.json", "-o", "a.pdf"])
            .env("PATH", desk.path("")),
    );
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(
        done.stderr
            .starts_with("error: a PDF is printed by a browser, and none is on the PATH"),
        "{done:?}"
    );
    assert!(!desk.path("a.pdf").exists());
    // One that copies what it was told to print, and tells how it was called.
    let browser = desk.path("chromium");
    let script = "#!/bin/sh\nfor word; do case $word in\n --print-to-pdf=*) to=${word#*=} ;;\n file://*) page=${word#file://} ;;\n\
                  --user-data-dir=*) test ! -e \"${word#*=}\" || exit 1 ;; esac; done\n{ echo %PDF; /bin/cat \"$page\"; } > \"$to\"\n";
    std::fs::write(&browser, script).unwrap();
    std::fs::set_permissions(&browser, std::fs::Permissions::from_mode(0o755)).unwrap();
    let done = finish(
        desk.report(&["journal.json", "-o", "a.pdf"])
            .env("PATH", desk.path("")),
    );
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(desk.read("a.pdf").starts_with("%PDF\n<!DOCTYPE html>"));
    // One that prints nothing.
    std::fs::write(&browser, "#!/bin/sh\necho 'no display' >&2\nexit 3\n").unwrap();
    let done = finish(
        desk.report(&["journal.json", "-o", "b.pdf"])
            .env("PATH", desk.path("")),
    );
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(
        done.stderr.contains("chromium printed no PDF: no display"),
        "{done:?}"
    );
    assert!(!desk.path("b.pdf").exists());
}

#[test]
fn a_part_that_a_later_run_left_is_told_and_whole_journals_need_no_recovery() {
    let desk = Desk::new();
    let text = desk.read("journal.json");
    let journal: serde_json::Value = serde_json::from_str(&text).unwrap();
    let done = finish(&mut desk.report(&["--recover", "journal.json"]));
    assert_eq!(done.code, Some(0), "{done:?}");
    let first = serde_json::json!({"journal": journal});
    std::fs::write(desk.path("journal.json.part"), format!("{first}\n")).unwrap();
    let done = finish(&mut desk.report(&["journal.json"]));
    assert_eq!(done.code, Some(0), "{done:?}");
    let warning = "warning: journal.json is of an earlier run: a later one was killed, or goes on";
    assert!(done.stderr.starts_with(warning), "{done:?}");
    assert_eq!(desk.read("journal.json"), text);
    let done = finish(&mut desk.report(&["--recover", "journal.json"]));
    assert_eq!(done.code, Some(0), "{done:?}");
    let recovered: serde_json::Value = serde_json::from_str(&desk.read("journal.json")).unwrap();
    assert_eq!(recovered["status"], "interrupted");
    let done = finish(&mut desk.report(&["journal.json"]));
    assert_eq!((done.code, &*done.stderr), (Some(0), ""), "{done:?}");
}
