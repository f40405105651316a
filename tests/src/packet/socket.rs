//! Whole Ethernet frames in and out of an interface, by an `AF_PACKET` socket.

use std::{
    io, mem,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::sys::{
    socket::{setsockopt, sockopt::ReceiveTimeout},
    time::TimeVal,
};

use crate::lab::Host;

/// A socket that sends and receives whole frames on a host's `eth0`.
#[derive(Debug)]
pub struct FrameSocket {
    fd: OwnedFd,
}

/// A frame as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    /// The frame, without the outer VLAN tag, which the kernel takes out.
    pub bytes: Vec<u8>,
    /// VLAN id of the tag that was taken out.
    pub vlan: Option<u16>,
}

impl FrameSocket {
    /// Opens one on a host's interface.
    pub fn open(host: &Host) -> Result<Self> {
        host.run(|| Self::on(Host::INTERFACE))?
    }

    /// Opens one on an interface of the current namespace.
    fn on(interface: &str) -> Result<Self> {
        let ifindex = nix::net::if_::if_nametoindex(interface)
            .with_context(|| format!("number of {interface}"))?;
        let every_protocol = u16::try_from(libc::ETH_P_ALL)?.to_be();
        // SAFETY: no pointers are passed.
        let fd = unsafe {
            libc::socket(
                libc::AF_PACKET,
                libc::SOCK_RAW | libc::SOCK_CLOEXEC,
                every_protocol.into(),
            )
        };
        if fd < 0 {
            return Err(io::Error::last_os_error()).context("open a packet socket");
        }
        // SAFETY: the call above just opened it, and nobody else knows it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: sockaddr_ll is plain numbers, for which all bits zero is a value.
        let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
        address.sll_family = u16::try_from(libc::AF_PACKET)?;
        address.sll_protocol = every_protocol;
        address.sll_ifindex = i32::try_from(ifindex)?;
        let length = libc::socklen_t::try_from(size_of::<libc::sockaddr_ll>())?;
        // SAFETY: the pointer and the length describe `address`.
        let bound = unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), length) };
        if bound < 0 {
            return Err(io::Error::last_os_error())
                .with_context(|| format!("bind a packet socket to {interface}"));
        }
        let on: libc::c_int = 1;
        let length = libc::socklen_t::try_from(size_of::<libc::c_int>())?;
        // SAFETY: the pointer and the length describe `on`.
        let set = unsafe {
            libc::setsockopt(
                fd.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_AUXDATA,
                (&raw const on).cast(),
                length,
            )
        };
        if set < 0 {
            return Err(io::Error::last_os_error()).context("ask for the VLAN tags of frames");
        }
        Ok(Self { fd })
    }

    /// Sends a frame.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        let sent = nix::unistd::write(&self.fd, frame).context("send a frame")?;
        if sent != frame.len() {
            bail!("sent {sent} of {} bytes of a frame", frame.len());
        }
        Ok(())
    }

    /// The next frame for which `is_wanted`, or None after `timeout`. Frames that this host sent are seen, too.
    pub fn receive(
        &self,
        timeout: Duration,
        is_wanted: impl Fn(&Received) -> bool,
    ) -> Result<Option<Received>> {
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let microseconds = i64::try_from(left.as_micros().max(1))?;
            let left = TimeVal::new(microseconds / 1_000_000, microseconds % 1_000_000);
            setsockopt(&self.fd, ReceiveTimeout, &left).context("set the receive timeout")?;
            if let Some(frame) = self.next()?.filter(&is_wanted) {
                return Ok(Some(frame));
            }
        }
    }

    /// The next frame, or None when there was none in time.
    fn next(&self) -> Result<Option<Received>> {
        let mut bytes = vec![0_u8; 1 << 16];
        let mut control = [0_u64; 16];
        let mut part = libc::iovec {
            iov_base: bytes.as_mut_ptr().cast(),
            iov_len: bytes.len(),
        };
        // SAFETY: msghdr is numbers and pointers, for which all bits zero is a value.
        let mut message: libc::msghdr = unsafe { mem::zeroed() };
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control) as _;
        // SAFETY: all pointers in `message` are to live buffers of the lengths that it says.
        let length = unsafe { libc::recvmsg(self.fd.as_raw_fd(), &raw mut message, 0) };
        let Ok(length) = usize::try_from(length) else {
            let error = io::Error::last_os_error();
            if matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
            ) {
                return Ok(None);
            }
            return Err(error).context("receive a frame");
        };
        bytes.truncate(length);
        let mut vlan = None;
        // SAFETY: the kernel filled `message` in; the macros stay within its control buffer, which is aligned to 8.
        unsafe {
            let mut header = libc::CMSG_FIRSTHDR(&raw const message);
            while let Some(entry) = header.as_ref() {
                if entry.cmsg_level == libc::SOL_PACKET && entry.cmsg_type == libc::PACKET_AUXDATA {
                    let data = libc::CMSG_DATA(header)
                        .cast::<libc::tpacket_auxdata>()
                        .read_unaligned();
                    let is_tagged = data.tp_status & libc::TP_STATUS_VLAN_VALID != 0;
                    vlan = is_tagged.then_some(data.tp_vlan_tci & 0x0fff);
                }
                header = libc::CMSG_NXTHDR(&raw const message, header);
            }
        }
        Ok(Some(Received { bytes, vlan }))
    }
}
