//! Starts the tutorial's two services on hosts of a lab. The services themselves are programs beside this file.

use std::{
    net::{SocketAddr, TcpStream},
    process::Stdio,
    time::Duration,
};

use anyhow::Result;

use crate::{
    lab::{Family, Host, Process},
    programs::program,
    wait::wait_until,
};

/// Port of both services.
pub const PORT: u16 = 3000;

/// How long a service may take to answer; generous, for emulated machines.
const START: Duration = Duration::from_secs(30);

/// Starts the provider on a host and waits until it listens.
pub fn provider(host: &Host) -> Result<Process> {
    let mut command = host.command(program("provider")?)?;
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let process = Process::spawn(command)?;
    listening(host, PORT)?;
    Ok(process)
}

/// Starts the consumer on a host, calling these providers over IPv4 in turn, and waits until it listens.
pub fn consumer(host: &Host, providers: &[Host]) -> Result<Process> {
    let urls: Vec<String> = providers
        .iter()
        .map(|provider| provider.address_v4().to_string())
        .collect();
    let mut command = host.command(program("consumer")?)?;
    command
        .env("PROVIDER_URL", urls.join(","))
        .env("PROVIDER_PORT", PORT.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let process = Process::spawn(command)?;
    listening(host, PORT)?;
    Ok(process)
}

/// Waits until something accepts TCP connections on a port of a host.
pub fn listening(host: &Host, port: u16) -> Result<()> {
    let address: SocketAddr = host.socket_address(Family::V4, port);
    host.run(|| {
        let what = format!("{} accepts connections at {address}", host.name());
        wait_until(&what, START, || {
            TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
        })
    })?
}
