//! Loss in bursts: the parameters of the Gilbert-Elliott and of the four-state model, in netem's order.

use chaos_proto::v1::{FourStates, GilbertElliott};

use super::share::parts_per_million;
use super::{InvalidQuantity, Problem};

const BURST: &str = "give p,r[,1-h[,1-k]] in percent, such as 1,10 or 1,10,70,0.1";
const FOUR_STATE: &str = "give p13,p31[,p32[,p23[,p14]]] in percent, such as 1,10 or 1,10,5,50,0.1";
const ALL: u32 = 1_000_000;

/// Reads `p,r[,1-h[,1-k]]`; left out, every packet is lost in a burst, and none between.
pub fn burst(text: &str) -> Result<GilbertElliott, InvalidQuantity> {
    let model = parameters(text).and_then(|given| match given[..] {
        [0, _, ..] | [_, 0, ..] => Err(Problem::Zero),
        [to_bad_ppm, to_good_ppm, ref rest @ ..] if rest.len() <= 2 => Ok(GilbertElliott {
            to_bad_ppm,
            to_good_ppm,
            lost_in_bad_ppm: rest.first().copied().unwrap_or(ALL),
            lost_in_good_ppm: rest.get(1).copied().unwrap_or(0),
        }),
        _ => Err(Problem::Malformed),
    });
    model.map_err(|problem| InvalidQuantity::new("burst model", text, problem, BURST))
}

/// Reads `p13,p31[,p32[,p23[,p14]]]`; left out, a burst has no gaps, and no packet is lost alone.
pub fn four_state(text: &str) -> Result<FourStates, InvalidQuantity> {
    let model = parameters(text).and_then(|given| match given[..] {
        [p13_ppm, p31_ppm, ref rest @ ..] if rest.len() <= 3 => Ok(FourStates {
            p13_ppm,
            p31_ppm,
            p32_ppm: rest.first().copied().unwrap_or(0),
            p23_ppm: rest.get(1).copied().unwrap_or(ALL),
            p14_ppm: rest.get(2).copied().unwrap_or(0),
        }),
        _ => Err(Problem::Malformed),
    });
    model.map_err(|problem| InvalidQuantity::new("four-state model", text, problem, FOUR_STATE))
}

fn parameters(text: &str) -> Result<Vec<u32>, Problem> {
    if text.is_empty() {
        return Err(Problem::Empty);
    }
    text.split(',')
        .map(|part| parts_per_million(part.trim()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_have_the_defaults_of_netem() {
        let model = |values: [u32; 4]| GilbertElliott {
            to_bad_ppm: values[0],
            to_good_ppm: values[1],
            lost_in_bad_ppm: values[2],
            lost_in_good_ppm: values[3],
        };
        for (text, values) in [
            ("1,10", [10_000, 100_000, ALL, 0]),
            ("1%,10%,70%", [10_000, 100_000, 700_000, 0]),
            ("0.5, 20, 70, 0.1", [5_000, 200_000, 700_000, 1_000]),
            ("100,100,0,0", [ALL, ALL, 0, 0]),
        ] {
            assert_eq!(burst(text), Ok(model(values)), "{text}");
        }
        for (text, problem) in [
            ("", Problem::Empty),
            ("1", Problem::Malformed),
            ("1,2,3,4,5", Problem::Malformed),
            ("1,,2", Problem::Empty),
            ("0,10", Problem::Zero),
            ("1,0", Problem::Zero),
            ("1,-10", Problem::Negative),
            ("1,101", Problem::TooLarge),
            ("p,r", Problem::Malformed),
        ] {
            assert_eq!(burst(text).map_err(|e| e.problem), Err(problem), "{text}");
        }
    }

    #[test]
    fn four_states_have_the_defaults_of_netem() {
        let model = |values: [u32; 5]| FourStates {
            p13_ppm: values[0],
            p31_ppm: values[1],
            p32_ppm: values[2],
            p23_ppm: values[3],
            p14_ppm: values[4],
        };
        for (text, values) in [
            ("1,10", [10_000, 100_000, 0, ALL, 0]),
            ("1,10,5", [10_000, 100_000, 50_000, ALL, 0]),
            ("1,10,5,50,0.1", [10_000, 100_000, 50_000, 500_000, 1_000]),
            ("0,0,0,0,1", [0, 0, 0, 0, 10_000]),
        ] {
            assert_eq!(four_state(text), Ok(model(values)), "{text}");
        }
        for (text, problem) in [
            ("", Problem::Empty),
            ("1", Problem::Malformed),
            ("1,2,3,4,5,6", Problem::Malformed),
            ("1,101", Problem::TooLarge),
        ] {
            let said = four_state(text).map_err(|e| e.problem);
            assert_eq!(said, Err(problem), "{text}");
        }
    }
}
