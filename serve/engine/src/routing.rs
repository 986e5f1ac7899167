//! Which loaded version answers a request.
//!
//! Requests read an immutable snapshot without a lock; the control plane replaces it. A request holds its servable until
//! it is answered, so an unload can wait for it but never pull the model away.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::error::{Code, Error, Result};
use crate::messages::ModelVersionStatus;
use crate::servable::Servable;

/// The version that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum VersionChoice<'a> {
    Latest,
    Number(i64),
    Label(&'a str),
}

impl<'a> VersionChoice<'a> {
    /// What a request means that names a version, a label, both or none. The number counts.
    pub fn of(number: Option<i64>, label: Option<&'a str>) -> VersionChoice<'a> {
        match (number, label) {
            (Some(number), _) => VersionChoice::Number(number),
            (None, Some(label)) => VersionChoice::Label(label),
            (None, None) => VersionChoice::Latest,
        }
    }
}

#[derive(Clone, Default)]
struct Model {
    versions: BTreeMap<i64, Arc<Servable>>,
    labels: HashMap<String, i64>,
    /// As published by the control plane, newest first.
    states: Vec<ModelVersionStatus>,
}

/// The routing table, shared by all listeners.
#[derive(Default)]
pub struct Routes {
    models: ArcSwap<HashMap<String, Model>>,
}

impl Routes {
    /// Let requests reach exactly these versions of `model`; with none, and nothing published, the model is unknown.
    pub fn route(&self, model: &str, versions: BTreeMap<i64, Arc<Servable>>, labels: HashMap<String, i64>) {
        self.update(model, |entry| {
            entry.versions.clone_from(&versions);
            entry.labels.clone_from(&labels);
        });
    }

    /// Set what GetModelStatus answers for `model`.
    pub fn publish(&self, model: &str, states: Vec<ModelVersionStatus>) {
        self.update(model, |entry| entry.states.clone_from(&states));
    }

    fn update(&self, model: &str, change: impl Fn(&mut Model)) {
        self.models.rcu(|models| {
            let mut models = HashMap::clone(models);
            change(models.entry(model.to_owned()).or_default());
            models
                .retain(|_, entry| !entry.versions.is_empty() || !entry.labels.is_empty() || !entry.states.is_empty());
            models
        });
    }

    /// Whether requests can reach this version.
    pub fn is_routed(&self, model: &str, version: i64) -> bool {
        self.models.load().get(model).is_some_and(|entry| entry.versions.contains_key(&version))
    }

    /// Pin the servable that a request with this ModelSpec goes to.
    pub fn resolve(&self, model: &str, choice: VersionChoice) -> Result<Arc<Servable>> {
        if model.is_empty() {
            return Err(Error::invalid("ModelSpec has no name specified."));
        }
        let models = self.models.load();
        let entry = models.get(model);
        let number = match choice {
            VersionChoice::Latest => {
                return entry
                    .and_then(|entry| entry.versions.last_key_value())
                    .map(|(_, servable)| Arc::clone(servable))
                    .ok_or_else(|| not_found(format!("Latest({model})")));
            }
            VersionChoice::Number(number) => number,
            // An unknown label is the client's mistake even if the model is unknown too: upstream looks there first.
            VersionChoice::Label(label) => *entry
                .and_then(|entry| entry.labels.get(label))
                .ok_or_else(|| Error::invalid(format!("Unrecognized servable version label: {label}")))?,
        };
        entry
            .and_then(|entry| entry.versions.get(&number))
            .cloned()
            .ok_or_else(|| not_found(format!("Specific({model}, {number})")))
    }

    /// The states of one version, or of all versions ever seen, newest first. A label counts as no version, as upstream.
    pub fn states(&self, model: &str, version: Option<i64>) -> Result<Vec<ModelVersionStatus>> {
        let models = self.models.load();
        let states = models.get(model).map(|entry| entry.states.as_slice()).unwrap_or_default();
        let wanted: Vec<_> =
            states.iter().filter(|state| version.is_none_or(|number| state.version == number)).cloned().collect();
        match version {
            _ if !wanted.is_empty() => Ok(wanted),
            Some(number) => {
                Err(Error::new(Code::NotFound, format!("Could not find version {number} of model {model}")))
            }
            None => Err(Error::new(Code::NotFound, format!("Could not find any versions of model {model}"))),
        }
    }
}

/// Clients detect that a server is not ready by the word `Servable`.
fn not_found(request: String) -> Error {
    Error::new(Code::NotFound, format!("Servable not found for request: {request}"))
}
