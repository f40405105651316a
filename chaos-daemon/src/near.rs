//! What somebody may have meant who wrote a name that there is not.

/// The rest of a sentence: the nearest name, or else all that there are.
pub fn hint<'a>(name: &str, there: impl IntoIterator<Item = &'a str>) -> String {
    let there: Vec<&str> = there.into_iter().collect();
    let nearest = there
        .iter()
        .map(|near| (strsim::damerau_levenshtein(near, name), *near))
        .min();
    match nearest {
        None => "; there is none".to_owned(),
        Some((distance, near)) if distance <= 1 + name.len() / 3 => {
            format!("; did you mean {near}?")
        }
        Some(_) => format!("; there is {}", there.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_miss_is_named_and_else_all_that_there_is() {
        assert_eq!(
            hint("providr", ["provider", "proxy"]),
            "; did you mean provider?"
        );
        assert_eq!(
            hint("db", ["provider", "proxy"]),
            "; there is provider, proxy"
        );
        assert_eq!(hint("db", []), "; there is none");
    }
}
