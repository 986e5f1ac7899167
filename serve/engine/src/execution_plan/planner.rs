//! Measuring the plans of a version that has just been loaded.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::crew::Crew;
use super::facts::Facts;
use super::inputs::{ExampleRequest, Inputs};
use super::timing::{self, Contender, Figures};
use super::trial::Trial;
use super::{Decision, ExecutionPlan, Grounds};
use crate::error::{Error, Result};
use crate::giving_way::GiveWay;
use crate::report::{Level, Report};
use crate::servable::Servable;
use crate::tensorflow::SessionOptions;

/// How long plans are run against each other, unless a single turn of each takes longer.
const BUDGET: Duration = Duration::from_secs(1);

/// Versions of the same operations run alike if neither has so many times the bytes of the other. Their times would not
/// tell: one that is loaded while another serves gives way to its requests.
const ALIKE: u64 = 3;

/// A version that took longer to load and to be tried is not loaded a second time ...
const SECOND_LOAD_LIMIT: Duration = Duration::from_secs(5);

/// ... and neither is one with more bytes on disk, since for a while both are in memory.
const SECOND_LOAD_MAX_BYTES: u64 = 1 << 30;

/// What a plan is wanted for.
pub struct Subject<'a> {
    /// The version in a session of the engine's own options, which has run nothing yet.
    pub servable: Arc<Servable>,
    /// When its load began.
    pub since: Instant,
    pub directory: &'a Path,
    /// Whether its warm-up records are to be replayed.
    pub warms_up: bool,
    /// How threads give way, if others are served meanwhile.
    pub give_way: Option<&'a GiveWay>,
    pub facts: Facts,
}

/// Why nothing was measured.
pub struct NotMeasured {
    reason: String,
    /// For who wants to know more.
    detail: Option<String>,
}

impl NotMeasured {
    pub fn because(reason: &str) -> NotMeasured {
        NotMeasured { reason: reason.to_owned(), detail: None }
    }
}

/// What fails while plans are measured is no failure of the load.
impl From<Error> for NotMeasured {
    fn from(error: Error) -> NotMeasured {
        NotMeasured { reason: "no inputs that run".to_owned(), detail: Some(error.message) }
    }
}

/// Measures plans.
pub struct Planner {
    options: SessionOptions,
    cores: usize,
    example: ExampleRequest,
    report: Report,
    /// What was measured last for each model. Versions that load at the same time are measured one after the other, or
    /// each would measure the others.
    known: Mutex<HashMap<String, Known>>,
}

/// What was measured for a version of a model.
#[derive(Clone, Copy)]
struct Known {
    version: i64,
    outline: u64,
    bytes: u64,
    plan: ExecutionPlan,
}

impl Known {
    /// Whether it holds for another version too.
    fn fits(&self, outline: u64, bytes: u64) -> bool {
        self.outline == outline && bytes <= ALIKE * self.bytes && self.bytes <= ALIKE * bytes
    }
}

impl Planner {
    /// A planner for sessions with these options; None if there is only one core, where nothing is to choose.
    pub fn new(options: &SessionOptions, cores: usize, example: ExampleRequest, report: Report) -> Option<Planner> {
        (cores > 1).then(|| Planner { options: options.clone(), cores, example, report, known: Mutex::default() })
    }

    /// Choose the plan of a version, and return the servable that has it. Whatever fails, the one that was given stays.
    ///
    /// `load_again` loads the version with other options.
    pub fn decide(
        &self,
        subject: Subject,
        load_again: impl FnOnce(&SessionOptions) -> Result<Arc<Servable>>,
    ) -> (Arc<Servable>, Decision) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match self.plan(&subject, &mut known, load_again) {
            Ok((servable, decision)) => {
                if let Some(session) = servable.session() {
                    session.set_in_caller_thread(decision.plan.in_caller_thread);
                }
                (servable, decision)
            }
            Err(NotMeasured { reason, detail }) => {
                if let Some(detail) = detail {
                    let Servable { model, version, .. } = &*subject.servable;
                    (self.report)(Level::Debug, &format!("{model} version {version} cannot be measured: {detail}"));
                }
                let grounds = Grounds::NotMeasured { reason };
                (subject.servable, Decision { plan: ExecutionPlan::of(&self.options), grounds })
            }
        }
    }

    /// Take over the plan of a version that runs alike, or measure.
    fn plan(
        &self,
        subject: &Subject,
        known: &mut HashMap<String, Known>,
        load_again: impl FnOnce(&SessionOptions) -> Result<Arc<Servable>>,
    ) -> std::result::Result<(Arc<Servable>, Decision), NotMeasured> {
        let start = Instant::now();
        let Servable { model, version, .. } = &*subject.servable;
        let records = subject.warms_up.then_some(subject.directory);
        let inputs = Inputs::find(&subject.servable, records, &subject.facts.read_only, &self.example)?;
        let own = ExecutionPlan::of(&self.options);
        let try_out = || {
            let crew = Crew::start(self.cores, subject.give_way)?;
            Trial::of(Arc::clone(&subject.servable), &inputs, own, crew)
        };
        let (outline, bytes) = (subject.facts.outline, bytes_on_disk(subject.directory));
        if let Some(Known { version, plan, .. }) = known.get(model).filter(|known| known.fits(outline, bytes)) {
            let decision = Decision { plan: *plan, grounds: Grounds::Known { version: *version } };
            if plan.intra_op == own.intra_op {
                // Records will be replayed. Without any this leaves less to be done for the first request.
                if !inputs.are_recorded() {
                    let _ = try_out();
                }
                return Ok((Arc::clone(&subject.servable), decision));
            }
            if may_be_loaded_again(subject) {
                return Ok((load_again(&ExecutionPlan::with_intra_op(&self.options, self.cores))?, decision));
            }
        }
        let (servable, decision) = self.measure(subject, try_out()?, &inputs, start, load_again)?;
        known.insert(model.clone(), Known { version: *version, outline, bytes, plan: decision.plan });
        Ok((servable, decision))
    }

    fn measure(
        &self,
        subject: &Subject,
        trial: Trial,
        inputs: &Inputs,
        start: Instant,
        load_again: impl FnOnce(&SessionOptions) -> Result<Arc<Servable>>,
    ) -> std::result::Result<(Arc<Servable>, Decision), NotMeasured> {
        let mut trials = vec![trial];
        if trials[0].gains_by_several_cores()? && may_be_loaded_again(subject) {
            let wide = ExecutionPlan::with_intra_op(&self.options, self.cores);
            let crew = Crew::start(self.cores, subject.give_way)?;
            trials.push(Trial::of(load_again(&wide)?, inputs, ExecutionPlan::of(&wide), crew)?);
        }
        let (chosen, figures) = self.compare(&trials)?;
        let decision = Decision {
            plan: figures[chosen].0,
            grounds: Grounds::Measured {
                figures,
                callers: self.cores,
                inputs: inputs.describe(trials[0].runs()),
                elapsed: start.elapsed(),
            },
        };
        // Two plans for each trial.
        Ok((trials.swap_remove(chosen / 2).servable, decision))
    }

    /// Time both plans of each trial; returns the index of the best one, and the figures of all.
    fn compare(&self, trials: &[Trial]) -> Result<(usize, Vec<(ExecutionPlan, Figures)>)> {
        let plans: Vec<_> = trials.iter().flat_map(|trial| trial.plans().map(|plan| (trial, plan))).collect();
        let contenders: Vec<Contender> = plans.iter().map(|(trial, plan)| trial.contender(*plan)).collect();
        let runs = trials.iter().map(Trial::runs).min().unwrap_or(1);
        let figures = timing::compare(&contenders, runs, BUDGET)?;
        // What TensorFlow does by itself is the last plan of the second session.
        let floor = (trials.len() > 1).then(|| plans.len() - 1);
        let best = timing::best(&figures, floor);
        Ok((best, plans.into_iter().map(|(_, plan)| plan).zip(figures).collect()))
    }
}

/// Whether a second session of the version can be afforded for a while.
fn may_be_loaded_again(subject: &Subject) -> bool {
    subject.since.elapsed() <= SECOND_LOAD_LIMIT && bytes_on_disk(subject.directory) <= SECOND_LOAD_MAX_BYTES
}

/// The bytes of a version's graph and variables.
fn bytes_on_disk(directory: &Path) -> u64 {
    let size = |path: &Path| path.metadata().map_or(0, |file| if file.is_file() { file.len() } else { 0 });
    let sizes = |directory: &Path| -> u64 {
        directory.read_dir().map_or(0, |files| files.flatten().map(|file| size(&file.path())).sum())
    };
    sizes(directory) + sizes(&directory.join("variables"))
}
