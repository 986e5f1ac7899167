//! How a version's graph is executed, and which way is the best for it.
//!
//! The operations of a run go through the caller's thread one after the other, or through TensorFlow's inter-op pool;
//! each operation has one core, or an intra-op pool over all. The first can be said with each run, the second belongs to
//! the session. So the second kind of session is loaded only for a version whose operations are long enough to gain by
//! it, and the loser is freed.

mod crew;
mod effects;
mod facts;
mod graph;
mod inputs;
mod planner;
mod timing;
mod trace;
mod trial;

use std::fmt;
use std::time::Duration;

use timing::Figures;

use crate::tensorflow::SessionOptions;
use crate::wire::{Fields, Value, write_varint};

pub use facts::Facts;
pub use inputs::ExampleRequest;
pub use planner::{Planner, Subject};

/// `ConfigProto.intra_op_parallelism_threads`.
const INTRA_OP_FIELD: u32 = 2;

/// `ConfigProto.use_per_session_threads`: an inter-op pool that belongs to the session.
const OWN_INTER_OP_POOL_FIELD: u32 = 9;

/// One way to execute a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecutionPlan {
    /// Whether operations run in the thread that asks, or in TensorFlow's inter-op pool.
    pub in_caller_thread: bool,
    /// Threads for one operation; 0 is as many as TensorFlow thinks right, which is one per core.
    pub intra_op: u64,
}

impl ExecutionPlan {
    /// What sessions made with these options do.
    pub fn of(options: &SessionOptions) -> ExecutionPlan {
        let threads = Fields::new(&options.config).filter_map(|field| match field {
            Ok((INTRA_OP_FIELD, Value::Varint(threads))) => Some(threads),
            _ => None,
        });
        // Of several values of a field the last one counts.
        ExecutionPlan { in_caller_thread: options.in_caller_thread, intra_op: threads.last().unwrap_or_default() }
    }

    /// The same options, but with another number of threads for one operation. The inter-op pool is not that of all
    /// other sessions then, whose threads have prepared operations for their number (see `crew`).
    fn with_intra_op(options: &SessionOptions, threads: usize) -> SessionOptions {
        let mut options = options.clone();
        for (field, value) in [(INTRA_OP_FIELD, threads as u64), (OWN_INTER_OP_POOL_FIELD, 1)] {
            options.config.push((field as u8) << 3);
            write_varint(&mut options.config, value);
        }
        options
    }
}

/// As metrics and the log name it: `caller_intra_1`, `pool_intra_8`, `pool_intra_all`.
impl fmt::Display for ExecutionPlan {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let inter_op = if self.in_caller_thread { "caller" } else { "pool" };
        match self.intra_op {
            0 => write!(f, "{inter_op}_intra_all"),
            threads => write!(f, "{inter_op}_intra_{threads}"),
        }
    }
}

/// The plan of a version, and why it is this one.
pub struct Decision {
    pub plan: ExecutionPlan,
    pub grounds: Grounds,
}

impl Decision {
    /// The plan that a flag or a config file asks for.
    pub fn told(plan: ExecutionPlan) -> Decision {
        Decision { plan, grounds: Grounds::Told }
    }

    /// Whether the version was run to find it, and so may be run as often as one likes.
    pub fn was_tried(&self) -> bool {
        matches!(self.grounds, Grounds::Measured { .. } | Grounds::Known { .. })
    }
}

/// Why a version has its plan.
pub enum Grounds {
    /// A flag or a config file says so.
    Told,
    /// It was the best of those that were measured.
    Measured { figures: Vec<(ExecutionPlan, Figures)>, callers: usize, inputs: String, elapsed: Duration },
    /// It was measured for another version of the model, whose runs are alike.
    Known { version: i64 },
    /// It could not be measured.
    NotMeasured { reason: String },
}

/// The line for the log, after the name of the version.
impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "execution plan {}", self.plan)?;
        match &self.grounds {
            Grounds::Told => Ok(()),
            Grounds::Known { version } => write!(f, " (as measured for version {version})"),
            Grounds::NotMeasured { reason } => write!(f, " (not measured: {reason})"),
            Grounds::Measured { figures, callers, inputs, elapsed } => {
                for (index, (plan, Figures { alone, rate })) in figures.iter().enumerate() {
                    let alone = alone.as_secs_f64() * 1e3;
                    match index {
                        0 => write!(f, ": {plan} {alone:.3} ms alone, {rate:.0}/s by {callers} callers")?,
                        _ => write!(f, "; {plan} {alone:.3} ms, {rate:.0}/s")?,
                    }
                }
                write!(f, " ({inputs}, measured in {:.2} s)", elapsed.as_secs_f64())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(config: &[u8], in_caller_thread: bool) -> SessionOptions {
        SessionOptions { config: config.to_vec(), in_caller_thread }
    }

    #[test]
    fn a_plan_is_read_from_the_config_and_named() {
        assert_eq!(ExecutionPlan::of(&options(&[], false)).to_string(), "pool_intra_all");
        let one = options(&[2 << 3, 1], true);
        assert_eq!(ExecutionPlan::of(&one).to_string(), "caller_intra_1");
        let wide = ExecutionPlan::with_intra_op(&one, 300);
        assert_eq!(ExecutionPlan::of(&wide).to_string(), "caller_intra_300");
        assert_eq!(wide.config, [2 << 3, 1, 2 << 3, 0xac, 0x02, 9 << 3, 1]);
    }

    #[test]
    fn one_line_says_what_was_chosen_and_why() {
        let plan = ExecutionPlan { in_caller_thread: true, intra_op: 1 };
        let line = |grounds| Decision { plan, grounds }.to_string();
        assert_eq!(line(Grounds::Told), "execution plan caller_intra_1");
        let reason = "its runs may change the model's state".to_owned();
        assert_eq!(
            line(Grounds::NotMeasured { reason }),
            "execution plan caller_intra_1 (not measured: its runs may change the model's state)"
        );
        let known = line(Grounds::Known { version: 7 });
        assert_eq!(known, "execution plan caller_intra_1 (as measured for version 7)");
        let figures = |micros, rate| Figures { alone: Duration::from_micros(micros), rate };
        let pool = ExecutionPlan { in_caller_thread: false, intra_op: 1 };
        let grounds = Grounds::Measured {
            figures: vec![(plan, figures(870, 1935.2)), (pool, figures(1_980, 1066.4))],
            callers: 2,
            inputs: "3 warm-up records".to_owned(),
            elapsed: Duration::from_millis(120),
        };
        assert_eq!(
            line(grounds),
            "execution plan caller_intra_1: caller_intra_1 0.870 ms alone, 1935/s by 2 callers; \
             pool_intra_1 1.980 ms, 1066/s (3 warm-up records, measured in 0.12 s)"
        );
    }
}
