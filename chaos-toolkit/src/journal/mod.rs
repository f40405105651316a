//! What is kept of a run: the journal, with the keys and types of the reference, and what is on disk while the run goes on.
//!
//! Knows what a run leaves, not how it goes. Keys that the reference does not have are added, and none of its own is
//! changed.

mod part;
mod record;
mod recover;
mod time;
mod write;

pub use part::part_path;
pub use recover::{RecoverError, recover};
pub use write::{WriteError, save, write};

pub(crate) use part::Part;
pub(crate) use record::{Entry, List, Record, Redact, Status, When, entry, lock};
pub(crate) use time::Stamp;

/// The version of the reference whose journals ours are like.
pub const REFERENCE_VERSION: &str = "1.44.0";

/// The key of our own version.
pub const VERSION_KEY: &str = "chaosctl-version";
