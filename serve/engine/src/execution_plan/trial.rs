//! A session of a version with inputs that it has been seen to run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::crew::Crew;
use super::inputs::Inputs;
use super::planner::NotMeasured;
use super::timing::Contender;
use super::{ExecutionPlan, trace};
use crate::call::Call;
use crate::error::{Code, Error, Result};
use crate::executor::Endpoint;
use crate::servable::Servable;
use crate::tensorflow::{Session, Tensor};

/// A first run of what was generated is called off if it takes longer. Warm-up records will be replayed whatever they take.
const FIRST_RUN_LIMIT: Duration = Duration::from_secs(2);

/// Longer runs would make measuring long too.
const LONGEST_RUN: Duration = Duration::from_millis(500);

/// Further inputs are only run while a pass takes no longer: many short passes say more than a few long ones.
const LONG_PASS: Duration = Duration::from_millis(20);

/// A shorter run has no operations that are worth several cores.
const WORTH_SEVERAL_CORES: Duration = Duration::from_millis(2);

/// The part of a run, 0 to 1, that long operations must take for several cores to be tried.
const LONG_SHARE: f64 = 0.5;

/// What is run over and over.
pub struct Trial {
    pub servable: Arc<Servable>,
    calls: Arc<[Call]>,
    /// The first so many of them make a pass.
    runs: usize,
    /// The time of one.
    pass: Duration,
    plan: ExecutionPlan,
    crew: Crew,
}

impl Trial {
    /// Run each of `inputs` until nothing is left to be done for the first time, and keep as many as make a short pass.
    /// `plan` is that of the session, which has run nothing yet.
    pub fn of(
        servable: Arc<Servable>,
        inputs: &Inputs,
        plan: ExecutionPlan,
        crew: Crew,
    ) -> std::result::Result<Trial, NotMeasured> {
        let limit = (!inputs.are_recorded()).then_some(FIRST_RUN_LIMIT);
        let calls: Arc<[Call]> = inputs.calls(&servable)?.into();
        let (session, tried) = (Arc::clone(&servable), Arc::clone(&calls));
        let (runs, pass) = crew
            .alone(0, move || first_passes(&session, &tried, limit))
            .map_err(|error| if error.code == Code::DeadlineExceeded { too_long() } else { error.into() })?;
        if runs == 0 { Err(too_long()) } else { Ok(Trial { servable, calls, runs, pass, plan, crew }) }
    }

    /// The plans that its session can have; the first is the one to prefer.
    pub fn plans(&self) -> [ExecutionPlan; 2] {
        [true, false].map(|in_caller_thread| ExecutionPlan { in_caller_thread, ..self.plan })
    }

    /// Runs in a pass.
    pub fn runs(&self) -> usize {
        self.runs
    }

    /// The trial of one of its plans.
    pub fn contender(&self, plan: ExecutionPlan) -> Contender<'_> {
        let (servable, calls, runs) = (Arc::clone(&self.servable), Arc::clone(&self.calls), self.runs);
        let pass = move || calls[..runs].iter().try_for_each(|call| run(&servable, call, plan.in_caller_thread));
        Contender { crew: &self.crew, pass: Arc::new(pass) }
    }

    /// Whether operations are so long that they may become faster by more than one core each.
    pub fn gains_by_several_cores(&self) -> Result<bool> {
        if self.pass < WORTH_SEVERAL_CORES * self.runs as u32 {
            return Ok(false);
        }
        let (servable, calls) = (Arc::clone(&self.servable), Arc::clone(&self.calls));
        let metadata =
            self.crew.alone(0, move || session_of(&servable)?.trace(&feeds(&calls[0]), &calls[0].fetches))?;
        Ok(trace::long_share(&metadata)? >= LONG_SHARE)
    }
}

/// Run calls until enough are known for a pass: their number, and the time of the pass. Each runs in the inter-op pool,
/// which has it optimized, then in this thread, which prepares its operations, and then once more.
fn first_passes(servable: &Servable, calls: &[Call], limit: Option<Duration>) -> Result<(usize, Duration)> {
    let (mut kept, mut pass) = (0, Duration::ZERO);
    for call in calls {
        match limit {
            Some(limit) => run_within(servable, call, limit)?,
            None => run(servable, call, false)?,
        }
        run(servable, call, true)?;
        let start = Instant::now();
        run(servable, call, true)?;
        let elapsed = start.elapsed();
        if pass + elapsed > if kept == 0 { LONGEST_RUN } else { LONG_PASS } {
            break;
        }
        pass += elapsed;
        kept += 1;
    }
    Ok((kept, pass))
}

fn too_long() -> NotMeasured {
    NotMeasured::because("a run takes too long")
}

fn run(servable: &Servable, call: &Call, in_caller_thread: bool) -> Result<()> {
    session_of(servable)?.run_in(in_caller_thread, &feeds(call), &call.fetches).map(drop)
}

fn run_within(servable: &Servable, call: &Call, limit: Duration) -> Result<()> {
    session_of(servable)?.run_within(limit, &feeds(call), &call.fetches).map(drop)
}

fn session_of(servable: &Servable) -> Result<&Session> {
    servable.session().ok_or_else(|| Error::internal("only sessions have execution plans"))
}

fn feeds(call: &Call) -> Vec<(Endpoint, &Tensor)> {
    call.feeds.iter().map(|(endpoint, tensor)| (*endpoint, &**tensor)).collect()
}
