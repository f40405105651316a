//! How many tests passed and failed, read off what the test runners print at their end.

use std::ops::AddAssign;

/// Tests that ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl Tally {
    /// Of nextest's closing line, `Summary [ 1.2s] 9 tests run: 7 passed (1 slow), 1 failed, …`.
    pub(crate) fn of_nextest(output: &str, succeeded: bool) -> Self {
        let plain = without_colour(output);
        let summary = plain.lines().rev().find_map(|line| {
            let (_, counts) = line
                .trim_start()
                .strip_prefix("Summary [")?
                .split_once(':')?;
            Some(counts.to_owned())
        });
        summary
            .map_or_else(Self::default, |counts| Self::of_counts(&counts))
            .or_failed(succeeded)
    }

    /// Of the closing lines of cargo's own runner, `test result: ok. 3 passed; 0 failed; …`.
    pub(super) fn of_libtest(output: &str, succeeded: bool) -> Self {
        let mut tally = Self::default();
        for line in without_colour(output).lines() {
            if let Some(counts) = line.strip_prefix("test result: ") {
                tally += Self::of_counts(counts);
            }
        }
        tally.or_failed(succeeded)
    }

    /// Every number is followed by what it counts.
    fn of_counts(counts: &str) -> Self {
        let mut tally = Self::default();
        let words: Vec<&str> = counts
            .split([' ', ',', ';', '(', ')', '.'])
            .filter(|word| !word.is_empty())
            .collect();
        for pair in words.windows(2) {
            let Ok(count) = pair[0].parse::<u32>() else {
                continue;
            };
            match pair[1] {
                "passed" => tally.passed += count,
                // "2 timed out", "1 exec failed"
                "failed" | "timed" | "exec" => tally.failed += count,
                _ => {}
            }
        }
        tally
    }

    /// A runner that failed without a failed test (a crash, a list that it could not read, a test
    /// that compiles no more) counts as one: there is no passing summary after it.
    fn or_failed(mut self, succeeded: bool) -> Self {
        if !succeeded && self.failed == 0 {
            eprintln!("test: the test runner failed without naming a test");
            self.failed = 1;
        }
        self
    }
}

/// A test that nextest says has ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct EndedTest {
    /// As nextest's filters call it.
    pub(super) binary: String,
    pub(super) name: String,
    pub(super) passed: bool,
}

pub(super) fn ended(output: &str) -> Vec<EndedTest> {
    without_colour(output)
        .lines()
        .filter_map(|line| {
            let (status, rest) = line.trim_start().split_once(" [")?;
            let passed = status == "PASS";
            let failed =
                matches!(status, "FAIL" | "TIMEOUT" | "ABORT") || status.starts_with("SIG");
            let mut words = rest.split_whitespace().rev();
            let (name, binary) = (words.next()?, words.next()?);
            (passed || failed).then(|| EndedTest {
                binary: binary.to_owned(),
                name: name.to_owned(),
                passed,
            })
        })
        .collect()
}

/// `text` without terminal escape sequences.
fn without_colour(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        plain.push_str(before);
        let end = after
            .find(|c: char| c.is_ascii_alphabetic())
            .map_or(after.len(), |end| end + 1);
        rest = &after[end..];
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(passed: u32, failed: u32) -> Tally {
        Tally { passed, failed }
    }

    #[test]
    fn nextest_s_summary_is_counted() {
        let cases = [
            (
                "     Summary [   0.003s] 4 tests run: 4 passed, 2 skipped",
                tally(4, 0),
            ),
            (
                "     Summary [   1.203s] 1 test run: 1 passed (1 slow), 0 skipped",
                tally(1, 0),
            ),
            (
                "\x1b[32;1m     Summary\x1b[0m [   0.003s] \x1b[1m4\x1b[0m tests run: \x1b[1m4\x1b[0m \x1b[32;1mpassed\x1b[0m, 0 skipped",
                tally(4, 0),
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(
                Tally::of_nextest(&format!("x\n{line}\n"), true),
                expected,
                "{line}"
            );
        }
        let line = "     Summary [  10.0s] 7/9 tests run: 2 passed (1 leaky), 2 failed, 2 timed out, 1 exec failed, 3 skipped\n        FAIL x\n";
        assert_eq!(Tally::of_nextest(line, false), tally(2, 5));
    }

    #[test]
    fn tests_that_ended_are_named() {
        let output = "x [y\n        PASS [  15.698s] (  1/188) chaos-tests::daemon answers::a_b\n        FAIL [   1.000s] (  2/188) chaos-tests::daemon c::d\n        SLOW [>120.000s] (───────) chaos-tests::daemon e\n\x1b[32;1m        PASS\x1b[0m [   0.1s] \x1b[35;1mchaos-tests::netns\x1b[0m \x1b[36mf\x1b[0m\n";
        let expected = [
            ("chaos-tests::daemon", "answers::a_b", true),
            ("chaos-tests::daemon", "c::d", false),
            ("chaos-tests::netns", "f", true),
        ];
        let expected = expected.map(|(binary, name, passed)| EndedTest {
            binary: binary.to_owned(),
            name: name.to_owned(),
            passed,
        });
        assert_eq!(ended(output), expected);
    }

    #[test]
    fn libtest_s_results_add_up() {
        let text = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s\n\ntest result: FAILED. 1 passed; 2 failed; 0 ignored\n";
        assert_eq!(Tally::of_libtest(text, false), tally(4, 2));
    }

    #[test]
    fn a_runner_that_fails_without_a_summary_is_a_failure() {
        assert_eq!(
            Tally::of_nextest("error: could not compile", false),
            tally(0, 1)
        );
        let line = "     Summary [   0.003s] 4 tests run: 4 passed, 2 skipped";
        assert_eq!(Tally::of_nextest(line, false), tally(4, 1));
    }
}
