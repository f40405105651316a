//! What this kernel offers, found out by trying it in a namespace of our own.

use std::{io, path::Path};

use aya::programs::TcAttachType;
use caps::{CapSet, Capability};
use chaos_abi::maps::{LINE_IFINDEX, PROGRAM_OUT};
use tracing::warn;

use super::{
    doors::trial,
    hook::{Hook, HookError},
    line::tap,
    loader::LINE,
};
use crate::{
    engine::{AttachMode, DatapathError, LineEngine, Spec, XdpMode},
    netlink::{self, Fq},
    netns::Scratch,
    sentence::sentence,
};

/// What was found, and what will be used.
#[derive(Clone, Debug)]
pub struct Features {
    /// How classifiers are attached.
    pub attach_mode: AttachMode,
    /// What holds delayed packets; nothing where nothing works, and then delays are refused.
    pub line_engine: Option<LineEngine>,
    /// Each thing that was looked for.
    pub list: Vec<Feature>,
}

/// One thing that was looked for.
#[derive(Clone, Debug)]
pub struct Feature {
    /// Short name.
    pub name: &'static str,
    /// Whether it works.
    pub available: bool,
    /// Whether it will be used.
    pub used: bool,
    /// What was seen.
    pub detail: String,
}

/// What the operator insists on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wishes {
    /// How to attach.
    pub attach_mode: Option<AttachMode>,
    /// What is to hold packets.
    pub line_engine: Option<LineEngine>,
    /// Which ways to XDP may be tried.
    pub xdp: &'static [XdpMode],
    /// Whether sockets of others are never to be ended one by one.
    pub keep_sockets: bool,
}

/// Why this kernel cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FeatureError {
    /// Nothing was to be tried, because namespaces cannot be made.
    #[error("cannot make a network namespace: {0}; run the agent as root, with CAP_SYS_ADMIN")]
    Namespace(#[from] io::Error),
    /// No way of attaching works that may be used.
    #[error("cannot attach BPF programs ({why}), without which the agent can do nothing")]
    Attach {
        /// What was tried, and what came of it.
        why: String,
    },
    /// The line engine that was asked for does not work.
    #[error(
        "the line engine that was asked for does not work here ({why}): with --line-engine auto the agent takes one that does"
    )]
    Line {
        /// What was tried, and what came of it.
        why: String,
    },
}

/// Needed capabilities, and what for.
const CAPABILITIES: [(Capability, &str, &str); 5] = [
    (
        Capability::CAP_BPF,
        "cap_bpf",
        "loads BPF programs and maps",
    ),
    (
        Capability::CAP_PERFMON,
        "cap_perfmon",
        "lets BPF programs read packets by pointer",
    ),
    (
        Capability::CAP_NET_ADMIN,
        "cap_net_admin",
        "attaches programs, makes devices",
    ),
    (
        Capability::CAP_SYS_ADMIN,
        "cap_sys_admin",
        "enters network namespaces",
    ),
    (
        Capability::CAP_SYS_PTRACE,
        "cap_sys_ptrace",
        "finds the namespaces of other users' processes",
    ),
];

impl Features {
    /// Tries everything.
    pub fn find(wishes: Wishes) -> Result<Self, FeatureError> {
        let scratch = Scratch::new()?;
        let tcx = scratch.run(|| try_attach(AttachMode::Tcx))?;
        let clsact = scratch.run(|| try_attach(AttachMode::Clsact))?;
        let fq = scratch.run(try_fq)?;
        let tap = scratch.run(try_tap)?;
        let door = scratch.run(trial::go_through)?;
        let destroy = scratch.run(trial::end_connection)?;
        let attach_mode = choose(
            wishes.attach_mode,
            (AttachMode::Tcx, &tcx),
            (AttachMode::Clsact, &clsact),
        )
        .map_err(|why| FeatureError::Attach { why })?;
        let line_engine = choose_line(wishes.line_engine, &fq, &tap)?;
        if line_engine.is_none() {
            warn!("nothing on this kernel can hold packets: delays will be refused");
        }
        let tried = |name, tried: &Tried, used, good: &str| Feature {
            name,
            available: tried.is_ok(),
            used,
            detail: tried
                .as_ref()
                .err()
                .cloned()
                .unwrap_or_else(|| good.to_owned()),
        };
        let mut list = vec![
            tried(
                "tcx",
                &tcx,
                attach_mode == AttachMode::Tcx,
                "attachments end with the agent's process",
            ),
            tried(
                "clsact",
                &clsact,
                attach_mode == AttachMode::Clsact,
                "attachments stay until removed; the programs in them pass when the agent dies",
            ),
            tried(
                "fq",
                &fq,
                line_engine == Some(LineEngine::Fq),
                "delays packets inside the kernel",
            ),
            tried(
                "tap",
                &tap,
                line_engine == Some(LineEngine::Tap),
                "delays packets in the agent's holder process",
            ),
            tried(
                "sk_lookup",
                &door,
                door.is_ok(),
                "leads connections to the agent, which hits their requests",
            ),
            tried(
                "sock_destroy",
                &destroy,
                destroy.is_ok() && !wishes.keep_sockets,
                "ends connections that were open before their requests are to be hit",
            ),
            xdp(wishes.xdp),
            present(
                "btf",
                "/sys/kernel/btf/vmlinux",
                false,
                "types of the kernel; not needed",
            ),
            cgroup2(),
        ];
        list.extend(CAPABILITIES.map(|(capability, name, purpose)| {
            let available = caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false);
            has_capability(name, available, purpose)
        }));
        Ok(Self {
            attach_mode,
            line_engine,
            list,
        })
    }

    /// What will hold the packets of this experiment, or nothing when it delays none; an error where it must and
    /// nothing can.
    pub fn line_for(&self, spec: &Spec) -> Result<Option<LineEngine>, DatapathError> {
        if !spec.delays() {
            return Ok(None);
        }
        if self.line_engine.is_some() {
            return Ok(self.line_engine);
        }
        let tried = ["fq", "tap"];
        let whys: Vec<String> = self
            .list
            .iter()
            .filter(|feature| tried.contains(&feature.name))
            .map(|feature| format!("{}: {}", feature.name, feature.detail))
            .collect();
        Err(DatapathError::NoLine {
            why: whys.join("; "),
        })
    }
}

/// What was tried, and why it does not work.
type Tried = Result<(), String>;

/// The one that is wished for, else the first that works.
fn choose<T: Copy + PartialEq + std::fmt::Debug>(
    wish: Option<T>,
    first: (T, &Tried),
    second: (T, &Tried),
) -> Result<T, String> {
    let mut whys = Vec::new();
    for (choice, tried) in [first, second] {
        if wish.is_some_and(|wish| wish != choice) {
            continue;
        }
        match tried {
            Ok(()) => return Ok(choice),
            Err(why) => whys.push(format!("{choice:?}: {why}").to_lowercase()),
        }
    }
    Err(whys.join("; "))
}

/// The engine that is wished for, else the first that works, else nothing: whoever wishes for nothing can do without.
fn choose_line(
    wish: Option<LineEngine>,
    fq: &Tried,
    tap: &Tried,
) -> Result<Option<LineEngine>, FeatureError> {
    match choose(wish, (LineEngine::Fq, fq), (LineEngine::Tap, tap)) {
        Ok(engine) => Ok(Some(engine)),
        Err(_) if wish.is_none() => Ok(None),
        Err(why) => Err(FeatureError::Line { why }),
    }
}

/// A capability that the process has is used; one that it lacks cannot be.
fn has_capability(name: &'static str, available: bool, purpose: &str) -> Feature {
    Feature {
        name,
        available,
        used: available,
        detail: purpose.to_owned(),
    }
}

/// Whether a driver can is seen when there is something to drop.
fn xdp(modes: &[XdpMode]) -> Feature {
    let ways = match modes {
        [] => "not used: --xdp off",
        [XdpMode::Native] => "drops what arrives at the node, where the driver can",
        [XdpMode::Generic] => "drops what arrives at the node, by the kernel's generic code",
        _ => "drops what arrives at the node: native where the driver can, else generic",
    };
    Feature {
        name: "xdp",
        available: true,
        used: !modes.is_empty(),
        detail: ways.to_owned(),
    }
}

fn present(name: &'static str, path: &str, used: bool, purpose: &str) -> Feature {
    let available = Path::new(path).exists();
    let detail = if available {
        format!("{path}: {purpose}")
    } else {
        format!("no {path}: {purpose}")
    };
    Feature {
        name,
        available,
        used,
        detail,
    }
}

fn cgroup2() -> Feature {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let at = mounts.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let path = fields.nth(1)?;
        (fields.next()? == "cgroup2").then(|| path.to_owned())
    });
    Feature {
        name: "cgroup2",
        available: at.is_some(),
        used: at.is_some(),
        detail: at.map_or_else(
            || "not mounted: targets can be named by v1 cgroups, pids and namespaces".to_owned(),
            |path| format!("mounted at {path}: targets can be named by cgroup"),
        ),
    }
}

fn try_attach(mode: AttachMode) -> Tried {
    let hook = Hook {
        object: LINE,
        program: PROGRAM_OUT,
        constants: &[(LINE_IFINDEX, 1)],
        interface: "lo",
        direction: TcAttachType::Egress,
    };
    let attached = hook
        .attach(mode, |_| Ok(None))
        .map_err(|error: HookError| sentence(&error))?;
    attached
        .detach("lo", TcAttachType::Egress)
        .map_err(|error| sentence(&error))
}

fn try_fq() -> Tried {
    netlink::with(async |netlink| {
        netlink.add_veth("chaos-try", "chaos-try-far").await?;
        let index = netlink.index_of("chaos-try").await?;
        let tried = netlink
            .set_fq(
                index,
                Fq {
                    limit_packets: 1000,
                    horizon_us: 1_000_000,
                },
            )
            .await;
        netlink.delete_link(index).await?;
        tried
    })
    .map_err(|error| match error.raw_os_error() {
        Some(libc::ENOENT) => "this kernel has no sch_fq".to_owned(),
        _ => error.to_string(),
    })
}

fn try_tap() -> Tried {
    tap::open("chaos-try")
        .map(drop)
        .map_err(|error| format!("cannot open /dev/net/tun: {error}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::engine::{Delay, Distribution, Fault, Filter, Ppm, Rule, Selector, Where};

    #[test]
    fn first_that_works_unless_one_is_wished_for() {
        let good = Ok(());
        let bad = Err("no such thing".to_owned());
        assert_eq!(choose(None, ('a', &good), ('b', &good)), Ok('a'));
        assert_eq!(choose(None, ('a', &bad), ('b', &good)), Ok('b'));
        assert_eq!(choose(Some('b'), ('a', &good), ('b', &good)), Ok('b'));
        let why = choose(Some('a'), ('a', &bad), ('b', &good)).unwrap_err();
        assert!(why.contains("no such thing"), "{why}");
        assert!(choose(None, ('a', &bad), ('b', &bad)).is_err());
    }

    #[test]
    fn only_a_line_engine_that_is_wished_for_must_work() {
        let bad = Err("no such thing".to_owned());
        assert!(matches!(choose_line(None, &bad, &bad), Ok(None)));
        assert!(matches!(
            choose_line(None, &bad, &Ok(())),
            Ok(Some(LineEngine::Tap))
        ));
        let refused = choose_line(Some(LineEngine::Fq), &bad, &Ok(())).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the line engine that was asked for does not work here (fq: no such thing): \
             with --line-engine auto the agent takes one that does"
        );
    }

    #[test]
    fn a_delay_is_refused_with_the_reason_where_nothing_can_hold_it() {
        let without = |name, why: &str| Feature {
            name,
            available: false,
            used: false,
            detail: why.to_owned(),
        };
        let mut features = Features {
            attach_mode: AttachMode::Tcx,
            line_engine: None,
            list: vec![without("fq", "no sch_fq"), without("tap", "no tun")],
        };
        let spec = |fault| Spec {
            selector: Selector {
                at: Where::Pid(1),
                interface: None,
            },
            rules: vec![Rule {
                filter: Filter::default(),
                fault,
                pulse: None,
            }],
            duration: Duration::from_secs(1),
            detached: false,
            grace: Duration::ZERO,
            seed: 0,
            include_probes: false,
        };
        let delay = spec(Fault::Delay(Delay {
            latency: Duration::from_millis(1),
            jitter: Duration::ZERO,
            distribution: Distribution::Uniform,
            correlation: Ppm::NONE,
            reorder: false,
            ramp: None,
        }));
        let loss = spec(Fault::Partition {
            reject: false,
            share: crate::engine::Share::ALL,
        });
        assert!(matches!(features.line_for(&loss), Ok(None)));
        assert_eq!(
            features.line_for(&delay).unwrap_err().to_string(),
            "nothing on this kernel can hold packets (fq: no sch_fq; tap: no tun): a delay cannot be applied, a loss can"
        );
        features.line_engine = Some(LineEngine::Tap);
        assert!(matches!(
            features.line_for(&delay),
            Ok(Some(LineEngine::Tap))
        ));
    }

    #[test]
    fn a_capability_that_is_missing_is_not_used() {
        assert!(has_capability("cap_bpf", true, "").used);
        assert!(!has_capability("cap_bpf", false, "").used);
    }
}
