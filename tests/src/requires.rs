//! What a test needs of the machine. Where it is missing, the test says so and ends, and in strict mode fails.

use std::{
    env,
    io::Write as _,
    path::{Path, PathBuf},
};

use nix::unistd::geteuid;

/// Set to 1, a test whose requirements are not met fails instead of ending early.
pub const STRICT: &str = "CHAOS_TEST_STRICT";

/// Names of requirements that may be missing in strict mode all the same, separated by commas: what the runner knows
/// that this machine cannot have.
pub const MAY_MISS: &str = "CHAOS_TEST_MAY_MISS";

/// Ends the test early, with a line that says why, unless everything that it names is here. `root` and `cgroup2` are
/// known by those names; a string is a program on the path.
///
/// ```no_run
/// # use chaos_tests::requires;
/// requires!(root, "iperf3");
/// ```
#[macro_export]
macro_rules! requires {
    ($($thing:tt),+ $(,)?) => {
        $(
            if !$crate::requires::met(stringify!($thing).trim_matches('"')) {
                return;
            }
        )+
    };
}

/// Whether this is a machine without hardware virtualization, about 15 times slower.
pub fn is_emulated() -> bool {
    env::var("CHAOS_EMULATED").is_ok_and(|value| value == "1")
}

/// Whether a requirement is met; if not, prints why the test is skipped.
///
/// # Panics
/// In strict mode, when it is not met and not listed in `CHAOS_TEST_MAY_MISS`.
pub fn met(name: &str) -> bool {
    let Err(reason) = look_for(name) else {
        return true;
    };
    let may_miss =
        env::var(MAY_MISS).is_ok_and(|list| list.split(',').any(|item| item.trim() == name));
    let strict = env::var(STRICT).is_ok_and(|value| value == "1");
    assert!(
        !strict || may_miss,
        "{reason}; with {STRICT}=1 that fails the test, unless {MAY_MISS} lists {name:?}"
    );
    let _closed = writeln!(std::io::stderr(), "SKIP: {reason}");
    false
}

/// The reason why a requirement is not met.
fn look_for(name: &str) -> Result<(), String> {
    match name {
        "root" if geteuid().is_root() => Ok(()),
        "root" => Err("needs root".to_owned()),
        "cgroup2" if crate::lab::hierarchy().is_some() => Ok(()),
        "cgroup2" => Err("needs a mounted cgroup version 2 hierarchy".to_owned()),
        "k6" => crate::programs::k6()
            .map(drop)
            .map_err(|error| error.to_string()),
        "chaosk8s" => crate::programs::python_with_chaosk8s()
            .map(drop)
            .map_err(|error| error.to_string()),
        program if on_path(program).is_some() => Ok(()),
        program => Err(format!(
            "needs the program {program}; `cargo xtask setup` installs it"
        )),
    }
}

/// Where a program is.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    // Not every PATH has the directories of system programs.
    let directories =
        env::split_paths(&path).chain([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")]);
    directories
        .map(|directory| directory.join(program))
        .find(|path| Path::is_file(path))
}

#[cfg(test)]
mod tests {
    use super::look_for;

    #[test]
    fn the_reason_names_what_is_missing() {
        assert_eq!(look_for("sh"), Ok(()));
        assert!(
            look_for("no-such-program")
                .unwrap_err()
                .contains("no-such-program")
        );
    }
}
