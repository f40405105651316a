//! What the agent asks of rtnetlink, in the namespace of the calling thread.
//!
//! Knows interfaces, routes and qdiscs; knows nothing of experiments.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "netlink's enums have dozens of attributes, of which we want one or two"
)]

mod batch;
pub mod diag;
mod message;
mod rule;

use std::{collections::HashSet, io};

use futures::{StreamExt, TryStreamExt};
use netlink_packet_core::{
    DefaultNla, NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{AfSpecInet6, AfSpecUnspec, In6AddrGenMode, LinkAttribute},
    route::{RouteAttribute, RouteMessage, RouteType},
    tc::{TcAttribute, TcHandle, TcMessage, TcOption},
};
use rtnetlink::{Handle, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder};

pub use batch::Batch;
pub use message::{FAR_END_ALIAS, Filter, LINE_ALIAS, Link};
use message::{bpf_filter, link};
pub use rule::MarkRule;

/// What a delay line's device needs.
#[derive(Clone, Copy, Debug)]
pub struct LineLink {
    /// Largest packet.
    pub mtu: u32,
    /// Length of its transmit queue.
    pub queue_len: u32,
}

/// The numbers of an `fq` qdisc that a delay line sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fq {
    /// Most packets in the qdisc, and in each of its flows.
    pub limit_packets: u32,
    /// How far ahead a departure time may be.
    pub horizon_us: u32,
}

/// Attributes of `fq`, from `linux/pkt_sched.h`.
const TCA_FQ_PLIMIT: u16 = 1;
const TCA_FQ_FLOW_PLIMIT: u16 = 2;
const TCA_FQ_HORIZON: u16 = 14;
const TCA_FQ_HORIZON_DROP: u16 = 15;

/// Runs `work` with a netlink socket of the calling thread's namespace.
pub fn with<T>(work: impl AsyncFnOnce(Netlink) -> Result<T>) -> io::Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let (connection, handle, _) = rtnetlink::new_connection()?;
            let connection = tokio::spawn(connection);
            let result = work(Netlink(handle)).await;
            connection.abort();
            result.map_err(into_io)
        })
}

fn into_io(error: rtnetlink::Error) -> io::Error {
    match error {
        rtnetlink::Error::NetlinkError(message) => message.to_io(),
        other => io::Error::other(other),
    }
}

/// A netlink socket.
pub struct Netlink(Handle);

type Result<T> = std::result::Result<T, rtnetlink::Error>;

impl Netlink {
    /// All interfaces.
    pub async fn links(&self) -> Result<Vec<Link>> {
        self.0
            .link()
            .get()
            .execute()
            .map_ok(link)
            .try_collect()
            .await
    }

    /// One interface; nothing when there is none of this number.
    pub async fn link(&self, index: u32) -> Result<Option<Link>> {
        match self
            .0
            .link()
            .get()
            .match_index(index)
            .execute()
            .try_next()
            .await
        {
            Ok(found) => Ok(found.map(link)),
            Err(rtnetlink::Error::NetlinkError(error)) if error.raw_code() == -libc::ENODEV => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Number of the interface `name`.
    pub async fn index_of(&self, name: &str) -> Result<u32> {
        let found = self
            .0
            .link()
            .get()
            .match_name(name.to_owned())
            .execute()
            .try_next()
            .await?;
        Ok(found.map_or(0, |message| message.header.index))
    }

    /// Numbers of the interfaces that default routes lead to, IPv4's first.
    pub async fn default_route_interfaces(&self) -> Result<Vec<u32>> {
        let mut found = self
            .default_routes(RouteMessageBuilder::<std::net::Ipv4Addr>::new().build())
            .await?;
        found.extend(
            self.default_routes(RouteMessageBuilder::<std::net::Ipv6Addr>::new().build())
                .await?,
        );
        let mut seen = HashSet::new();
        found.retain(|index| seen.insert(*index));
        Ok(found)
    }

    async fn default_routes(&self, of: RouteMessage) -> Result<Vec<u32>> {
        let routes: Vec<RouteMessage> = self.0.route().get(of).execute().try_collect().await?;
        Ok(routes
            .iter()
            .filter(|route| {
                // Others lead nowhere, or are those by which doors keep packets in the namespace.
                route.header.kind == RouteType::Unicast
                    && route.header.destination_prefix_length == 0
            })
            .filter_map(|route| {
                route
                    .attributes
                    .iter()
                    .find_map(|attribute| match attribute {
                        RouteAttribute::Oif(index) => Some(vec![*index]),
                        RouteAttribute::MultiPath(hops) => {
                            Some(hops.iter().map(|hop| hop.interface_index).collect())
                        }
                        _ => None,
                    })
            })
            .flatten()
            .collect())
    }

    /// Makes a veth pair, both ends down.
    pub async fn add_veth(&self, near: &str, far: &str) -> Result<()> {
        self.0
            .link()
            .add(LinkVeth::new(near, far).build())
            .execute()
            .await
    }

    /// Makes an interface part of a delay line: silent, without addresses of its own.
    pub async fn make_line(&self, index: u32, line: LineLink) -> Result<()> {
        let silent =
            LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(vec![AfSpecInet6::AddrGenMode(
                In6AddrGenMode::None,
            )])]);
        let message = LinkMessageBuilder::<LinkUnspec>::new()
            .index(index)
            .mtu(line.mtu)
            .txqueuelen(line.queue_len)
            .arp(false)
            .multicast(false)
            .append_extra_attribute(silent)
            .build();
        match self.0.link().set(message).execute().await {
            // A namespace without IPv6 gives no IPv6 address either.
            Err(rtnetlink::Error::NetlinkError(error))
                if error.raw_code() == -libc::EAFNOSUPPORT =>
            {
                let message = LinkMessageBuilder::<LinkUnspec>::new()
                    .index(index)
                    .mtu(line.mtu)
                    .txqueuelen(line.queue_len)
                    .arp(false)
                    .multicast(false)
                    .build();
                self.0.link().set(message).execute().await
            }
            other => other,
        }
    }

    /// Lets an interface take packets.
    pub async fn set_up(&self, index: u32) -> Result<()> {
        self.0
            .link()
            .set(
                LinkMessageBuilder::<LinkUnspec>::new()
                    .index(index)
                    .up()
                    .build(),
            )
            .execute()
            .await
    }

    /// Removes an interface; one that is gone already is no error.
    pub async fn delete_link(&self, index: u32) -> Result<()> {
        match self.0.link().del(index).execute().await {
            Err(rtnetlink::Error::NetlinkError(error)) if error.raw_code() == -libc::ENODEV => {
                Ok(())
            }
            other => other,
        }
    }

    /// Puts an `fq` qdisc at the root of an interface.
    pub async fn set_fq(&self, index: u32, fq: Fq) -> Result<()> {
        let number =
            |kind, value: u32| TcOption::Other(DefaultNla::new(kind, value.to_ne_bytes().to_vec()));
        let options = vec![
            number(TCA_FQ_PLIMIT, fq.limit_packets),
            number(TCA_FQ_FLOW_PLIMIT, fq.limit_packets),
            number(TCA_FQ_HORIZON, fq.horizon_us),
            TcOption::Other(DefaultNla::new(TCA_FQ_HORIZON_DROP, vec![0])),
        ];
        self.set_root(index, "fq", Some(options)).await
    }

    /// Lets an interface's driver have each packet at once: no queue in front of its own, and no memory for one.
    pub async fn set_no_queue(&self, index: u32) -> Result<()> {
        self.set_root(index, "noqueue", None).await
    }

    async fn set_root(&self, index: u32, kind: &str, options: Option<Vec<TcOption>>) -> Result<()> {
        let mut message = TcMessage::with_index(index.cast_signed());
        message.header.parent = TcHandle::ROOT;
        message.attributes.push(TcAttribute::Kind(kind.into()));
        message.attributes.extend(options.map(TcAttribute::Options));
        // rtnetlink's own request for qdiscs takes no options.
        let mut request = NetlinkMessage::from(RouteNetlinkMessage::NewQueueDiscipline(message));
        request.header.flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
        let mut answers = self.0.clone().request(request)?;
        while let Some(answer) = answers.next().await {
            if let NetlinkPayload::Error(error) = answer.payload
                && error.code.is_some()
            {
                return Err(rtnetlink::Error::NetlinkError(error));
            }
        }
        Ok(())
    }

    /// The BPF filters in an interface's `clsact`.
    pub async fn bpf_filters(&self, index: u32) -> Result<Vec<Filter>> {
        let mut filters = Vec::new();
        for egress in [true, false] {
            let messages: Vec<TcMessage> = self.filters(index.cast_signed(), egress).await?;
            filters.extend(
                messages
                    .iter()
                    .filter_map(|message| bpf_filter(message, egress)),
            );
        }
        Ok(filters)
    }

    async fn filters(&self, index: i32, egress: bool) -> Result<Vec<TcMessage>> {
        let mut handle = self.0.traffic_filter(index);
        let request = if egress {
            handle.get().egress()
        } else {
            handle.get().ingress()
        };
        match request.execute().try_collect().await {
            // No clsact, no filters.
            Err(rtnetlink::Error::NetlinkError(error)) if error.raw_code() == -libc::EINVAL => {
                Ok(Vec::new())
            }
            other => other,
        }
    }

    /// Removes the `clsact` qdisc of an interface if no filter is left in it.
    pub async fn delete_empty_clsact(&self, index: u32) -> Result<()> {
        let index = index.cast_signed();
        let in_use = !self.filters(index, false).await?.is_empty()
            || !self.filters(index, true).await?.is_empty();
        if in_use || !self.has_clsact(index).await? {
            return Ok(());
        }
        let mut request = self.0.qdisc().del(index);
        let message = request.message_mut();
        message.header.parent = TcHandle::CLSACT;
        message.header.handle = TcHandle {
            major: 0xffff,
            minor: 0,
        };
        request.execute().await
    }

    /// Whether an interface has a `clsact` qdisc.
    pub async fn has_clsact(&self, index: i32) -> Result<bool> {
        let kind = TcAttribute::Kind("clsact".into());
        let qdiscs = self.qdiscs(index).await?;
        Ok(qdiscs.iter().any(|qdisc| qdisc.attributes.contains(&kind)))
    }

    /// Packets that wait in an interface's qdiscs.
    pub async fn queued_packets(&self, index: i32) -> Result<u32> {
        let qdiscs = self.qdiscs(index).await?;
        let attributes = qdiscs.iter().flat_map(|qdisc| &qdisc.attributes);
        Ok(attributes
            .filter_map(|attribute| match attribute {
                TcAttribute::Stats(stats) => Some(stats.qlen),
                _ => None,
            })
            .sum())
    }

    async fn qdiscs(&self, index: i32) -> Result<Vec<TcMessage>> {
        let mut qdiscs: Vec<TcMessage> = self
            .0
            .qdisc()
            .get()
            .index(index)
            .execute()
            .try_collect()
            .await?;
        qdiscs.retain(|qdisc| qdisc.header.index == index);
        Ok(qdiscs)
    }
}
