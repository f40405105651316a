//! Calls of an agent as control makes them, for what `chaosctl` does not say. Knows the wire, and nothing of what is
//! behind it.

use std::path::Path;

use anyhow::{Context, Result};
use chaos_proto::v1::{
    ArmRequest, DisarmRequest, Experiment, ListRequest, PrepareRequest, UpdateRequest,
    agent_service_client::AgentServiceClient, disarm_request::Which,
};
use tokio::runtime::{Builder, Runtime};
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};

/// A connection to one agent. Calls block.
#[derive(Debug)]
pub struct Agent {
    runtime: Runtime,
    service: AgentServiceClient<Channel>,
}

impl Agent {
    /// Connects to the agent at this socket.
    pub fn at(socket: &Path) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let endpoint = Endpoint::from_shared(format!("unix://{}", socket.display()))?;
        let channel = runtime.block_on(endpoint.connect());
        let channel = channel.with_context(|| format!("connect to {}", socket.display()))?;
        Ok(Self {
            runtime,
            service: AgentServiceClient::new(channel),
        })
    }

    /// Puts an experiment in place.
    ///
    /// # Errors
    /// What the agent says.
    pub fn prepare(&mut self, request: PrepareRequest) -> Result<Experiment, Status> {
        let answer = self.runtime.block_on(self.service.prepare(request))?;
        experiment(answer.into_inner().experiment)
    }

    /// Starts its clock.
    ///
    /// # Errors
    /// What the agent says.
    pub fn arm(&mut self, id: &str) -> Result<Experiment, Status> {
        let request = ArmRequest { id: id.to_owned() };
        let answer = self.runtime.block_on(self.service.arm(request))?;
        experiment(answer.into_inner().experiment)
    }

    /// Changes it.
    ///
    /// # Errors
    /// What the agent says.
    pub fn update(&mut self, request: UpdateRequest) -> Result<Experiment, Status> {
        let answer = self.runtime.block_on(self.service.update(request))?;
        experiment(answer.into_inner().experiment)
    }

    /// Ends it.
    ///
    /// # Errors
    /// What the agent says.
    pub fn disarm(&mut self, id: &str) -> Result<Experiment, Status> {
        let request = DisarmRequest {
            which: Some(Which::Id(id.to_owned())),
        };
        let answer = self.runtime.block_on(self.service.disarm(request))?;
        experiment(answer.into_inner().experiments.pop())
    }

    /// All that it knows of, newest first.
    ///
    /// # Errors
    /// What the agent says.
    pub fn list(&mut self) -> Result<Vec<Experiment>, Status> {
        let request = ListRequest {
            include_ended: true,
        };
        let answer = self.runtime.block_on(self.service.list(request))?;
        Ok(answer.into_inner().experiments)
    }
}

fn experiment(answer: Option<Experiment>) -> Result<Experiment, Status> {
    answer.ok_or_else(|| Status::internal("the answer has no experiment"))
}
