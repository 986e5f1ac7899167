//! Loading a version: its session, its execution plan, its warm-up.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::{Engine, lock};
use crate::batching::{Batching, BatchingOptions};
use crate::error::{Code, Error, Result};
use crate::execution_plan::{Decision, ExecutionPlan, Facts, Subject};
use crate::executor::Executable;
use crate::giving_way::StartsThreads;
use crate::servable::Servable;
use crate::tensorflow::{self, Session, SessionOptions};
use crate::warmup;

/// What `Engine::load` reports.
pub struct Loaded {
    pub seconds: f64,
    pub warmup_records: usize,
    pub signatures: Vec<String>,
    /// None if no TensorFlow session executes it.
    pub decision: Option<Decision>,
}

/// What is to be loaded.
pub struct LoadRequest<'a> {
    pub model: &'a str,
    pub version: i64,
    pub path: &'a Path,
    pub tags: &'a [String],
    /// How often each warm-up record is replayed; None skips the warm-up.
    pub warmup_iterations: Option<usize>,
    /// How its requests are batched; None runs each alone.
    pub batching: Option<BatchingOptions>,
}

impl Engine {
    /// Load a version, choose its execution plan and replay its warm-up records. It is not reachable before `route`.
    ///
    /// `given` is what executes it, if that is not a TensorFlow session.
    pub fn load(&self, request: &LoadRequest, given: Option<Executable>) -> Result<Loaded> {
        let start = Instant::now();
        let path = request.path.to_string_lossy();
        let loaded = self.load_servable(request, given);
        self.metrics.loading.attempt(&path, start.elapsed(), loaded.as_ref().err().map(|error| error.code));
        let (servable, facts) = loaded?;
        let signatures = servable.definitions().keys().cloned().collect();
        let (servable, decision) = self.plan(request, Arc::new(servable), facts, start);
        // Only now: what the threads that run batches prepare for a session does not suit one with another plan.
        let warmup_records = match request.warmup_iterations {
            Some(iterations) => {
                let start = Instant::now();
                let replay = || warmup::replay(&servable, request.path, iterations);
                let replayed = self.beside_requests(StartsThreads::No, replay);
                self.metrics.loading.warmup(&path, start.elapsed(), &replayed);
                if let (Ok(1..), Some(decision)) = (&replayed, &decision) {
                    self.rehearse(request, &servable, decision)?;
                }
                replayed?
            }
            None => 0,
        };
        self.metrics.loading.show_mlmd(request.model, request.version, request.path);
        if let Some(Decision { plan, .. }) = &decision {
            servable.keep_shown(self.metrics.loading.show_plan(request.model, request.version, &plan.to_string()));
        }
        let key = (request.model.to_owned(), request.version);
        lock(&self.servables).insert(key, servable);
        Ok(Loaded { seconds: start.elapsed().as_secs_f64(), warmup_records, signatures, decision })
    }

    /// Choose the execution plan of a version whose load began at `since`; None if no session executes it.
    fn plan(
        &self,
        request: &LoadRequest,
        servable: Arc<Servable>,
        facts: Option<Facts>,
        since: Instant,
    ) -> (Arc<Servable>, Option<Decision>) {
        if servable.session().is_none() {
            return (servable, None);
        }
        let (Some(planner), Some(facts)) = (&self.planner, facts) else {
            return (servable, Some(Decision::told(ExecutionPlan::of(&self.session_options))));
        };
        let warms_up = request.warmup_iterations.is_some();
        let give_way = self.way_to_give();
        let subject = Subject { servable, since, directory: request.path, warms_up, give_way, facts };
        let (servable, decision) = planner.decide(subject, |options| {
            // Not beside requests: it may start many threads, which would be nice at first.
            Ok(Arc::new(self.new_servable(request, self.load_session(request, options)?.0)?))
        });
        (servable, Some(decision))
    }

    fn load_servable(&self, request: &LoadRequest, given: Option<Executable>) -> Result<(Servable, Option<Facts>)> {
        let (executable, facts) = match given {
            Some(executable) => (executable, None),
            None => self.beside_requests(StartsThreads::Yes, || self.load_session(request, &self.session_options))?,
        };
        Ok((self.new_servable(request, executable)?, facts))
    }

    fn new_servable(&self, request: &LoadRequest, executable: Executable) -> Result<Servable> {
        let batching = request.batching.as_ref().map(|options| self.batching(options)).transpose()?;
        Servable::new(request, executable, batching, self.request_logs.of(request.model), &self.metrics)
    }

    /// Load the SavedModel of a version. Blocks for as long as TensorFlow takes.
    ///
    /// Says too what planning has to know, if plans are measured.
    fn load_session(&self, request: &LoadRequest, options: &SessionOptions) -> Result<(Executable, Option<Facts>)> {
        let load = || -> Result<_> {
            let (session, meta_graph) = Session::load(request.path, request.tags, options)?;
            let facts = self.planner.is_some().then(|| Facts::of(&session, &meta_graph)).transpose()?;
            Ok((Executable { executor: Box::new(session), meta_graph, slots: None }, facts))
        };
        match load() {
            // Only now, since loading all of tensorflow-text's libraries takes a second and 70 MB.
            Err(error) if error.message.contains("Op type not registered") && self.load_op_libraries()? => load(),
            outcome => outcome,
        }
    }

    fn batching(&self, options: &BatchingOptions) -> Result<Arc<Batching>> {
        let pool = self.batch_threads.as_ref().ok_or_else(|| {
            Error::new(Code::FailedPrecondition, "the engine was started without threads for batches")
        })?;
        Ok(Arc::new(Batching::new(options.clone(), Arc::clone(pool))?))
    }

    /// Load the custom-op libraries that wait; false if there were none.
    fn load_op_libraries(&self) -> Result<bool> {
        let mut libraries = lock(&self.op_libraries);
        if libraries.is_empty() {
            return Ok(false);
        }
        for library in libraries.iter() {
            tensorflow::load_op_library(library)?;
        }
        libraries.clear();
        Ok(true)
    }
}
