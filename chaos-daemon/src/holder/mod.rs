//! The holder: a process of its own that keeps the frames of TAP lines until they may go.
//!
//! It is separate so that what it holds outlives the agent: when the agent dies or hangs, the holder lets
//! every frame go on time, closes its devices and ends. It knows frames and departure times; it knows
//! nothing of rules, targets or namespaces.

mod client;
mod frame;
mod process;
mod queue;

pub use client::{Holder, LineId};
pub use process::run;

/// Argument with which the agent starts its own program as the holder.
pub const ARGUMENT: &str = "hold-lines";

/// Length of a message: kind, then number of the line.
const MESSAGE_LEN: usize = 5;

/// What the agent and the holder tell each other, over a socket that keeps message bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Message {
    /// To the holder, with a descriptor: serve this TAP.
    Add(LineId),
    /// To the holder: close it as soon as it is empty.
    Retire(LineId),
    /// From the holder: the device is gone.
    Gone(LineId),
}

impl Message {
    fn encode(self) -> [u8; MESSAGE_LEN] {
        let (kind, LineId(id)) = match self {
            Self::Add(id) => (b'a', id),
            Self::Retire(id) => (b'r', id),
            Self::Gone(id) => (b'g', id),
        };
        let [a, b, c, d] = id.to_ne_bytes();
        [kind, a, b, c, d]
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let &[kind, a, b, c, d] = bytes else {
            return None;
        };
        let id = LineId(u32::from_ne_bytes([a, b, c, d]));
        match kind {
            b'a' => Some(Self::Add(id)),
            b'r' => Some(Self::Retire(id)),
            b'g' => Some(Self::Gone(id)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_socket() {
        for message in [
            Message::Add(LineId(1)),
            Message::Retire(LineId(u32::MAX)),
            Message::Gone(LineId(0)),
        ] {
            assert_eq!(Message::decode(&message.encode()), Some(message));
        }
        assert_eq!(Message::decode(b"a"), None);
        assert_eq!(Message::decode(b"xabcd"), None);
    }
}
