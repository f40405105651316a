//! Changes to the fields of a head, on its bytes: what is not named stays as it came, in its order. Knows no tokio.

/// Fields that go, and fields that come in place of all of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::relay) struct Edit<'a> {
    pub(in crate::relay) remove: Vec<&'a str>,
    pub(in crate::relay) set: Vec<(&'a str, &'a str)>,
}

impl<'a> Edit<'a> {
    /// Whether nothing changes.
    pub(in crate::relay) fn is_nothing(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty()
    }

    /// Whether a field of this name is set.
    pub(in crate::relay) fn sets(&self, name: &str) -> bool {
        self.set
            .iter()
            .any(|(other, _)| other.eq_ignore_ascii_case(name))
    }

    /// Adds a field that replaces all of its name, those that an earlier rule sets, too.
    pub(in crate::relay) fn set(&mut self, name: &'a str, value: &'a str) {
        self.set
            .retain(|(earlier, _)| !earlier.eq_ignore_ascii_case(name));
        self.set.push((name, value));
    }

    /// Takes a field away, and what an earlier rule sets.
    pub(in crate::relay) fn remove(&mut self, name: &'a str) {
        self.set
            .retain(|(earlier, _)| !earlier.eq_ignore_ascii_case(name));
        self.remove.push(name);
    }

    fn takes(&self, name: &[u8]) -> bool {
        let same = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        self.remove.iter().any(|other| same(other)) || self.set.iter().any(|(other, _)| same(other))
    }

    /// The head that goes on in place of this one, which has been read whole.
    pub(in crate::relay) fn apply(&self, head: &[u8]) -> Vec<u8> {
        let mut edited = Vec::with_capacity(head.len() + 256);
        let fields = head.strip_suffix(b"\r\n").unwrap_or(head);
        let mut seen_first = false;
        for line in fields.split_inclusive(|&byte| byte == b'\n') {
            let name = line
                .iter()
                .position(|&byte| byte == b':')
                .map(|end| &line[..end]);
            if !seen_first || !name.is_some_and(|name| self.takes(name)) {
                edited.extend_from_slice(line);
            }
            seen_first |= line != b"\r\n";
        }
        for (name, value) in &self.set {
            for piece in [name, ": ", value, "\r\n"] {
                edited.extend_from_slice(piece.as_bytes());
            }
        }
        edited.extend_from_slice(b"\r\n");
        edited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_changes() {
        let head = b"\r\nGET a:b HTTP/1.1\r\nHoSt: x\r\nX-A:1\r\nhost-other: y\r\nx-a: 2\r\nB:  keep \r\n\r\n";
        assert_eq!(Edit::default().apply(head), head);
        let mut edit = Edit::default();
        edit.set("X-A", "first");
        edit.set("x-a", "new");
        edit.remove("Get a");
        edit.remove("HOST-OTHER");
        let expected = b"\r\nGET a:b HTTP/1.1\r\nHoSt: x\r\nB:  keep \r\nx-a: new\r\n\r\n";
        assert_eq!(edit.apply(head), expected);
        edit.remove("X-a");
        assert_eq!(
            edit.apply(head),
            b"\r\nGET a:b HTTP/1.1\r\nHoSt: x\r\nB:  keep \r\n\r\n"
        );
    }
}
