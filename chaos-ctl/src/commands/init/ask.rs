//! Asks at the terminal for what the command line does not say.

use dialoguer::theme::ColorfulTheme;
use dialoguer::{Confirm, Input, Select};
use serde_json::{Map, Value};

use super::Given;
use super::discovery::{Discovery, Offered};
use super::draft::{Draft, DraftError, FAULTS, activity, spoken, usual_tolerance};

/// Who asks.
pub(super) struct Ask<'a> {
    discovery: &'a Discovery,
    theme: ColorfulTheme,
}

impl<'a> Ask<'a> {
    pub(super) fn new(discovery: &'a Discovery) -> Self {
        Self {
            discovery,
            theme: ColorfulTheme::default(),
        }
    }

    /// What the command line says, and what is answered.
    pub(super) fn draft(&self, given: &Given) -> Result<Draft, DraftError> {
        let mut given = given.clone();
        if given.title.is_none() {
            given.title = Some(self.text("What is the experiment about", None)?);
        }
        if given.description.is_none() {
            let title = given.title.as_deref();
            given.description = Some(self.text("What do you believe, in a sentence", title)?);
        }
        let mut draft = Draft::of(&given, self.discovery)?;
        if draft.hypothesis.is_none() {
            draft.hypothesis = self.hypothesis()?;
        }
        if draft.method.is_empty() {
            draft.method.extend(self.action()?);
        }
        // Faults undo themselves.
        let is_fault = draft
            .method
            .iter()
            .any(|action| action["provider"]["type"] == "chaos");
        if draft.rollbacks.is_empty() && !draft.method.is_empty() && !is_fault {
            draft.rollbacks.extend(self.rollback()?);
        }
        Ok(draft)
    }

    fn text(&self, question: &str, usual: Option<&str>) -> Result<String, DraftError> {
        let input = Input::<String>::with_theme(&self.theme).with_prompt(question);
        let input = match usual {
            Some(usual) => input.default(usual.to_owned()),
            None => input,
        };
        Ok(input.interact_text()?)
    }

    fn choice(&self, question: &str, items: &[String]) -> Result<usize, DraftError> {
        let select = Select::with_theme(&self.theme).with_prompt(question);
        Ok(select.items(items).default(0).interact()?)
    }

    fn hypothesis(&self) -> Result<Option<(String, Vec<Value>)>, DraftError> {
        let mut items = vec![
            "an address answers".to_owned(),
            "a program succeeds".to_owned(),
        ];
        items.extend(self.discovery.probes.iter().map(named));
        items.push("nothing yet".to_owned());
        let mut probes = Vec::new();
        loop {
            let question = if probes.is_empty() {
                "How do you see that all is well"
            } else {
                "And how else"
            };
            let chosen = self.choice(question, &items)?;
            let mut probe = match chosen {
                0 => spoken(
                    "probe",
                    &self.text("Which address", Some("http://127.0.0.1:8080/"))?,
                ),
                1 => spoken(
                    "probe",
                    &self.text("Which program, with its arguments", None)?,
                ),
                chosen => match self.discovery.probes.get(chosen - 2) {
                    Some(offered) => self.offered("probe", offered)?,
                    None => break,
                },
            };
            let usual = usual_tolerance(&probe).to_string();
            let question = match chosen {
                0 => "Which status must it give",
                1 => "Which exit code must it give",
                _ => "What must it give",
            };
            let tolerance = self.text(question, Some(&usual))?;
            probe["tolerance"] =
                serde_json::from_str(&tolerance).unwrap_or_else(|_| tolerance.into());
            probes.push(probe);
            if !self.more()? {
                break;
            }
        }
        if probes.is_empty() {
            return Ok(None);
        }
        let title = self.text("What is that called", Some("All is well"))?;
        Ok(Some((title, probes)))
    }

    fn more(&self) -> Result<bool, DraftError> {
        let confirm = Confirm::with_theme(&self.theme).with_prompt("Something more");
        Ok(confirm.default(false).interact()?)
    }

    fn action(&self) -> Result<Option<Value>, DraftError> {
        let mut items: Vec<_> = FAULTS
            .iter()
            .map(|fault| format!("{}: {}", fault.name, fault.what))
            .collect();
        items.push("a program is run".to_owned());
        items.extend(self.discovery.actions.iter().map(named));
        items.push("nothing yet".to_owned());
        let chosen = self.choice("What happens", &items)?;
        if let Some(fault) = FAULTS.get(chosen) {
            let value = match fault.value {
                Some((question, usual)) => Some(self.text(question, Some(usual))?),
                None => None,
            };
            let service = self.text("To which service", None)?;
            loop {
                let duration = self.text("For how long", Some("30s"))?;
                match fault.provider(value.as_deref(), &service, &duration) {
                    Ok(provider) => {
                        let name = format!("{}-{service}", fault.name);
                        return Ok(Some(activity("action", &name, provider)));
                    }
                    Err(DraftError::Quantity(wrong)) => self.say(&wrong.to_string())?,
                    Err(error) => return Err(error),
                }
            }
        }
        if chosen == FAULTS.len() {
            let words = self.text("Which program, with its arguments", None)?;
            return Ok(Some(spoken("action", &words)));
        }
        match self.discovery.actions.get(chosen - FAULTS.len() - 1) {
            Some(offered) => self.offered("action", offered).map(Some),
            None => Ok(None),
        }
    }

    fn say(&self, what: &str) -> Result<(), DraftError> {
        let term = dialoguer::console::Term::stderr();
        let _ = &self.theme;
        term.write_line(what).map_err(dialoguer::Error::from)?;
        Ok(())
    }

    fn rollback(&self) -> Result<Option<Value>, DraftError> {
        let mut items = vec!["nothing".to_owned(), "a program".to_owned()];
        items.extend(self.discovery.actions.iter().map(named));
        match self.choice("What puts things right afterwards", &items)? {
            0 => Ok(None),
            1 => {
                let words = self.text("Which program, with its arguments", None)?;
                Ok(Some(spoken("action", &words)))
            }
            chosen => self
                .offered("action", &self.discovery.actions[chosen - 2])
                .map(Some),
        }
    }

    fn offered(&self, kind: &str, offered: &Offered) -> Result<Value, DraftError> {
        if !offered.doc.is_empty() {
            self.say(&offered.doc)?;
        }
        let mut arguments = Map::new();
        for argument in &offered.arguments {
            let usual = argument.default.as_ref().map(|usual| match usual {
                Value::String(text) => text.clone(),
                Value::Null => String::new(),
                other
                @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                    other.to_string()
                }
            });
            let input = Input::<String>::with_theme(&self.theme)
                .with_prompt(format!("Its argument {}", argument.name))
                .allow_empty(usual.is_some());
            let input = match &usual {
                Some(usual) => input.default(usual.clone()).show_default(!usual.is_empty()),
                None => input,
            };
            let answer = input.interact_text()?;
            // What is as usual need not be written.
            if usual.as_ref() != Some(&answer) {
                arguments.insert(argument.name.clone(), argument.value(&answer));
            }
        }
        Ok(activity(kind, &offered.name, offered.provider(arguments)))
    }
}

/// What is on offer, in a line.
fn named(offered: &Offered) -> String {
    let first = offered.doc.lines().next().unwrap_or_default();
    match first {
        "" => offered.name.clone(),
        first => format!("{}: {first}", offered.name),
    }
}
