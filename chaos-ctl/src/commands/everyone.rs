//! All agents that a command is about: one, or those of every node of a cluster.

use std::sync::Arc;

use chaos_proto::v1::Experiment;
use futures::StreamExt as _;
use futures::stream;

use crate::client::{Address, Agent, ClientError};
use crate::cluster::{self, Cluster, Tokens};
use crate::error::{CommandError, ErrorKind};
use crate::experiment::{AT_ONCE, Direct, Rows};
use crate::global::Global;
use crate::output::whole::{Piece, Standing, Whole, base};
use crate::output::words;
use crate::way::{Need, Way};

/// Agents by node, and those that cannot be reached. The only agent has no node.
pub(super) struct Everyone {
    agents: Vec<(String, Agent)>,
    unreached: Failures,
}

/// A part of an experiment: its node, its agent, and what that says.
pub(super) type Running = (String, Agent, Experiment);

/// Which node, and what went wrong there.
pub(super) type Failures = Vec<(String, ClientError)>;

/// What agents answered, and what went wrong with the others.
pub(super) struct Answers<T> {
    pub(super) answers: Vec<(String, T)>,
    pub(super) failures: Failures,
}

/// Some agents did not answer as they should.
#[derive(Debug, thiserror::Error)]
pub(super) enum EveryoneError {
    /// Nobody answers.
    #[error("no agent of {} answers:{rows}", words::counted(*of, "node"))]
    Nobody {
        /// Who, and why.
        rows: Rows,
        /// Of so many nodes.
        of: usize,
    },
    /// No agent knows the experiment.
    #[error("there is no experiment {id} on any node: `chaosctl list --all` shows all")]
    Unknown {
        /// Its id.
        id: String,
    },
    /// Some could not be asked, or refused.
    #[error("{what} on {}:{rows}", rows.nodes(*of))]
    Some {
        /// What was not done.
        what: &'static str,
        /// Who, and why.
        rows: Rows,
        /// Of so many nodes.
        of: usize,
    },
}

impl Everyone {
    /// The agent of this host or the one whose address was given, or all of a cluster.
    pub(super) async fn of(global: &Global) -> Result<Self, CommandError> {
        match global.way(Need::Any)? {
            Way::Agent(address) => Self::only(&global.direct(address)).await,
            Way::Cluster {
                options,
                only: None,
            } => {
                let cluster = Box::pin(Cluster::connect(options)).await?;
                Self::of_cluster(&cluster::Reach::new(cluster)).await
            }
            Way::Cluster {
                options,
                only: Some(address),
            } => {
                let asks_for_token = matches!(address, Address::Server(_));
                let mut direct = global.direct(address);
                if direct.token.is_none() && asks_for_token {
                    let cluster = Box::pin(Cluster::connect(options)).await?;
                    direct.token = Some(Arc::new(Tokens::new(&cluster)));
                }
                Self::only(&direct).await
            }
        }
    }

    /// The one agent at an address.
    async fn only(direct: &Direct) -> Result<Self, CommandError> {
        Ok(Self {
            agents: vec![(String::new(), direct.agent().await?)],
            unreached: Vec::new(),
        })
    }

    /// The agents of all nodes of a cluster.
    async fn of_cluster(reach: &cluster::Reach) -> Result<Self, CommandError> {
        let nodes = reach.look_up().await?;
        let connected = stream::iter(nodes)
            .map(|node| async move {
                let agent = reach.connect(&node).await;
                (node, agent)
            })
            .buffered(AT_ONCE)
            .collect::<Vec<_>>()
            .await;
        let (mut agents, mut unreached) = (Vec::new(), Vec::new());
        for (node, agent) in connected {
            match agent {
                Ok(agent) => agents.push((node, agent)),
                Err(error) => unreached.push((node, error)),
            }
        }
        Ok(Self { agents, unreached })
    }

    /// The agent, where it is the only one there can be.
    pub(super) fn is_one(&self) -> Option<&Agent> {
        match &self.agents[..] {
            [(node, agent)] if node.is_empty() => Some(agent),
            _ => None,
        }
    }

    /// On how many nodes there should be one.
    pub(super) fn count(&self) -> usize {
        self.agents.len() + self.unreached.len()
    }

    /// The parts of one experiment on all nodes, and who could not be asked.
    pub(super) async fn find(self, id: &str) -> Result<(Whole, Failures), CommandError> {
        let of = self.count();
        let one = self.is_one().cloned();
        let lists = self
            .ask(|agent| async move { agent.list(true).await })
            .await?;
        let failures = lists.failures;
        let answers = lists.answers.into_iter();
        let all = answers.flat_map(|(node, list)| pieces(&node, list));
        let parts = all.filter(|piece| base(&piece.experiment.id) == base(id));
        match (Whole::group(parts.collect()).pop(), one) {
            (Some(whole), _) => Ok((whole, failures)),
            // In the agent's own words, which may be that one may not see it.
            (None, Some(agent)) => Ok((Whole::from(&agent.experiment(id).await?), failures)),
            (None, None) => {
                // Those that were not asked may have it.
                all_done("no other node has it, and there is no answer", failures, of)?;
                Err(unknown(id))
            }
        }
    }

    /// The parts of one experiment that have not ended, with their agents, and who could not be asked.
    pub(super) async fn parts(self, id: &str) -> Result<(Vec<Running>, Failures), CommandError> {
        let one = self.is_one().cloned();
        let lists = self
            .ask(|agent| async move {
                let list = agent.list(false).await?;
                Ok((agent, list))
            })
            .await?;
        let mut parts = Vec::new();
        for (node, (agent, list)) in lists.answers {
            let of_it = list.into_iter().filter(|part| base(&part.id) == base(id));
            parts.extend(of_it.map(|part| (node.clone(), agent.clone(), part)));
        }
        match one {
            _ if !parts.is_empty() => {}
            // It has ended, or is not there: the agent says which.
            Some(agent) => {
                let there = agent.experiment(id).await?;
                parts.push((String::new(), agent, there));
            }
            None => return Err(unknown(id)),
        }
        Ok((parts, lists.failures))
    }

    /// Asks all at once. An error where nobody could be asked.
    pub(super) async fn ask<T, F>(
        self,
        call: impl Fn(Agent) -> F,
    ) -> Result<Answers<T>, CommandError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let of = self.count();
        let answered = stream::iter(self.agents)
            .map(|(node, agent)| {
                let answer = call(agent);
                async move { (node, answer.await) }
            })
            .buffered(AT_ONCE)
            .collect::<Vec<_>>()
            .await;
        let mut answers = Vec::new();
        let mut failures = self.unreached;
        for (node, answer) in answered {
            match answer {
                Ok(answer) => answers.push((node, answer)),
                Err(error) if node.is_empty() => return Err(error.into()),
                Err(error) => failures.push((node, error)),
            }
        }
        if answers.is_empty() {
            let error = EveryoneError::Nobody {
                rows: rows(failures),
                of,
            };
            return Err(CommandError::new(ErrorKind::Failed, error));
        }
        Ok(Answers { answers, failures })
    }
}

/// No agent knows it.
pub(super) fn unknown(id: &str) -> CommandError {
    let error = EveryoneError::Unknown { id: id.to_owned() };
    CommandError::new(ErrorKind::Failed, error)
}

/// An error where something was not done on some nodes.
pub(super) fn all_done(
    what: &'static str,
    failures: Failures,
    of: usize,
) -> Result<(), CommandError> {
    if failures.is_empty() {
        return Ok(());
    }
    let rows = rows(failures);
    let error = EveryoneError::Some { what, rows, of };
    Err(CommandError::new(ErrorKind::Failed, error))
}

fn rows(failures: Failures) -> Rows {
    let said = failures
        .into_iter()
        .map(|(node, error)| (node, error.to_string()));
    Rows::new(said.collect())
}

/// Experiments of a node as parts; those of the only agent are on the node that it says.
pub(super) fn pieces(node: &str, experiments: Vec<Experiment>) -> Vec<Piece> {
    let piece = |experiment: Experiment| Piece {
        node: match node {
            "" => experiment.node.clone(),
            node => node.to_owned(),
        },
        experiment,
        standing: Standing::Current,
    };
    experiments.into_iter().map(piece).collect()
}
