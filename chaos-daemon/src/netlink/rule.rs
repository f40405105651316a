//! Routing of packets by their mark: policy rules, and the tables that they lead to.

use futures::TryStreamExt;
use netlink_packet_route::{
    AddressFamily,
    route::{RouteAttribute, RouteMessage, RouteProtocol, RouteScope, RouteType},
    rule::{RuleAction, RuleAttribute, RuleMessage},
};
use rtnetlink::{IpVersion, RouteMessageBuilder};

use super::{Netlink, Result};

/// The loopback's number in every namespace.
const LOOPBACK_IFINDEX: u32 = 1;

/// A rule: packets with this mark go by this table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkRule {
    /// Of IPv6, not IPv4.
    pub v6: bool,
    /// The mark, all of it.
    pub mark: u32,
    /// The table.
    pub table: u32,
    /// Rules with less are asked first.
    pub priority: u32,
}

impl Netlink {
    /// All rules of this kind, of both families.
    pub async fn mark_rules(&self) -> Result<Vec<MarkRule>> {
        let mut found = Vec::new();
        for version in [IpVersion::V4, IpVersion::V6] {
            let rules: Vec<RuleMessage> =
                match self.0.rule().get(version).execute().try_collect().await {
                    Err(rtnetlink::Error::NetlinkError(error)) if is_missing(error.raw_code()) => {
                        continue;
                    }
                    other => other?,
                };
            found.extend(rules.iter().filter_map(mark_rule));
        }
        Ok(found)
    }

    /// Adds a rule, and to its table a route: all of its packets are for this host.
    pub async fn deliver_here(&self, rule: MarkRule) -> Result<()> {
        let mut add = self.0.rule().add();
        *add.message_mut() = message(rule);
        add.execute().await?;
        let added = self.0.route().add(local_route(rule)).execute().await;
        if added.is_err() {
            self.0.rule().del(message(rule)).execute().await?;
        }
        added
    }

    /// Takes both away.
    pub async fn deliver_here_no_more(&self, rule: MarkRule) -> Result<()> {
        let gone = |error: &rtnetlink::Error| match error {
            rtnetlink::Error::NetlinkError(error) => {
                [-libc::ESRCH, -libc::ENOENT].contains(&error.raw_code())
            }
            _ => false,
        };
        let route = self.0.route().del(local_route(rule)).execute().await;
        match route {
            Err(error) if !gone(&error) => return Err(error),
            _ => {}
        }
        match self.0.rule().del(message(rule)).execute().await {
            Err(error) if !gone(&error) => Err(error),
            _ => Ok(()),
        }
    }
}

/// A kernel without policy rules, or without the family.
fn is_missing(code: i32) -> bool {
    [-libc::EOPNOTSUPP, -libc::EAFNOSUPPORT].contains(&code)
}

fn mark_rule(message: &RuleMessage) -> Option<MarkRule> {
    let (mut mark, mut bits, mut table, mut priority) = (None, u32::MAX, None, 0);
    for attribute in &message.attributes {
        match *attribute {
            RuleAttribute::FwMark(it) => mark = Some(it),
            RuleAttribute::FwMask(it) => bits = it,
            RuleAttribute::Table(it) => table = Some(it),
            RuleAttribute::Priority(it) => priority = it,
            _ => {}
        }
    }
    let rule = MarkRule {
        v6: message.header.family == AddressFamily::Inet6,
        mark: mark?,
        table: table?,
        priority,
    };
    (bits == u32::MAX).then_some(rule)
}

fn message(rule: MarkRule) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = if rule.v6 {
        AddressFamily::Inet6
    } else {
        AddressFamily::Inet
    };
    message.header.action = RuleAction::ToTable;
    message.attributes = vec![
        RuleAttribute::Priority(rule.priority),
        RuleAttribute::FwMark(rule.mark),
        RuleAttribute::FwMask(u32::MAX),
        RuleAttribute::Table(rule.table),
    ];
    message
}

fn local_route(rule: MarkRule) -> RouteMessage {
    let mut message = if rule.v6 {
        RouteMessageBuilder::<std::net::Ipv6Addr>::new().build()
    } else {
        RouteMessageBuilder::<std::net::Ipv4Addr>::new().build()
    };
    message.header.kind = RouteType::Local;
    message.header.scope = RouteScope::Host;
    message.header.protocol = RouteProtocol::Static;
    message.header.table = 0;
    message.attributes = vec![
        RouteAttribute::Table(rule.table),
        RouteAttribute::Oif(LOOPBACK_IFINDEX),
    ];
    message
}

#[cfg(test)]
mod tests {
    use crate::{netlink, netns::Scratch};

    use super::*;

    #[test]
    fn what_is_added_is_listed_until_it_is_taken_away() {
        let scratch = Scratch::new().unwrap();
        let rules = [false, true].map(|v6| MarkRule {
            v6,
            mark: 0x1234_5678,
            table: 0x6300_0001,
            priority: 70,
        });
        let (there, after) = scratch
            .run(|| {
                netlink::with(async |netlink| {
                    netlink.set_up(LOOPBACK_IFINDEX).await?;
                    for rule in rules {
                        netlink.deliver_here(rule).await?;
                    }
                    let there = netlink.mark_rules().await?;
                    for rule in rules {
                        netlink.deliver_here_no_more(rule).await?;
                        netlink.deliver_here_no_more(rule).await?;
                    }
                    Ok((there, netlink.mark_rules().await?))
                })
            })
            .unwrap()
            .unwrap();
        assert_eq!(there, rules);
        assert_eq!(after, []);
    }
}
