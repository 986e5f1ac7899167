//! A session of a version with inputs that it has been seen to run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::inputs::Inputs;
use super::planner::NotMeasured;
use super::{ExecutionPlan, trace};
use crate::call::Call;
use crate::error::{Code, Error, Result};
use crate::executor::Endpoint;
use crate::servable::Servable;
use crate::tensorflow::{Session, Tensor};

/// A first run that takes longer is called off.
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
    calls: Vec<Call>,
    /// The time of one pass over the calls.
    pass: Duration,
    plan: ExecutionPlan,
}

impl Trial {
    /// Run each of `inputs` twice, so that nothing is left to be done for the first time, and keep as many as make a
    /// short pass. `plan` is that of the session.
    pub fn of(
        servable: Arc<Servable>,
        inputs: &Inputs,
        plan: ExecutionPlan,
    ) -> std::result::Result<Trial, NotMeasured> {
        let mut trial = Trial { calls: Vec::new(), pass: Duration::ZERO, plan, servable };
        for call in inputs.calls(&trial.servable)? {
            match run_within(&trial.servable, &call, FIRST_RUN_LIMIT) {
                Err(error) if error.code == Code::DeadlineExceeded => return Err(too_long()),
                outcome => outcome?,
            }
            let start = Instant::now();
            run(&trial.servable, &call, true)?;
            let elapsed = start.elapsed();
            let limit = if trial.calls.is_empty() { LONGEST_RUN } else { LONG_PASS };
            if trial.pass + elapsed > limit {
                break;
            }
            trial.pass += elapsed;
            trial.calls.push(call);
        }
        if trial.calls.is_empty() { Err(too_long()) } else { Ok(trial) }
    }

    /// The plans that its session can have; the first is the one to prefer.
    pub fn plans(&self) -> [ExecutionPlan; 2] {
        [true, false].map(|in_caller_thread| ExecutionPlan { in_caller_thread, ..self.plan })
    }

    /// The session's own plan.
    pub fn own_plan(&self) -> ExecutionPlan {
        self.plan
    }

    /// The time of one run, roughly.
    pub fn run_time(&self) -> Duration {
        self.pass / self.runs().max(1) as u32
    }

    /// Runs in a pass.
    pub fn runs(&self) -> usize {
        self.calls.len()
    }

    pub fn pass(&self, in_caller_thread: bool) -> Result<()> {
        self.calls.iter().try_for_each(|call| run(&self.servable, call, in_caller_thread))
    }

    /// Whether operations are so long that they may become faster by more than one core each.
    pub fn gains_by_several_cores(&self) -> Result<bool> {
        if self.pass < WORTH_SEVERAL_CORES * self.runs() as u32 {
            return Ok(false);
        }
        let call = &self.calls[0];
        let metadata = session_of(&self.servable)?.trace(&feeds(call), &call.fetches)?;
        Ok(trace::long_share(&metadata)? >= LONG_SHARE)
    }
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
