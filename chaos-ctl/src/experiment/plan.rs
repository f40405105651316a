//! What all parts have in common before they act.

use chaos_proto::v1::Experiment;

use super::start::Prepared;
use crate::cluster::Part;
use crate::output::whole::{Piece, Standing, Whole};
use crate::output::words;

/// One experiment out of its parts.
pub(super) fn whole(prepared: &[Prepared], experiments: &[Experiment]) -> Whole {
    let pieces: Vec<_> = prepared
        .iter()
        .zip(experiments)
        .map(|(part, experiment)| Piece {
            node: match part.slot.node.as_str() {
                "" => experiment.node.clone(),
                node => node.to_owned(),
            },
            experiment: experiment.clone(),
            standing: Standing::Current,
        })
        .collect();
    Whole::of(&pieces)
}

/// Makes parts of one experiment: the same seed on all nodes, and the id that it returns.
pub(super) fn agree(parts: &mut [Part]) -> String {
    let drawn = getrandom::u64().unwrap_or_default();
    for part in parts.iter_mut() {
        part.request.seed.get_or_insert(drawn);
    }
    let rule = parts.first().and_then(|part| part.request.rules.first());
    let fault = rule.map(words::fault).unwrap_or_default();
    let kind: String = fault.chars().take_while(char::is_ascii_lowercase).collect();
    let number = getrandom::u32().unwrap_or_default() & 0xff_ffff;
    format!("{kind}-{number:06x}")
}
