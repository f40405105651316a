//! What the kernel says about a TCP socket, and the protocol counters of a namespace.

use std::{collections::BTreeMap, fs, mem, os::fd::AsRawFd};

use anyhow::{Context, Result, ensure};

use crate::lab::Host;

/// State of a TCP socket that tells what its sender has noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpInfo {
    /// Segments sent again since the connection stands.
    pub retransmits: u32,
    /// Congestion state: 0 open, 1 disorder, 2 reduced window (a local drop or ECN said so), 3 recovery, 4 loss.
    pub congestion_state: u8,
    /// Segments in flight.
    pub unacked: u32,
    /// Smoothed round trip time, in microseconds.
    pub rtt_us: u32,
}

impl TcpInfo {
    /// State after a local queue or filter told the sender that it dropped its packet (`TCP_CA_CWR`).
    pub const REDUCED_WINDOW: u8 = 2;

    /// Asks the kernel (`TCP_INFO`).
    pub fn of(socket: &impl AsRawFd) -> Result<Self> {
        // SAFETY: tcp_info is plain numbers, for which all bits zero is a value.
        let mut info: libc::tcp_info = unsafe { mem::zeroed() };
        let mut length = libc::socklen_t::try_from(size_of::<libc::tcp_info>())?;
        // SAFETY: the pointer and the length describe `info`; the kernel writes at most `length` bytes.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::IPPROTO_TCP,
                libc::TCP_INFO,
                (&raw mut info).cast(),
                &raw mut length,
            )
        };
        ensure!(result == 0, "TCP_INFO: {}", std::io::Error::last_os_error());
        Ok(Self {
            retransmits: info.tcpi_total_retrans,
            congestion_state: info.tcpi_ca_state,
            unacked: info.tcpi_unacked,
            rtt_us: info.tcpi_rtt,
        })
    }
}

/// Counters of `/proc/net/snmp`, `snmp6` and `netstat`, such as `Udp.SndbufErrors` or `Udp6SndbufErrors`.
#[derive(Debug, Clone, Default)]
pub struct NetCounters(BTreeMap<String, u64>);

impl NetCounters {
    /// Reads them in a host's namespace.
    pub fn of(host: &Host) -> Result<Self> {
        host.run(|| {
            let mut counters = BTreeMap::new();
            for file in ["snmp", "netstat", "snmp6"] {
                let path = format!("/proc/thread-self/net/{file}");
                let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
                if file == "snmp6" {
                    counters.extend(text.lines().filter_map(named));
                } else {
                    let lines: Vec<&str> = text.lines().collect();
                    counters.extend(
                        lines
                            .chunks_exact(2)
                            .flat_map(|pair| table(pair[0], pair[1])),
                    );
                }
            }
            Ok(Self(counters))
        })?
    }

    /// How much a counter grew since `before`; 0 for one that the kernel does not have.
    pub fn grew(&self, before: &Self, name: &str) -> u64 {
        let value = |counters: &Self| counters.0.get(name).copied().unwrap_or(0);
        value(self).saturating_sub(value(before))
    }
}

/// A line of `snmp6`: name and value.
fn named(line: &str) -> Option<(String, u64)> {
    let (name, value) = line.split_once(char::is_whitespace)?;
    Some((name.to_owned(), value.trim().parse().ok()?))
}

/// Two lines of `snmp` or `netstat`: `Udp: InDatagrams …` over `Udp: 17 …`.
fn table(names: &str, values: &str) -> Vec<(String, u64)> {
    let Some((group, names)) = names.split_once(": ") else {
        return Vec::new();
    };
    let values = values.split_whitespace().skip(1);
    let pairs = names.split_whitespace().zip(values);
    // Some values are -1 for "none": not counters.
    pairs
        .filter_map(|(name, value)| Some((format!("{group}.{name}"), value.parse().ok()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_are_read() {
        let table = table("Udp: InDatagrams SndbufErrors", "Udp: 17 0");
        assert_eq!(
            table,
            [
                ("Udp.InDatagrams".to_owned(), 17),
                ("Udp.SndbufErrors".to_owned(), 0)
            ]
        );
        assert_eq!(
            named("Udp6OutDatagrams                \t4"),
            Some(("Udp6OutDatagrams".to_owned(), 4))
        );
    }
}
