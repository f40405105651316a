//! Starts the services of two stories on hosts of a lab: the tutorial's provider and consumer, and the pizza story's
//! catalog and recommender. The services themselves are programs beside this file.

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

/// Port of the tutorial's services, and of the catalog.
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
    consumer_that_retries(host, PORT, providers, 0)
}

/// The same at another port; what failed is asked again so many times.
pub fn consumer_that_retries(
    host: &Host,
    port: u16,
    providers: &[Host],
    retries: u32,
) -> Result<Process> {
    consumer_with(host, port, providers, &["--retries", &retries.to_string()])
}

/// The same at the usual port; it answers by itself where providers do not.
pub fn consumer_with_breaker(host: &Host, providers: &[Host]) -> Result<Process> {
    consumer_with(host, PORT, providers, &["--breaker"])
}

fn consumer_with(host: &Host, port: u16, providers: &[Host], options: &[&str]) -> Result<Process> {
    let urls: Vec<String> = providers
        .iter()
        .map(|provider| provider.address_v4().to_string())
        .collect();
    let mut command = host.command(program("consumer")?)?;
    command
        .env("LISTEN", format!("[::]:{port}"))
        .env("PROVIDER_URL", urls.join(","))
        .env("PROVIDER_PORT", PORT.to_string())
        .args(options);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let process = Process::spawn(command)?;
    listening(host, port)?;
    Ok(process)
}

/// Starts the catalog on a host and waits until it listens.
pub fn catalog(host: &Host) -> Result<Process> {
    let mut command = host.command(program("catalog")?)?;
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let process = Process::spawn(command)?;
    listening(host, PORT)?;
    Ok(process)
}

/// Starts a recommender at a port of a host, asking the catalog of another, again so many times for what it does not
/// get within a second, and waits until it listens.
pub fn recommender(host: &Host, port: u16, catalog: &Host, retries: u32) -> Result<Process> {
    let mut command = host.command(program("recommender")?)?;
    command
        .env("LISTEN", format!("[::]:{port}"))
        .env(
            "CATALOG_URL",
            format!("http://{}:{PORT}", catalog.address_v4()),
        )
        .env("RETRIES", retries.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let process = Process::spawn(command)?;
    listening(host, port)?;
    Ok(process)
}

/// Waits until something accepts TCP connections on a port of a host.
pub fn listening(host: &Host, port: u16) -> Result<()> {
    listening_at(host, host.socket_address(Family::V4, port))
}

/// The same, of an address that only the host may reach.
pub fn listening_at(host: &Host, address: SocketAddr) -> Result<()> {
    host.run(|| {
        let what = format!("{} accepts connections at {address}", host.name());
        wait_until(&what, START, || {
            TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
        })
    })?
}
