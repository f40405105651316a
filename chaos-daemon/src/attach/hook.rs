//! Puts one small program with one constant onto an interface: by tcx where that is asked for, else in clsact.

use std::{io, process};

use aya::{
    Ebpf,
    maps::{MapData, ProgramArray},
    programs::{
        Link as _, LinkOrder, ProgramError, SchedClassifier, TcAttachType, TcHandle,
        links::FdLink,
        tc::{self, NlOptions, SchedClassifierLink, TcAttachOptions, TcError},
    },
};

use super::loader::{LoadError, load_object, load_program};
use crate::engine::AttachMode;

/// Before every other filter, so that each other filter sees a held packet once: when it leaves.
pub(super) const CLSACT_PRIORITY: u16 = 1;

/// Programs that a program calls. The kernel empties the map when nobody has it open any more, even if a
/// program still uses it; so what an agent leaves attached when it dies calls nothing, and passes.
pub(super) type Calls = ProgramArray<MapData>;

/// Why an interface has no program.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// The program is not in the kernel.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The kernel would not attach it.
    #[error("the kernel did not attach a program to {interface}: {source}")]
    Attach {
        /// Name of the interface.
        interface: String,
        /// What it said.
        source: ProgramError,
    },
    /// The interface is not there.
    #[error("no interface {interface} to detach from: {source}")]
    Interface {
        /// Name of the interface.
        interface: String,
        /// What happened.
        source: io::Error,
    },
}

/// A program of ours, and where to put it in the calling thread's network namespace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hook<'a> {
    /// The object that has it.
    pub(super) object: &'static [u8],
    /// Its name.
    pub(super) program: &'static str,
    /// The object's constants, and their values.
    pub(super) constants: &'a [(&'static str, u32)],
    /// Name of the interface.
    pub(super) interface: &'a str,
    /// Which way packets go through it.
    pub(super) direction: TcAttachType,
}

/// What keeps a program attached.
pub(super) struct Attachment {
    link: Held,
    /// Kept open for the program; see [`Calls`].
    _calls: Option<Calls>,
}

enum Held {
    /// Ends with this value.
    Tcx { _link: FdLink },
    /// Stays until it is taken off, in the namespace of the interface.
    Clsact { priority: u16, handle: TcHandle },
}

impl Hook<'_> {
    /// Loads a copy of the program; `prepare` may fill the object's maps before it is attached.
    pub(super) fn attach(
        self,
        mode: AttachMode,
        prepare: impl FnOnce(&mut Ebpf) -> Result<Option<Calls>, LoadError>,
    ) -> Result<Attachment, HookError> {
        let failed = |source| HookError::Attach {
            interface: self.interface.to_owned(),
            source,
        };
        let mut object = load_object(self.object, self.constants).map_err(LoadError::from)?;
        load_program(&mut object, self.program)?;
        let calls = prepare(&mut object)?;
        let program: &mut SchedClassifier = object
            .program_mut(self.program)
            .ok_or(LoadError::Missing(self.program))?
            .try_into()
            .map_err(failed)?;
        let options = match mode {
            AttachMode::Tcx => TcAttachOptions::TcxOrder(LinkOrder::first()),
            AttachMode::Clsact => {
                add_clsact(self.interface).map_err(|error| failed(error.into()))?;
                TcAttachOptions::Netlink(NlOptions {
                    priority: CLSACT_PRIORITY,
                    // Signed with our process number: see `sweep`.
                    handle: TcHandle::from(process::id()),
                    ..NlOptions::default()
                })
            }
        };
        let id = program
            .attach_with_options(self.interface, self.direction, options)
            .map_err(failed)?;
        let link = program.take_link(id).map_err(failed)?;
        let link = match mode {
            AttachMode::Tcx => Held::Tcx {
                _link: link
                    .try_into()
                    .map_err(|_| failed(ProgramError::NotAttached))?,
            },
            AttachMode::Clsact => {
                let held = Held::Clsact {
                    priority: link.priority().map_err(failed)?,
                    handle: link.handle().map_err(failed)?,
                };
                // Dropped, it would detach by number in whatever namespace that happens in.
                std::mem::forget(link);
                held
            }
        };
        Ok(Attachment {
            link,
            _calls: calls,
        })
    }
}

impl Attachment {
    /// Detaches. A clsact filter is looked for in the calling thread's namespace.
    pub(super) fn detach(self, interface: &str, direction: TcAttachType) -> Result<(), HookError> {
        match self.link {
            Held::Tcx { .. } => Ok(()),
            Held::Clsact { priority, handle } => {
                detach_filter(interface, direction, priority, handle)
            }
        }
    }

    /// Whether it is a filter in clsact.
    pub(super) const fn is_clsact(&self) -> bool {
        matches!(self.link, Held::Clsact { .. })
    }
}

/// Takes a filter out of clsact, in the calling thread's namespace.
pub(super) fn detach_filter(
    interface: &str,
    direction: TcAttachType,
    priority: u16,
    handle: TcHandle,
) -> Result<(), HookError> {
    SchedClassifierLink::attached(interface, direction, priority, handle, None)
        .map_err(|source| HookError::Interface {
            interface: interface.to_owned(),
            source,
        })?
        .detach()
        .map_err(|source| HookError::Attach {
            interface: interface.to_owned(),
            source,
        })
}

fn add_clsact(interface: &str) -> Result<(), TcError> {
    match tc::qdisc_add_clsact(interface) {
        Err(TcError::NetlinkError(error)) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
        other => other,
    }
}
