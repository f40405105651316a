//! Header fields: what may be written into messages.

use super::{MOST_FIELDS, ServiceError, check_count};

/// Longest name and value together.
const LONGEST: usize = 8 * 1024;
/// They say where a message ends, or what becomes of its connection: one that is wrong makes two messages out of one.
const FRAMING: [&str; 8] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A header field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name, as written.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// What becomes of the header of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// Fields that it has from then on; each instead of those of its name.
    pub set: Vec<Field>,
    /// Names of fields that it no longer has.
    pub remove: Vec<String>,
}

impl Field {
    fn check(&self) -> Result<(), ServiceError> {
        check_name(&self.name)?;
        let is_written = |byte: u8| byte == b'\t' || (b' '..=b'~').contains(&byte);
        let is_trimmed = self.value.trim_matches([' ', '\t']).len() == self.value.len();
        if !is_trimmed || !self.value.bytes().all(is_written) {
            return Err(ServiceError::FieldValue {
                name: self.name.clone(),
                value: self.value.clone(),
            });
        }
        let length = self.name.len() + self.value.len();
        if length > LONGEST {
            return Err(ServiceError::Long {
                what: "a header field",
                length,
                most: LONGEST,
            });
        }
        Ok(())
    }
}

impl Edits {
    /// Whether there is nothing to do.
    pub const fn is_empty(&self) -> bool {
        self.set.is_empty() && self.remove.is_empty()
    }

    pub(super) fn check(&self) -> Result<(), ServiceError> {
        check_fields(&self.set)?;
        check_count("header fields to remove", self.remove.len(), MOST_FIELDS)?;
        for name in &self.remove {
            check_name(name)?;
            if self.set.iter().any(|field| is_same(&field.name, name)) {
                return Err(ServiceError::FieldTwice(name.clone()));
            }
        }
        Ok(())
    }
}

/// Names are the same in either case.
fn is_same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// Fields that are written.
pub(super) fn check_fields(fields: &[Field]) -> Result<(), ServiceError> {
    check_count("header fields of a kind", fields.len(), MOST_FIELDS)?;
    for (index, field) in fields.iter().enumerate() {
        field.check()?;
        let before = &fields[..index];
        if before.iter().any(|there| is_same(&there.name, &field.name)) {
            return Err(ServiceError::FieldTwice(field.name.clone()));
        }
    }
    Ok(())
}

/// Letters, digits, and those signs that a name may have.
pub(super) fn is_token(text: &str) -> bool {
    let is_sign = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_sign)
}

fn check_name(name: &str) -> Result<(), ServiceError> {
    if !is_token(name) || name.len() > LONGEST {
        return Err(ServiceError::FieldName(name.to_owned()));
    }
    if FRAMING.iter().any(|framing| is_same(framing, name)) {
        return Err(ServiceError::Framing(name.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, value: &str) -> Field {
        Field {
            name: name.to_owned(),
            value: value.to_owned(),
        }
    }

    #[test]
    fn nobody_makes_two_messages_out_of_one() {
        for bad in [
            field("Content-Length", "3"),
            field("transfer-encoding", "chunked"),
            field("Connection", "close"),
            field("x-a", "1\r\nx-b: 2"),
            field("x-a", "1\0"),
            field("x-a", " 1"),
            field("x-ä", "1"),
            field("x-a", "ä"),
            field("x a", "1"),
            field("x-a:", "1"),
            field(":path", "/"),
            field("", "1"),
            field("x-a", &"a".repeat(LONGEST)),
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
        for good in [field("x-a", ""), field("Host", "b"), field("x-a", "a\tb c")] {
            assert_eq!(good.check(), Ok(()), "{good:?}");
        }
    }

    #[test]
    fn a_field_is_written_once() {
        let edits = Edits {
            set: vec![field("x-a", "1"), field("X-A", "2")],
            remove: vec![],
        };
        assert_eq!(edits.check(), Err(ServiceError::FieldTwice("X-A".into())));
        let edits = Edits {
            set: vec![field("x-a", "1")],
            remove: vec!["X-A".into()],
        };
        assert_eq!(edits.check(), Err(ServiceError::FieldTwice("X-A".into())));
    }
}
