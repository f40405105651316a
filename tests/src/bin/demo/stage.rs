//! What the demonstration plays on: five providers, their consumer, and the agent that knows them as one service.

use std::{
    fs::{self, File, TryLockError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use chaos_tests::{
    daemon::Daemon,
    lab::{Host, Lab, Process},
    services,
};

use crate::interrupt::Interrupt;

/// Name of the service, as in the README.
pub(crate) const SERVICE: &str = "provider-chaos-service";

const PROVIDERS: usize = 5;

/// Everything that must be gone in the end, in the order in which it goes.
#[derive(Debug)]
pub(crate) struct Stage {
    daemon: Daemon,
    _services: Vec<Process>,
    consumer: Host,
    _lab: Lab,
}

impl Stage {
    /// Lays everything out, telling each step.
    pub(crate) fn set_up(interrupt: &Interrupt) -> Result<Self> {
        let lab = Lab::new("demo")?;
        let mut providers = Vec::new();
        for number in 1..=PROVIDERS {
            interrupt.check()?;
            providers.push(lab.host(&format!("provider-{number}"))?);
        }
        let consumer = lab.host("consumer")?;
        println!(
            "lab       six hosts, each a network namespace ({}*): provider-1 to provider-{PROVIDERS}, and consumer",
            lab.prefix()
        );
        let mut processes = Vec::new();
        for provider in &providers {
            interrupt.check()?;
            processes.push(services::provider(provider)?);
        }
        processes.push(services::consumer(&consumer, &providers)?);
        println!("services  each provider tells the time over HTTP; consumer asks them in turn");
        wait_for_others(interrupt)?;
        let daemon = Daemon::start_with_service(&lab, SERVICE, &providers)?;
        println!(
            "agent     chaos-daemon runs; its inventory says: {SERVICE} is the {PROVIDERS} providers"
        );
        interrupt.check()?;
        Ok(Self {
            daemon,
            _services: processes,
            consumer,
            _lab: lab,
        })
    }

    /// The host that is loaded.
    pub(crate) fn consumer(&self) -> &Host {
        &self.consumer
    }

    /// The agent.
    pub(crate) fn daemon(&self) -> &Daemon {
        &self.daemon
    }

    /// Stops the agent, which must end well, and takes the rest down.
    pub(crate) fn take_down(mut self) -> Result<()> {
        let status = self.daemon.stop()?;
        ensure!(
            status.success(),
            "chaos-daemon did not end well: {status}\n{}",
            self.daemon.log_tail()
        );
        drop(self);
        println!("clean     the agent is stopped, the lab is taken down");
        Ok(())
    }
}

/// Starting an agent waits for tests that run agents, and hears no Ctrl-C meanwhile: better to wait here.
fn wait_for_others(interrupt: &Interrupt) -> Result<()> {
    const LOCK: &str = "/run/chaos-lab.lock";
    let Ok(file) = File::open(LOCK) else {
        return Ok(());
    };
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("lock {LOCK}"));
            }
        }
        if !told {
            let holder = fs::read_to_string(LOCK).unwrap_or_default();
            println!(
                "waiting   process {} runs agents, too, and would disturb the figures",
                holder.trim()
            );
            told = true;
        }
        interrupt.wait(Duration::from_millis(100))?;
    }
}
