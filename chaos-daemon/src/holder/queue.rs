//! What is held, in the order of departure. Reads no clock.

use std::{cmp::Ordering, collections::BinaryHeap};

use super::{LineId, frame::Frame};

/// Frames, earliest departure first; of equal ones the first that came.
#[derive(Debug)]
pub(super) struct Queue {
    heap: BinaryHeap<Held>,
    arrivals: u64,
    bytes: usize,
    most_bytes: usize,
}

/// A frame, where it belongs, and when it may go.
#[derive(Debug)]
pub(super) struct Held {
    departure_ns: u64,
    arrival: u64,
    pub(super) line: LineId,
    pub(super) frame: Frame,
}

impl Queue {
    /// An empty queue for at most so many bytes of frames.
    pub(super) fn new(most_bytes: usize) -> Self {
        Self {
            heap: BinaryHeap::new(),
            arrivals: 0,
            bytes: 0,
            most_bytes,
        }
    }

    /// Takes a frame; false when there is no room for it.
    pub(super) fn push(&mut self, line: LineId, departure_ns: u64, frame: Frame) -> bool {
        let bytes = self.bytes + frame.memory();
        if bytes > self.most_bytes {
            return false;
        }
        self.bytes = bytes;
        self.arrivals += 1;
        self.heap.push(Held {
            departure_ns,
            arrival: self.arrivals,
            line,
            frame,
        });
        true
    }

    /// When the next frame may go.
    pub(super) fn next_departure_ns(&self) -> Option<u64> {
        self.heap.peek().map(|held| held.departure_ns)
    }

    /// A frame that may go by now.
    pub(super) fn pop_due(&mut self, now_ns: u64) -> Option<Held> {
        if self.next_departure_ns()? > now_ns {
            return None;
        }
        let held = self.heap.pop()?;
        self.bytes -= held.frame.memory();
        Some(held)
    }
}

impl Held {
    fn key(&self) -> (u64, u64) {
        (self.departure_ns, self.arrival)
    }
}

impl Ord for Held {
    fn cmp(&self, other: &Self) -> Ordering {
        // BinaryHeap gives the greatest first.
        other.key().cmp(&self.key())
    }
}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Held {}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(bytes: usize) -> Frame {
        Frame::for_test(bytes)
    }

    #[test]
    fn earliest_goes_first_and_equals_keep_their_order() {
        let mut queue = Queue::new(usize::MAX);
        for (line, departure_ns) in [(1, 30), (2, 10), (3, 20), (4, 10)] {
            assert!(queue.push(LineId(line), departure_ns, frame(1)));
        }
        assert_eq!(queue.next_departure_ns(), Some(10));
        let mut order = Vec::new();
        while let Some(held) = queue.pop_due(20) {
            order.push(held.line.0);
        }
        assert_eq!(order, [2, 4, 3]);
        assert_eq!(queue.next_departure_ns(), Some(30));
    }

    #[test]
    fn full_queue_refuses_until_something_left() {
        let one = frame(100).memory();
        let mut queue = Queue::new(one * 2);
        assert!(queue.push(LineId(1), 5, frame(100)));
        assert!(queue.push(LineId(1), 5, frame(100)));
        assert!(!queue.push(LineId(1), 5, frame(100)));
        assert!(queue.pop_due(5).is_some());
        assert!(queue.push(LineId(1), 5, frame(100)));
    }
}
