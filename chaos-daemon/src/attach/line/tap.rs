//! Engine `tap`: a TAP device that the holder process reads and writes, for kernels without `sch_fq`.

use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd},
};

use tun_rs::{DeviceBuilder, Layer};

use super::{Kind, Line, LineError, MTU, Place, alias, attach_far_end};
use crate::{
    engine::Way,
    holder::Holder,
    netlink::{self, Batch, LineLink},
};

/// The kernel's part of the queue: frames that the holder has not read yet.
const QUEUE_LEN: u32 = 65_536;

/// Makes a line in the calling thread's namespace.
///
/// The device is born and signed in `scratch`, and moved: a TAP descriptor keeps the namespace alive in which it was
/// opened, and no pod's namespace may live on because of us.
pub fn make(
    place: &Place<'_>,
    target: u32,
    way: Way,
    holder: &mut Holder,
) -> Result<Line, LineError> {
    let name = place.name;
    let descriptor = place.scratch.run(|| {
        let descriptor = open(name)?;
        Batch::default()
            .set_alias(name, &alias())
            .move_link(name, place.namespace.as_raw_fd())
            .commit()?;
        Ok::<_, io::Error>(descriptor)
    })??;
    let near = netlink::with(async |netlink| {
        let index = netlink.index_of(name).await?;
        let line = LineLink {
            mtu: MTU,
            queue_len: QUEUE_LEN,
        };
        netlink.make_line(index, line).await?;
        // The TAP has a queue of its own, of which the kernel would make three more in front.
        netlink.set_no_queue(index).await?;
        Ok(index)
    })?;
    // While it is down: the kernel stops an interface that is up when it gets a clsact.
    attach_far_end(name, way, place.target_ifindex, target)?;
    netlink::with(async |netlink| netlink.set_up(near).await)?;
    let id = holder.add(&descriptor)?;
    Ok(Line {
        near,
        kind: Kind::Tap(id),
    })
}

/// Opens a TAP device with offloads, so that segmentation-offload packets pass whole.
pub fn open(name: &str) -> io::Result<OwnedFd> {
    let device = DeviceBuilder::new()
        .name(name)
        .layer(Layer::L2)
        .offload(true)
        .enable(false)
        .build_sync()?;
    device.set_nonblocking(true)?;
    // SAFETY: the descriptor is open, and `into_raw_fd` gave up its ownership.
    Ok(unsafe { OwnedFd::from_raw_fd(device.into_raw_fd()) })
}
