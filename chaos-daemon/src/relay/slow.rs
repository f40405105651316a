//! How fast an answer may go at this time: as the slowest of the rules wishes that apply still. Knows nothing of the bytes.

use std::{
    future::Future,
    num::NonZeroU64,
    pin::Pin,
    task::{Context, Poll},
};

use super::guide::Guide;

/// What rules wish of one answer's pace.
pub(super) struct Slow {
    guide: Guide,
    /// The slowest last.
    wishes: Vec<(usize, NonZeroU64)>,
    /// That the rule of the last one applies no more.
    ended: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Slow {
    /// Nothing, if nobody wishes anything, which is usual.
    pub(super) fn new(wishes: &[(usize, NonZeroU64)], guide: &Guide) -> Option<Box<Self>> {
        if wishes.is_empty() {
            return None;
        }
        let mut wishes = wishes.to_vec();
        wishes.sort_by_key(|&(_, rate)| std::cmp::Reverse(rate));
        Some(Box::new(Self {
            guide: guide.clone(),
            wishes,
            ended: None,
        }))
    }

    /// Bytes per second, if anybody wishes any still. Whoever asks is woken when that changes.
    pub(super) fn rate(&mut self, cx: &mut Context<'_>) -> Option<NonZeroU64> {
        while let Some(&(rule, rate)) = self.wishes.last() {
            let guide = &self.guide;
            let ended = self.ended.get_or_insert_with(|| {
                let guide = guide.clone();
                Box::pin(async move { guide.without(rule).await })
            });
            match ended.as_mut().poll(cx) {
                Poll::Pending => return Some(rate),
                Poll::Ready(()) => {
                    self.ended = None;
                    self.wishes.pop();
                }
            }
        }
        None
    }
}
