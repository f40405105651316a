//! Disarm: what ends, and who may end it.

use chaos_proto::v1;
use tonic::Status;

use super::{Service, ask, describe};
use crate::{
    access::{Caller, Verb},
    audit::Entry,
    engine::Experiment,
};

impl Service {
    async fn disarm_one(
        &self,
        caller: &Caller,
        id: String,
        entry: &mut Entry,
    ) -> Result<Vec<Experiment>, Status> {
        let asker = self.gate.identify_about(caller, &id, entry).await?;
        let there = self.status(&id).await?;
        describe(&there, entry);
        self.gate.may_about(&asker, Verb::Delete, &there).await?;
        Ok(vec![ask(&self.agent, move |core| core.stop(&id)).await?])
    }

    /// See the trait.
    pub(super) async fn do_disarm(
        &self,
        caller: &Caller,
        which: Option<v1::disarm_request::Which>,
        entry: &mut Entry,
    ) -> Result<v1::DisarmResponse, Status> {
        use v1::disarm_request::Which;
        let ended = match which {
            Some(Which::Id(id)) => self.disarm_one(caller, id, entry).await?,
            Some(Which::All(true)) => self.disarm_all(caller, entry).await?,
            Some(Which::All(false)) | None => {
                return Err(Status::invalid_argument(
                    "say which experiment to end: an id, or all",
                ));
            }
        };
        let experiments = ended.iter().map(|experiment| self.experiment(experiment));
        Ok(v1::DisarmResponse {
            experiments: experiments.collect(),
        })
    }

    /// Ends those that they may end, their own before anybody is asked; an error names the others.
    async fn disarm_all(
        &self,
        caller: &Caller,
        entry: &mut Entry,
    ) -> Result<Vec<Experiment>, Status> {
        let mut ended = Vec::new();
        let mut others = Vec::new();
        for experiment in self.all(false).await? {
            match self.gate.access.known_owner(caller, &experiment.id) {
                Some(owner) => {
                    entry.asker(&owner);
                    self.end(experiment.id, &mut ended, entry).await?;
                }
                None => others.push(experiment),
            }
        }
        if others.is_empty() && !ended.is_empty() {
            return Ok(ended);
        }
        let asker = self.gate.identify_or_owner(caller, entry).await?;
        let (may, may_not) = self.gate.sort(&asker, Verb::Delete, others).await;
        for experiment in may {
            self.end(experiment.id, &mut ended, entry).await?;
        }
        let Some((_, refusal)) = may_not.first() else {
            return Ok(ended);
        };
        let names = |all: &mut dyn Iterator<Item = &Experiment>| {
            let names: Vec<&str> = all.map(|one| one.id.as_str()).collect();
            names.join(", ")
        };
        let done = if ended.is_empty() {
            "nothing was ended".to_owned()
        } else {
            format!("{} ended", names(&mut ended.iter()))
        };
        let left = names(&mut may_not.iter().map(|(left, _)| left));
        let sentence = format!("{done}, {left} goes on: {}", refusal.message());
        Err(self.gate.refused_rest(refusal, sentence))
    }

    async fn end(
        &self,
        id: String,
        ended: &mut Vec<Experiment>,
        entry: &mut Entry,
    ) -> Result<(), Status> {
        ended.push(ask(&self.agent, move |core| core.stop(&id)).await?);
        entry.ids(ended.iter().map(|one| one.id.as_str()));
        Ok(())
    }
}
