//! Which of several: drawn from a seed and from what each is, not from the order in which they are listed.

use std::collections::BTreeSet;

/// How many of those that it could be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// All.
    #[default]
    All,
    /// One.
    One,
    /// So many, or all where there are fewer.
    Fixed(u32),
    /// A share in parts per million, rounded up.
    Share(u32),
}

impl Mode {
    fn of(self, count: usize) -> usize {
        match self {
            Self::All => count,
            Self::One => count.min(1),
            Self::Fixed(wanted) => count.min(usize::try_from(wanted).unwrap_or(usize::MAX)),
            Self::Share(ppm) => {
                let share = (count as u128 * u128::from(ppm)).div_ceil(1_000_000);
                usize::try_from(share).unwrap_or(usize::MAX).min(count)
            }
        }
    }
}

/// The chosen ids. Those that were chosen before stay, also where they are more than the mode asks for.
pub fn choose<'a>(
    ids: impl IntoIterator<Item = &'a str>,
    mode: Mode,
    seed: u64,
    held: &BTreeSet<String>,
) -> BTreeSet<&'a str> {
    let mut ranked: Vec<_> = ids
        .into_iter()
        .map(|id| (!held.contains(id), rank(seed, id), id))
        .collect();
    ranked.sort_unstable();
    ranked.dedup();
    let wanted = mode.of(ranked.len());
    ranked
        .into_iter()
        .enumerate()
        .filter(|(place, (is_new, ..))| *place < wanted || !is_new)
        .map(|(_, (.., id))| id)
        .collect()
}

/// FNV-1a and the finish of splitmix64: the same in every version, so that a seed goes on meaning the same.
fn rank(seed: u64, id: &str) -> u64 {
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325 ^ seed, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("uid-{number}")).collect()
    }

    fn chosen(ids: &[String], mode: Mode, seed: u64) -> BTreeSet<&str> {
        choose(ids.iter().map(String::as_str), mode, seed, &BTreeSet::new())
    }

    #[test]
    fn a_mode_says_how_many() {
        let ten = ids(10);
        for (mode, count) in [
            (Mode::All, 10),
            (Mode::One, 1),
            (Mode::Fixed(3), 3),
            (Mode::Fixed(30), 10),
            (Mode::Share(1), 1),
            (Mode::Share(250_000), 3),
            (Mode::Share(500_000), 5),
            (Mode::Share(1_000_000), 10),
        ] {
            assert_eq!(chosen(&ten, mode, 7).len(), count, "{mode:?}");
            assert_eq!(chosen(&[], mode, 7).len(), 0);
        }
    }

    #[test]
    fn the_order_of_the_list_does_not_matter_and_the_seed_does() {
        let mut list = ids(100);
        let forwards: Vec<_> = chosen(&list, Mode::Fixed(10), 42)
            .into_iter()
            .map(str::to_owned)
            .collect();
        list.reverse();
        let backwards = chosen(&list, Mode::Fixed(10), 42);
        assert!(backwards.iter().eq(forwards.iter()));
        assert_ne!(backwards, chosen(&list, Mode::Fixed(10), 43));
    }

    #[test]
    fn each_is_chosen_about_as_often() {
        // n = 2000 seeds, p = 1/10: 200 ± 5 sigma (67). Seeds 0 to 1999.
        let list = ids(10);
        for id in &list {
            let times =
                (0..2000).filter(|seed| chosen(&list, Mode::One, *seed).contains(id.as_str()));
            let times = times.count();
            assert!((133..=267).contains(&times), "{id}: {times}");
        }
    }

    #[test]
    fn who_was_chosen_stays() {
        let list = ids(10);
        let held: BTreeSet<_> = ["uid-3", "uid-4", "uid-5", "gone"]
            .map(str::to_owned)
            .into();
        for seed in 0..50 {
            let chosen = choose(list.iter().map(String::as_str), Mode::Fixed(2), seed, &held);
            assert_eq!(chosen, ["uid-3", "uid-4", "uid-5"].into());
            let chosen = choose(list.iter().map(String::as_str), Mode::Fixed(4), seed, &held);
            assert!(chosen.len() == 4 && chosen.is_superset(&["uid-3", "uid-4", "uid-5"].into()));
        }
    }
}
