//! Arbitrary bytes, made of real experiments and of broken ones: none of them makes reading or looking at one panic, and what
//! is said of them has a place in them.
//!
//! The seed is fixed; `CHAOS_FUZZ_SEED` and `CHAOS_FUZZ_CASES` go elsewhere, and further.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, not what they call"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use chaos_toolkit::document::{Document, Format};
use chaos_toolkit::experiment::{Unasked, check};
use chaos_toolkit::problem::Problem;
use chaos_toolkit::settings::Settings;

/// Cases of a usual run: some seconds.
const CASES: u64 = 4_000;
const SEED: u64 = 0x5eed_cafe;

/// What mutations put in.
const PIECES: [&str; 64] = [
    "&a ",
    "*a",
    "<<: *a\n",
    "- ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "'",
    "\"",
    "|\n",
    ">-\n ",
    "#",
    " ",
    "\n",
    "\t",
    "? ",
    "---\n",
    "...\n",
    "!!str ",
    "!!int ",
    "!x ",
    "! ",
    "yes",
    "~",
    "null",
    "0x",
    "1:30",
    "1e999",
    "-",
    ".inf",
    "NaN",
    "\\u",
    "\\ud800",
    "\\x41",
    "\u{feff}",
    "\u{85}",
    "\u{2028}",
    "\u{1f600}",
    "\0",
    "\r\n",
    "%YAML 1.1\n",
    "ref",
    "type",
    "name",
    "provider",
    "tolerance",
    "undo",
    "abort_when",
    "controls",
    "method",
    "probe",
    "chaos",
    "env",
    "key",
    "/",
    "~0",
    "${x}",
    "2001-12-14",
    "99999999999999999999",
    "1.5",
    "true",
];

/// xorshift64*: the same numbers everywhere.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(most.max(1)).unwrap()).unwrap()
    }
}

fn number(name: &str, usual: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap(),
        Err(_) => usual,
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut files: Vec<_> = ["corpus", "malformed"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(tests.join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|file| {
            file.extension()
                .is_some_and(|of| of == "json" || of == "yaml")
        })
        // It takes its time, and stands for itself in its own test.
        .filter(|file| !file.ends_with("bomb.yaml"))
        .collect();
    files.sort();
    files
        .iter()
        .map(|file| std::fs::read(file).unwrap())
        .collect()
}

fn mutated(seeds: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = seeds[chance.below(seeds.len())].clone();
    for _ in 0..=chance.below(6) {
        let at = chance.below(bytes.len() + 1);
        let to = (at + chance.below(40)).min(bytes.len());
        match chance.below(7) {
            0 | 1 => {
                let piece = PIECES[chance.below(PIECES.len())];
                bytes.splice(at..at, piece.bytes());
            }
            2 => drop(bytes.drain(at..to)),
            3 => {
                let part = bytes[at..to].to_vec();
                let there = chance.below(bytes.len() + 1);
                bytes.splice(there..there, part);
            }
            4 => {
                let other = &seeds[chance.below(seeds.len())];
                let begin = chance.below(other.len() + 1);
                let end = (begin + chance.below(80)).min(other.len());
                bytes.splice(at..to, other[begin..end].iter().copied());
            }
            5 if at < bytes.len() => bytes[at] = u8::try_from(chance.below(256)).unwrap(),
            _ => bytes.truncate(at),
        }
    }
    bytes
}

/// Reads it, and looks at it.
fn look(bytes: &[u8], format: Format) -> (bool, Vec<Problem>) {
    let document = match Document::read_bytes("x", bytes, format) {
        Ok(document) => document,
        Err(problem) => return (false, vec![problem]),
    };
    let checked = futures::executor::block_on(check(&document, None, &Unasked));
    // A journal holds it, and gives it back.
    let text = document.value.to_string();
    let again = Document::read("x", &text, Format::Json).unwrap();
    assert_eq!(again.value, document.value);
    (
        true,
        checked
            .problems
            .into_iter()
            .chain(checked.warnings)
            .collect(),
    )
}

fn assert_placed(bytes: &[u8], problems: &[Problem]) {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.split(['\n', '\r']).count();
    for problem in problems {
        let place = problem
            .place
            .unwrap_or_else(|| panic!("no place: {problem}"));
        assert!(place.line >= 1 && place.column >= 1, "{problem}");
        assert!(place.line as usize <= lines, "{problem}");
        assert!(!problem.what.is_empty());
    }
}

#[test]
fn nothing_that_is_written_makes_them_panic() {
    let (seed, cases) = (
        number("CHAOS_FUZZ_SEED", SEED),
        number("CHAOS_FUZZ_CASES", CASES),
    );
    println!("seed {seed}, {cases} cases");
    let (seeds, mut chance) = (seeds(), Chance(seed));
    let (mut read, mut refused) = (0, 0);
    for case in 0..cases {
        let bytes = mutated(&seeds, &mut chance);
        for format in [Format::Json, Format::Yaml] {
            let done = catch_unwind(AssertUnwindSafe(|| {
                let (is_read, problems) = look(&bytes, format);
                assert_placed(&bytes, &problems);
                is_read
            }));
            let Ok(is_read) = done else {
                panic!(
                    "case {case} of seed {seed}, as {format:?}: {:?}",
                    String::from_utf8_lossy(&bytes)
                );
            };
            *if is_read { &mut read } else { &mut refused } += 1;
        }
        if let Ok(text) = str::from_utf8(&bytes) {
            let settings = catch_unwind(|| {
                drop(Settings::read("x", text).map(|settings| settings.authorization("a")));
            });
            assert!(settings.is_ok(), "case {case} of seed {seed}: {text:?}");
        }
    }
    println!("{read} were read, {refused} refused");
    // Both ways were gone, often.
    assert!(
        read > cases / 20 && refused > cases / 20,
        "{read} {refused}"
    );
}
