//! Delay lines: one device, or pair of devices, for each target and direction that delays packets.
//!
//! The near end takes packets from the classifier; the program at the far end puts them back. All of it
//! lives in the target's namespace, without an address, so that nothing in the pod notices.

pub mod fq;
pub mod tap;

use std::{fs::File, io};

use aya::programs::TcAttachType;
use chaos_abi::maps::{LINE_IFINDEX, LINE_TARGET, PROGRAM_IN, PROGRAM_OUT};

use super::{
    hook::{Hook, HookError},
    loader::LINE,
};
use crate::{
    engine::{AttachMode, Way},
    holder::LineId,
    netlink::LINE_ALIAS,
    netns::Scratch,
};

/// Above any packet of an interface, so that the line never adds a limit of its own.
const MTU: u32 = 65_521;

/// Why there is no line.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The device could not be made.
    #[error("cannot make the delay line's device: {0}")]
    Device(#[from] io::Error),
    /// Its program could not be attached.
    #[error(transparent)]
    Hook(#[from] HookError),
}

/// Where a line is to be.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Name of its device, without its end.
    pub name: &'a str,
    /// The target's interface.
    pub target_ifindex: u32,
    /// The calling thread's namespace.
    pub namespace: &'a File,
    /// Where devices are born.
    pub scratch: &'a Scratch,
}

/// A line in the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// Number of the device that the classifier sends into.
    pub near: u32,
    /// What holds the packets.
    pub kind: Kind,
}

/// What holds the packets of a line.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// The near end's `fq` qdisc.
    Fq,
    /// The holder process, under this number.
    Tap(LineId),
}

/// Alias of the devices that this process makes: only what bears one is ever removed as a leftover.
fn alias() -> String {
    format!("{LINE_ALIAS}{}", std::process::id())
}

/// Attaches the program of the far end. The filter lives and dies with its device, not with the agent: what
/// is in the line when the agent dies still arrives.
fn attach_far_end(
    device: &str,
    way: Way,
    target_ifindex: u32,
    target: u32,
) -> Result<(), LineError> {
    let program = match way {
        Way::Egress => PROGRAM_OUT,
        Way::Ingress => PROGRAM_IN,
    };
    let hook = Hook {
        object: LINE,
        program,
        constants: &[(LINE_IFINDEX, target_ifindex), (LINE_TARGET, target)],
        interface: device,
        direction: TcAttachType::Ingress,
    };
    hook.attach(AttachMode::Clsact, |_| Ok(None))?;
    Ok(())
}

/// Name of a device, without its end: unique in a namespace, where another agent's line may still be
/// emptying. At most 14 bytes; an interface name has 15.
pub fn device_name(instance: u16, serial: u16, way: Way) -> String {
    let way = match way {
        Way::Egress => 'o',
        Way::Ingress => 'i',
    };
    format!("chaos{instance:04x}{serial:04x}{way}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longest_name_fits() {
        let name = device_name(u16::MAX, u16::MAX, Way::Ingress);
        assert_eq!(name, "chaosffffffffi");
        assert!(name.len() + "f".len() <= 15);
    }
}
