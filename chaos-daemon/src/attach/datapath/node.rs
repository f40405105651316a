//! What the node's own interfaces have beside the classifiers: programs that see packets before or after them, and what is
//! protected.

use std::io;

use super::{Kernel, Key};
use crate::{
    attach::{
        attached::Attached,
        socket,
        xdp::{self, Xdp},
    },
    engine::{DatapathError, Protected, Spec, Target, XdpMode},
};

impl Kernel {
    /// Which ways to XDP to try, in this order.
    pub fn try_xdp(&mut self, modes: &'static [XdpMode]) {
        self.xdp_modes = modes;
    }

    /// Has every rule spare these too. A target that is there looks for the kinds of which there were some when it came.
    pub fn protect(&mut self, list: &[Protected]) -> io::Result<()> {
        self.protection
            .write(&mut self.object.maps, list)
            .map_err(io::Error::other)
    }

    /// Has XDP see what arrives, where rules of the experiment may drop it there.
    pub(super) fn reach_arrivals(
        &mut self,
        attached: &mut Attached,
        key: Key,
        target: &Target,
        spec: &Spec,
    ) -> Result<(), DatapathError> {
        if key.0 != self.node {
            return Ok(());
        }
        if attached.place.is_none() {
            let maps = &mut self.object.maps;
            attached.place = xdp::claim(maps, attached.number, target.ifindex);
        }
        let drops = spec.rules.iter().any(xdp::drops_arrivals) && target.cgroup.is_none();
        if drops && attached.place.is_some() && attached.xdp.is_none() {
            let (object, modes) = (&mut self.object, self.xdp_modes);
            attached.xdp = Xdp::attach(object, modes, &target.interface, target.ifindex);
        }
        // At XDP there is another way; at sockets there is none.
        if attached.place.is_none() && socket::is_needed(target.cgroup.as_ref(), spec)? {
            return Err(DatapathError::Full {
                what: "interfaces of the node whose numbers are the same modulo 1024",
                most: 1,
            });
        }
        Ok(())
    }

    /// Has the program at sockets see what arrives there, where rules of the experiment drop it.
    pub(super) fn reach_sockets(
        &mut self,
        target: &Target,
        spec: &Spec,
    ) -> Result<(), DatapathError> {
        let cgroup = target.cgroup.as_ref();
        let is_needed = socket::is_needed(cgroup, spec)?;
        if is_needed && target.netns.cookie() != self.node {
            return Err(DatapathError::OnlyLeaving);
        }
        if let (true, None, Some(cgroup)) = (is_needed, &self.sockets, cgroup) {
            self.sockets = Some(socket::attach(&mut self.object, &cgroup.root)?);
        }
        Ok(())
    }

    /// Takes it off again with the last experiment that tells packets apart by their sockets.
    pub(super) fn leave_sockets(&mut self) {
        if !self.installed.values().any(|installed| installed.by_socket) {
            self.sockets = None;
        }
    }
}
