//! A share, as people write it: `50%`, `50 percent`, or the number alone.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

/// 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Percent(f64);

impl Percent {
    /// All of it.
    pub const ALL: Self = Self(100.0);

    /// Nothing where there is no such share.
    pub fn of(percent: f64) -> Option<Self> {
        (0.0..=100.0).contains(&percent).then_some(Self(percent))
    }

    /// Whether so many of so many are at most this share.
    pub fn covers(self, part: usize, whole: usize) -> bool {
        // Both are bounded by what a cluster has.
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let (part, whole) = (part as f64, whole as f64);
        part * 100.0 <= self.0 * whole
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.0)
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(f64),
    Text(String),
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong =
            |text: String| de::Error::custom(format!("{text} is no share: give 0% to 100%"));
        let written = Written::deserialize(deserializer).map_err(|_| wrong("that".to_owned()))?;
        match written {
            Written::Number(number) => Self::of(number).ok_or_else(|| wrong(number.to_string())),
            Written::Text(text) => {
                let number = text.trim();
                let number = number
                    .strip_suffix('%')
                    .or_else(|| number.strip_suffix("percent"))
                    .unwrap_or(number);
                let parsed = number.trim().parse().ok().and_then(Self::of);
                parsed.ok_or_else(|| wrong(format!("{text:?}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_write_it_in_several_ways() {
        for text in ["50", "50.0", "\"50%\"", "\"50 %\"", "\"50 percent\""] {
            let percent: Percent = serde_json::from_str(text).unwrap();
            assert_eq!(percent, Percent(50.0), "{text}");
        }
        for text in ["-1", "101", "\"half\"", "null", "[]", "\"NaN\""] {
            assert!(serde_json::from_str::<Percent>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_share_is_what_it_says() {
        let half = Percent(50.0);
        assert!(half.covers(2, 4) && half.covers(2, 5) && !half.covers(3, 5));
        assert!(Percent::ALL.covers(5, 5) && !Percent::ALL.covers(6, 5));
        assert!(!half.covers(1, 0));
    }
}
