//! One side of a connection through the relay.

use super::buffer::Buffer;

/// What is read and written, and what was read and has not gone on.
#[derive(Debug)]
pub(super) struct Side<R, W> {
    pub(super) reader: R,
    pub(super) writer: W,
    pub(super) buffer: Buffer,
    /// Nothing more will be read.
    pub(super) ended: bool,
}

impl<R, W> Side<R, W> {
    pub(super) fn new((reader, writer): (R, W)) -> Self {
        Self {
            reader,
            writer,
            buffer: Buffer::default(),
            ended: false,
        }
    }
}
