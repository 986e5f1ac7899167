//! Lines for the server's log, which the control plane formats and writes.

use std::sync::Arc;

/// How grave it is, with the numbers of Python's logging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Debug = 10,
    Info = 20,
    Warning = 30,
    Error = 40,
}

/// Takes one line; for what is rare, since it may wait for Python.
pub type Report = Arc<dyn Fn(Level, &str) + Send + Sync>;

/// Where there is no control plane that listens.
pub fn to_stderr() -> Report {
    Arc::new(|_, line| eprintln!("{line}"))
}
