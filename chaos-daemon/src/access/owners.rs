//! Who started which experiment, and the hashes of the tokens by which they did.

use std::collections::{HashMap, HashSet};

use super::TokenHash;

#[derive(Default)]
pub(super) struct Owners {
    by_id: HashMap<String, Owner>,
}

struct Owner {
    name: String,
    tokens: HashSet<TokenHash>,
}

impl Owners {
    /// Whoever starts it owns it.
    pub(super) fn start(&mut self, id: &str, name: &str, token: TokenHash) {
        let owner = Owner {
            name: name.to_owned(),
            tokens: HashSet::from([token]),
        };
        self.by_id.insert(id.to_owned(), owner);
    }

    /// A further token of who started it. Others who may go on with it do not become its owners.
    pub(super) fn add(&mut self, id: &str, name: &str, token: TokenHash) {
        if let Some(owner) = self.by_id.get_mut(id)
            && owner.name == name
        {
            owner.tokens.insert(token);
        }
    }

    pub(super) fn has(&self, id: &str, name: &str, token: Option<TokenHash>) -> bool {
        let owner = self.by_id.get(id);
        owner.is_some_and(|owner| {
            token.is_some_and(|token| owner.name == name || owner.tokens.contains(&token))
        })
    }

    /// Whose token it is, among those who started this experiment, or any.
    pub(super) fn name(&self, token: TokenHash, id: Option<&str>) -> Option<String> {
        let mut owners = self.by_id.iter();
        let is_asked = |known: &str| id.is_none_or(|id| id == known);
        owners
            .find(|(known, owner)| is_asked(known) && owner.tokens.contains(&token))
            .map(|(_, owner)| owner.name.clone())
    }

    pub(super) fn retain(&mut self, is_known: impl Fn(&str) -> bool) {
        self.by_id.retain(|id, _| is_known(id));
    }
}
