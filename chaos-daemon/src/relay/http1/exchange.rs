//! One request and its answer, the application's or ours.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::{Instant, SystemTime},
};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::{
    Ending, Next,
    answer::{self, Answered, Plan},
    close_connection,
    edit::Edit,
    flow::{self, Flow},
    head::{Asked, Framing, Request},
    made::{self, Form},
    request::{Sending, Where},
};
use crate::relay::{
    decide::{self, Act, Decision, decide},
    guide::Guide,
    side::Side,
};

/// What of a request's body is read before we answer it ourselves and go on; more, and the connection ends.
const MOST_DROPPED: u64 = 256 * 1024;

/// A request and its answer.
pub(super) struct Exchange {
    decision: Decision,
    asked: Asked,
    is_1_1: bool,
    /// It offers to go on in HTTP/2, where rules act.
    offers_h2c: bool,
}

impl Exchange {
    pub(super) fn new(request: &Request<'_>, guide: &mut Guide) -> Self {
        let asked = request.asked();
        let is_looked_at = guide.look();
        let decision = if is_looked_at {
            // gRPC is HTTP/2; what looks like it here is for the rules of HTTP.
            let asked = decide::Asked {
                method: request.method,
                target: request.target,
                is_grpc: false,
                fields: &request.fields,
            };
            decide(&guide.seen, &asked, Instant::now())
        } else {
            Decision::default()
        };
        Self {
            decision,
            asked,
            is_1_1: request.is_1_1,
            offers_h2c: is_looked_at && request.offers_h2c(),
        }
    }

    /// What is to happen.
    pub(super) fn act(&self) -> Act {
        self.decision.act
    }

    /// Nobody answers.
    pub(super) async fn abort(self, guide: &Guide) -> Next {
        guide.hold(&self.decision.delay).await;
        Next::End(Ending::Reset)
    }

    /// Has the application answer.
    pub(super) async fn pass<CR, CW, UR, UW>(
        self,
        head: usize,
        framing: Framing,
        client: &mut Side<CR, CW>,
        upstream: &mut Side<UR, UW>,
        guide: &Guide,
    ) -> Next
    where
        CR: AsyncRead + Unpin,
        CW: AsyncWrite + Unpin,
        UR: AsyncRead + Unpin,
        UW: AsyncWrite + Unpin,
    {
        let mut edit = self.decision.request_edit(&guide.seen);
        if self.offers_h2c {
            // Whoever is asked need not agree, and all that followed would be out of the rules' sight.
            decline_h2c(&mut edit, framing.closes);
        }
        let flow = if edit.is_nothing() {
            Flow::new(head, framing.body)
        } else {
            let edited = edit.apply(&client.buffer.filled()[..head]);
            client.buffer.consume(head);
            Flow::with_head(edited, framing.body)
        };
        let plan = Plan {
            decision: &self.decision,
            edit: self.decision.answer_edit(&guide.seen),
            asked: self.asked,
            guide,
        };
        let mut sending = Sending::new(flow);
        let answered = {
            let (mut reader, writer) = (&mut client.reader, &mut client.writer);
            let (buffer, ended) = (&mut client.buffer, &mut client.ended);
            let to = &mut upstream.writer;
            let mut answer = pin!(answer::answer(
                &mut upstream.reader,
                &mut upstream.buffer,
                writer,
                &plan
            ));
            poll_fn(|cx| {
                // The request first: there is no answer to one that has not gone.
                let sent = sending.poll(cx, &mut reader, buffer, ended, to);
                if sent == Where::ClientGone {
                    return Poll::Ready(Answered::ClientGone);
                }
                answer.as_mut().poll(cx)
            })
            .await
        };
        if let Some(cut) = self.decision.truncate {
            cut.count(&guide.seen, answered == Answered::Cut);
        }
        match answered {
            Answered::Whole { closes } => {
                self.after(closes || framing.closes, sending, client, upstream, guide)
                    .await
            }
            Answered::Switched => {
                guide.other();
                sending.hand_over(&mut upstream.writer).await
            }
            Answered::Unframed => {
                guide.unframed();
                sending.hand_over(&mut upstream.writer).await
            }
            Answered::Cut => Next::End(Ending::Linger),
            Answered::Short => {
                guide.upstream_failed();
                // What there is of an answer.
                let rest = client.writer.write_all(upstream.buffer.filled()).await;
                Next::End(rest.map_or(Ending::Reset, |()| Ending::Close))
            }
            Answered::UpstreamGone => {
                guide.upstream_failed();
                Next::End(Ending::Reset)
            }
            Answered::UntilClose => Next::End(Ending::Close),
            Answered::ClientGone => Next::End(Ending::Reset),
        }
    }

    /// The answer has gone; the request may not have.
    async fn after<CR, CW, UR, UW>(
        self,
        closes: bool,
        mut sending: Sending,
        client: &mut Side<CR, CW>,
        upstream: &mut Side<UR, UW>,
        guide: &Guide,
    ) -> Next
    where
        CR: AsyncRead + Unpin,
        CW: AsyncWrite + Unpin,
        UR: AsyncRead + Unpin,
        UW: AsyncWrite + Unpin,
    {
        if sending.is_broken() {
            return Next::End(Ending::Linger);
        }
        if closes && guide.is_draining() && sending.is_over() {
            // The client was told, and the application was not.
            return Next::End(Ending::Linger);
        }
        if closes || sending.is_unframed() || !upstream.buffer.is_empty() {
            if sending.is_unframed() {
                guide.unframed();
            }
            // Whatever follows is between the two of them.
            return sending.hand_over(&mut upstream.writer).await;
        }
        if !sending.is_over() {
            let end = poll_fn(|cx| {
                let (reader, buffer) = (&mut client.reader, &mut client.buffer);
                let ended = &mut client.ended;
                match sending.poll(cx, reader, buffer, ended, &mut upstream.writer) {
                    Where::ClientGone => return Poll::Ready(Some(Ending::Reset)),
                    Where::Sent => return Poll::Ready(None),
                    Where::Broken => return Poll::Ready(Some(Ending::Linger)),
                    Where::Under => {}
                }
                let read = upstream.buffer.poll_fill(cx, &mut upstream.reader);
                read.map(|read| {
                    Some(match read {
                        Ok(0) => Ending::Linger,
                        Ok(_) => Ending::Tunnel,
                        Err(_) => Ending::Reset,
                    })
                })
            });
            match end.await {
                None => {}
                Some(Ending::Tunnel) => return sending.hand_over(&mut upstream.writer).await,
                Some(ending) => return Next::End(ending),
            }
        }
        if sending.is_unframed() {
            guide.unframed();
            return Next::End(Ending::Tunnel);
        }
        Next::Request
    }

    /// Answers in the application's place.
    pub(super) async fn make<CR, CW>(
        self,
        rule: usize,
        head: usize,
        framing: Framing,
        client: &mut Side<CR, CW>,
        guide: &Guide,
    ) -> Next
    where
        CR: AsyncRead + Unpin,
        CW: AsyncWrite + Unpin,
    {
        client.buffer.consume(head);
        let mut flow = Flow::new(0, framing.body.clone()).cut_after(Some(MOST_DROPPED));
        // Whoever waits for 100 gets the answer instead, and may or may not send the body then.
        let mut closes = framing.closes || !self.is_1_1 || (framing.expects && !flow.is_over());
        {
            let mut delay = pin!(guide.hold(&self.decision.delay));
            let mut waited = false;
            let mut sink = tokio::io::sink();
            let mut dropped = framing.expects || flow.is_over();
            let gone = poll_fn(|cx| {
                if !dropped {
                    let moved =
                        flow.poll_move(cx, &mut client.reader, &mut client.buffer, &mut sink);
                    match moved {
                        Poll::Ready(Ok(flow::Moved::Whole)) => dropped = true,
                        Poll::Ready(Ok(_)) => (dropped, closes) = (true, true),
                        Poll::Ready(Err(_)) => return Poll::Ready(true),
                        Poll::Pending => {}
                    }
                }
                closes |= guide.is_draining();
                waited = waited || delay.as_mut().poll(cx).is_ready();
                if waited && (dropped || closes) {
                    Poll::Ready(false)
                } else {
                    Poll::Pending
                }
            });
            if gone.await {
                return Next::End(Ending::Reset);
            }
        }
        let Some(made) = decide::error_answer(&guide.seen, rule) else {
            return Next::End(Ending::Reset);
        };
        let form = Form {
            head_only: self.asked == Asked::Head,
            closes,
        };
        let bytes = made::answer(made, form, SystemTime::now());
        if client.writer.write_all(&bytes).await.is_err() {
            return Next::End(Ending::Reset);
        }
        if closes {
            Next::End(Ending::Linger)
        } else {
            Next::Request
        }
    }
}

/// Takes away the offer to go on in HTTP/2, and what of `Connection` is about it.
fn decline_h2c(edit: &mut Edit<'_>, closes: bool) {
    for name in ["Upgrade", "HTTP2-Settings", "Connection"] {
        edit.remove(name);
    }
    if closes {
        close_connection(edit);
    }
}
