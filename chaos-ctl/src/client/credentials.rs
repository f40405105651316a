//! What a call says about who makes it.

use std::error::Error;
use std::fmt;
use std::pin::Pin;

/// A token, or why there is none.
pub type TokenAnswer<'a> =
    Pin<Box<dyn Future<Output = Result<String, Box<dyn Error + Send + Sync>>> + Send + 'a>>;

/// Where bearer tokens come from.
pub trait TokenSource: fmt::Debug + Send + Sync {
    /// A token that is valid now; not the one that an agent has just refused, if there can be another.
    fn token<'a>(&'a self, refused: Option<&'a str>) -> TokenAnswer<'a>;
}

/// A token that the user gave.
#[derive(Clone)]
pub struct GivenToken(pub String);

impl fmt::Debug for GivenToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GivenToken")
    }
}

impl TokenSource for GivenToken {
    fn token<'a>(&'a self, _refused: Option<&'a str>) -> TokenAnswer<'a> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}
