//! Every member inherits the workspace's lints: a table that no member inherits checks nothing.

use super::Finding;

/// Looks at one file of the repository.
pub(super) fn check(file: &str, text: &str) -> Option<Finding> {
    let is_member = file.ends_with("/Cargo.toml") && text.lines().any(|line| line == "[package]");
    (is_member && !inherits(text)).then(|| {
        Finding::new(
            file,
            None,
            "does not inherit the workspace's lints: add `[lints]` and `workspace = true`",
        )
    })
}

fn inherits(text: &str) -> bool {
    let mut lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    if lines.clone().any(|line| line == "lints.workspace = true") {
        return true;
    }
    lines.by_ref().any(|line| line == "[lints]")
        && lines
            .take_while(|line| !line.starts_with('['))
            .any(|line| line == "workspace = true")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_without_the_lints_is_found() {
        let without = "[package]\nname = \"a\"\nversion.workspace = true\n\n[dependencies]\nb = { workspace = true }\n";
        assert!(check("a/Cargo.toml", without).is_some());
        let other = format!("{without}[lints]\n[features]\nworkspace = true\n");
        assert!(check("a/Cargo.toml", &other).is_some());
        let with = format!("{without}[lints]\nworkspace = true\n");
        assert_eq!(check("a/Cargo.toml", &with), None);
    }

    #[test]
    fn other_files_are_left_alone() {
        assert_eq!(check("Cargo.toml", "[workspace]\n"), None);
        assert_eq!(check("README.md", "[package]\n"), None);
    }
}
