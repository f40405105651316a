//! The way of an answer to the client.

use std::future::poll_fn;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::{
    close_connection,
    edit::Edit,
    flow::{Broken, Flow, Moved},
    head::{Answer, Asked, Framing, Scan},
};
use crate::relay::{buffer::Buffer, decide::Decision, guide::Guide, slow::Slow};

/// What is to happen to an answer.
pub(super) struct Plan<'a> {
    pub(super) decision: &'a Decision,
    pub(super) edit: Edit<'a>,
    pub(super) asked: Asked,
    pub(super) guide: &'a Guide,
}

/// How an answer went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// All of it, and whether the connection ends with it.
    Whole { closes: bool },
    /// It says that something else than HTTP follows.
    Switched,
    /// Nobody knows where it ends.
    Unframed,
    /// We ended it.
    Cut,
    /// It went on until the application closed, as it said.
    UntilClose,
    /// The application closed before.
    Short,
    /// The connection to the application broke.
    UpstreamGone,
    /// The connection to the client broke.
    ClientGone,
}

/// Brings the answer from the application to the client.
pub(super) async fn answer<R, W>(
    reader: &mut R,
    buffer: &mut Buffer,
    writer: &mut W,
    plan: &Plan<'_>,
) -> Answered
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut is_switch = false;
    let (head, framing) = loop {
        let head = match head(reader, buffer).await {
            Ok(head) => head,
            Err(answered) => return answered,
        };
        match Answer::read(&buffer.filled()[..head], plan.asked) {
            Err(_) => return Answered::Unframed,
            Ok(Answer::Final(framing)) => break (head, framing),
            Ok(Answer::Switch) => {
                is_switch = true;
                let body = super::body::Body::NONE;
                break (
                    head,
                    Framing {
                        body,
                        closes: false,
                        expects: false,
                    },
                );
            }
            Ok(Answer::Interim) => {
                if writer.write_all(&buffer.filled()[..head]).await.is_err() {
                    return Answered::ClientGone;
                }
                buffer.consume(head);
            }
        }
    };
    plan.guide.hold(&plan.decision.delay).await;
    let drains = plan.guide.is_draining() && !is_switch;
    let mut edit = plan.edit.clone();
    if drains {
        close_connection(&mut edit);
    }
    let until_close = framing.body == super::body::Body::UntilClose;
    let flow = if edit.is_nothing() {
        Flow::new(head, framing.body)
    } else {
        let edited = edit.apply(&buffer.filled()[..head]);
        buffer.consume(head);
        Flow::with_head(edited, framing.body)
    };
    let cut = plan.decision.truncate.map(|cut| cut.most);
    let mut flow = flow.cut_after(cut);
    let mut slow = Slow::new(&plan.decision.throttle, plan.guide);
    let moved = poll_fn(|cx| {
        if let Some(slow) = &mut slow {
            flow.pace(slow.rate(cx));
        }
        flow.poll_move(cx, reader, buffer, writer)
    });
    match moved.await {
        Ok(Moved::Whole) if is_switch => Answered::Switched,
        Ok(Moved::Whole) => Answered::Whole {
            closes: framing.closes || drains,
        },
        Ok(Moved::Cut) => Answered::Cut,
        Ok(Moved::Unframed) => {
            let rest = poll_fn(|cx| flow.poll_ahead(cx, writer)).await;
            rest.map_or(Answered::ClientGone, |()| Answered::Unframed)
        }
        Ok(Moved::Short) if until_close => Answered::UntilClose,
        Ok(Moved::Short) => Answered::Short,
        Err(Broken::From) => Answered::UpstreamGone,
        Err(Broken::To) => Answered::ClientGone,
    }
}

/// Waits for a whole head at the front of the buffer.
async fn head<R: AsyncRead + Unpin>(
    reader: &mut R,
    buffer: &mut Buffer,
) -> Result<usize, Answered> {
    let mut scan = Scan::default();
    loop {
        if !Answer::may_begin(buffer.filled()) {
            return Err(Answered::Unframed);
        }
        match scan.find(buffer.filled()) {
            Ok(Some(head)) => return Ok(head),
            Ok(None) => {}
            Err(_) => return Err(Answered::Unframed),
        }
        if buffer.is_full() && !buffer.grow() {
            return Err(Answered::Unframed);
        }
        match buffer.fill(reader).await {
            Ok(0) => return Err(Answered::Short),
            Ok(_) => {}
            Err(_) => return Err(Answered::UpstreamGone),
        }
    }
}
