//! Names that may have been meant.

/// So many are enough to choose from.
const AT_MOST: usize = 3;

/// The names that are most like this one, the nearest first: a letter in three wrong, or one a part of the other.
pub(super) fn near<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let wrong = (name.chars().count() / 3).max(1);
    let mut near: Vec<_> = known
        .into_iter()
        .filter_map(|known| {
            let distance = strsim::damerau_levenshtein(name, known);
            let is_part = name.len() > 2 && known.len() > 2;
            let is_part = is_part && (known.contains(name) || name.contains(known));
            (distance <= wrong || is_part).then_some((distance, known))
        })
        .collect();
    near.sort_unstable();
    near.dedup();
    near.truncate(AT_MOST);
    near.into_iter()
        .map(|(_, known)| known.to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_and_parts_are_near() {
        let known = ["provider-chaos-service", "consumer", "db", "kube-dns"];
        assert_eq!(near("provider", known), ["provider-chaos-service"]);
        assert_eq!(near("consumre", known), ["consumer"]);
        assert_eq!(near("kube-dns-2", known), ["kube-dns"]);
        assert_eq!(near("de", known), ["db"]);
        assert!(near("frontend", known).is_empty());
    }

    #[test]
    fn the_nearest_are_first_and_few() {
        let known = ["web-4", "web-33", "web", "web-222", "web-1"];
        assert_eq!(near("web-3", known), ["web-1", "web-33", "web-4"]);
    }
}
